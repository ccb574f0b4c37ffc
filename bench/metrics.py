"""Metrics: whether counters fall as processes come and go, how long a scrape takes, and what counting costs."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil

from bench.report import Report, at_most
from bench.servers import BenchError, Server, folder, free_port, postgres, safelight
from bench.tenants import IMAGE, VIDEO, settings, tenants
from tests.support.tenants import Tenant
from tests.telemetry.scraping import Series, fallen, parsed, total

_PATIENCE_SECONDS = 60.0
_WORKERS = 3
_PAUSE_SECONDS = 3.0
"""The server takes two deaths in one place within 5.5 s for a loop, and gives up."""
_COUNTED = "safelight_generations_total"
_REQUESTS = "safelight_http_requests_total"
_COST = """
import statistics, time
from safelight.domain.generations import GenerationType, State
from safelight.domain.outcomes import Completed
from safelight.telemetry import metrics, observe

done, image = Completed(media=()), GenerationType.IMAGE

def one():
    with observe.Request("POST") as request:
        request.route, request.status = "/v2/images/generations", 200
        observe.held(1)
        with observe.Step("backend", "req", image, "model"):
            with observe.BackendCall("noop", "submit", model="model", generation_id="req") as call:
                call.came(done)
        with observe.Step("deliver", "req", image, "model"):
            with observe.StoreCall("put"):
                pass
            observe.stored("put", 1)
        with observe.Step("settle", "req", image, "model"):
            pass
        observe.settled(image, "model", State.COMPLETED, None, captured_nanos=1, released_nanos=0)

def seconds(what, times):
    began = time.process_time()
    for _ in range(times):
        what()
    return (time.process_time() - began) / times

print(statistics.median(seconds(one, 2000) for _ in range(15)) * 1e6)
for route in range(60):
    observe._request_seconds(f"/{route}").observe(0.1)
for model in range(30):
    for step in ("queue", "backend", "deliver", "settle"):
        observe._step_seconds("image", str(model), step).observe(0.1)
def collect():
    families = metrics.REGISTRY.collect()
    return [(s.name, tuple(s.labels.items()), s.value) for family in families for s in family.samples]

print(len(collect()))
from safelight.telemetry.snapshots import Snapshot, _encode
print(statistics.median(seconds(lambda: _encode(Snapshot(collect())), 1) for _ in range(15)) * 1e3)
"""


class _Node:
    """What was scraped of it, one page after another."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self.falls: list[str] = []
        self.scrapes_ms: list[float] = []
        self.series: Series = {}
        self._http = http
        self._url = f"http://127.0.0.1:{port}/metrics"

    async def scrape(self) -> Series:
        began = time.perf_counter()
        async with self._http.get(self._url) as answer:
            text = await answer.text()
        self.scrapes_ms.append((time.perf_counter() - began) * 1000)
        series = parsed(text)
        self.falls += fallen(self.series, series)
        self.series = series
        return series

    async def scrape_forever(self) -> None:
        while True:
            await self.scrape()
            await asyncio.sleep(0.2)

    async def until(self, condition: Callable[[Series], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not condition(self.series):
            if time.monotonic() > deadline:
                raise BenchError(f"Waited in vain: {what}.")
            await asyncio.sleep(0.1)


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        tenant = (await tenants(database.url, "metrics", 1))[0]
        port = free_port()
        environment = {
            **settings(base, database.url),
            "SAFELIGHT_SHUTDOWN": "2s",
            "SAFELIGHT_METRICS": f"127.0.0.1:{port}",
            "SAFELIGHT_WORKERS": str(_WORKERS),
        }
        with safelight("serve", base / "data", environment) as server:
            async with aiohttp.ClientSession() as http:
                await _restarts(report, server, _Node(http, port), http, tenant, base / "data", environment)
    _cost(report)


async def _restarts(
    report: Report,
    server: Server,
    node: _Node,
    http: aiohttp.ClientSession,
    tenant: Tenant,
    data_dir: Path,
    environment: dict[str, str],
) -> None:
    restarts = 4 if report.brief else 20
    report.say(f"{restarts} workers, killed and stopped in turns")
    while not node.series:
        try:
            await node.scrape()
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
    watching = asyncio.create_task(node.scrape_forever())
    made = 0
    for restart in range(restarts):
        with safelight("worker", data_dir, environment) as worker:
            await _video(http, server, tenant)
            made += 1
            # What a process counted in its last second is lost where it is killed.
            await node.until(lambda series, made=made: total(series, _COUNTED) >= made, "the video in the metrics")
            os.kill(worker.pid, signal.SIGKILL if restart % 2 else signal.SIGTERM)
    asked = 0
    for restart in range(max(1, restarts // 5)):
        report.say(f"API process {restart + 1} killed")
        for _ in range(20):
            async with http.get(f"{server.base_url}/v2/models", headers=_key(tenant)) as answer:
                asked += answer.status == 200
        await node.until(lambda series, asked=asked: total(series, _REQUESTS, route="/v2/models") >= asked, "requests")
        _oldest_api_process(server).kill()
        await _until_ready(http, server)
        await asyncio.sleep(_PAUSE_SECONDS)
    images = 20
    for _ in range(images):
        async with http.post(f"{server.base_url}/v2/images/generations", json=IMAGE, headers=_key(tenant)) as answer:
            if answer.status != 200:
                raise BenchError(await answer.text())
    await node.until(lambda series: total(series, _COUNTED) >= made + images, "the images in the metrics")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    lost = made + images + asked - total(node.series, _COUNTED) - total(node.series, _REQUESTS, route="/v2/models")
    report.add(f"counters that fell, over {restarts} workers", len(node.falls), "counters", reach=at_most(0))
    report.add("counts lost", lost, "counts", reach=at_most(0))
    scrapes = sorted(node.scrapes_ms)
    report.add("scrape, p50", statistics.median(scrapes), "ms")
    report.add("scrape, p99", scrapes[int(len(scrapes) * 0.99)], "ms", reach=at_most(100))
    report.add("series of a scrape", len(node.series), "series")


def _oldest_api_process(server: Server) -> psutil.Process:
    """Of the forks of the server's first process, as what else it starts is not."""
    first = psutil.Process(server.pid)
    return min((each for each in first.children() if each.cmdline() == first.cmdline()), key=psutil.Process.create_time)


async def _video(http: aiohttp.ClientSession, server: Server, tenant: Tenant) -> None:
    url = f"{server.base_url}/v2/videos/generations"
    async with http.post(url, json=VIDEO, headers=_key(tenant)) as answer:
        made = await answer.json()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        async with http.get(f"{url}/{made['id']}?wait=5", headers=_key(tenant)) as answer:
            found = await answer.json()
        if found["status"] == "completed":
            return
        if time.monotonic() > deadline:
            raise BenchError(f"The video is {found['status']}.")


async def _until_ready(http: aiohttp.ClientSession, server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            async with http.get(f"{server.base_url}/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            await asyncio.sleep(0.05)
    raise BenchError("The API is not ready again.")


def _key(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.key}"}


def _cost(report: Report) -> None:
    """In a process of its own, as its counts would be told as ours."""
    done = subprocess.run([sys.executable, "-c", _COST], capture_output=True, text=True, check=True)
    microseconds, series, milliseconds = map(float, done.stdout.split())
    report.add("counting, an image", microseconds, "us of processor")
    report.add(f"putting {series:g} series on record, each second", milliseconds, "ms of processor")
