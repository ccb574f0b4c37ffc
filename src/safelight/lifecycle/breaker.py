"""A breaker for each provider: one that keeps failing is left alone for a while."""

from __future__ import annotations

import time

import msgspec

_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 30.0


class _Record(msgspec.Struct):
    failures: int = 0
    closed_again_at: float = 0.0


class Breakers:
    """Counts failures in a row. After five, a provider is not asked for 30 s; then one caller may try it."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def allows(self, provider: str) -> bool:
        """Whether this provider may be asked now."""
        record = self._records.get(provider)
        if record is None or record.failures < _FAILURES_TO_OPEN:
            return True
        now = time.monotonic()
        if now < record.closed_again_at:
            return False
        record.closed_again_at = now + _OPEN_SECONDS  # this caller tries; the others go on waiting
        return True

    def seconds_closed(self, provider: str) -> float:
        """How long this provider is left alone from now on; 0 if it may be asked."""
        record = self._records.get(provider)
        if record is None or record.failures < _FAILURES_TO_OPEN:
            return 0.0
        return max(0.0, record.closed_again_at - time.monotonic())

    def succeeded(self, provider: str) -> None:
        self._records.pop(provider, None)

    def failed(self, provider: str) -> None:
        record = self._records.setdefault(provider, _Record())
        record.failures += 1
        if record.failures >= _FAILURES_TO_OPEN:
            record.closed_again_at = time.monotonic() + _OPEN_SECONDS
