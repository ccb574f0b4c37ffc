"""What the logs show, and what they never show."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import select
from collections.abc import Iterator

import pytest
import structlog

from safelight.node.settings import Settings
from safelight.telemetry.logs import AccessLines, access_lines, configure_logging, redact

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


class Stream(io.StringIO):
    """Keeps each write apart; ``is_broken``: nobody reads it any more."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.is_broken = False

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError
        self.writes.append(text)
        return len(text)


@pytest.fixture
def stream() -> Stream:
    logging.getLogger("safelight").setLevel(logging.INFO)
    return Stream()


@pytest.fixture
def lines(stream: Stream) -> AccessLines:
    found = AccessLines()
    found.configure(stream, as_json=True)
    return found


def add(lines: AccessLines, number: int, path: str = "/v2/models") -> None:
    lines.add("GET", path, 200, 0.1, str(number), None)


async def test_lines_of_the_access_log_are_written_together_whole_and_in_order(
    stream: Stream, lines: AccessLines
) -> None:
    with lines.in_batches():
        for number in range(300):
            add(lines, number, "/v2/" + "\N{SNOWMAN}" * 60)
        waited = len(stream.writes)
    assert 300 / 2 > len(stream.writes) > waited > 0
    assert all(len(each.encode()) <= select.PIPE_BUF and each.endswith("\n") for each in stream.writes)
    assert [json.loads(line)["id"] for line in "".join(stream.writes).splitlines()] == list(map(str, range(300)))


async def test_a_line_of_the_access_log_waits_for_no_other(stream: Stream, lines: AccessLines) -> None:
    with lines.in_batches():
        for number in range(2):
            add(lines, number)
            assert len(stream.writes) == number
            async with asyncio.timeout(10):
                while len(stream.writes) == number:
                    await asyncio.sleep(0.001)


def test_no_line_of_the_access_log_waits_once_the_server_has_ended(stream: Stream, lines: AccessLines) -> None:
    with lines.in_batches():
        pass
    add(lines, 0)
    assert len(stream.writes) == 1


async def test_a_log_that_nobody_reads_breaks_no_request(stream: Stream, lines: AccessLines) -> None:
    stream.is_broken = True
    with lines.in_batches():
        for number in range(100):
            add(lines, number)
    stream.is_broken = False
    add(lines, 100)
    assert [json.loads(each)["id"] for each in stream.writes] == ["100"]
    stream.close()
    add(lines, 101)


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_access_log_shows_no_secret_and_commands_no_terminal(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(Settings(log_format=log_format))
    add(access_lines, 1, f"/{SECRET_KEY}\x1b[2J\n")
    written = capsys.readouterr().err
    assert "id" in written and SECRET_KEY not in written
    assert written.count("\n") == 1 and written[:-1].isprintable()


def test_the_access_log_is_as_quiet_as_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_level="warning"))
    add(access_lines, 1)
    assert capsys.readouterr().err == ""
