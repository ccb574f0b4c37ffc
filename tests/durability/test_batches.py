"""Jobs fetched and finished many at a time: each once, no more than there are places for, none lost with a worker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status

from safelight.jobs.batches import BatchedJobs
from safelight.jobs.queues import REMOTE, make_app
from tests.durability.conftest import Deploy
from tests.durability.deployment import Model

pytestmark = pytest.mark.database

MODELS = (Model("noop", "video", ("noop", {})),)


class Queue:
    """A queue of its own, with a worker that has so many places. ``statements`` counts what is sent."""

    def __init__(self, app: App, worker_id: int) -> None:
        self.app, self.worker_id = app, worker_id
        self.manager = app.job_manager
        assert isinstance(self.manager, BatchedJobs)
        assert isinstance(app.connector, PsycopgConnector)
        self.connector = app.connector
        self.statements: Counter[str] = Counter()
        for name in ("execute_query_async", "execute_query_all_async"):
            setattr(self.connector, name, self._counted(name, getattr(self.connector, name)))

    def _counted(self, name: str, send: Any) -> Any:
        async def counted(query: str, **arguments: Any) -> Any:
            self.statements["fetch" if "fetch" in query else "finish" if "delete" in query else name] += 1
            return await send(query, **arguments)

        return counted

    async def put(self, count: int, queue: str = REMOTE) -> None:
        task = self.app.configure_task("run_generation", queue=queue)
        await task.batch_defer_async(*({"generation_id": f"{queue} {number}"} for number in range(count)))

    async def fetch(self, queue: str = REMOTE) -> Job | None:
        return await self.manager.fetch_job([queue], self.worker_id)

    async def finish(self, *jobs: Job) -> None:
        await asyncio.gather(*(self.manager.finish_job(job, Status.SUCCEEDED, delete_job=True) for job in jobs))

    async def statuses(self) -> list[tuple[str, int | None]]:
        rows = await self.connector.execute_query_all_async(
            "select status::text, worker_id from procrastinate_jobs order by id"
        )
        return [(row["status"], row["worker_id"]) for row in rows]


@pytest.fixture
async def queue(fresh_database_url: str) -> AsyncIterator[Queue]:
    app = make_app(fresh_database_url, {REMOTE: 4})
    async with app.open_async():
        yield Queue(app, await app.job_manager.register_worker())


def number(job: Job | None) -> str:
    assert job is not None
    return str(job.task_kwargs["generation_id"])


async def test_one_statement_takes_as_many_as_there_are_places_the_oldest_first(queue: Queue) -> None:
    await queue.put(6)
    jobs = [await queue.fetch() for _ in range(4)]
    assert [number(job) for job in jobs] == [f"{REMOTE} {place}" for place in range(4)]
    assert queue.statements["fetch"] == 1
    assert await queue.statuses() == [("doing", queue.worker_id)] * 4 + [("todo", None)] * 2


async def test_what_one_worker_has_no_place_for_is_anothers(queue: Queue) -> None:
    await queue.put(6)
    mine = [await queue.fetch() for _ in range(3)]
    other = await queue.manager.register_worker()
    theirs = [await queue.manager.fetch_job([REMOTE], other) for _ in range(2)]
    assert [number(job) for job in theirs] == [f"{REMOTE} 4", f"{REMOTE} 5"]
    assert await queue.manager.fetch_job([REMOTE], other) is None
    assert number(await queue.fetch()) == f"{REMOTE} 3"
    assert await queue.fetch() is None
    await queue.finish(*(job for job in mine if job))
    assert await queue.fetch() is None


async def test_a_place_is_free_again_once_its_job_is_finished(queue: Queue) -> None:
    await queue.put(7)
    jobs = [job for _ in range(4) if (job := await queue.fetch())]
    await queue.finish(*jobs[:2])
    assert number(await queue.fetch()) == f"{REMOTE} 4"
    assert [status for status, _ in await queue.statuses()] == ["doing"] * 4 + ["todo"]


async def test_a_queue_that_no_places_are_told_of_gives_one_at_a_time(queue: Queue) -> None:
    await queue.put(2, "other")
    assert number(await queue.fetch("other")) == "other 0"
    assert [status for status, _ in await queue.statuses()] == ["doing", "todo"]


async def test_jobs_that_end_together_leave_together(queue: Queue) -> None:
    await queue.put(4)
    jobs = [job for _ in range(4) if (job := await queue.fetch())]
    await queue.finish(*jobs)
    assert queue.statements["finish"] == 1
    assert await queue.statuses() == []
    assert await queue.connector.execute_query_all_async("select from procrastinate_events") == []


async def test_one_that_another_took_off_the_queue_keeps_none_back(queue: Queue) -> None:
    await queue.put(3)
    jobs = [job for _ in range(3) if (job := await queue.fetch())]
    await queue.finish(jobs[1])
    await queue.finish(*jobs)
    assert await queue.statuses() == []


async def test_a_statement_that_fails_is_told_to_all_and_keeps_no_place(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.put(8)
    jobs = [job for _ in range(4) if (job := await queue.fetch())]

    async def away(query: str, **_: Any) -> None:
        raise ConnectorException("away")

    with monkeypatch.context() as patched:
        patched.setattr(queue.connector, "execute_query_async", away)
        finishes = (queue.manager.finish_job(job, Status.SUCCEEDED, delete_job=True) for job in jobs)
        results = await asyncio.gather(*finishes, return_exceptions=True)
    assert [type(result) for result in results] == [ConnectorException] * 4
    assert [number(await queue.fetch()) for _ in range(4)] == [f"{REMOTE} {place}" for place in range(4, 8)]


async def test_a_job_that_is_kept_has_its_status(queue: Queue) -> None:
    await queue.put(1)
    job = await queue.fetch()
    assert job is not None
    await queue.manager.finish_job(job, Status.FAILED, delete_job=False)
    assert [status for status, _ in await queue.statuses()] == ["failed"]


async def test_what_a_worker_did_not_begin_is_nobodys_once_it_has_ended(queue: Queue) -> None:
    """Then the reconciler finds it at once, whatever the time."""
    await queue.put(3)
    await queue.fetch()
    await queue.manager.unregister_worker(queue.worker_id)
    assert await queue.statuses() == [("doing", None)] * 3


async def test_a_worker_runs_each_once_and_no_more_at_once_than_it_has_places(fresh_database_url: str) -> None:
    app = make_app(fresh_database_url, {REMOTE: 5})
    ran, at_once = Counter[int](), [0, 0]

    @app.task(name="note", queue=REMOTE)
    async def note(place: int) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        await asyncio.sleep(0.001)
        ran[place] += 1
        at_once[0] -= 1

    async with app.open_async():
        await note.batch_defer_async(*({"place": place} for place in range(103)))
        await app.run_worker_async(
            queues=[REMOTE], concurrency=5, wait=False, install_signal_handlers=False, delete_jobs="always"
        )
        assert await app.job_manager.list_jobs_async() == []
    assert ran == Counter(range(103))
    assert at_once == [0, 5]


def test_all_that_a_worker_had_fetched_as_it_died_is_made(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api = site.serve()
    ids = [site.video(api, "noop") for _ in range(5)]
    site.worker(KILLPOINT="run-before-claim").wait()
    jobs = site.sql("select status::text, worker_id from procrastinate_jobs where task_name = 'run_generation'")
    assert len(jobs) == 5 and {job["status"] for job in jobs} == {"doing"}
    assert {row["attempts"] for row in site.sql("select attempts from generations")} == {0}
    site.worker()
    for generation_id in ids:
        assert site.ended(api, generation_id)["status"] == "completed"
        site.check_one_end(generation_id)
