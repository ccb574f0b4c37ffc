"""A loaded pipeline that makes one order at a time, in a thread of its own, and tells how far it is."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from safelight.domain.pipelines import Pipeline, Task
from safelight.model_server.drawing import CannotMake, Stopped, make
from safelight.model_server.loading import CannotLoad, Loaded
from safelight.model_server.work import Event, Facts, Fault, Made, NotMade, Started, Step, Work, server_fault

log = structlog.get_logger()

_STOPPED = NotMade(Fault(code="cancelled", message="it was stopped", status=409))


_TOLD_EVERY_SECONDS = 0.2
"""Each event on its way to the ingress costs the pipeline milliseconds: a step of a small one takes no longer."""


def _now_and_then(tell: Callable[[Event], None]) -> Callable[[Step], None]:
    """Tells the first step, and then no more than five a second."""
    told_at = -_TOLD_EVERY_SECONDS

    def on_step(step: Step) -> None:
        nonlocal told_at
        if (now := time.monotonic()) - told_at >= _TOLD_EVERY_SECONDS:
            told_at = now
            tell(step)

    return on_step


class PipelineReplica:
    """Loads as it is made, and warms up. Raises ``CannotLoad``."""

    def __init__(self, pipeline: Pipeline, catalog_dir: str) -> None:
        self._pipeline = pipeline
        self._loaded = Loaded(pipeline, Path(catalog_dir))
        # Pipelines keep what belongs to one call in themselves.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pipeline")
        self._warm_up()

    def facts(self) -> Facts:
        return self._loaded.facts

    async def run(self, work: Work) -> AsyncGenerator[Event]:
        """Make it. If this is closed early, it is stopped at the next step, and the replica is free after that."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event] = asyncio.Queue()
        stop = threading.Event()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        done = loop.run_in_executor(self._thread, self._make, work, tell, stop.is_set)
        try:
            while True:
                event = await events.get()
                yield event
                if isinstance(event, Made | NotMade):
                    return
        finally:
            stop.set()
            # Whoever comes next is to find it free.
            await asyncio.shield(done)

    def _make(self, work: Work, tell: Callable[[Event], None], is_stopped: Callable[[], bool]) -> None:
        tell(Started(node=socket.gethostname(), pid=os.getpid()))
        try:
            tell(make(self._loaded, work, _now_and_then(tell), is_stopped))
        except Stopped:
            tell(_STOPPED)
        except CannotMake as failure:
            if failure.fault.type == "server_error":
                log.error("an order came to nothing", pipeline=self._pipeline.name, reason=failure.fault.message)
            tell(NotMade(failure.fault))
        except Exception as error:
            # A fault of the pipeline's code: its text may quote the prompt, and where it broke does not.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            log.error("a pipeline broke", pipeline=self._pipeline.name, where=where)
            tell(NotMade(server_fault("server_error", f"the pipeline broke: {where}")))

    def _warm_up(self) -> None:
        wanted = self._pipeline.warm_up
        tasks = [task for task in self._pipeline.tasks if not task.takes_image]
        if wanted is None or not tasks:
            return
        width, height = wanted.pixels
        task: Task = tasks[0]
        work = Work(
            id="warm-up", task=task, prompt="a hill", seed=0, steps=1, width=width, height=height, frames=wanted.frames
        )
        try:
            make(self._loaded, work, lambda step: None, lambda: False)
        except CannotMake as failure:
            raise CannotLoad(f"warm_up of {self._pipeline.name}: {failure.fault.message}") from None
