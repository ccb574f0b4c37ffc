"""Trying again for as long as there is time: pauses that grow, and differ, so that many do not come back at once."""

from __future__ import annotations

import asyncio
import math
import random
import time

from safelight.domain.errors import SafelightError

_PAUSES_SECONDS = (0.2, 1.0, 2.0, 4.0, 8.0, 15.0)
_LEAST_SECONDS = 0.2

STORE_PAUSE_SECONDS = 6.0
"""Between tries at a store that is away: somebody may be waiting, and trying costs nobody anything."""


class Pauses:
    """The pauses between tries at one thing, of about ``most_seconds`` at most.

    ``until`` is when the time is up, by the monotonic clock.
    """

    def __init__(self, until: float, *, most_seconds: float = math.inf) -> None:
        self.until = until
        self.count = 0
        self._most_seconds = most_seconds

    async def next(self, error: SafelightError, at_least_seconds: float = 0.0) -> None:
        """Wait before the next try. Raises ``error``, why the last one came to nothing, where the time is up before.

        Towards the end pauses grow short again: the time that is left is for trying. ``at_least_seconds`` is kept to.
        """
        left = self.until - time.monotonic()
        usual = min(_PAUSES_SECONDS[min(self.count, len(_PAUSES_SECONDS) - 1)], self._most_seconds)
        pause = usual * random.uniform(0.5, 1.5)  # noqa: S311  (not a secret)
        pause = max(min(pause, left / 2), at_least_seconds)
        if left < _LEAST_SECONDS or pause >= left:
            raise error
        self.count += 1
        await asyncio.sleep(pause)

    def begin_anew(self) -> None:
        """Something came of the last try: the next pause is short again."""
        self.count = 0
