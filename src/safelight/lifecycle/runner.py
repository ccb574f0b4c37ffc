"""The runs of one process: started here, waited for here, and given up here at a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from safelight.domain.generations import GenerationType
from safelight.lifecycle import run
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.leases import Leases
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.settle import MadeImage

T = TypeVar("T")

RunTask: TypeAlias = asyncio.Task[MadeImage | None]


class Runner:
    """Runs generations as tasks of their own, so that nobody's leaving stops one."""

    def __init__(self, services: RunServices) -> None:
        self._services = services
        self._leases = Leases(services.db, services.limits.lease_seconds)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_closing = False
        """What is given up from now on, is handed to another process."""
        self.is_closed = False
        """Nothing runs here any more."""
        services.changes.on_cancel(self._leases.ask_to_cancel)

    def start(self, claim: Claim, *, is_unseen: Callable[[], bool] = lambda: False) -> RunTask:
        """Run a claimed generation in a task that goes on whatever becomes of the caller, as ``run.run`` does."""
        return self._keep(
            asyncio.create_task(
                run.run(self._services, self._leases, claim, is_unseen=is_unseen), name=f"run {claim.id}"
            )
        )

    def unwritten_seconds(self, generation_id: str) -> float:
        """How long a run here has had something to write that the database has not taken yet."""
        return self._leases.unwritten_seconds(generation_id)

    def _keep(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def claim_and_run(self, generation_id: str) -> None:
        """Run a generation if it is there to be taken. Cancelling the caller leaves the run alone."""
        task = self._keep(asyncio.create_task(self._claim_and_run(generation_id), name=f"claim {generation_id}"))
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def _claim_and_run(self, generation_id: str) -> None:
        claim = await run.claim(self._services, generation_id)
        if claim is not None:
            # Whoever asked for an image is gone once a worker runs it.
            is_unseen = claim.type is GenerationType.IMAGE
            await run.run(self._services, self._leases, claim, is_unseen=lambda: is_unseen)

    async def close(self, grace_seconds: float) -> None:
        """Let what runs come to its end for a while; then give it up."""
        self.is_closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leases.close()
        self.is_closed = True
