"""Thousands of jobs under way with one connection: how often it is asked, how soon an end is seen, in what memory.

The pace's limit is how long one round of questions takes: the jobs, divided by those that a request asks about and by
the requests a second that the connection allows.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from bench.held import CLIP_SECONDS, Held, held
from bench.processes import Watch
from bench.report import Report, at_least, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tenants import LIMITS, tenants
from safelight.accounts.books import check_books
from safelight.domain.scope import OPERATOR
from tests.support.postgres import open_database
from tests.support.tenants import Tenant

_JOBS = 2500
_ENDS_WITHIN_SECONDS = 150.0
_PATIENCE_SECONDS = 600.0
_SLACK_SECONDS = 10.0
_MOST_MIB = 250


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A connection of one kind, and how it hears of an end. ``at_once``: jobs that one request asks about."""

    name: str
    connection: str
    polls_per_second: float
    at_once: int
    is_called_back: bool = False

    def round_seconds(self, jobs: int) -> float:
        return jobs / self.at_once / self.polls_per_second


_ARK = 'kind = "ark", base_url = "{origin}/api/v3", key = "file:{key}"'
WAYS = (
    Way(
        name="one by one",
        connection='kind = "openai", flavor = "vllm-omni", base_url = "{origin}/v1", key = "file:{key}"',
        polls_per_second=50,
        at_once=1,
    ),
    Way(name="in batches", connection=_ARK, polls_per_second=5, at_once=50),
    Way(
        name="in batches, and called back",
        connection=f"{_ARK}, callbacks = true",
        polls_per_second=1,
        at_once=50,
        is_called_back=True,
    ),
)

_MODEL = """
[[models]]
id = "model-{number}"
name = "Model {number}"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["480p"]
durations = [{seconds}]
deadline_seconds = 1800
rates = [{{ unit_price = "0.01" }}]
bindings = [{{ connection = "way-{number}", model = "m" }}]
sizes = {{ "480p" = {{ "1:1" = "64x64" }} }}
"""


async def run(report: Report) -> None:
    jobs = 200 if report.brief else _JOBS
    with folder() as base, postgres(base) as database, held() as backend:
        (tenant,) = await tenants(database.url, "underway", 1)
        environment = {
            **LIMITS,
            "SAFELIGHT_DATABASE_URL": database.url,
            "SAFELIGHT_CATALOG": str(_catalog(base, backend)),
        }
        data = base / "data"
        with safelight("serve", data, environment) as server:
            for number, way in enumerate(WAYS):
                public = {"SAFELIGHT_PUBLIC_URL": server.base_url}
                with safelight("worker", data, environment | public) as worker:
                    report.say(f"{jobs} jobs, {way.name}")
                    await _under_way(report, way, f"model-{number}", jobs, backend, server, worker, tenant)
                backend.forget()
        async with open_database(database.url) as db:
            if not (await check_books(OPERATOR, db)).balances:
                raise BenchError("The books do not balance.")


async def _under_way(
    report: Report, way: Way, model: str, jobs: int, backend: Held, server: Server, worker: Server, tenant: Tenant
) -> None:
    watch = Watch(worker.pid)
    with watch.running():
        ids = await _order(server, tenant, model, jobs)
        await _until(lambda: backend.told().jobs >= jobs, "the backend has every job")
        backend.end_all(_ENDS_WITHIN_SECONDS * jobs / _JOBS)
        began = int(time.time())
        await _until(lambda: len(backend.told().waits) >= jobs, "every end is seen")
        told, over = backend.told(), int(time.time())
        completed = await _completed(server, tenant, ids)
    seconds = range(began + 1, max(over, began + 2))
    rates = [told.questions.get(second, 0) for second in seconds]
    limit = way.round_seconds(jobs)
    name = f"{way.name}, {way.polls_per_second:g}/s"
    report.add(f"{name}: questions a second, the most", max(rates), "/s", reach=at_most(way.polls_per_second + 2))
    report.add(f"{name}: questions a second, the mean", statistics.fmean(rates), "/s")
    report.add(f"{name}: a round of questions", limit, "s")
    report.add(f"{name}: an end is seen after, p50", statistics.median(told.waits), "s")
    report.add(
        f"{name}: an end is seen after, the longest", max(told.waits), "s", reach=at_most(limit + _SLACK_SECONDS)
    )
    if way.is_called_back:
        report.add(f"{name}: callbacks that were not taken", told.unheard, "", reach=at_most(0))
    report.add(f"{name}: completed", completed, "", reach=at_least(jobs))
    report.add(f"{name}: memory of the worker, the most", watch.highest.total, "MiB", reach=at_most(_MOST_MIB))


async def _order(server: Server, tenant: Tenant, model: str, jobs: int) -> list[str]:
    places = asyncio.Semaphore(16)
    async with aiohttp.ClientSession(headers=tenant.headers) as session:

        async def one(number: int) -> str:
            body = {"model": model, "prompt": f"hill {number}", "duration": CLIP_SECONDS}
            async with places, session.post(f"{server.base_url}/v2/videos/generations", json=body) as answer:
                if answer.status != 202:
                    raise BenchError(f"An order was answered {answer.status}: {await answer.text()}")
                return str((await answer.json())["id"])

        return await asyncio.gather(*(one(number) for number in range(jobs)))


async def _completed(server: Server, tenant: Tenant, ids: list[str]) -> int:
    """How many are completed, once none is pending."""
    places = asyncio.Semaphore(8)
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    async with aiohttp.ClientSession(headers=tenant.headers) as session:

        async def one(id_: str) -> bool:
            while True:
                async with places, session.get(f"{server.base_url}/v2/videos/generations/{id_}") as answer:
                    status = (await answer.json())["status"]
                if status != "pending" or time.monotonic() > give_up_at:
                    return bool(status == "completed")
                await asyncio.sleep(1)

        return sum(await asyncio.gather(*map(one, ids)))


async def _until(is_so: Callable[[], bool], what: str) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not await asyncio.to_thread(is_so):
        if time.monotonic() > give_up_at:
            raise BenchError(f"Waited in vain until {what}.")
        await asyncio.sleep(0.5)


def _catalog(base: Path, backend: Held) -> Path:
    key, path = base / "key", base / "catalog.toml"
    key.write_text("sk-underway")
    lines = []
    for number, way in enumerate(WAYS):
        connection = way.connection.format(origin=backend.origin, key=key)
        lines.append(
            f'{{ name = "way-{number}", {connection}, limits = {{ polls_per_second = {way.polls_per_second} }} }}'
        )
    models = "".join(_MODEL.format(number=number, seconds=CLIP_SECONDS) for number in range(len(WAYS)))
    path.write_text(f"connections = [{', '.join(lines)}]\n{models}")
    return path
