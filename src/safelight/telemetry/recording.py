"""A process puts on record, once a second, what it counts of itself."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client.samples import Sample as Told

from safelight.telemetry import metrics, observe
from safelight.telemetry.exceptions import without_message
from safelight.telemetry.snapshots import Sample, Writer

log = structlog.get_logger()

EVERY_SECONDS = 1.0
"""A process that is killed loses what it counted since it last wrote."""

Process = Literal["api", "worker"]


@asynccontextmanager
async def recording(folder: Path | None, process: Process) -> AsyncIterator[None]:
    """While inside, what this process counts is put into a file in ``folder``; None: nobody asks for it.

    Once in the life of a process, as its counts begin with it.
    """
    if folder is None:
        yield
        return
    writer = _Recorder(folder, process)
    task = asyncio.create_task(writer.record_forever(), name="recording of metrics")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(writer.end)


def record_once(folder: Path | None) -> None:
    """Put on record what a process counted that is about to end, such as a command. Nothing hangs on it."""
    if folder is not None:
        _Recorder(folder, None).end()


class _Recorder:
    def __init__(self, folder: Path, process: Process | None) -> None:
        self._process = process
        self._writer = Writer(folder)
        self._is_failing = False
        self._writing = threading.Lock()
        self._has_ended = False

    async def record_forever(self) -> None:
        assert self._process is not None
        while True:
            try:
                samples = await _samples()
            except Exception as error:
                self._failed(error)
            else:
                await asyncio.to_thread(self._write, samples)
            due_at = time.monotonic() + EVERY_SECONDS
            await asyncio.sleep(EVERY_SECONDS)
            observe.loop_lag(self._process, time.monotonic() - due_at)

    def end(self) -> None:
        """The last word, and the end of the file's lock."""
        samples = [each for family in metrics.REGISTRY.collect() for each in _known(family.samples)]
        self._write(samples, is_last=True)

    def _write(self, samples: list[Sample], *, is_last: bool = False) -> None:
        with self._writing:  # a write that was given up goes on in its thread
            if self._has_ended:
                return
            self._has_ended = is_last
            try:
                self._writer.open()
                self._writer.write(samples)
            except OSError as error:  # it is tried again in a second, with all of it
                self._failed(error)
            else:
                self._is_failing = False
            if is_last:
                self._writer.close()

    def _failed(self, error: Exception) -> None:
        if not self._is_failing:
            log.warning("metrics are not recorded", **without_message(error))
        self._is_failing = True


async def _samples() -> list[Sample]:
    """The values of this process, a metric at a time: requests go on meanwhile."""
    found: list[Sample] = []
    for family in metrics.REGISTRY.collect():
        found += _known(family.samples)
        await asyncio.sleep(0)
    return found


def _known(samples: Iterable[Told]) -> list[Sample]:
    """Those that are numbers: what a process does not know is none."""
    return [(each.name, tuple(each.labels.items()), each.value) for each in samples if not math.isnan(each.value)]
