"""Places for what takes its time, and memory for what is on its way, shared among those who ask for them.

A wait is an event stream, a poll with ``wait``, a repeat that joins a run, or a body that is still arriving. Places are
counted in one process, by API key and by workspace; that an address has too many open is ``fair_use``'s to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from safelight.domain.errors import Crowded, ServiceUnavailable
from safelight.domain.scope import Principal
from safelight.domain.shares import Shares

BODIES_BYTES = 256 * 1024 * 1024
_RETRY_SECONDS = 5.0
_HELD = "safelight.held"

T = TypeVar("T")


@contextlib.contextmanager
def holding(scope: Scope) -> Iterator[None]:
    """While inside, the request of the scope may ``hold`` things; what it still holds at the end is let go."""
    with contextlib.ExitStack() as held:
        scope[_HELD] = held
        try:
            yield
        finally:
            scope[_HELD] = None  # what is at work for it still may not hold what nobody would let go


def hold(request: Request, held: AbstractContextManager[T]) -> T:
    """Enter it, until the request has ended or ``let_go``. Raises ``ClientDisconnect`` where it has ended."""
    stack: contextlib.ExitStack | None = request.scope[_HELD]
    if stack is None:
        raise ClientDisconnect
    return stack.enter_context(held)


def let_go(request: Request) -> None:
    """Leave all that the request holds."""
    stack: contextlib.ExitStack | None = request.scope[_HELD]
    if stack is not None:
        stack.close()


class Waits:
    """``most``: waits that one key may have open; its workspace, by all its keys, twice as many."""

    def __init__(self, *, capacity: int = 4096, most: int = 200) -> None:
        self._most = most
        self._by_key = Shares(capacity, most=most)
        self._by_workspace = Shares(capacity, most=2 * most)

    @contextlib.contextmanager
    def place(self, sender: Principal) -> Iterator[None]:
        """A place while inside. Raises ``Crowded``."""
        if not self._by_key.take(sender.sharer):
            raise self._too_many("API key")
        try:
            if not self._by_workspace.take(sender.workspace_id):
                raise self._too_many("workspace")
            try:
                yield
            finally:
                self._by_workspace.give_back(sender.workspace_id)
        finally:
            self._by_key.give_back(sender.sharer)

    def _too_many(self, whose: str) -> Crowded:
        return Crowded(
            f"Too many requests of this {whose} wait: event streams, polls with wait, repeats and bodies on their way. "
            "Close some, or poll without wait.",
            retry_after_seconds=_RETRY_SECONDS,
        )


class BodyMemory:
    """What bodies take up in this process from their first byte until nothing of them is needed."""

    def __init__(self, capacity_bytes: int = BODIES_BYTES) -> None:
        self._shares = Shares(capacity_bytes)

    @contextlib.contextmanager
    def of(self, sender: Principal) -> Iterator[Callable[[int], None]]:
        """What takes so many bytes more at each call, or raises ``ServiceUnavailable``. All go back at the end."""
        taken = 0

        def take(size_bytes: int) -> None:
            nonlocal taken
            if not self._shares.take(sender.workspace_id, size_bytes):
                raise ServiceUnavailable(
                    "Too many large bodies are on their way. Nothing was charged; send fewer at once, or try again.",
                    retry_after_seconds=_RETRY_SECONDS,
                )
            taken += size_bytes

        try:
            yield take
        finally:
            if taken:
                self._shares.give_back(sender.workspace_id, taken)
