"""The built-in renderer as a provider: its work is done in a pool of processes, never on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import multiprocessing
import os
import signal
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
from msgspec import Meta

from safelight.domain.connections import ConnectionSettings
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Answer, Completed, Failed, FailureClass, LocalFile, SubmitOutcome
from safelight.domain.ports import Host, Job, ProviderKind
from safelight.domain.request import Order
from safelight.providers.builtin.spec import ImageSpec, ReferenceImage, VideoSpec

log = structlog.get_logger()

_IDLE_SECONDS = 60.0
_PROGRESS_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``seed``: the one that is used where a request names none; without it each has its own."""

    seed: int | None = None


class Settings(ConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told. ``processes``: as ``SAFELIGHT_RENDER_PROCESSES``, for this connection alone."""

    processes: Annotated[int, Meta(ge=1, le=64)] | None = None


class BuiltinProvider:
    """Renders in at most ``processes`` processes, started when first needed and ended when long idle."""

    repeatable = True
    is_algorithmic = True

    def __init__(self, processes: int) -> None:
        self.slots = processes
        self._pool: ProcessPoolExecutor | None = None
        self._busy = 0
        self._idle_timer: asyncio.TimerHandle | None = None

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        """Render the order into the work folder."""
        path = job.workdir / "rendered"
        seed = _seed_of(order, job.options)
        try:
            with self._in_use():
                await self._render(order, job, seed, path)
        except BrokenProcessPool:
            self._drop_pool()
            return Failed(FailureClass.TRANSIENT, "a renderer process died")
        except ValueError as error:
            return Failed(FailureClass.BAD_INPUT, str(error))
        return Completed((LocalFile(path),), Answer(seed=seed))

    async def close(self) -> None:
        self._drop_pool()

    async def _render(self, order: Order, job: Job[Options], seed: int, path: Path) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.slots,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_prepare_process,
                initargs=(os.getpid(),),
            )
        progress_path = job.workdir / "progress"
        rendering = loop.run_in_executor(self._pool, _render, order, seed, path, progress_path)
        async with contextlib.AsyncExitStack() as stack:
            if order.type is GenerationType.VIDEO:
                watch = asyncio.create_task(_watch(progress_path, job.progress))
                stack.callback(watch.cancel)
            try:
                await rendering
            except asyncio.CancelledError:
                if not rendering.cancel():
                    self._drop_pool(kill=True)  # a process that renders cannot be asked to stop
                raise

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle_timer = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._drop_pool)

    def _drop_pool(self, *, kill: bool = False) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        if kill:
            for process in processes:
                process.kill()


def _open(settings: Settings, host: Host) -> BuiltinProvider:
    return BuiltinProvider(settings.processes or host.render_processes)


KIND = ProviderKind(
    settings=Settings,
    options=Options,
    open=_open,
    needs=("skia", "builtin"),
    is_local=True,
    ignores=("negative_prompt",),
)


async def _watch(path: Path, report: Callable[[float], None]) -> None:
    """Report the fraction that the rendering process writes into a small file."""
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        with contextlib.suppress(OSError, struct.error):
            report(struct.unpack("<d", await asyncio.to_thread(path.read_bytes))[0])


def _prepare_process(parent: int) -> None:
    """A pool process ends with its parent, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _seed_of(order: Order, options: Options) -> int:
    """The seed to draw by. Where nobody named one it comes of the order's id: several orders of one prompt are several
    pictures, and an order that is run again is the same one."""
    if order.spec.seed is not None:
        return order.spec.seed
    if options.seed is not None:
        return options.seed
    return int.from_bytes(hashlib.blake2b(order.id.encode(), digest_size=4).digest(), "big")


def _render(order: Order, seed: int, path: Path, progress_path: Path) -> None:
    """Runs in a pool process."""
    # The renderer and its libraries are an optional extra, and are loaded by the process that needs them.
    from safelight.providers.builtin.render import render_image, render_video

    asked = order.spec
    references = tuple(ReferenceImage(item.role, item.data) for item in order.references)
    if order.type is GenerationType.IMAGE:
        spec = ImageSpec(prompt=asked.prompt, seed=seed, width=asked.width, height=asked.height, references=references)
        render_image(spec, path, asked.output_format or "jpeg")
        return
    clip = VideoSpec(
        prompt=asked.prompt,
        seed=seed,
        width=asked.width,
        height=asked.height,
        duration_seconds=asked.duration_seconds or 1,
        sound=bool(asked.sound),
        references=references,
    )
    render_video(clip, path, lambda fraction: _write_progress(progress_path, fraction))


def _write_progress(path: Path, fraction: float) -> None:
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("<d", fraction))
