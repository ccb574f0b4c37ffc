"""Jobs fetched and finished many at a time.

Procrastinate fetches one job in a statement and finishes one in another: two commits a job, which cost as much as all
else that is written of a short generation. Here a statement fetches as many as a worker has places for, and jobs that
end while a statement is under way leave the queue together in the next one.

A job that was fetched is ``doing`` and its worker's from then on, whether it was begun or not. Of a worker that dies
meanwhile it is found as ever: the reconciler gives its generation another.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec
from procrastinate import BaseConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from safelight.db.lookups import Lookups
from safelight.db.pool import statement

_MOST_AT_ONCE = 32


class _Hand(msgspec.Struct):
    """What a worker has of its queue: the jobs that it is yet to begin, and how many in all."""

    unbegun: deque[Job] = msgspec.field(default_factory=deque)
    count: int = 0


class BatchedJobs(JobManager):
    """Of workers that have so many ``places`` on each queue, and one on any other."""

    def __init__(self, connector: BaseConnector, places: Mapping[str, int]) -> None:
        super().__init__(connector)
        self._places = places
        self._hands: defaultdict[int | None, _Hand] = defaultdict(_Hand)
        self._finished: Lookups[None] = Lookups(self._finish)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job, marked as the worker's; None: there is none. The worker must have a place for it."""
        hand = self._hands[worker_id]
        if not hand.unbegun:
            names = list(queues or ())
            places = sum(self._places.get(name, 1) for name in names) - hand.count
            rows = await self.connector.execute_query_all_async(
                statement("fetch_jobs"),
                queues=names or None,
                worker_id=worker_id,
                most=min(max(places, 1), _MOST_AT_ONCE),
            )
            hand.unbegun.extend(map(Job.from_row, rows))
            hand.count += len(rows)
        return hand.unbegun.popleft() if hand.unbegun else None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """As Procrastinate's; one that is to be deleted may be gone already."""
        try:
            if delete_job:
                await self._finished.find({"ids": job.id})
            else:
                await super().finish_job(job, status, delete_job)
        finally:
            self._hands[job.worker_id].count -= 1

    async def unregister_worker(self, worker_id: int) -> None:
        """As Procrastinate's. What the worker did not begin is found by the reconciler."""
        self._hands.pop(worker_id, None)
        await super().unregister_worker(worker_id)

    async def _finish(self, params: Mapping[str, Sequence[object]]) -> list[tuple[int, None]]:
        await self.connector.execute_query_async(statement("finish_jobs"), **cast(dict[str, Any], params))
        return []
