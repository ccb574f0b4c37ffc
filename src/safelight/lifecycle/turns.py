"""Whose turn it is: the bindings of a model in their order, each again after a pause, and one count over all tries."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence

import msgspec

from safelight.domain.catalog import Binding
from safelight.domain.outcomes import Failed, FailureClass
from safelight.lifecycle.breaker import Breakers

MAX_ROUNDS = 4
"""How often one run asks the same binding."""
MAX_TRIES = 12
"""How many orders of one generation may come to nothing, whichever backends and runners had them ..."""

_BACKOFF_SECONDS = (1, 4, 15, 60)
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.05, 1e9
_WORTH_ANOTHER_ROUND = (FailureClass.TRANSIENT, FailureClass.RATE_LIMITED)


class _Turn(msgspec.Struct):
    """How one binding answered so far: how often it was asked, and when it may be asked again."""

    binding: Binding
    asked: int = 0
    not_before: float = 0.0


class Turns:
    """The bindings of one run, from the one on record on.

    ``tries`` of earlier runners count; what may only be asked again after ``ends_at`` (by this machine's monotonic
    clock) is not asked again.
    """

    def __init__(
        self, bindings: Sequence[Binding], breakers: Breakers, *, first: Binding | None, tries: int, ends_at: float
    ) -> None:
        found = list(bindings)
        if first is not None and first not in found:
            found.insert(0, first)
        self._turns = [_Turn(binding) for binding in found]
        self._left = self._turns[found.index(first) if first is not None else 0 :]
        self._current = self._left[0] if self._left else None
        self._breakers = breakers
        self._tries = tries
        self._most_tries = min(MAX_TRIES, MAX_ROUNDS * len(found))
        """... and no more than its bindings have rounds."""
        self._ends_at = ends_at
        self.absence: str | None = None
        """Why a binding could not be asked by this process, though perhaps by another."""

    @property
    def are_over(self) -> bool:
        """Whether no binding is left that may be asked, now or later."""
        return self._tries >= self._most_tries or all(turn.not_before == math.inf for turn in self._turns)

    @property
    def are_left_to_others(self) -> bool:
        """Whether only a binding that this process cannot ask is left."""
        return self.absence is not None and self._tries < self._most_tries and self.are_over

    def declined(self, failure: Failed) -> None:
        """The binding whose turn it was took nothing, or its job made nothing."""
        turn, now = self._current, time.monotonic()
        assert turn is not None
        again_at = now + _pause_seconds(failure, turn.asked)
        turn.asked += 1
        self._tries += 1
        is_over = turn.asked == MAX_ROUNDS or failure.reason not in _WORTH_ANOTHER_ROUND or again_at >= self._ends_at
        turn.not_before = math.inf if is_over else again_at

    def set_aside(self, why: str) -> None:
        """The binding whose turn it is cannot be asked by this process."""
        assert self._current is not None
        self._current.not_before = math.inf
        self.absence = why

    async def next(self) -> Binding | None:
        """The binding to ask now, waited for if it must be; None: none is left."""
        while not self.are_over:
            while self._left:
                turn = self._left.pop(0)
                if turn.not_before <= time.monotonic() and self._breakers.allows(turn.binding.connection):
                    self._current = turn
                    return turn.binding
            await asyncio.sleep(max(min(map(self._seconds_closed, self._turns)), _LEAST_PAUSE_SECONDS))
            self._left = list(self._turns)
        return None

    def _seconds_closed(self, turn: _Turn) -> float:
        """How long a binding is not to be asked."""
        closed = self._breakers.seconds_closed(turn.binding.connection)
        return max(closed, turn.not_before - time.monotonic())


def _pause_seconds(failure: Failed, asked: int) -> float:
    wished = failure.retry_after_seconds
    if wished is not None and wished > 0:  # so not of a number that is none
        return min(wished, _MOST_PAUSE_SECONDS)
    return _BACKOFF_SECONDS[asked] * random.uniform(0.5, 1.5)  # noqa: S311  (not a secret)
