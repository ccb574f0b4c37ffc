"""The API on the no-op backend: images while the client waits, and polling a video that is pending."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

from bench.load import wrk
from bench.report import Report, at_least, at_most
from bench.servers import Server, folder, postgres, safelight
from bench.tenants import IMAGE, VIDEO, settings, tenants


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        (tenant,) = await tenants(database.url, "api", 1)
        environment = settings(base, database.url)
        # Without a worker the video stays pending.
        with safelight("serve", base / "data", environment) as server:
            pids = (server.pid, database.pid)
            _shell(report, server, tenant.key, pids)
            _images(report, server, tenant.key, pids)
            _polling(report, server, tenant.key, pids)


def _shell(report: Report, server: Server, key: str, pids: tuple[int, int]) -> None:
    """What HTTP costs by itself: a key that is known, a route, a JSON answer and a line of the log, no statement."""
    url = f"{server.base_url}/v2/models/{IMAGE['model']}"
    wrk(url, [key], concurrency=32, seconds=2)
    load = wrk(url, [key], concurrency=32, seconds=report.seconds, pids=pids)
    report.add("shell alone (model GET at 32): rate", load.rate, "/s")
    report.add("shell alone (model GET at 32): API processor time", load.server_cpu_ms[0], "ms a request")


def _images(report: Report, server: Server, key: str, pids: tuple[int, int]) -> None:
    url = f"{server.base_url}/v2/images/generations"
    wrk(url, [key], concurrency=32, seconds=2, body=IMAGE)  # warm caches, prepared statements, a full pool
    for concurrency in (1, 32):
        report.say(f"images at concurrency {concurrency}")
        load = wrk(url, [key], concurrency=concurrency, seconds=report.seconds, body=IMAGE, pids=pids)
        at = f"image POST at {concurrency}"
        report.add(f"{at}: rate", load.rate, "/s")
        report.add(f"{at}: p50", load.p50_ms, "ms", reach=at_most(8) if concurrency == 1 else None)
        report.add(f"{at}: p99", load.p99_ms, "ms")
        report.add(
            f"{at}: API processor time",
            load.server_cpu_ms[0],
            "ms a request",
            reach=at_most(3.0) if concurrency == 32 else None,
        )
        report.add(f"{at}: PostgreSQL processor time", load.server_cpu_ms[1], "ms a request")


def _polling(report: Report, server: Server, key: str, pids: tuple[int, int]) -> None:
    url = f"{server.base_url}/v2/videos/generations/{_pending_video(server, key)}"
    wrk(url, [key], concurrency=32, seconds=2)
    for concurrency in (1, 32):
        report.say(f"polling at concurrency {concurrency}")
        load = wrk(url, [key], concurrency=concurrency, seconds=report.seconds, pids=pids)
        at = f"video GET at {concurrency}, one process"
        report.add(f"{at}: rate", load.rate, "/s", reach=at_least(3000) if concurrency == 32 else None)
        report.add(f"{at}: p50", load.p50_ms, "ms")
        report.add(f"{at}: API processor time", load.server_cpu_ms[0], "ms a request")
        report.add(f"{at}: PostgreSQL processor time", load.server_cpu_ms[1], "ms a request")


def _pending_video(server: Server, key: str) -> str:
    """Order a video; its id."""
    request = Request(
        f"{server.base_url}/v2/videos/generations",
        data=json.dumps(VIDEO).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["id"])
