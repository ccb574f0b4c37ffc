"""Asking backends about jobs, for all runs of one process: at each connection's pace, in turn, many at once if it can.

A connection is asked no oftener than its limit says (``polls_per_second``), however many jobs are under way with it.
Who waits stands in line: workspaces take turns, so that one with a thousand jobs delays another's only job by a place.
Within a workspace the jobs that their backends tell something of go before the others, but for every fourth.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from functools import partial
from typing import Any

import msgspec

from safelight.domain.outcomes import FindOutcome, PollOutcome
from safelight.domain.ports import Asked, Backend, BatchPollable, Findable, Job, Pollable
from safelight.lifecycle.changes import Hinted
from safelight.telemetry import observe

_CALL_SECONDS = 660.0
"""A backstop: backends have limits of their own, and what was made, a clip of 200 MiB, may come in the answer."""
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.2, 60.0
_PAUSES_SECONDS = (0.5, 1, 2, 3, 5)
_TOLD_IN_A_ROW = 3


class Polls:
    """The lines before the connections of one process."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    async def poll(
        self, backend: Backend, workspace_id: int, asked: Asked, hinted: Hinted | None = None
    ) -> PollOutcome:
        """Ask a ``Pollable`` backend about a job, once it is that workspace's turn.

        Where ``hinted`` is set, or comes to be, it is the job's turn first. It is cleared here, before the question.
        """
        provider = backend.provider
        if isinstance(provider, BatchPollable):
            answer = await self._line(backend).stand(workspace_id, asked, hinted)
            assert answer is not None
            return answer
        assert isinstance(provider, Pollable)
        await self._line(backend).stand(workspace_id, None, hinted)
        with observe.BackendCall(backend.kind, "poll", generation_id=asked.job.generation_id) as call:
            async with asyncio.timeout(_CALL_SECONDS):
                outcome = await provider.poll(asked.handle, asked.job)
            call.came(outcome)
        return outcome

    async def find(self, backend: Backend, workspace_id: int, job: Job[Any]) -> FindOutcome:
        """Ask a ``Findable`` backend whether it has a job, likewise."""
        assert isinstance(backend.provider, Findable)
        await self._line(backend).stand(workspace_id)
        with observe.BackendCall(backend.kind, "find", generation_id=job.generation_id) as call:
            async with asyncio.timeout(_CALL_SECONDS):
                found = await backend.provider.find(job)
            call.came(found)
        return found

    def _line(self, backend: Backend) -> _Line:
        if backend.connection not in self._lines:
            self._lines[backend.connection] = _Line(backend)
        return self._lines[backend.connection]


def pause_seconds(asked_for: float | None, count: int) -> float:
    """How long a job is left alone after it was asked about ``count`` times before.

    What the backend asks for is kept to within bounds, and never undercut; where it asks for nothing, it is up to five
    seconds. Both more or less, so that many runs do not ask at once.
    """
    if asked_for is None or asked_for != asked_for:  # not a number
        return _PAUSES_SECONDS[min(count, len(_PAUSES_SECONDS) - 1)] * random.uniform(0.5, 1.5)  # noqa: S311
    return min(max(asked_for, _LEAST_PAUSE_SECONDS), _MOST_PAUSE_SECONDS) * random.uniform(1, 1.25)  # noqa: S311


class _Waiting(msgspec.Struct, eq=False):
    """One that stands in line: with a job it waits for what comes of that, without one for its turn alone."""

    asked: Asked | None
    hinted: Hinted | None
    answer: asyncio.Future[PollOutcome | None]


class _Place:
    """A workspace's part of a line: those of whom there is news go first, and every fourth is one of the others."""

    def __init__(self) -> None:
        self._told: deque[_Waiting] = deque()
        self._others: deque[_Waiting] = deque()
        self._told_in_a_row = 0

    def __bool__(self) -> bool:
        return bool(self._told or self._others)

    def append(self, waiting: _Waiting) -> None:
        is_told = waiting.hinted is not None and waiting.hinted.is_set()
        (self._told if is_told else self._others).append(waiting)

    def put_first(self, waiting: _Waiting) -> None:
        """There is news of one, if it stands here still."""
        with contextlib.suppress(ValueError):
            self._others.remove(waiting)
            self._told.append(waiting)

    def first(self) -> _Waiting:
        return self._next()[0]

    def popleft(self) -> _Waiting:
        line = self._next()
        self._told_in_a_row = self._told_in_a_row + 1 if line is self._told else 0
        return line.popleft()

    def _next(self) -> deque[_Waiting]:
        is_others_turn = self._told_in_a_row >= _TOLD_IN_A_ROW and self._others
        return self._others if is_others_turn or not self._told else self._told


class _Line:
    """The line before one connection. It moves by itself while anybody stands in it."""

    def __init__(self, backend: Backend) -> None:
        provider = backend.provider
        self._kind = backend.kind
        self._provider = provider if isinstance(provider, BatchPollable) else None
        self._at_once = provider.poll_batch if isinstance(provider, BatchPollable) else 1
        self._pause_seconds = 1 / backend.polls_per_second
        self._waiting: dict[int, _Place] = {}  # by workspace, in the order of their turns
        self._open_again_at = 0.0
        self._moving: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def stand(
        self, workspace_id: int, asked: Asked | None = None, hinted: Hinted | None = None
    ) -> PollOutcome | None:
        waiting = _Waiting(asked, hinted, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(workspace_id, _Place()).append(waiting)
        if self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._move(), name="polls")
        if hinted is None:
            return await waiting.answer
        hinted.then = partial(self._put_first, workspace_id, waiting)
        try:
            return await waiting.answer
        finally:
            hinted.then = None

    def _put_first(self, workspace_id: int, waiting: _Waiting) -> None:
        if (place := self._waiting.get(workspace_id)) is not None:
            place.put_first(waiting)

    async def _move(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            if (pause := self._open_again_at - loop.time()) > 0:
                await asyncio.sleep(pause)
            if not (called := self._call()):
                continue
            # From when it was to be, where that is but a moment ago: else every moment that a call is late adds up.
            self._open_again_at = max(self._open_again_at, loop.time() - self._pause_seconds) + self._pause_seconds
            if called[0].asked is None:
                called[0].answer.set_result(None)
            else:
                asking = asyncio.create_task(self._ask(called), name="poll")
                self._asking.add(asking)
                asking.add_done_callback(self._asking.discard)

    def _call(self) -> list[_Waiting]:
        """Those whose turn it is: one, or as many as one request may ask about."""
        called: list[_Waiting] = []
        while self._waiting and len(called) < self._at_once:
            workspace_id, line = next(iter(self._waiting.items()))
            if called and line.first().asked is None:
                break
            del self._waiting[workspace_id]
            waiting = line.popleft()
            if line:
                self._waiting[workspace_id] = line
            if waiting.answer.done():  # who waited has left
                continue
            called.append(waiting)
            if waiting.hinted is not None:
                waiting.hinted.clear()
            if waiting.asked is None:
                break
        return called

    async def _ask(self, called: list[_Waiting]) -> None:
        assert self._provider is not None
        asked = [waiting.asked for waiting in called if waiting.asked is not None]
        try:
            with observe.BackendCall(self._kind, "poll") as call:
                async with asyncio.timeout(_CALL_SECONDS):
                    outcomes = await self._provider.poll_many(asked)
                call.result = "ok"
            answers = list(zip(called, outcomes, strict=True))
        except Exception as error:
            for waiting in called:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, outcome in answers:
            if not waiting.answer.done():
                waiting.answer.set_result(outcome)
