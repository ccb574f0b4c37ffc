"""Videos through the queue, one worker and the settlement, with backends that cost nothing."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import aiohttp
import psycopg
from procrastinate import App, PsycopgConnector

from bench.processes import cpu_seconds, pss_mib, tree
from bench.report import Report, at_least, at_most
from bench.servers import BenchError, Postgres, Server, folder, postgres, safelight
from bench.tenants import VIDEO, catalog, settings, tenants
from tests.support.tenants import Tenant

_PENDING = 2000
_AT_ONCE = 32
_PLAIN_AT_ONCE = 32
_WATCH_SECONDS = 5.0
_PATIENCE_SECONDS = 120.0
_SLOW = 'connection = "noop", options = { delay_seconds = 90 }'


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        tenant = (await tenants(database.url, "durable", 1))[0]
        environment = {**settings(base, database.url), "SAFELIGHT_SHUTDOWN": "3s"}
        with safelight("serve", base / "data", environment) as server:
            await _throughput(report, server, database, tenant, base / "data", environment)
            await _latency(report, server, tenant, base / "data", environment)
        catalog(base).write_text(catalog(base).read_text().replace('connection = "noop"', _SLOW))
        with safelight("serve", base / "data", environment) as server:
            await _pending(report, server, database.url, tenant, base / "data", environment)


async def _throughput(
    report: Report, server: Server, database: Postgres, tenant: Tenant, data_dir: Path, environment: dict[str, str]
) -> None:
    """Queue them all first, so that the worker is what is measured."""
    count, url = 300 if report.brief else 2000, database.url
    report.say(f"{count} videos through one worker")
    await _submit(server, tenant, count)
    with safelight("worker", data_dir, environment) as worker:
        begun = await _until(url, "completed", 1)
        before = cpu_seconds(worker.pid), cpu_seconds(database.pid)
        ended = await _until(url, "completed", count)
        after = cpu_seconds(worker.pid), cpu_seconds(database.pid)
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "select extract(epoch from max(finished_at) - min(finished_at))::float8 from generations"
        ).fetchone()
    assert row is not None
    rate, peer = (count - 1) / row[0], await _plain_jobs(url, count)
    report.add("videos through one worker, peer plain Procrastinate", rate, "/s", peer=peer, reach=at_least(200))
    for name, started, stopped in zip(("the worker", "PostgreSQL"), before, after, strict=True):
        milliseconds = (stopped - started) / (ended - begun) * 1000
        report.add(f"videos through one worker: processor of {name}", milliseconds, "ms a video")


async def _plain_jobs(url: str, count: int) -> float:
    """How many jobs a second that do nothing Procrastinate does by itself, from the same queue's tables."""
    app = App(connector=PsycopgConnector(conninfo=url))
    seen: list[float] = []

    @app.task(name="nothing", queue="nothing")
    async def nothing() -> None:
        seen.append(time.monotonic())

    async with app.open_async():
        await nothing.batch_defer_async(*({} for _ in range(count)))
        await app.run_worker_async(
            queues=["nothing"],
            concurrency=_PLAIN_AT_ONCE,
            wait=False,
            install_signal_handlers=False,
            delete_jobs="always",
        )
    if len(seen) != count:
        raise BenchError(f"{len(seen)} jobs of {count} were done.")
    return (count - 1) / (seen[-1] - seen[0])


async def _latency(report: Report, server: Server, tenant: Tenant, data_dir: Path, environment: dict[str, str]) -> None:
    """One at a time, told by the long poll."""
    count = 50 if report.brief else 500
    report.say("from accepted to completed")
    seconds = []
    with safelight("worker", data_dir, environment):
        async with _session(tenant) as session:
            for number in range(count + 20):
                taken = await _one(session, server)
                if number >= 20:
                    seconds.append(taken)
    seconds.sort()
    report.add("accepted to completed: p50", statistics.median(seconds) * 1000, "ms", reach=at_most(25))
    report.add("accepted to completed: p99", seconds[int(len(seconds) * 0.99)] * 1000, "ms")


async def _one(session: aiohttp.ClientSession, server: Server) -> float:
    async with session.post(f"{server.base_url}/v2/videos/generations", json=VIDEO) as answer:
        accepted = await answer.json()
    started = time.perf_counter()
    async with session.get(f"{server.base_url}/v2/videos/generations/{accepted['id']}?wait=30") as answer:
        found = await answer.json()
    if found["status"] != "completed":
        raise BenchError(f"A video did not end: {found}")
    return time.perf_counter() - started


async def _pending(
    report: Report, server: Server, url: str, tenant: Tenant, data_dir: Path, environment: dict[str, str]
) -> None:
    """Many under way at once on a backend that takes its time."""
    count = 300 if report.brief else _PENDING
    report.say(f"{count} videos pending at once in one worker")
    with safelight("worker", data_dir, environment) as worker:
        await _submit(server, tenant, count)
        await _until(url, "running", count)
        before, started = cpu_seconds(worker.pid), time.monotonic()
        await asyncio.sleep(_WATCH_SECONDS)
        share = (cpu_seconds(worker.pid) - before) / (time.monotonic() - started)
        memory = sum(pss_mib(process) for process in tree(worker.pid))
        report.add(f"{count} pending in one worker: memory", memory, "MiB", reach=at_most(250))
        report.add(f"{count} pending in one worker: processor", share * 100, "% of a core")


async def _submit(server: Server, tenant: Tenant, count: int) -> None:
    left = iter(range(count))

    async def sender(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(f"{server.base_url}/v2/videos/generations", json=VIDEO) as answer:
                if answer.status != 202:
                    raise BenchError(f"A video was not accepted: {await answer.text()}")

    async with _session(tenant) as session:
        await asyncio.gather(*(sender(session) for _ in range(_AT_ONCE)))


async def _until(url: str, state: str, count: int) -> int:
    """Wait until so many are in a state; how many are, which may be more."""
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < give_up_at:
            row = connection.execute(
                "select count(*) from generations where state = %s::generation_state", [state]
            ).fetchone()
            if row is not None and row[0] >= count:
                return int(row[0])
            await asyncio.sleep(0.2)
    raise BenchError(f"Not every video was {state} after {_PATIENCE_SECONDS:g} s.")


def _session(tenant: Tenant) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"authorization": f"Bearer {tenant.key}"})
