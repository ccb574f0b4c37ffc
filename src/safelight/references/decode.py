"""Decoding what strangers send, in a few fenced processes that can be lost.

The process that serves requests never decodes: it reads fixed offsets (``headers.py``), sends the bytes
over a pipe to a worker (``worker.py``, ``sandbox.py``, ``clean.py``) and takes back a clean file, a
refusal, or its death.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast, get_args

import structlog

import safelight
from safelight.domain.errors import InvalidParameter, ServiceUnavailable
from safelight.domain.media import MimeType
from safelight.references.fenced_process import CLEAN, FRAME, IMAGE, READY, REFUSED
from safelight.references.headers import Refusal, Refused, read_header

log = structlog.get_logger(__name__)

_MAX_ANSWER_BYTES = 40 * 1024 * 1024
_START_SECONDS = 30.0
_BOOT = (
    "import sys; sys.path[:] = sys.argv[4].split('\\n'); from safelight.references.fenced_process import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))"
)
_BUSY = "Images cannot be checked at the moment. Nothing was charged; try again."
_TAKEN = "Send a PNG, JPEG or WebP image."
_MESSAGES: dict[Refusal, str] = {
    "not_an_image": f"The file is not an image. {_TAKEN}",
    "unsupported_type": f"Images of this type are not accepted. {_TAKEN}",
    "too_many_pixels": "The image is over the limit of 25 megapixels, or over 65535 pixels on a side.",
    "too_large_clean": "The image is too large once its pixels are written anew. Send a smaller one.",
    "animated": "Animated images are not accepted. Send a single frame.",
    "broken": "The image is broken or incomplete.",
    "overloaded_decoder": "The image takes too much memory or time to decode. Send a smaller or simpler one.",
}


class _WorkerLost(Exception):
    """The worker ended, or answered what it may not."""


class _Worker:
    """One fenced process and its two pipes. Used by one task at a time."""

    def __init__(self, process: Process, *, calls_fenced: bool) -> None:
        self._process = process
        self.calls_fenced = calls_fenced
        self.tasks_done = 0
        self.idle_timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(cls, memory_bytes: int, task_seconds: float) -> _Worker:
        paths = [str(Path(safelight.__file__).parents[1]), *(path for path in sys.path if path)]
        arguments = [str(os.getpid()), str(memory_bytes), str(task_seconds), "\n".join(paths)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            _BOOT,
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=_environment(),
        )
        worker = cls(process, calls_fenced=False)
        try:
            async with asyncio.timeout(_START_SECONDS):
                kind, payload = await worker._read()
            if kind != READY:
                raise _WorkerLost("said something else than ready")
        except BaseException:
            await worker.kill()
            raise
        worker.calls_fenced = payload == b"1"
        return worker

    async def ask(self, data: bytes) -> tuple[bytes, bytes]:
        """Send an image and read the answer. After an error (``_WorkerLost``) the worker is useless."""
        stdin = self._process.stdin
        if stdin is None:
            raise _WorkerLost("no pipe")
        try:
            stdin.write(FRAME.pack(IMAGE, len(data)))
            stdin.write(data)
            await stdin.drain()
        except OSError as error:
            raise _WorkerLost("does not read") from error
        self.tasks_done += 1
        return await self._read()

    async def _read(self) -> tuple[bytes, bytes]:
        stdout = self._process.stdout
        if stdout is None:
            raise _WorkerLost("no pipe")
        try:
            kind, length = FRAME.unpack(await stdout.readexactly(FRAME.size))
            if length > _MAX_ANSWER_BYTES:
                raise _WorkerLost("answered too much")
            return kind, await stdout.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise _WorkerLost("ended") from error

    async def kill(self) -> int | None:
        """End the process and wait for it. Returns its exit status: negative, the signal."""
        if self.idle_timer is not None:
            self.idle_timer.cancel()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return await self._process.wait()


class FencedDecoder:
    """A pool of at most ``max_workers`` fenced processes, started when first needed and ended when idle.

    Each may use ``memory_bytes`` of address space and ``task_seconds`` of time for an image; one that takes
    more, or crashes, is killed and replaced, and its image refused. At most ``max_waiting_bytes`` of images
    wait for a worker, none longer than ``max_wait_seconds``; beyond that, ``ServiceUnavailable``. Belongs
    to one event loop.
    """

    def __init__(
        self,
        *,
        max_workers: int = 2,
        memory_bytes: int = 1024 * 1024 * 1024,
        task_seconds: float = 10.0,
        idle_seconds: float = 60.0,
        tasks_per_worker: int = 500,
        max_waiting_bytes: int = 256 * 1024 * 1024,
        max_wait_seconds: float = 30.0,
    ) -> None:
        self._memory_bytes = memory_bytes
        self._task_seconds = task_seconds
        self._idle_seconds = idle_seconds
        self._tasks_per_worker = tasks_per_worker
        self._max_waiting_bytes = max_waiting_bytes
        self._max_wait_seconds = max_wait_seconds
        self._slots = asyncio.Semaphore(max_workers)
        self._idle: list[_Worker] = []
        self._waiting_bytes = 0
        self._closing: set[asyncio.Task[int | None]] = set()
        self._closed = False

    async def clean(self, data: bytes, declared: str | None, param: str) -> tuple[MimeType, bytes]:
        """A clean file and its type: upright, sRGB, no metadata, in its format (but see ``clean.py``).

        ``declared`` is the type the sender named, if any. Raises ``InvalidParameter`` naming ``param`` for
        what is refused, and ``ServiceUnavailable`` when too much waits already.
        """
        self.check(data, declared, param)
        try:
            async with self._place(len(data)):
                return _checked(await self._decode(data))
        except Refused as refused:
            raise _told(refused, param) from None

    def check(self, data: bytes, declared: str | None, param: str) -> None:
        """Refuse what shows in the first bytes already. Raises ``InvalidParameter`` naming ``param``."""
        try:
            found = read_header(data).mime_type
        except Refused as refused:
            raise _told(refused, param) from None
        if declared is not None and declared != found:
            raise InvalidParameter(f"The image is declared as {declared} but its content is {found}.", param=param)

    async def close(self) -> None:
        """End every worker. Images that are being decoded are refused."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.kill() for worker in idle), *self._closing)

    @property
    def worker_pids(self) -> list[int]:
        """The processes that wait for work."""
        return [worker.pid for worker in self._idle]

    @contextlib.asynccontextmanager
    async def _place(self, size_bytes: int) -> AsyncIterator[None]:
        if self._closed or self._waiting_bytes + size_bytes > self._max_waiting_bytes:
            raise ServiceUnavailable(_BUSY)
        self._waiting_bytes += size_bytes
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise ServiceUnavailable(_BUSY) from None
        finally:
            self._waiting_bytes -= size_bytes
        try:
            yield
        finally:
            self._slots.release()

    async def _decode(self, data: bytes) -> bytes:
        worker = await self._take()
        try:
            async with asyncio.timeout(self._task_seconds):
                kind, payload = await worker.ask(data)
        except TimeoutError:
            await worker.kill()
            log.warning("reference.decoder_killed", pid=worker.pid, after_seconds=self._task_seconds)
            raise Refused("overloaded_decoder", "time") from None
        except _WorkerLost as lost:
            status = await worker.kill()
            log.warning("reference.decoder_lost", pid=worker.pid, status=status, detail=str(lost))
            raise Refused("overloaded_decoder", "crash") from None
        except BaseException:
            await asyncio.shield(worker.kill())
            raise
        self._give_back(worker)
        if kind == REFUSED:
            reason, _, detail = payload[:400].decode("utf-8", "replace").partition("\n")
            raise Refused(cast(Refusal, reason) if reason in get_args(Refusal) else "broken", " ".join(detail.split()))
        if kind != CLEAN:
            raise Refused("broken", "unknown answer")
        return payload

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.idle_timer is not None:
                worker.idle_timer.cancel()
            if worker.alive:
                return worker
        try:
            worker = await _Worker.start(self._memory_bytes, self._task_seconds + 2)
        except (_WorkerLost, OSError, TimeoutError) as error:
            log.error("reference.decoder_does_not_start", detail=str(error))
            raise ServiceUnavailable(
                "Images cannot be checked at the moment. Nothing was charged; try again."
            ) from error
        log.info("reference.decoder_started", pid=worker.pid, calls_fenced=worker.calls_fenced)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        if self._closed or worker.tasks_done >= self._tasks_per_worker:
            self._retire(worker)
            return
        worker.idle_timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire, worker)
        self._idle.append(worker)

    def _retire(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        task = asyncio.ensure_future(worker.kill())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _environment() -> dict[str, str]:
    """Nothing of our own environment, which may hold secrets, but where libraries are found."""
    ours = {
        "LC_ALL": "C.UTF-8",
        "VIPS_CONCURRENCY": "1",
        "VIPS_BLOCK_UNTRUSTED": "1",
        "MALLOC_ARENA_MAX": "2",
    }
    kept = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    return ours | {name: os.environ[name] for name in kept if name in os.environ}


def _told(refused: Refused, param: str) -> InvalidParameter:
    """What the client is told; the log has the reason."""
    log.info("reference.refused", param=param, reason=refused.reason, detail=refused.detail)
    message = _MESSAGES[refused.reason]
    if refused.reason == "unsupported_type" and refused.detail:
        message = f"{refused.detail} is not accepted. {_TAKEN}"
    return InvalidParameter(message, param=param)


def _checked(payload: bytes) -> tuple[MimeType, bytes]:
    """A worker that was taken over could answer anything, so its answer is read as a stranger's."""
    named, _, cleaned = payload.partition(b"\n")
    header = read_header(cleaned)
    if named.decode("ascii", "replace") != header.mime_type:
        raise Refused("broken", "answer of another type")
    return header.mime_type, cleaned
