"""What stands before a backend: pictures through our ``openai`` adapter, beside LiteLLM's proxy before the same one.

The backend answers at once. Ours holds the price, strips the file, signs, syncs and keeps it, books it and answers
with a link; LiteLLM passes the answer on.
"""

from __future__ import annotations

import base64
import io
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.request import Request, urlopen

import msgspec
from PIL import Image, ImageChops

from bench.instant import SIZES, Instant, instant, picture
from bench.litellm import KEY, LiteLLM, litellm
from bench.load import Load, wrk
from bench.processes import pss_mib, tree
from bench.report import Report, at_least, at_most
from bench.servers import BenchError, Postgres, Server, folder, postgres, safelight
from bench.tenants import LIMITS, images_charged, tenants
from safelight.media.provenance import verify
from tests.support.tenants import Tenant

_ROUNDS = 3
_WARM_SECONDS = 3.0
_PAUSE_SECONDS = 1.0
_LOOKED_AT = 5
_TENANT = "overhead"
_HALF = at_most(0.5, of_peer=True)
_CONNECTION = """
[[connections]]
name = "instant"
kind = "openai"
base_url = "{base_url}"
key = "env:INSTANT_KEY"
"""
_MODEL = """
[[models]]
id = "{id}"
name = "{id}"
type = "image"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
rates = [{{ unit_price = "0.01" }}]
bindings = [{{ connection = "instant", model = "gpt-image-1" }}]
sizes = {{ "1K" = {{ "1:1" = "{size}" }} }}
"""


class _Side(Protocol):
    """One of the two, as a client sees it. ``pids``: its processes, the one that answers first."""

    url: str
    key: str
    pids: tuple[int, ...]

    def body(self, what: str) -> dict[str, object]:
        """The request for a picture of ``SIZES``."""
        ...

    async def count(self) -> int | None:
        """How many it has made, by its own books; None: it keeps none."""
        ...

    def look(self, what: str) -> None:
        """Raise ``BenchError`` unless what it gave is the backend's picture."""
        ...

    def memory_mib(self) -> float: ...


class _LiteLLM:
    def __init__(self, proxy: LiteLLM) -> None:
        self.url, self.key = f"{proxy.base_url}/v1/images/generations", KEY
        self.pids = (proxy.pid,)

    def body(self, what: str) -> dict[str, object]:
        return {"model": "image", "prompt": "a hill at dawn", "size": SIZES[what], "output_format": "png"}

    async def count(self) -> int | None:
        return None

    def look(self, what: str) -> None:
        answer = json.loads(_ask(self.url, self.key, self.body(what)))
        _compare(base64.b64decode(answer["data"][0]["b64_json"]), what)

    def memory_mib(self) -> float:
        return _memory_mib(self.pids[0])


class _Ours:
    def __init__(self, server: Server, database: Postgres, tenant: Tenant, base: Path) -> None:
        self.url, self.key = f"{server.base_url}/v2/images/generations", tenant.key
        self.pids = (server.pid, database.pid)
        self._base_url, self._database_url, self._base = server.base_url, database.url, base

    def body(self, what: str) -> dict[str, object]:
        return {"model": what, "prompt": "a hill at dawn", "output_format": "png"}

    async def count(self) -> int | None:
        return await images_charged(self._database_url, _TENANT)

    def look(self, what: str) -> None:
        """At the newest of a load: by their links, signed, and with nothing changed that is seen."""
        listed = json.loads(_ask(f"{self._base_url}/v2/generations?limit={_LOOKED_AT}", self.key))
        root = (self._base / "data" / "provenance" / "root.pem").read_bytes()
        for made in listed["data"]:
            found = json.loads(_ask(f"{self.url}/{made['id']}", self.key))
            with urlopen(found["data"][0]["url"], timeout=30) as answer:
                file = answer.read()
            _compare(file, what)
            path = self._base / "looked-at.png"
            path.write_bytes(file)
            if not verify(path, root).trusted:
                raise BenchError(f"{made['id']} is not signed.")

    def memory_mib(self) -> float:
        return _memory_mib(self.pids[0])


class _Measured(msgspec.Struct, frozen=True):
    """What the rounds showed, the median of each; of memory the most."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    memory_mib: float


async def run(report: Report) -> None:
    with folder() as base, instant() as backend, postgres(base) as database:
        (tenant,) = await tenants(database.url, _TENANT, 1)
        environment = _environment(base, database, backend)
        report.say("starting LiteLLM, which is installed first if it is not there")
        with litellm(base, backend.base_url) as peer, safelight("serve", base / "data", environment) as server:
            report.say(f"it is LiteLLM {peer.version}")
            report.add("ready, once PostgreSQL runs", server.ready_seconds, "s", peer=peer.ready_seconds)
            sides = (_LiteLLM(peer), _Ours(server, database, tenant, base))
            await _both(report, backend, database, sides)


async def _both(report: Report, backend: Instant, database: Postgres, sides: Sequence[_Side]) -> None:
    for side in sides:
        _load(side, "photo", 32, _WARM_SECONDS)
    for concurrency in (1, 32):
        theirs, ours = await _measured(report, backend, sides, "photo", concurrency)
        at, is_one = f"at {concurrency}", concurrency == 1
        reach = None if is_one else at_least(10, of_peer=True)
        report.add(f"{at}: rate", ours.rate, "/s", peer=theirs.rate, reach=reach)
        report.add(f"{at}: p50", ours.p50_ms, "ms", peer=theirs.p50_ms, reach=_HALF if is_one else None)
        report.add(f"{at}: p99", ours.p99_ms, "ms", peer=theirs.p99_ms)
        report.add(f"{at}: processor time, PostgreSQL's too", ours.cpu_ms, "ms a request", peer=theirs.cpu_ms)
    postgres_mib = _memory_mib(database.pid)
    report.add("memory: API", ours.memory_mib, "MiB", peer=theirs.memory_mib, reach=_HALF)
    report.add("memory: PostgreSQL besides", postgres_mib, "MiB")
    report.add("memory: all", ours.memory_mib + postgres_mib, "MiB", peer=theirs.memory_mib)
    theirs, ours = await _measured(report, backend, sides, "poster", 32)
    report.add("at 32, 1024x1024: rate", ours.rate, "/s", peer=theirs.rate)


async def _measured(
    report: Report, backend: Instant, sides: Sequence[_Side], what: str, concurrency: int
) -> list[_Measured]:
    """The sides under load, in turns."""
    loads: list[list[Load]] = [[] for _ in sides]
    highest = [0.0 for _ in sides]
    for count in range(1, (1 if report.brief else _ROUNDS) + 1):
        report.say(f"a {what}, {concurrency} at once, round {count}")
        for place, side in enumerate(sides):
            ordered, made = backend.answered(), await side.count()
            load = _load(side, what, concurrency, report.seconds)
            highest[place] = max(highest[place], side.memory_mib())
            _check(load, backend.answered() - ordered, concurrency)
            if made is not None:
                _check(load, (await side.count() or 0) - made, concurrency)
            side.look(what)
            loads[place].append(load)
    return [_median(each, mib) for each, mib in zip(loads, highest, strict=True)]


def _load(side: _Side, what: str, concurrency: int, seconds: float) -> Load:
    body = side.body(what)
    load = wrk(side.url, [side.key], concurrency=concurrency, seconds=seconds, body=body, pids=side.pids)
    time.sleep(_PAUSE_SECONDS)  # what was under way as the load ended is made to its end
    return load


def _median(loads: Sequence[Load], memory_mib: float) -> _Measured:
    return _Measured(
        rate=statistics.median(load.rate for load in loads),
        p50_ms=statistics.median(load.p50_ms for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
        cpu_ms=statistics.median(sum(load.server_cpu_ms) for load in loads),
        memory_mib=memory_mib,
    )


def _check(load: Load, made: int, concurrency: int) -> None:
    """A rate counts only if each answer was made by the backend, and is on our books."""
    if not load.requests <= made <= load.requests + concurrency:
        raise BenchError(f"{load.requests} pictures were answered, and {made} were made.")


def _compare(file: bytes, what: str) -> None:
    found, expected = (Image.open(io.BytesIO(each)) for each in (file, picture(SIZES[what])))
    if found.size != expected.size or ImageChops.difference(found, expected).getbbox() is not None:
        raise BenchError("A picture came that the backend did not make.")


def _ask(url: str, key: str, body: dict[str, object] | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data=data, headers=headers), timeout=60) as answer:
        return bytes(answer.read())


def _memory_mib(pid: int) -> float:
    return sum(pss_mib(process) for process in tree(pid))


def _environment(base: Path, database: Postgres, backend: Instant) -> dict[str, str]:
    models = "".join(_MODEL.format(id=what, size=size) for what, size in SIZES.items())
    catalog = base / "catalog.toml"
    catalog.write_text(_CONNECTION.format(base_url=backend.base_url) + models)
    return {
        **LIMITS,
        "SAFELIGHT_DATABASE_URL": database.url,
        "SAFELIGHT_CATALOG": str(catalog),
        "INSTANT_KEY": "sk-instant",
    }
