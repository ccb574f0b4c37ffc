"""The queue under us: wake-ups that it forgets, jobs whose worker died, and upkeep that nothing holds up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import psycopg
import pytest
from procrastinate import App, PsycopgConnector

from safelight.jobs.queues import UPKEEP, make_app
from safelight.jobs.worker import Queue
from safelight.node.settings import load_settings
from safelight.wiring import run_worker
from tests.durability.conftest import Deploy
from tests.durability.deployment import Model
from tests.support.server import PATIENCE_SECONDS, eventually

MODELS = (
    Model("noop", "video", ("noop", {})),
    Model("waiting", "video", ("noop", {"delay_seconds": 600})),
)


async def delivery_seconds(url: str, *, fetch_seconds: float) -> float:
    """How long a job takes that is put on the queue while the worker asks for one and is told that there is none."""
    app = App(connector=PsycopgConnector(conninfo=url))
    begun: list[float] = []

    @app.task(name="note", queue="q")
    async def note() -> None:
        begun.append(time.monotonic())

    async with app.open_async():
        fetch, deferred = app.job_manager.fetch_job, []

        async def fetch_then_defer(**arguments: Any) -> Any:
            found = await fetch(**arguments)
            if found is None and not deferred:
                deferred.append(time.monotonic())
                await note.defer_async()
                await asyncio.sleep(0.5)  # the notification comes before the worker has its answer
            return found

        app.job_manager.fetch_job = fetch_then_defer  # type: ignore[method-assign]
        worker = asyncio.create_task(
            app.run_worker_async(
                queues=["q"],
                fetch_job_polling_interval=fetch_seconds,
                install_signal_handlers=False,
                delete_jobs="always",
            )
        )
        while not begun:
            assert not worker.done()
            await asyncio.sleep(0.01)
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    return begun[0] - deferred[0] - 0.5


async def test_a_wake_up_that_comes_while_the_queue_is_asked_is_forgotten(fresh_database_url: str) -> None:
    """Why the queue is asked four times a second. Once this fails, docs/decisions/0004 has had its day."""
    assert await delivery_seconds(fresh_database_url, fetch_seconds=3.0) > 1.5


async def test_how_often_we_ask_bounds_what_that_costs(fresh_database_url: str) -> None:
    queue = Queue(None, "q", 1)  # type: ignore[arg-type]
    assert queue.fetch_seconds <= 0.25
    assert await delivery_seconds(fresh_database_url, fetch_seconds=queue.fetch_seconds) < 1.5


@pytest.mark.parametrize("loss", ["no job at all", "fetched by a worker that died"])
def test_a_generation_whose_job_was_lost_gets_another(deploy: Deploy, loss: str) -> None:
    site = deploy(*MODELS)
    api = site.serve()
    generation_id = site.video(api, "noop")
    if loss == "no job at all":
        site.sql("delete from procrastinate_jobs")
    else:
        site.worker(KILLPOINT="run-before-claim").wait()
        assert site.sql("select status from procrastinate_jobs where task_name = 'run_generation'") == [
            {"status": "doing"}
        ]
    site.worker()
    assert site.ended(api, generation_id)["status"] == "completed"
    site.check_one_end(generation_id)
    site.sql("update procrastinate_workers set last_heartbeat = now() - interval '1 day' where id < 4")
    eventually(
        lambda: not site.sql("select id from procrastinate_jobs where task_name = 'run_generation'"),
        "the dead worker's jobs are forgotten",
    )


def test_a_full_worker_still_keeps_things_up(deploy: Deploy) -> None:
    site = deploy(*MODELS, env={"SAFELIGHT_WORKER_CONCURRENCY": "2", "SAFELIGHT_VIDEO_DEADLINE": "3600s"})
    api = site.serve()
    site.worker()
    ids = [site.video(api, "waiting") for _ in range(4)]
    eventually(lambda: [site.state(each) for each in ids].count("running") == 2, "the worker is full")
    site.sql("update generations set deadline = now() - interval '1 s' where state = 'queued'")
    eventually(lambda: [site.state(each) for each in ids].count("failed") == 2, "what is overdue is ended")
    assert not site.sql("select id from procrastinate_jobs where queue_name = %s and status = 'failed'", UPKEEP)
    late = {row["id"] for row in site.sql("select id from generations where state = 'failed'")}
    for generation_id in late:
        site.check_one_end(generation_id, "failed")


async def test_sweeps_that_hang_hold_up_no_lost_generation(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they may where the store is away."""
    hanging: list[object] = []

    async def hang(services: object) -> None:
        hanging.append(services)
        await asyncio.Event().wait()

    monkeypatch.setattr("safelight.jobs.sweep.sweep", hang)
    site = deploy(*MODELS, env={"SAFELIGHT_VIDEO_DEADLINE": "3600s"})
    api = await asyncio.to_thread(site.serve)
    generation_id = site.video(api, "waiting")
    site.sql("delete from procrastinate_jobs where task_name = 'run_generation'")
    site.sql("update generations set wake_at = now() + interval '1 h'")
    site.sql(
        "insert into procrastinate_jobs (queue_name, task_name, args)"
        " select 'upkeep', 'sweep', '{\"timestamp\": 0}' from generate_series(1, 9)"
    )
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(load_settings(site.env), stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(hanging) < 4:
            await asyncio.sleep(0.05)
        site.sql("update generations set wake_at = now()")
        while site.state(generation_id) != "running":
            assert not worker.done()
            await asyncio.sleep(0.05)
        assert len(hanging) == 4, "as many as there are places"
        stop.set()
        await worker


async def test_a_worker_frozen_after_a_statement_keeps_nobody_from_the_queue(database_url: str) -> None:
    """What it wrote is committed with the statement, so that no lock waits for it to go on."""
    frozen = make_app(database_url).connector
    assert isinstance(frozen, PsycopgConnector)
    await frozen.open_async()
    try:
        async with frozen.pool.connection() as connection:  # and here it stands still
            put = "insert into procrastinate_jobs (queue_name, task_name, queueing_lock) values ('q', 'tick', 'tick')"
            await connection.execute(put)
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
                await other.execute("set lock_timeout = '5s'")
                with pytest.raises(psycopg.errors.UniqueViolation):  # at once: the job is there
                    await other.execute(put)
                await other.execute("delete from procrastinate_jobs where task_name = 'tick'")
            row = await (await connection.execute("show idle_in_transaction_session_timeout")).fetchone()
            assert row == ("15s",)
    finally:
        await frozen.close_async()


async def test_a_session_of_the_queue_that_has_ended_is_never_handed_out(database_url: str) -> None:
    """Though it is not asked before each statement: its end is there to be read."""
    connector = make_app(database_url).connector
    assert isinstance(connector, PsycopgConnector)
    await connector.open_async()
    try:
        async with connector.pool.connection() as connection:
            ended = connection.info.backend_pid
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
            await other.execute("select pg_terminate_backend(%s, 5000)", [ended])
        found = await connector.execute_query_one_async("select pg_backend_pid() as pid")
        assert found["pid"] != ended
    finally:
        await connector.close_async()


async def test_a_worker_ends_though_a_cancellation_was_lost(deploy: Deploy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one may be that comes while Procrastinate takes a connection from its pool."""
    begun: list[str] = []

    async def serve(_: App, *, name: str, **__: Any) -> None:
        begun.append(name)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(App, "run_worker_async", serve)
    stop = asyncio.Event()
    worker = asyncio.create_task(run_worker(load_settings(deploy(*MODELS).env), stop))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(begun) < 3:
            await asyncio.sleep(0.05)
        stop.set()
        await worker
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("queue ")]
