"""Two API nodes and two workers on one database and one store, one killed after the other under the official client.

What is measured is how long somebody waits whose node is killed, and what is lost or made twice: nothing may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import getimg
import msgspec
import psycopg

from bench.report import Report, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tenants import LIMITS, tenants
from safelight.providers.chaos import Memory
from tests.support.tenants import Tenant

_CLIENTS = 6
_JOB_SECONDS = 1.5
_PATIENCE_SECONDS = 180.0
_REACH_SECONDS = 12.0
CATALOG = """
[[models]]
id = "image"
name = "Image"
type = "image"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
rates = [{{ unit_price = "0.01" }}]
bindings = [{{ connection = "chaos", options = {options} }}]
sizes = {{ "1K" = {{ "1:1" = "64x64" }} }}

[[models]]
id = "video"
name = "Video"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["480p"]
durations = [2]
rates = [{{ unit_price = "0.05" }}]
bindings = [{{ connection = "chaos", options = {options} }}]
sizes = {{ "480p" = {{ "1:1" = "64x64" }} }}
"""
"""An image and a video of the ``chaos`` backend, with its options to be put in."""


class _Call(msgspec.Struct, frozen=True):
    """One image as its client saw it: when it was asked for and answered (monotonic), and its id."""

    asked_at: float
    answered_at: float
    id: str


class _Site:
    """The nodes, what they have in common, and what is on record."""

    def __init__(self, base: Path, url: str) -> None:
        self.base, self.url = base, url
        self.jobs = Memory(base / "chaos")
        catalog = base / "catalog.toml"
        options = f'{{ behaviour = "job", job_seconds = {_JOB_SECONDS} }}'
        catalog.write_text(CATALOG.format(options=options))
        self._environment = {
            **LIMITS,
            "SAFELIGHT_DATABASE_URL": url,
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_MEDIA_URL": (base / "media").as_uri(),
            "SAFELIGHT_SIGNING_KEYS": f"k1:{secrets.token_hex(32)}",
            "SAFELIGHT_PROVENANCE": "off",
        }
        self._nodes = 0

    def node(self, command: str) -> contextlib.AbstractContextManager[Server]:
        """A node with a data folder of its own. The backend is one for all, as one outside would be."""
        self._nodes += 1
        data_dir = self.base / f"node-{self._nodes}"
        data_dir.mkdir()
        (data_dir / "chaos").symlink_to(self.base / "chaos")
        return safelight(command, data_dir, self._environment)

    def count(self, query: str) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return int(row[0])


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        (base / "chaos").mkdir()
        tenant = (await tenants(database.url, "nodes", 1))[0]
        site = _Site(base, database.url)
        with site.node("worker") as first, site.node("worker"):
            await _kill_an_api_node(report, site, tenant)
            await _kill_a_worker(report, site, tenant, first)
        _check(report, site)


async def _kill_an_api_node(report: Report, site: _Site, tenant: Tenant) -> None:
    report.say("an API node is killed under the official client")
    with site.node("serve") as doomed, site.node("serve") as other, site.node("serve") as successor:
        ports = [_port(doomed), _port(other)]
        async with _balancer(ports) as address:
            stop = asyncio.Event()
            clients = [asyncio.create_task(_client(address, tenant, stop)) for _ in range(_CLIENTS)]
            await asyncio.sleep(2 * _JOB_SECONDS)
            killed_at = time.monotonic()
            os.killpg(doomed.pid, signal.SIGKILL)
            ports[0] = _port(successor)
            await asyncio.sleep(2 * _JOB_SECONDS)
            stop.set()
            calls = [call for made in await asyncio.gather(*clients) for call in made]
        waits = [call.answered_at - killed_at for call in calls if call.asked_at < killed_at < call.answered_at]
        report.add("API node killed: longest wait for an image", max(waits), "s", reach=at_most(_REACH_SECONDS))
        answers = {call.id for call in calls}
        report.add("API node killed: images answered twice", len(calls) - len(answers), "", reach=at_most(0))
        made = site.count("select count(*) from generations")
        report.add("API node killed: images made that nobody got", made - len(answers), "", reach=at_most(0))


async def _client(address: str, tenant: Tenant, stop: asyncio.Event) -> list[_Call]:
    """One image after the other. The client repeats by itself what a dying node left unanswered."""
    calls = []
    async with getimg.AsyncGetimgAI(api_key=tenant.key, base_url=address) as api:
        while not stop.is_set():
            asked_at = time.monotonic()
            image = await api.images.generate(model="image", prompt=f"a slope {secrets.token_hex(4)}")
            calls.append(_Call(asked_at, time.monotonic(), image.id))
    return calls


async def _kill_a_worker(report: Report, site: _Site, tenant: Tenant, doomed: Server) -> None:
    report.say("a worker is killed")
    with site.node("serve") as server:
        async with getimg.AsyncGetimgAI(api_key=tenant.key, base_url=server.base_url) as api:
            created = [
                await api.videos.generations.create(model="video", prompt="a slope", duration=2)
                for _ in range(2 * _CLIENTS)
            ]
            await asyncio.sleep(_JOB_SECONDS / 2)
            killed_at = time.monotonic()
            os.killpg(doomed.pid, signal.SIGKILL)
            for video in created:
                while (found := await api.videos.generations.retrieve(video.id)).status == "pending":
                    if time.monotonic() - killed_at > _PATIENCE_SECONDS:
                        raise BenchError(f"The video {video.id} did not end.")
                    await asyncio.sleep(0.1)
                if found.status != "completed":
                    raise BenchError(f"A video was lost: {found}")
        longest = time.monotonic() - killed_at
        report.add("worker killed: longest wait for a video", longest, "s", reach=at_most(_REACH_SECONDS))


def _check(report: Report, site: _Site) -> None:
    """What is on record, and what the backend knows."""
    with psycopg.connect(site.url) as connection:
        ids = [row[0] for row in connection.execute("select id from generations")]
    lost = site.count("select count(*) from generations where state <> 'completed'")
    doubled = sum(site.jobs.taken(generation_id) != 1 for generation_id in ids)
    held = site.count("select count(*) from accounts where held_nanos <> 0 or in_flight <> 0")
    odd = site.count(
        "select count(*) from (select from transfers where generation_id is not null"
        " group by generation_id having count(*) <> 2) t"
    )
    report.add("generations lost", lost, "", reach=at_most(0))
    report.add("generations ordered twice of the backend", doubled, "", reach=at_most(0))
    report.add("holds left, or resolved more than once", held + odd, "", reach=at_most(0))


@contextlib.asynccontextmanager
async def _balancer(ports: list[int]) -> AsyncIterator[str]:
    """The address of a balancer over these ports, which may be changed; one that takes nothing is passed over."""
    turn = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        for _ in range(len(ports)):
            turn += 1
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", ports[turn % len(ports)])
                await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
                return
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _port(server: Server) -> int:
    return int(server.base_url.rpartition(":")[2])
