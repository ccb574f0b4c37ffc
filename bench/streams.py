"""Thousands of open event streams in one API process: the memory of each, and how soon all of them are told.

The last one's time counts from when the event happened, by its own word, which is the start of the transaction that
records it. The streams follow several workspaces from several addresses, as none may have more than half of what is
open in a process; where that may open fewer than 32,768 files, there are fewer streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from urllib.request import Request, urlopen

from bench.processes import cpu_seconds, pss_mib, role_of, tree
from bench.report import Report, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tenants import VIDEO, settings, tenants
from safelight.db.pool import Database
from safelight.domain.events import EventType
from safelight.lifecycle.followers import tell_test_event
from safelight.node.connections import make_room
from tests.support.postgres import open_database
from tests.support.tenants import Tenant

_STREAMS = 5000
_ADDRESSES = [f"127.0.0.{number}" for number in range(2, 10)]
_EVENTS = 5
_PATIENCE_SECONDS = 120.0
_SETTLE_SECONDS = 2.0


class Listening:
    """One process of listeners; what it prints can be waited for."""

    def __init__(self, address: str, port: int, count: int, key: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.listeners", address, str(port), str(count), key],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._said: Queue[dict[str, float]] = Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def next(self) -> dict[str, float]:
        try:
            return self._said.get(timeout=_PATIENCE_SECONDS)
        except Empty:
            raise BenchError("Not all of the streams were told in time.") from None

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(json.loads(line))


async def run(report: Report) -> None:
    most = make_room().kept * len(_ADDRESSES) // (len(_ADDRESSES) + 2)
    count = 400 if report.brief else min(_STREAMS, most)
    with folder() as base, postgres(base) as database:
        followed = await tenants(database.url, "followed", len(_ADDRESSES))
        environment = {
            **settings(base, database.url),
            "SAFELIGHT_KEY_WAITS": str(count),
            "SAFELIGHT_ADDRESS_CONCURRENCY": str(count),
        }
        with safelight("up", base / "data", environment) as server:
            for tenant in followed:  # warm
                _order(server, tenant)
            await asyncio.sleep(_SETTLE_SECONDS)
            before, kernel_before = _api_mib(server), _kernel_mib()
            with _listening(server, followed, count) as listening:
                await asyncio.to_thread(_all_told, listening)
                await asyncio.sleep(_SETTLE_SECONDS)
                each_kib = (_api_mib(server) - before) * 1024 / count
                report.add(f"memory of one of {count} streams", each_kib, "KiB", reach=at_most(60))
                kernel_kib = (_kernel_mib() - kernel_before) * 1024 / count
                report.add("kernel memory of one, both ends", kernel_kib, "KiB")
                async with open_database(database.url) as db:
                    await _tell(report, "test", server, listening, lambda tenant: _tell_test(db, tenant), followed)

                async def order(tenant: Tenant) -> None:
                    await asyncio.to_thread(_order, server, tenant)

                await _tell(report, "completed video", server, listening, order, followed)
                each_kib = (_api_mib(server) - before) * 1024 / count
                report.add("memory of one after these events", each_kib, "KiB")


async def _tell(
    report: Report,
    kind: str,
    server: Server,
    listening: list[Listening],
    tell: Callable[[Tenant], Awaitable[None]],
    followed: list[Tenant],
) -> None:
    """Tell some events, one after another, to all streams; in the middle, how long the last waits."""
    seconds, used = [], []
    for _ in range(_EVENTS):
        used_before = _api_cpu_seconds(server)
        await asyncio.gather(*map(tell, followed))
        told = await asyncio.to_thread(_all_told, listening)
        seconds.append(max(each["last_at"] - each["happened_at"] for each in told))
        await asyncio.sleep(0.5)
        used.append(_api_cpu_seconds(server) - used_before)
    report.add(f"{kind}: until all are told", statistics.median(seconds), "s", reach=at_most(1))
    report.add(f"{kind}: processor of the API", statistics.median(used), "s")


@contextlib.contextmanager
def _listening(server: Server, followed: list[Tenant], count: int) -> Iterator[list[Listening]]:
    port = int(server.base_url.rpartition(":")[2])
    begun = [
        Listening(address, port, count // len(_ADDRESSES), tenant.key)
        for address, tenant in zip(_ADDRESSES, followed, strict=True)
    ]
    try:
        yield begun
    finally:
        for each in begun:
            each.process.kill()
            each.process.wait()


def _all_told(listening: list[Listening]) -> list[dict[str, float]]:
    return [each.next() for each in listening]


async def _tell_test(db: Database, tenant: Tenant) -> None:
    await tell_test_event(db, tenant.id, EventType.BALANCE_LOW, {"balance": "1"})


def _order(server: Server, tenant: Tenant) -> Any:
    headers = {"Authorization": f"Bearer {tenant.key}", "Content-Type": "application/json"}
    asked = Request(f"{server.base_url}/v2/videos/generations", data=json.dumps(VIDEO).encode(), headers=headers)
    with urlopen(asked, timeout=30) as answer:
        return json.load(answer)


def _api_pids(server: Server) -> list[int]:
    return [process.pid for process in tree(server.pid) if role_of(process) == "API"]


def _api_mib(server: Server) -> float:
    return sum(pss_mib(process) for process in tree(server.pid) if role_of(process) == "API")


def _api_cpu_seconds(server: Server) -> float:
    return cpu_seconds(*_api_pids(server))


def _kernel_mib() -> float:
    """What the kernel has for its own objects, and in the buffers of connections."""
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    tcp = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(facts["Slab"].split()[0]) / 1024 + int(tcp.split()[-1]) * 4 / 1024
