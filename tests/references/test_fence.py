"""The fence itself: what a worker may not do, and what becomes of the others when one is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from safelight.domain.errors import InvalidParameter, ServiceUnavailable
from safelight.references import sandbox
from safelight.references.data_url import MAX_IMAGE_BYTES
from safelight.references.decode import FencedDecoder
from tests.references import files

PARAM = "images[0].url"
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: /proc, seccomp and prctl")
MEBIBYTE = 1024 * 1024


def largest() -> bytes:
    """What takes the most to decode and is not refused: 25 megapixels of 16 bits and four bands, interlaced."""
    picture = files.flat(5000, 5000, 4).cast("ushort").copy(interpretation="rgb16")
    return files.png(picture, interlace=True, compression=1)


@contextlib.asynccontextmanager
async def _decoder(**options: float) -> AsyncIterator[FencedDecoder]:
    decoder = FencedDecoder(**options)  # type: ignore[arg-type]
    try:
        yield decoder
    finally:
        await decoder.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@linux
async def test_a_worker_is_fenced_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_CANARY", "secret")
    async with _decoder() as decoder:
        await decoder.clean(files.png(), None, PARAM)
        [pid] = decoder.worker_pids
        process = Path(f"/proc/{pid}")
        status = (process / "status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        limits = {line[:25].strip(): line[25:].split()[0] for line in (process / "limits").read_text().splitlines()}
        assert limits["Max address space"] == str(1024 * MEBIBYTE)
        assert limits["Max file size"] == limits["Max core file size"] == "0"
        try:
            environment = (process / "environ").read_bytes()
            opened = sorted(path.name for path in (process / "fd").iterdir())
        except PermissionError:
            return  # the process is not dumpable, so only root reads these
        assert b"secret" not in environment
        assert opened == ["0", "1", "2"]


FORBIDDEN = {
    "open a file": "open('/etc/passwd')",
    "list a folder": "os.listdir('/')",
    "make a socket": "socket.socket()",
    "make a Unix socket": "socket.socket(socket.AF_UNIX)",
    "make a pair of sockets": "socket.socketpair()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "fork": "os.fork()",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "delete a file": "os.unlink('/tmp/nothing')",
    "make a folder": "os.mkdir('/tmp/nothing')",
    "rename a file": "os.rename('/tmp/nothing', '/tmp/more')",
    "read a link": "os.readlink('/proc/self/exe')",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))",
    "change the user": "os.setuid(65534)",
    "duplicate a pipe": "os.pipe()",
}


@linux
@pytest.mark.parametrize("attempt", FORBIDDEN)
def test_system_calls_are_forbidden(attempt: str) -> None:
    """The parts of Python that run on their own are loaded beforehand, as in the worker."""
    code = f"""
import os, resource, socket, sys
from safelight.references import sandbox
if not sandbox.forbid_system_calls():
    os._exit(3)
try:
    {FORBIDDEN[attempt]}
except (PermissionError, ValueError):  # ValueError is what a refused limit raises
    os._exit(0)
os._exit(1)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    if done.returncode == 3:
        pytest.skip("this kernel or machine has no seccomp filters; the other limits still hold")
    assert done.returncode == 0, done.stderr.decode()


@linux
def test_memory_is_limited_and_threads_still_run() -> None:
    code = f"""
import os, threading
from safelight.references import sandbox
sandbox.limit_resources({512 * MEBIBYTE})
sandbox.forbid_system_calls()
ran = []
thread = threading.Thread(target=lambda: ran.append(1))
thread.start(); thread.join()
try:
    bytearray({600 * MEBIBYTE})
except MemoryError:
    os._exit(0 if ran else 2)
os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@linux
def test_a_worker_ends_whose_parent_is_another() -> None:
    code = "from safelight.references import sandbox; sandbox.die_with_parent(1 << 30); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert sandbox.os.getppid() > 0


async def test_what_takes_too_long_is_refused_and_its_worker_replaced() -> None:
    async with _decoder(task_seconds=3, max_workers=1) as decoder:
        await decoder.clean(files.png(), None, PARAM)
        (pid,) = decoder.worker_pids
        os.kill(pid, signal.SIGSTOP)  # it takes for ever
        with pytest.raises(InvalidParameter, match="too much memory or time"):
            await decoder.clean(files.png(), None, PARAM)
        assert decoder.worker_pids == []
        assert not psutil.pid_exists(pid)
        mime_type, _ = await decoder.clean(files.png(files.plain(2, 2)), None, PARAM)
        assert mime_type == "image/png"


async def test_what_takes_too_much_memory_is_refused() -> None:
    async with _decoder(memory_bytes=300 * MEBIBYTE, max_workers=1) as decoder:
        with pytest.raises(InvalidParameter, match="too much memory or time"):
            await decoder.clean(largest(), None, PARAM)
        assert (await decoder.clean(files.png(), None, PARAM))[0] == "image/png"


async def test_a_crash_refuses_only_the_image_that_was_in_it() -> None:
    slow = files.png(files.plain(5000, 5000))
    async with _decoder(max_workers=2) as decoder:
        await asyncio.gather(*[decoder.clean(files.png(), None, PARAM) for _ in range(2)])
        pids = decoder.worker_pids
        lost = asyncio.create_task(decoder.clean(slow, None, PARAM))
        await _until(lambda: len(decoder.worker_pids) == 1)
        [busy] = set(pids) - set(decoder.worker_pids)
        os.kill(busy, signal.SIGSEGV)
        others = await asyncio.gather(*[decoder.clean(files.png(), None, PARAM) for _ in range(6)])
        assert len(others) == 6
        with pytest.raises(InvalidParameter, match="too much memory or time"):
            await lost


async def test_a_worker_that_died_while_idle_is_not_used() -> None:
    async with _decoder(max_workers=1) as decoder:
        await decoder.clean(files.png(), None, PARAM)
        [pid] = decoder.worker_pids
        os.kill(pid, signal.SIGKILL)
        await _until(lambda: _gone(pid))
        await asyncio.sleep(0.05)
        await decoder.clean(files.png(), None, PARAM)
        assert decoder.worker_pids != [pid]


async def test_a_cancelled_image_leaves_no_worker_behind() -> None:
    async with _decoder(max_workers=1) as decoder:
        await decoder.clean(files.png(), None, PARAM)
        [pid] = decoder.worker_pids
        task = asyncio.create_task(decoder.clean(files.png(files.flat(5000, 5000)), None, PARAM))
        await _until(lambda: decoder.worker_pids == [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: _gone(pid))
        assert (await decoder.clean(files.png(), None, PARAM))[0] == "image/png"


async def test_workers_start_late_and_end_when_idle() -> None:
    async with _decoder(idle_seconds=0.05) as decoder:
        assert decoder.worker_pids == []
        await decoder.clean(files.png(), None, PARAM)
        [pid] = decoder.worker_pids
        await _until(lambda: decoder.worker_pids == [] and _gone(pid))


async def test_a_worker_is_replaced_after_its_share_of_tasks() -> None:
    async with _decoder(tasks_per_worker=2, max_workers=1) as decoder:
        for _ in range(2):
            await decoder.clean(files.png(), None, PARAM)
        assert decoder.worker_pids == []
        await decoder.clean(files.png(), None, PARAM)
        assert len(decoder.worker_pids) == 1


async def test_too_much_waiting_is_told_to_come_back() -> None:
    data = files.png()
    async with _decoder(max_workers=1, max_waiting_bytes=len(data) * 3) as decoder:
        results = await asyncio.gather(*[decoder.clean(data, None, PARAM) for _ in range(20)], return_exceptions=True)
    refused = [result for result in results if isinstance(result, ServiceUnavailable)]
    assert refused
    assert len([result for result in results if isinstance(result, tuple)]) == 20 - len(refused)
    async with _decoder(max_workers=1, max_wait_seconds=0.01) as decoder:
        results = await asyncio.gather(
            *[decoder.clean(files.png(files.flat(4000, 4000)), None, PARAM) for _ in range(3)],
            return_exceptions=True,
        )
    assert [type(result) for result in results].count(ServiceUnavailable) == 2


@pytest.mark.parametrize("way", ["waits too long", "client leaves"])
async def test_what_has_waited_in_vain_waits_no_more(way: str) -> None:
    """Its bytes are given back, or the decoder would be full for ever."""
    data = files.png()
    async with _decoder(max_workers=1, max_waiting_bytes=len(data) * 2, max_wait_seconds=0.01) as decoder:
        await decoder._slots.acquire()
        for _ in range(6):
            waiting = asyncio.create_task(decoder.clean(data, None, PARAM))
            if way == "client leaves":
                await asyncio.sleep(0)
                waiting.cancel()
            with pytest.raises((ServiceUnavailable, asyncio.CancelledError)):
                await waiting
        decoder._slots.release()
        assert await decoder.clean(data, None, PARAM)


async def test_a_closed_decoder_takes_nothing() -> None:
    async with _decoder() as decoder:
        await decoder.clean(files.png(), None, PARAM)
        [pid] = decoder.worker_pids
    assert _gone(pid)
    with pytest.raises(ServiceUnavailable):
        await decoder.clean(files.png(), None, PARAM)


PARENT = """
import asyncio, sys
from safelight.references.decode import FencedDecoder
async def main():
    decoder = FencedDecoder()
    data = sys.stdin.buffer.read()
    await decoder.clean(data, None, "x")
    print(decoder.worker_pids[0], flush=True)
    if sys.argv[1] == "busy":
        while True:
            await decoder.clean(data, None, "x")
    await asyncio.sleep(3600)
asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("state", ["idle", "busy", "stopped"])
async def test_workers_die_with_a_killed_parent(state: str) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        state,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(files.png(files.flat(2000, 2000)))
    parent.stdin.close()
    lines = (await parent.stdout.readline()).split()
    # structlog writes to the standard output as well, so the pid is the only line that is a number
    while not (len(lines) == 1 and lines[0].isdigit()):
        lines = (await parent.stdout.readline()).split()
    pid = int(lines[0])
    if state == "stopped":
        os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    await _until(lambda: _gone(pid))


BOMBS: dict[str, Callable[[], bytes]] = {
    "huge PNG": lambda: files.png_header(50_000, 50_000),
    "GIF of many frames": lambda: files.gif(100_000),
    "APNG of many frames": lambda: files.apng(20_000),
    "zTXt bomb": lambda: files.with_chunks(
        files.png(), files.chunk(b"zTXt", b"Bomb\0\0" + files.deflated_zeros(128 << 20))
    ),
    "PNG and HTML": lambda: files.png() + files.HTML,
    "SVG as .png": lambda: files.SVG,
    "10 MiB": lambda: files.padded(files.png(), MAX_IMAGE_BYTES),
    "25 megapixels": lambda: files.png(files.flat(5000, 5000, 4)),
    "25 megapixels of 16 bits, interlaced": largest,
    "25 megapixels in many passes": lambda: files.jpeg(files.flat(5000, 5000), interlace=True),
    "WebP of 26 megapixels": lambda: files.webp(files.flat(16_000, 1625), lossless=True, effort=0),
    "WebP of 25 megapixels": lambda: files.webp(files.flat(5000, 5000), lossless=True, effort=0),
    "WebP with a lying canvas": lambda: files.lying_webp(),
    "JPEG of 4 gigapixels": lambda: files.jpeg_header(65_500, 65_500),
    "JPEG of many scans": lambda: files.jpeg_of_many_scans(20_000),
    "PNG that inflates to more than it says": lambda: files.with_chunks(
        files.png(), files.chunk(b"IDAT", files.deflated_zeros(128 << 20))
    ),
}
ACCEPTED_BOMBS = {
    "zTXt bomb",
    "PNG and HTML",
    "10 MiB",
    "25 megapixels",
    "25 megapixels of 16 bits, interlaced",
    "25 megapixels in many passes",
    "WebP of 25 megapixels",
    "PNG that inflates to more than it says",
}
HEAVY_BOMBS = {
    "25 megapixels of 16 bits, interlaced",
    "25 megapixels in many passes",
    "WebP of 25 megapixels",
}


class Memory:
    """The most bytes that this process and its workers held at once, looked at every few milliseconds."""

    def __init__(self) -> None:
        self._self = psutil.Process()
        self.own_start = self._self.memory_info().rss
        self.own_peak = 0
        self.workers_peak = 0
        self.most_workers = 0

    def look(self) -> None:
        self.own_peak = max(self.own_peak, self._self.memory_info().rss - self.own_start)
        sizes = []
        for child in self._self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "safelight.references.fenced_process" in " ".join(child.cmdline()):
                    sizes.append(child.memory_info().rss)
        self.workers_peak = max(self.workers_peak, sum(sizes))
        self.most_workers = max(self.most_workers, len(sizes))

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(0.01)


async def _send_at_once(names: list[str]) -> list[object]:
    """Send these bombs at once; memory must stay within bounds, and this process go on answering."""
    files_of = {name: BOMBS[name]() for name in set(names)}
    memory, heartbeats = Memory(), 0

    async def beat() -> None:
        nonlocal heartbeats
        while True:
            heartbeats += 1
            await asyncio.sleep(0.01)

    async with _decoder(task_seconds=60, max_wait_seconds=120) as decoder:
        watchers = [asyncio.create_task(memory.watch()), asyncio.create_task(beat())]
        results = await asyncio.gather(
            *[decoder.clean(files_of[name], None, PARAM) for name in names], return_exceptions=True
        )
        for watcher in watchers:
            watcher.cancel()
    assert memory.most_workers <= 2
    assert memory.workers_peak < 2 * 1024 * MEBIBYTE
    assert memory.own_peak < 512 * MEBIBYTE
    print(
        f"\n{len(names)} x {', '.join(dict.fromkeys(names))}: workers at most {memory.workers_peak // MEBIBYTE} MiB,"
        f" this process {memory.own_peak // MEBIBYTE} MiB more; {heartbeats} heartbeats"
    )
    return list(results)


def _is_right(name: str, result: object) -> bool:
    if name in ACCEPTED_BOMBS:
        return isinstance(result, tuple) and len(result[1]) < MEBIBYTE
    return isinstance(result, InvalidParameter)


@pytest.mark.parametrize("name", sorted(BOMBS.keys() - HEAVY_BOMBS))
async def test_twenty_of_each_bomb_at_once(name: str) -> None:
    results = await _send_at_once([name] * 20)
    assert all(_is_right(name, result) for result in results), results


async def test_twenty_of_all_bombs_at_once() -> None:
    names = [*sorted(BOMBS), *sorted(BOMBS.keys() - HEAVY_BOMBS)][:20]
    results = await _send_at_once(names)
    wrong = [(name, result) for name, result in zip(names, results, strict=True) if not _is_right(name, result)]
    assert not wrong
