"""Jobs fetched and finished many at a time.

Procrastinate fetches one job in a statement and finishes one in another: two commits a job, which cost as much as all
else that is written of a short generation. Here a statement fetches as many as a worker has places for, which it begins
at once, and jobs that end while a statement is under way leave the queue together in the next one.

A job that was fetched is ``doing`` and its worker's from then on, whether it was begun or not. Of a worker that dies
meanwhile it is found as ever: the reconciler gives its generation another.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, cast

from procrastinate import BaseConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from safelight.db.lookups import Lookups
from safelight.db.pool import statement

_MOST_AT_ONCE = 32

class BatchedJobs(JobManager):
    """Of workers that have so many ``places`` on each queue, and one on any other."""

    def __init__(self, connector: BaseConnector, places: Mapping[str, int]) -> None:
        super().__init__(connector)
        self._places = places
        self._fetched: defaultdict[int, deque[Job]] = defaultdict(deque)
        self._in_hand: Counter[int | None] = Counter()
        self._finished: Lookups[None] = Lookups(self._finish)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """The next job, marked as the worker's; None: there is none. The worker must have a place for it."""
        fetched = self._fetched[worker_id]
        if not fetched:
            names = list(queues or ())
            free = sum(self._places.get(name, 1) for name in names) - self._in_hand[worker_id]
            rows = await self.connector.execute_query_all_async(
                _sql("fetch_jobs"), queues=names or None, worker_id=worker_id, most=min(max(free, 1), _MOST_AT_ONCE)
            )
            fetched.extend(map(Job.from_row, rows))
            self._in_hand[worker_id] += len(rows)
        return fetched.popleft() if fetched else None

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """As Procrastinate's, but for a job that is to be deleted and is gone: then there is nothing to do."""
        try:
            if delete_job:
                await self._finished.find({"ids": job.id})
            else:
                await super().finish_job(job, status, delete_job)
        finally:
            self._in_hand[job.worker_id] -= 1

    async def _finish(self, params: Mapping[str, Sequence[object]]) -> list[tuple[int, None]]:
        await self.connector.execute_query_async(_sql("finish_jobs"), **cast(dict[str, Any], params))
        return []

def _sql(name: str) -> LiteralString:
    return cast(LiteralString, statement(name))
