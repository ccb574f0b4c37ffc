"""So many of something, shared among whoever asks, so that nobody's greed leaves nothing for the others."""

from __future__ import annotations

from collections.abc import Hashable


class Shares:
    """``capacity`` units. Nobody holds more than ``most``, nor more than what is then left for all others.

    By the second bound one holder gets half of the capacity at most, eight greedy ones a ninth each, and somebody new
    finds a ninth that is free.
    """

    def __init__(self, capacity: int, *, most: int | None = None) -> None:
        self._left = capacity
        self._most = capacity if most is None else most
        self._held: dict[Hashable, int] = {}

    def take(self, holder: Hashable, amount: int = 1) -> bool:
        """Whether ``holder`` gets them; nothing changes where not."""
        held = self._held.get(holder, 0) + amount
        if held > min(self._most, self._left - amount):
            return False
        self._left -= amount
        self._held[holder] = held
        return True

    def give_back(self, holder: Hashable, amount: int = 1) -> None:
        """Return what was taken."""
        self._left += amount
        self._held[holder] -= amount
        if not self._held[holder]:
            del self._held[holder]


def level(counts: list[int], *, capacity: int, most: int) -> int:
    """How many each may keep, where each asks for ``counts``, by the same two bounds; one at least."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if middle <= capacity - sum(min(count, middle) for count in counts):
            low = middle
        else:
            high = middle - 1
    return low
