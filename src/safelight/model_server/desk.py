"""The orders of one server, from their arrival to the file that is fetched. They end with the process."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from safelight.domain.generations import GenerationType
from safelight.domain.pipelines import Pipeline
from safelight.model_server.bodies import Ordered, Refused
from safelight.model_server.work import Fault, Made, NotMade, Runner, Started, Step, Work, server_fault
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

KEEP_SECONDS = 3600.0
"""How long an order that ended, and its file, may be asked for."""
_MOST_ENDED = 2000
_MOST_FILE_BYTES = 8 * 1024**3
_MOST_WAITING_BYTES = 2 * 1024**3
"""Of the pictures that come with orders which have not ended: they are in memory."""
_FIRST_GUESS_SECONDS = 5.0

Status = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


class Job:
    """One order. ``digest`` tells whether another with its id is the same."""

    def __init__(self, pipeline: Pipeline, work: Work, digest: bytes) -> None:
        self.id = work.id
        self.pipeline = pipeline
        self.work = work
        self.digest = digest
        self.status: Status = "queued"
        self.step: Step | None = None
        self.started: Started | None = None
        self.made: Made | None = None
        """What was made, without its bytes: they are in ``file``."""
        self.file: Path | None = None
        self.file_bytes = 0
        self.fault: Fault | None = None
        self.created_at = time.time()
        self.ended_at: float | None = None
        self.ended = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def makes(self) -> GenerationType:
        return self.work.task.makes

    @property
    def progress(self) -> float:
        """0 to 1. The last hundredth is for what comes after the last step."""
        if self.status == "completed":
            return 1.0
        return 0.0 if self.step is None or not self.step.total else 0.99 * self.step.done / self.step.total


class Desk:
    """Takes orders, has them made, and keeps what was made for ``keep_seconds``."""

    def __init__(
        self,
        runner: Runner,
        folder: Path,
        keep_seconds: float = KEEP_SECONDS,
        *,
        most_ended: int = _MOST_ENDED,
        most_file_bytes: int = _MOST_FILE_BYTES,
        most_waiting_bytes: int = _MOST_WAITING_BYTES,
    ) -> None:
        self._runner = runner
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._most_ended = most_ended
        self._most_file_bytes = most_file_bytes
        self._most_waiting_bytes = most_waiting_bytes
        self._jobs: dict[str, Job] = {}
        self._ended: dict[str, Job] = {}
        """Those that ended, the first to end first."""
        self._file_bytes = 0
        self._waiting_bytes = 0
        self._took_seconds: dict[str, float] = {}

    def take(self, pipeline: Pipeline, ordered: Ordered, key: str | None) -> tuple[Job, bool]:
        """The order's job, and whether it is a new one. One whose ``key`` is known is not made again.

        Raises ``Refused`` where too many wait, or where the key is another order's.
        """
        self._drop_old()
        if key is not None and (known := self._jobs.get(key)) is not None:
            if known.digest != ordered.digest:
                text = "this Idempotency-Key was sent with another order"
                raise Refused(Fault(code="idempotency_key_reused", message=text, status=409))
            return known, False
        self._check_room(pipeline, _bytes_of(ordered.work))
        kind = ordered.work.task.makes.value
        work = msgspec.structs.replace(ordered.work, id=key or f"{kind}_{secrets.token_hex(12)}")
        job = Job(pipeline, work, ordered.digest)
        self._jobs[job.id] = job
        self._waiting_bytes += _bytes_of(work)
        job.task = asyncio.create_task(self._see_through(job))
        return job, True

    def find(self, job_id: str, makes: GenerationType) -> Job | None:
        self._drop_old()
        job = self._jobs.get(job_id)
        return job if job is not None and job.makes is makes else None

    def counts(self, pipeline: str) -> tuple[int, int]:
        """How many of its orders wait, and how many are made."""
        statuses = [job.status for job in self._jobs.values() if job.pipeline.name == pipeline]
        return statuses.count("queued"), statuses.count("in_progress")

    def cancel(self, job: Job) -> None:
        """Stop it between steps, or before it begins; one that ended is left as it is."""
        if job.task is not None and not job.ended.is_set():
            self._end(job, "cancelled")
            job.task.cancel()

    def forget(self, job: Job) -> None:
        """The order and its file are gone."""
        self._jobs.pop(job.id, None)
        self._ended.pop(job.id, None)
        self._file_bytes -= job.file_bytes
        if job.file is not None:
            job.file.unlink(missing_ok=True)

    async def close(self) -> None:
        tasks = [job.task for job in self._jobs.values() if job.task is not None and not job.task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_through(self, job: Job) -> None:
        try:
            async with aclosing(self._runner.run(job.pipeline.name, job.work)) as events:
                async for event in events:
                    match event:
                        case Started():
                            job.started, job.status = event, "in_progress"
                        case Step():
                            job.step = event
                        case Made():
                            await self._keep(job, event)
                            return
                        case NotMade(fault):
                            self._end(job, "failed", fault)
                            return
        except asyncio.CancelledError:
            self._end(job, "cancelled")
            raise
        except Exception as error:
            log.error("an order broke", job=job.id, pipeline=job.pipeline.name, **without_message(error))
        self._end(job, "failed", server_fault("server_error", "the server broke at it; its log says where"))

    async def _keep(self, job: Job, made: Made) -> None:
        path = self._folder / secrets.token_hex(16)
        writing = asyncio.ensure_future(asyncio.to_thread(path.write_bytes, made.data))
        try:
            await asyncio.shield(writing)
        except BaseException:
            await asyncio.wait([writing])
            path.unlink(missing_ok=True)
            raise
        job.file, job.made, job.file_bytes = path, msgspec.structs.replace(made, data=b""), len(made.data)
        self._file_bytes += job.file_bytes
        self._took_seconds[job.pipeline.name] = made.compute_seconds
        self._end(job, "completed")

    def _end(self, job: Job, status: Status, fault: Fault | None = None) -> None:
        if not job.ended.is_set():
            job.status, job.fault, job.ended_at = status, fault, time.time()
            self._ended[job.id] = job
            self._waiting_bytes -= _bytes_of(job.work)
            job.work = msgspec.structs.replace(job.work, images=())
            job.ended.set()

    def _check_room(self, pipeline: Pipeline, more_bytes: int) -> None:
        waiting, running = self.counts(pipeline.name)
        text = f"{waiting} orders wait for {pipeline.name}, and no more may"
        if waiting + running < pipeline.max_queued + pipeline.most_replicas:
            if not more_bytes or self._waiting_bytes + more_bytes <= self._most_waiting_bytes:
                return
            text = "the orders that wait have as many bytes of pictures as there may be"
        each = self._took_seconds.get(pipeline.name, _FIRST_GUESS_SECONDS)
        raise Refused(
            Fault(
                code="queue_full",
                message=text,
                type="rate_limit_error",
                status=429,
                retry_after_seconds=min(60, max(1, math.ceil(each))),
            )
        )

    def _drop_old(self) -> None:
        oldest = time.time() - self._keep_seconds
        while self._ended:
            job = next(iter(self._ended.values()))
            is_too_much = len(self._ended) > self._most_ended or self._file_bytes > self._most_file_bytes
            if not is_too_much and (job.ended_at or 0) >= oldest:
                return
            self.forget(job)


def _bytes_of(work: Work) -> int:
    return sum(map(len, work.images))
