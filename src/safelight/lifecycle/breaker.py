"""A breaker for each connection: one that keeps failing is left alone for a while, and so is one that asks for it."""

from __future__ import annotations

import time

import msgspec
import structlog

log = structlog.get_logger()

_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 30.0


class _Record(msgspec.Struct):
    """``paused_until`` is its own wish, ``closed_again_at`` what came of its failures."""

    failures: int = 0
    closed_again_at: float = 0.0
    paused_until: float = 0.0


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one connection stands in one process. ``failures``: in a row.

    ``closed_seconds``: for how long it is left alone because it kept failing, ``paused_seconds``: because it asked for
    that; 0 if it is not.
    """

    connection: str
    failures: int
    closed_seconds: float
    paused_seconds: float


class Breakers:
    """Counts failures in a row. After five, a connection is not asked for 30 s; then one caller may try it.

    One that answers that it has too much to do, and when to come again, has not failed: nobody asks it until then, for
    30 s at most, and then all may.
    """

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def allows(self, connection: str) -> bool:
        """Whether this connection may be asked now."""
        if self.seconds_closed(connection) > 0:
            return False
        record = self._records.get(connection)
        if record is not None and record.failures >= _FAILURES_TO_OPEN:
            record.closed_again_at = time.monotonic() + _OPEN_SECONDS  # this caller tries; the others go on waiting
        return True

    def seconds_closed(self, connection: str) -> float:
        """How long this connection is left alone from now on; 0 if it may be asked."""
        record = self._records.get(connection)
        if record is None:
            return 0.0
        return max(0.0, max(record.closed_again_at, record.paused_until) - time.monotonic())

    def standings(self) -> list[Standing]:
        """How those stand that failed of late or asked to be left alone, by name."""
        now = time.monotonic()
        return [
            Standing(
                connection=name,
                failures=record.failures,
                closed_seconds=max(0.0, record.closed_again_at - now),
                paused_seconds=max(0.0, record.paused_until - now),
            )
            for name, record in sorted(self._records.items())
            if record.failures or record.paused_until > now
        ]

    def succeeded(self, connection: str) -> None:
        record = self._records.get(connection)
        if record is not None:
            record.failures, record.closed_again_at = 0, 0.0

    def failed(self, connection: str) -> None:
        record = self._records.setdefault(connection, _Record())
        record.failures += 1
        if record.failures == _FAILURES_TO_OPEN:
            log.warning("connection left alone: it keeps failing", connection=connection, seconds=_OPEN_SECONDS)
        if record.failures >= _FAILURES_TO_OPEN:
            record.closed_again_at = time.monotonic() + _OPEN_SECONDS

    def limited(self, connection: str, seconds: float) -> None:
        """It answers, and asks to be left alone for so long."""
        self.succeeded(connection)
        record = self._records.setdefault(connection, _Record())
        record.paused_until = max(record.paused_until, time.monotonic() + min(seconds, _OPEN_SECONDS))
