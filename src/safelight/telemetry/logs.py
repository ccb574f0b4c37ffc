"""Logging: structlog and the standard library's loggers through one formatter, one line an event, on stderr.

A line that is written within a span names it (``trace_id``, ``span_id``; see ``safelight.telemetry.traces``).

No line shows a secret: API keys, ``Authorization`` headers, signatures of download links and passwords in
URLs are replaced, wherever in an event they stand.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from safelight.domain.text import cut, printable_lines
from safelight.node.settings import Settings
from safelight.telemetry import traces

_HIDDEN = "***"
_SECRET_NAMES = re.compile(r"authorization|api[_-]?key$|secret|password|token$|cookie", re.IGNORECASE)
_SECRET_TEXTS = (
    (re.compile(r"\b(sig=)[^&\s\"']+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\b(bearer\s+)[^\s\"',]+", re.IGNORECASE), r"\1***"),
    (re.compile(r"\bsk_\w+"), "sk_***"),
    (re.compile(r"\bwhsec_[\w+/=-]+"), "whsec_***"),
    # Not the scheme: a pattern that may begin anywhere in a long word takes time with the square of its length.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),
)
ACCESS = "safelight.access"
# None of the texts above fits in it.
_PLAIN_PATH = re.compile(r"/v2(?:/[a-z]+){1,2}(?:/req-[0-9A-Z]{26}(?:/[0-9]{1,4})?)?", re.ASCII)
_BATCH_SECONDS = 0.005
_AT_ONCE_BYTES = select.PIPE_BUF  # what a pipe takes whole, whoever else writes to it (POSIX, write)
_OURS = "safelight"
_CHATTY = {"psycopg.pool": logging.ERROR, "c2pa": logging.ERROR}  # their warnings come again and again, and help nobody
_SENDER = "opentelemetry"
_SENDER_PAUSE_SECONDS = 60.0


def configure_logging(settings: Settings) -> None:
    """Set logging up for this process. Calling it again replaces what was there."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _with_ids,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                *_renderers(settings.log_format),
            ],
        )
    )
    handler.addFilter(_seldom_of_the_sender())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.getLogger(_OURS).setLevel(level)
    # What libraries note of their own work, such as each picture they made, is for those who look for a fault in them.
    root.setLevel(level if level == logging.DEBUG else max(level, logging.WARNING))
    access_lines.configure(sys.stderr, as_json=settings.log_format == "json")
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(level, least) if level > logging.DEBUG else level)


def _with_ids(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A structlog processor: the trace and the span that the event is in, under the names that collectors look for.

    Source: OpenTelemetry specification, "Trace Context in non-OTLP Log Formats".
    """
    if (found := traces.ids()) is not None:
        event["trace_id"], event["span_id"] = found
    return event


def _seldom_of_the_sender() -> Callable[[logging.LogRecord], bool]:
    """A filter: of what sends traces, a line a minute. A collector that is away is told of with each batch."""
    next_at = 0.0

    def passes(record: logging.LogRecord) -> bool:
        nonlocal next_at
        if not record.name.startswith(_SENDER):
            return True
        now = time.monotonic()
        if now < next_at:
            return False
        next_at = now + _SENDER_PAUSE_SECONDS
        record.msg, record.args, record.exc_info = cut(record.getMessage()), None, None  # part of it is the collector's
        return True

    return passes


class AccessLines:
    """The access log: lines that look like all others, but for colours. One for every request has to be cheap.

    While they go ``in_batches``, each waits for a few milliseconds for others that are written with it. Of a process
    that is killed those are lost.
    """

    def __init__(self) -> None:
        self._log = logging.getLogger(ACCESS)
        self._stream: TextIO | None = None
        self._as_json = False
        self._waiting: list[str] = []
        self._size_bytes = 0
        self._batches = 0
        self._is_due = False

    def configure(self, stream: TextIO | None, *, as_json: bool) -> None:
        """Where lines go from now on, and what they look like."""
        self.write()
        self._stream, self._as_json = stream, as_json

    @contextlib.contextmanager
    def in_batches(self) -> Iterator[None]:
        """While inside, in a running event loop, lines are written together; none waits any more behind it."""
        self._batches += 1
        try:
            yield
        finally:
            self._batches -= 1
            self.write()

    def add(
        self, method: str, path: str, status: int, milliseconds: float, id_: str, ids: tuple[str, str] | None
    ) -> None:
        """A request has ended. ``ids``: its trace and span."""
        if self._stream is None or not self._log.isEnabledFor(logging.INFO):
            return
        line = self._line(method, path, status, milliseconds, id_, ids)
        size_bytes = len(line.encode())
        if self._size_bytes + size_bytes > _AT_ONCE_BYTES:
            self.write()
        self._waiting.append(line)
        self._size_bytes += size_bytes
        if not self._batches:
            self.write()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(_BATCH_SECONDS, self._write_due)

    def write(self) -> None:
        """Write what waits. That it cannot be written is nobody's concern but of who reads it."""
        lines, self._waiting, self._size_bytes = self._waiting, [], 0
        if lines and self._stream is not None:
            with contextlib.suppress(OSError, ValueError):  # it is closed
                self._stream.write("".join(lines))
                self._stream.flush()

    def _write_due(self) -> None:
        self._is_due = False
        self.write()

    def _line(
        self, method: str, path: str, status: int, ms: float, request_id: str, ids: tuple[str, str] | None
    ) -> str:
        if not _PLAIN_PATH.fullmatch(path):
            path = redact_text(path) if self._as_json else repr(redact_text(path))
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if not self._as_json:
            fields = f"id={request_id} method={method} ms={ms} path={path} status={status}"
            fields += "" if ids is None else f" trace_id={ids[0]} span_id={ids[1]}"
            return f"{moment} [info     ] request                        [{ACCESS}] {fields}\n"
        line = {"method": method, "path": path, "status": status, "ms": ms, "id": request_id}
        if ids is not None:
            line |= {"trace_id": ids[0], "span_id": ids[1]}
        about = {"event": "request", "level": "info", "logger": ACCESS, "timestamp": moment}
        return msgspec.json.encode(line | about).decode() + "\n"


access_lines = AccessLines()
"""Of this process."""


def _renderers(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.JSONRenderer(default=str)]
    return [_made_printable, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def _made_printable(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A structlog processor: what others wrote must not command the terminal that shows it. JSON escapes by itself."""
    return {key: printable_lines(value) if isinstance(value, str) else value for key, value in event.items()}


def redact(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
    """A structlog processor that hides secrets, by the name they stand under and by what they look like."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: str, value: Any) -> Any:
    if _SECRET_NAMES.search(key) and value is not None:
        return _HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes):
        return redact_text(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        return {name: _redacted(str(name), inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [_redacted("", inner) for inner in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact_text(str(value))


def redact_text(text: str) -> str:
    """The text with every secret that can be recognised replaced."""
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text
