"""Downloads by signed links, beside nginx sending the same files and beside S3's own presigned links.

One worker each, 16 connections, the same run, and both write their access logs. Memory is looked at while 50 readers
are slow, from the disk and from S3.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
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
from tests.support.nginx import Front

_CONNECTIONS = 16
_SLOW_READERS = 50
_KIB, _MIB = 1024, 1024 * 1024
_SIZES = {"100 KiB": 100 * _KIB, "4 MiB": 4 * _MIB, "200 MiB": 200 * _MIB}
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

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def mib_per_second(self) -> float:
        return self.size_bytes / self.seconds / _MIB


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        await tenants(database.url, "download", 1)
        common = {**settings(base, database.url), "SAFELIGHT_SIGNING_KEYS": _KEY}
        root = base / "media"
        planted = {name: plant(database.url, root, size) for name, size in _SIZES.items()}
        local = {**common, "SAFELIGHT_MEDIA_URL": root.as_uri()}
        with safelight("serve", base / "data", local) as server, nginx(base, root) as peer:
            for name, file in planted.items():
                ours, theirs = _link(server.base_url, file), peer.base_url + peer.path(file.key)
                _compare(report, name, file, ours, theirs, _reach(name))
            _slow_readers(report, "disk", server, planted["200 MiB"])
        behind = {**local, "SAFELIGHT_ACCEL_PREFIX": "/media-files"}
        with (
            safelight("serve", base / "data-behind", behind) as server,
            nginx(base, root, upstream=server.base_url) as front,
        ):
            for name, file in planted.items():
                ours, theirs = _link(front.base_url, file), front.base_url + front.path(file.key)
                _compare(report, f"behind nginx, {name}", file, ours, theirs, _reach(name))
        await _from_s3(report, base, common, root, planted)


async def run_nginx(report: Report) -> None:
    """nginx that checks our links itself, beside nginx that checks its own."""
    with folder() as base, postgres(base) as database:
        await tenants(database.url, "nginx", 1)
        root = base / "media"
        planted = {name: plant(database.url, root, size) for name, size in _SIZES.items()}
        env = {
            **settings(base, database.url),
            "SAFELIGHT_SIGNING_KEYS": _KEY,
            "SAFELIGHT_MEDIA_URL": root.as_uri(),
        }
        with checking_links(base, base / "data", env) as front, nginx(base, root) as peer:
            _note(root, planted)
            for name, file in planted.items():
                _compare_nginx(report, name, file, front, peer)


def _compare_nginx(report: Report, name: str, file: Planted, front: Front, peer: Nginx) -> None:
    """As ``_compare``, in many short turns; and nginx's own time for a request: less depends on what else runs."""
    piece = _PIECE_BYTES if file.size_bytes > _PIECE_BYTES else 0
    report.say(f"nginx checks links, {name}")
    both = ((_link(front.base_url, file), front.pid), (peer.base_url + peer.path(file.key), peer.pid))
    rates: tuple[list[float], list[float]] = ([], [])
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(max(2, int(report.seconds))):
        for side, (url, pid) in enumerate(both):
            before = cpu_seconds(pid)
            rate = _wrk(url, file, piece, 1)
            rates[side].append(rate.mib_per_second)
            times[side].append((cpu_seconds(pid) - before) / rate.requests * 1e6)
    what = f"{name}, ranges of {piece // _MIB} MiB" if piece else name
    mine, theirs = map(median, rates)
    report.add(what, mine, "MiB/s", peer=theirs, reach=at_least(0.8, of_peer=True))
    mine, theirs = map(median, times)
    report.add(f"{what}: processor time of a request", mine, "us", peer=theirs)


def _note(root: Path, planted: dict[str, Planted]) -> None:
    """The notes that runs would have written of these files."""
    LinkNotes(root).write(
        LinkNote(
            generation_id=file.id,
            index=0,
            workspace_id=1,
            key=file.key,
            size_bytes=file.size_bytes,
            sha256=hashlib.file_digest((root / file.key).open("rb"), "sha256").hexdigest(),
            deletes_at_unix=file.until,
        )
        for file in planted.values()
    )


def _reach(name: str) -> Reach:
    return at_least(0.3 if name == "100 KiB" else 0.8, of_peer=True)


async def _from_s3(report: Report, base: Path, common: dict[str, str], root: Path, planted: dict[str, Planted]) -> None:
    (base / "seaweed").mkdir()
    with seaweed.serve(base / "seaweed") as s3:
        url = s3.url("bench")
        store = open_store(url)
        links = await _upload(store, root, planted)
        await store.close()
        with safelight("serve", base / "data-s3", {**common, "SAFELIGHT_MEDIA_URL": url}) as server:
            for name, file in planted.items():
                reach = None if name == "100 KiB" else at_least(0.5, of_peer=True)
                _compare(report, f"S3, {name}", file, _link(server.base_url, file), links[name], reach)
            _slow_readers(report, "S3", server, planted["200 MiB"])


async def _upload(store: BlobStore, root: Path, planted: dict[str, Planted]) -> dict[str, str]:
    """Put the files into the bucket; the bucket's own links to them."""
    assert isinstance(store, PresignedStore)
    for file in planted.values():
        await store.put(file.key, root / file.key, mime_type="video/mp4")
    return {name: await store.presigned_url(file.key, 3600) for name, file in planted.items()}


def _link(base_url: str, file: Planted) -> str:
    return LinkSigner(parse_signing_keys(_KEY), base_url).url(file.id, 0, file.until)


def _compare(report: Report, name: str, file: Planted, ours: str, theirs: str, reach: Reach | None) -> None:
    """Ours and the peer's in turns, twice each: what else this machine does then falls on both."""
    piece = _PIECE_BYTES if file.size_bytes > _PIECE_BYTES else 0
    report.say(f"{name}{f' in pieces of {piece // _MIB} MiB' if piece else ''}")
    seconds = max(1.0, report.seconds / 2)
    turns = [(_wrk(ours, file, piece, seconds), _wrk(theirs, file, piece, seconds)) for _ in range(2)]
    what = f"{name}, ranges of {piece // _MIB} MiB" if piece else name
    mine, peer = (sum(turn[side].mib_per_second for turn in turns) / 2 for side in (0, 1))
    report.add(what, mine, "MiB/s", peer=peer, reach=reach)
    rates = [sum(turn[side].per_second for turn in turns) / 2 for side in (0, 1)]
    report.add(f"{what}: requests", rates[0], "/s", peer=rates[1])
    report.add(f"{what}: p99", max(turn[0].p99_ms for turn in turns), "ms", peer=max(turn[1].p99_ms for turn in turns))


def _wrk(url: str, file: Planted, piece: int, seconds: float) -> _Rate:
    parts = urlsplit(url)
    options = ["-t1", f"-c{_CONNECTIONS}", f"-d{round(seconds)}s", "--timeout", "60s", "-s", str(_SCRIPT)]
    arguments = [f"{parts.path}?{parts.query}", str(file.size_bytes), str(piece)]
    done = subprocess.run(
        [program(), *options, f"{parts.scheme}://{parts.netloc}", "--", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 90,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise BenchError(f"wrk said: {done.stdout}{done.stderr}")
    rate = msgspec.json.decode(line.removeprefix("RESULT "), type=_Rate)
    if rate.errors or not rate.requests:
        raise BenchError(f"{rate.errors} of {rate.requests} downloads failed.")
    expected = rate.requests * (piece or file.size_bytes)
    if rate.size_bytes < expected:
        raise BenchError(f"{rate.requests} downloads brought {rate.size_bytes} bytes, not {expected}.")
    return rate


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
