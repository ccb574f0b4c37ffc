"""When a delivery is tried again: the schedule in the Standard Webhooks specification, with jitter."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from safelight.domain.headers import retry_after_seconds

_MINUTE, _HOUR = 60, 3600
DELAYS_SECONDS = (
    0,
    5,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""How long each attempt waits after the one before it has failed."""

MAX_RETRY_AFTER_SECONDS = 24 * _HOUR
_JITTER = 0.1
_random = random.SystemRandom()


def next_delay_seconds(attempts: int, retry_after: str | None = None, now: datetime | None = None) -> float | None:
    """How long to wait once ``attempts`` of them have failed; None: that was the last.

    Up to a tenth is added, so that what failed together does not come back together. ``retry_after`` is the answer's
    header: it makes the wait longer, to a day at most, and never shorter.
    """
    if attempts >= len(DELAYS_SECONDS):
        return None
    asked = min(retry_after_seconds(retry_after, now or datetime.now(UTC)), MAX_RETRY_AFTER_SECONDS)
    return max(DELAYS_SECONDS[attempts], asked) * (1 + _JITTER * _random.random())
