"""What the logs show, and what they never show."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from safelight.node.settings import Settings
from safelight.telemetry.logs import configure_logging, redact

SECRET_KEY = "sk_4f9aKq0000000000000000000000000000000000000000000"
SIGNATURE = "ab12" * 16


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_is_logged(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format=log_format))
    link = f"http://127.0.0.1/v2/downloads/req-1/0?exp=1800000000&sig={SIGNATURE}"
    log = structlog.get_logger("safelight.test")
    log.info("asked", headers={"Authorization": f"Bearer {SECRET_KEY}"}, url=link, pair=[SECRET_KEY])
    log.info("database", url="postgresql://someone:hunter2@db/safelight", password="hunter2")
    logging.getLogger("granian.access").warning("GET %s %s", link, f"Bearer {SECRET_KEY}")
    try:
        raise ValueError(f"{SECRET_KEY} at {link}")
    except ValueError:
        log.exception("went wrong")
    written = capsys.readouterr().err
    for secret in (SECRET_KEY, SIGNATURE, "hunter2"):
        assert secret not in written
    assert "exp=1800000000" in written and "went wrong" in written and "ValueError" in written


def test_json_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="warning"))
    structlog.get_logger("safelight.test").info("unseen")
    structlog.get_logger("safelight.test").warning("seen", generation_id="req-1", bytes_sent=3)
    logging.getLogger("procrastinate.worker").error("job failed", extra={"action": "job_error"})
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["generation_id"]) == ("seen", "warning", "req-1")
    assert (second["logger"], second["action"]) == ("procrastinate.worker", "job_error")


def test_what_is_no_secret_stays() -> None:
    event = {"event": "x", "key_id": 3, "key": "media/2026/a.png", "signal": "SIGTERM", "n": None}
    assert redact(None, "info", dict(event)) == event
