"""A crowd that means harm, and what a stranger notices of it: health, an image and a poll, beside the quiet before."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import msgspec

from bench.processes import memory, tree
from bench.report import Report, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tenants import IMAGE, VIDEO, settings, tenants
from tests.support.tenants import Tenant

KINDS = ("silent", "slow headers", "idle", "unfinished bodies", "event streams", "long polls")
ADDRESSES = [f"127.0.0.{number}" for number in range(2, 10)]
_PACE = 500  # connections a second, of all addresses
_BODY_BYTES = 24 * 1024 * 1024
_WITHIN_SECONDS = 10.0
_QUIET_AGAIN_SECONDS = 5.0
_TIMES = at_most(3, of_peer=True)


class Seen(msgspec.Struct, frozen=True):
    """What a stranger's requests of one sort took. Those that failed count as long as they were waited for."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    asked: int
    failed: int


class Stranger:
    """A tenant from an address of its own, whose every request comes on a connection of its own."""

    def __init__(self, server: Server, tenant: Tenant) -> None:
        self._port = int(server.base_url.rpartition(":")[2])
        self._headers = {"Authorization": f"Bearer {tenant.key}", "Content-Type": "application/json"}
        self.video = json.loads(self.ask("POST", "/v2/videos/generations", VIDEO))["id"]

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WITHIN_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            answer = connection.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"{method} {path} of a stranger: {error!r}") from None
        finally:
            connection.close()
        if answer.status >= 300:
            raise BenchError(f"{method} {path} of a stranger answered {answer.status}: {said[:300]!r}")
        return said

    def look(self, seconds: float) -> dict[str, Seen]:
        """Ask for each in turns, for so long."""
        asked: dict[str, Callable[[], object]] = {
            "health": lambda: self.ask("GET", "/healthz"),
            "image": lambda: self.ask("POST", "/v2/images/generations", IMAGE),
            "poll": lambda: self.ask("GET", f"/v2/videos/generations/{self.video}"),
        }
        took: dict[str, list[float]] = {name: [] for name in asked}
        failed = dict.fromkeys(asked, 0)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, ask in asked.items():
                started = time.perf_counter()
                try:
                    ask()
                    took[name].append((time.perf_counter() - started) * 1000)
                except BenchError:
                    took[name].append(_WITHIN_SECONDS * 1000)
                    failed[name] += 1
        return {
            name: Seen(
                statistics.median(each), statistics.quantiles(each, n=100)[98], max(each), len(each), failed[name]
            )
            for name, each in took.items()
        }


class Attack:
    """A crowd of one kind, a process for each address."""

    def __init__(self, kind: str, port: int, count: int, keyed: list[tuple[str, str]]) -> None:
        self._told: dict[str, dict[str, int]] = {}
        self._processes = []
        for address, (key, video) in zip(ADDRESSES, keyed, strict=True):
            arguments = [address, port, count // len(ADDRESSES), _PACE // len(ADDRESSES), kind, key, video]
            process = subprocess.Popen(
                [sys.executable, "-m", "bench.hostile", *map(str, arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._processes.append(process)
            threading.Thread(target=self._listen, args=(address, process), daemon=True).start()

    def total(self, what: str) -> int:
        return sum(told.get(what, 0) for told in list(self._told.values()))

    def end(self) -> None:
        for process in self._processes:
            with contextlib.suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _listen(self, address: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._told[address] = json.loads(line)


@contextlib.contextmanager
def attack(kind: str, port: int, count: int, keyed: list[tuple[str, str]]) -> Iterator[Attack]:
    begun = Attack(kind, port, count, keyed)
    try:
        yield begun
    finally:
        begun.end()


async def run(report: Report) -> None:
    count = 2000 if report.brief else 20_000
    with folder() as base, postgres(base) as database:
        hostile = await tenants(database.url, "hostile", len(ADDRESSES))
        (tenant,) = await tenants(database.url, "stranger", 1)
        with safelight("serve", base / "data", settings(base, database.url)) as server:
            keyed = [(each.key, Stranger(server, each).video) for each in hostile]
            stranger = Stranger(server, tenant)
            stranger.look(2)  # warm caches, prepared statements
            _bodies(report, server, hostile[0].key, 10 if report.brief else 40)
            for kind in KINDS:
                _crowd(report, server, stranger, kind, count, keyed)


def _crowd(
    report: Report, server: Server, stranger: Stranger, kind: str, count: int, keyed: list[tuple[str, str]]
) -> None:
    report.say(f"quiet before {kind}")
    quiet = stranger.look(report.seconds)
    before = memory(tree(server.pid)).total
    report.say(f"{count} {kind}")
    with attack(kind, int(server.base_url.rpartition(":")[2]), count, keyed) as crowd:
        seen = stranger.look(count / _PACE + report.seconds)
        held, opened, closed = (crowd.total(what) for what in ("open", "opened", "closed"))
        highest = memory(tree(server.pid)).total
    report.add(f"{kind}: opened by the crowd", opened, "connections")
    report.add(f"{kind}: of these closed by us", closed, "connections")
    report.add(f"{kind}: open or waiting at the end", held, "connections")
    report.add(f"{kind}: memory more than before", highest - before, "MiB")
    failed = sum(each.failed for each in seen.values())
    report.add(f"{kind}: a stranger's requests that failed", failed, "requests", reach=at_most(0))
    for name, each in seen.items():
        report.add(f"{kind}: {name}, p50", each.p50_ms, "ms", peer=quiet[name].p50_ms, reach=_TIMES)
        report.add(f"{kind}: {name}, p99", each.p99_ms, "ms", peer=quiet[name].p99_ms, reach=_TIMES)
        # One of thousands, beside one of the hundreds that the quiet had time for: told, and compared with nothing.
        report.add(f"{kind}: {name}, max", each.max_ms, "ms")


def _bodies(report: Report, server: Server, key: str, count: int) -> None:
    """Bodies that lack their last byte: what they take, and what is left once they are gone."""
    report.say(f"{count} bodies of 24 MiB that lack a byte")
    before = memory(tree(server.pid)).total
    head = f"POST /v2/images/generations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    said = f"{head}Content-Length: {_BODY_BYTES}\r\n\r\n".encode()
    piece = b"x" * (_BODY_BYTES // 24)
    address = ("127.0.0.1", int(server.base_url.rpartition(":")[2]))
    with contextlib.ExitStack() as stack:
        sending = [stack.enter_context(socket.create_connection(address, timeout=5)) for _ in range(count)]
        for what in (said, *[piece] * 23, piece[:-1]):
            for connection in list(sending):
                try:
                    connection.sendall(what)
                except OSError:  # refused before its end
                    sending.remove(connection)
        highest = memory(tree(server.pid)).total
    time.sleep(_QUIET_AGAIN_SECONDS)
    after = memory(tree(server.pid)).total
    report.add(f"{count} bodies of 24 MiB that lack a byte: memory more than before", highest - before, "MiB")
    report.add("the same: kept once they are gone", after - before, "MiB")
    report.add("the same: refused before their end", count - len(sending), "bodies")
