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
    handlers, level, named = root.handlers[:], root.level, ("safelight", "psycopg.pool", "c2pa")
    levels = {name: logging.getLogger(name).level for name in named}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in named:
        logging.getLogger(name).setLevel(levels[name])
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


def test_no_line_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"))
    structlog.get_logger("safelight.test").info("asked \x1b[2J", detail="\x1b[31mred\x9b0m\u202e", items=["\x1b"])
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert all(character == "\n" or character.isprintable() for character in written)
    assert "\\u001b[2J" in written and "red" in written


@pytest.mark.parametrize("library", ["pyvips", "c2pa", "procrastinate.worker", "aiohttp.access", "anything.else"])
def test_libraries_do_not_tell_of_each_thing_they_do(library: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings())
    logging.getLogger(library).info("VIPS: threadpool completed with 2 workers")
    assert capsys.readouterr().err == ""
    logging.getLogger(library).error("it is broken")
    structlog.get_logger("safelight.test").info("this is ours")
    written = capsys.readouterr().err
    assert "it is broken" in written and "this is ours" in written


def test_libraries_tell_all_to_those_who_look_for_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="debug"))
    logging.getLogger("pyvips").debug("VIPS: threadpool completed")
    assert "VIPS" in capsys.readouterr().err
