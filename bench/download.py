"""Downloads by signed links, beside nginx sending the same files and beside S3's own presigned links.

One worker each, 16 connections, the same run, and both write their access logs. Of small files there are 2,000, each
asked for in turn. Memory is looked at while 50 readers are slow, from the disk and from S3.
"""

from __future__ import annotations

import contextlib
import hashlib
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import msgspec

from bench.load import program
from bench.nginx import Nginx, checking_links, nginx
from bench.planted import Planted, plant
from bench.processes import cpu_seconds, pss_mib, tree
from bench.report import Reach, Report, at_least, at_most
from bench.servers import BenchError, Server, folder, postgres, safelight
from bench.tenants import settings, tenants
from safelight.blobs import open_store
from safelight.blobs.link_notes import LinkNotes
from safelight.domain.ports import BlobStore, LinkNote, PresignedStore
from safelight.domain.signing import LinkSigner, parse_signing_keys
from tests.blobs import seaweed

_CONNECTIONS = 16
_SLOW_READERS = 50
_KIB, _MIB = 1024, 1024 * 1024
_SIZES = {
    "100 KiB": (100 * _KIB, 2000),
    "4 MiB": (4 * _MIB, 50),
    "200 MiB": (200 * _MIB, 1),
}  # bytes, and how many files
_IN_BUCKET = 50
_IN_PROCESS = {"100 KiB": 200.0}  # microseconds of the API's processor
_PIECE_BYTES = 8 * _MIB
_KEY = f"k1:{hashlib.sha256(b'a bench').hexdigest()}"
_SCRIPT = Path(__file__).with_name("download.lua")


class _Rate(msgspec.Struct, frozen=True, kw_only=True):
    requests: int
    seconds: float
    size_bytes: int
    p50_ms: float
    p99_ms: float
    errors: int
    cpu_us: float = 0.0
    """Processor time of those who answer, for a request; ``client_us`` is that of wrk."""
    client_us: float = 0.0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def mib_per_second(self) -> float:
        return self.size_bytes / self.seconds / _MIB


class _Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files of one size, all asked for in turn: no answer is remembered from a request just before."""

    name: str
    files: list[Planted]

    @property
    def size_bytes(self) -> int:
        return self.files[0].size_bytes

    @property
    def piece_bytes(self) -> int:
        """Of the ranges that are asked for; 0: the whole file is."""
        return _PIECE_BYTES if self.size_bytes > _PIECE_BYTES else 0

    @property
    def what(self) -> str:
        return f"{self.name}, ranges of {self.piece_bytes // _MIB} MiB" if self.piece_bytes else self.name


class _Side(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask for files by which links, and the processes that answer."""

    links: list[str]
    pids: tuple[int, ...] = ()


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        await tenants(database.url, "download", 1)
        common = {**settings(base, database.url), "SAFELIGHT_SIGNING_KEYS": _KEY}
        root = base / "media"
        planted = _plant(database.url, root)
        local = {**common, "SAFELIGHT_MEDIA_URL": root.as_uri()}
        with safelight("serve", base / "data", local) as server, nginx(base, root) as peer:
            for files in planted:
                ours = _Side(links=_links(server.base_url, files), pids=(server.pid,))
                _compare(report, files, ours, _peer(peer, files), _reach(files), at_most_us=_IN_PROCESS.get(files.name))
            _slow_readers(report, "disk", server, planted[-1].files[0])
        behind = {**local, "SAFELIGHT_ACCEL_PREFIX": "/media-files"}
        with (
            safelight("serve", base / "data-behind", behind) as server,
            nginx(base, root, upstream=server.base_url) as front,
        ):
            for files in planted:
                ours = _Side(links=_links(front.base_url, files), pids=(server.pid, front.pid))
                theirs = _Side(links=_peer(front, files).links)
                _compare(report, files, ours, theirs, _reach(files), before="behind nginx, ")
        await _from_s3(report, base, common, root, planted)


async def run_nginx(report: Report) -> None:
    """nginx that checks our links itself, beside nginx that checks its own."""
    with folder() as base, postgres(base) as database:
        await tenants(database.url, "nginx", 1)
        root = base / "media"
        planted = _plant(database.url, root)
        env = {
            **settings(base, database.url),
            "SAFELIGHT_SIGNING_KEYS": _KEY,
            "SAFELIGHT_MEDIA_URL": root.as_uri(),
        }
        with checking_links(base, base / "data", env) as front, nginx(base, root) as peer:
            _note(root, planted)
            for files in planted:
                ours = _Side(links=_links(front.base_url, files), pids=(front.pid,))
                _compare_nginx(report, files, ours, _peer(peer, files))


def _compare_nginx(report: Report, files: _Files, ours: _Side, theirs: _Side) -> None:
    """As ``_compare``, in many short turns; and nginx's own time for a request: less depends on what else runs.

    On the loopback each end does part of the other's work in the kernel, how much hangs on how bytes and reads fall
    together: so there is the time of both ends, too.
    """
    report.say(f"nginx checks links, {files.name}")
    rates: tuple[list[float], list[float]] = ([], [])
    times: tuple[list[float], list[float]] = ([], [])
    of_both_ends: tuple[list[float], list[float]] = ([], [])
    for _ in range(max(2, int(report.seconds))):
        for turn, side in enumerate((ours, theirs)):
            rate = _wrk(side, files, 1)
            rates[turn].append(rate.mib_per_second)
            times[turn].append(rate.cpu_us)
            of_both_ends[turn].append(rate.cpu_us + rate.client_us)
    mine, peer = map(median, rates)
    report.add(
        files.what, mine, "MiB/s", peer=peer, reach=at_least(0.6 if files.name == "100 KiB" else 0.8, of_peer=True)
    )
    mine, peer = map(median, times)
    reach = at_most(1.2, of_peer=True) if files.name == "4 MiB" else None
    report.add(f"{files.what}: processor time of a request", mine, "us", peer=peer, reach=reach)
    mine, peer = map(median, of_both_ends)
    report.add(f"{files.what}: processor time of a request, client's too", mine, "us", peer=peer)


def _plant(url: str, root: Path) -> list[_Files]:
    return [_Files(name=name, files=plant(url, root, size, count)) for name, (size, count) in _SIZES.items()]


def _note(root: Path, planted: list[_Files]) -> None:
    """The notes that runs would have written of these files."""
    LinkNotes(root).write(
        LinkNote(
            generation_id=file.id,
            index=0,
            workspace_id=1,
            key=file.key,
            size_bytes=file.size_bytes,
            sha256=file.sha256.hex(),
            deletes_at_unix=file.until,
        )
        for files in planted
        for file in files.files
    )


def _reach(files: _Files) -> Reach:
    return at_least(0.3 if files.name == "100 KiB" else 0.8, of_peer=True)


async def _from_s3(report: Report, base: Path, common: dict[str, str], root: Path, planted: list[_Files]) -> None:
    (base / "seaweed").mkdir()
    with seaweed.serve(base / "seaweed") as s3:
        url = s3.url("bench")
        store = open_store(url)
        few = [_Files(name=files.name, files=files.files[:_IN_BUCKET]) for files in planted]
        sides = [await _upload(store, root, files) for files in few]
        await store.close()
        with safelight("serve", base / "data-s3", {**common, "SAFELIGHT_MEDIA_URL": url}) as server:
            for files, theirs in zip(few, sides, strict=True):
                reach = None if files.name == "100 KiB" else at_least(0.5, of_peer=True)
                ours = _Side(links=_links(server.base_url, files), pids=(server.pid,))
                _compare(report, files, ours, theirs, reach, before="S3, ")
            _slow_readers(report, "S3", server, few[-1].files[0])


async def _upload(store: BlobStore, root: Path, files: _Files) -> _Side:
    """Put the files into the bucket; the bucket's own links to them."""
    assert isinstance(store, PresignedStore)
    for file in files.files:
        await store.put(file.key, root / file.key, mime_type="video/mp4")
    return _Side(links=[await store.presigned_url(file.key, 3600) for file in files.files])


def _link(base_url: str, file: Planted) -> str:
    return LinkSigner(parse_signing_keys(_KEY), base_url).url(file.id, 0, file.until)


def _links(base_url: str, files: _Files) -> list[str]:
    return [_link(base_url, file) for file in files.files]


def _peer(peer: Nginx, files: _Files) -> _Side:
    return _Side(links=[peer.base_url + peer.path(file.key) for file in files.files], pids=(peer.pid,))


def _compare(
    report: Report,
    files: _Files,
    ours: _Side,
    theirs: _Side,
    reach: Reach | None,
    *,
    before: str = "",
    at_most_us: float | None = None,
) -> None:
    """Ours and the peer's in turns, twice each: what else this machine does then falls on both."""
    what = before + files.what
    report.say(what)
    seconds = max(1.0, report.seconds / 2)
    turns = [(_wrk(ours, files, seconds), _wrk(theirs, files, seconds)) for _ in range(2)]
    mine, peer = (sum(turn[side].mib_per_second for turn in turns) / 2 for side in (0, 1))
    report.add(what, mine, "MiB/s", peer=peer, reach=reach)
    rates = [sum(turn[side].per_second for turn in turns) / 2 for side in (0, 1)]
    report.add(f"{what}: requests", rates[0], "/s", peer=rates[1])
    report.add(f"{what}: p99", max(turn[0].p99_ms for turn in turns), "ms", peer=max(turn[1].p99_ms for turn in turns))
    mine, peer = (sum(turn[side].cpu_us for turn in turns) / 2 for side in (0, 1))
    limit = None if at_most_us is None else at_most(at_most_us)
    report.add(f"{what}: processor time of a request", mine, "us", peer=peer or None, reach=limit)


def _wrk(side: _Side, files: _Files, seconds: float) -> _Rate:
    parts = [urlsplit(link) for link in side.links]
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{round(seconds)}s", "--timeout", "60s", "-s", str(_SCRIPT)]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as paths:
        paths.writelines(f"{part.path}?{part.query}\n" for part in parts)
        paths.flush()
        arguments = [paths.name, str(files.size_bytes), str(files.piece_bytes)]
        before, client_before = cpu_seconds(*side.pids), _children_seconds()
        done = subprocess.run(
            [program(), *options, f"{parts[0].scheme}://{parts[0].netloc}", "--", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 90,
        )
        cpu, client = cpu_seconds(*side.pids) - before, _children_seconds() - client_before
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise BenchError(f"wrk said: {done.stdout}{done.stderr}")
    rate = msgspec.json.decode(line.removeprefix("RESULT "), type=_Rate)
    if rate.errors or not rate.requests:
        raise BenchError(f"{rate.errors} of {rate.requests} downloads failed.")
    expected = rate.requests * (files.piece_bytes or files.size_bytes)
    if rate.size_bytes < expected:
        raise BenchError(f"{rate.requests} downloads brought {rate.size_bytes} bytes, not {expected}.")
    return msgspec.structs.replace(rate, cpu_us=cpu / rate.requests * 1e6, client_us=client / rate.requests * 1e6)


def _children_seconds() -> float:
    """Processor time of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _slow_readers(report: Report, source: str, server: Server, file: Planted) -> None:
    """What the API process takes while many clients read a large file slowly, and whether that grows."""
    report.say(f"{_SLOW_READERS} slow readers, from {source}")
    before, seconds = _memory(server), max(2.0, report.seconds)
    with _reading(_link(server.base_url, file)):
        early = _highest(lambda: _memory(server), seconds)
        late = _highest(lambda: _memory(server), seconds)
    report.add(f"{source}: memory before {_SLOW_READERS} slow readers of 200 MiB", before, "MiB")
    report.add(f"{source}: more memory for each of them", (late - before) / _SLOW_READERS, "MiB")
    report.add(f"{source}: growth while they go on", late - early, "MiB", reach=at_most(10))


def _memory(server: Server) -> float:
    return sum(pss_mib(process) for process in tree(server.pid))


def _highest(look: Callable[[], float], seconds: float) -> float:
    give_up_at, most = time.monotonic() + seconds, 0.0
    while time.monotonic() < give_up_at:
        most = max(most, look())
        time.sleep(0.2)
    return most


@contextlib.contextmanager
def _reading(url: str) -> Iterator[None]:
    """Many clients in another process, each taking 100 KiB a second."""
    command = ["curl", "-s", "-o", "/dev/null", "--limit-rate", "100k", url]
    readers = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(_SLOW_READERS)]
    try:
        yield
        if any(reader.poll() is not None for reader in readers):
            raise BenchError("A slow reader ended early.")
    finally:
        for reader in readers:
            reader.kill()
        for reader in readers:
            reader.wait()
