"""A backend that misbehaves on demand: for rehearsing failures before a real backend shows them.

It is what an outside backend would be: it remembers the jobs it took in a folder of its own, on disk before it answers,
and a worker's end changes nothing of them. Binding options say how it behaves; ``Options`` lists them, ``Behaviour``
what there is. ``chaos`` can be asked for a job by our id and to stop one; ``chaos-blind`` can do neither.
"""

from __future__ import annotations

import asyncio
import functools
import io
import os
import random
import signal
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import av
import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from safelight.domain.connections import ConnectionSettings, Secret
from safelight.domain.generations import GenerationType
from safelight.domain.money import parse_usd
from safelight.domain.outcomes import (
    NOTHING_SAID,
    Accepted,
    Answer,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    FindOutcome,
    Found,
    Handle,
    InlineBytes,
    NeverTaken,
    Pending,
    PollOutcome,
    Produced,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Asked, Host, Job, Provider, ProviderKind
from safelight.domain.request import Order
from safelight.node.killpoints import killpoint
from safelight.providers._bad_downloads import HTML, DownloadServer

CANARY = "canary-7f3a-provider-secret"
"""The key that raw error texts quote, unless the connection has one of its own. It must turn up nowhere."""

_SIDE = 64
_FPS = 8


class Behaviour(StrEnum):
    """What may happen to an order."""

    # It goes well.
    OK = "ok"  # the media comes in the answer
    JOB = "job"  # a job is taken, polled, and done after ``job_seconds``
    SHORT_CLIP = "short_clip"  # a second less than ordered
    LATE_CALLBACK = "late_callback"  # done, and it goes on telling of progress
    # The job was taken, and the answer is late or lost.
    ACCEPT_THEN_HANG = "accept_then_hang"  # no answer for ``answer_seconds``; then the caller gives up
    LOST_ANSWER = "lost_answer"  # the connection broke after the order had been sent
    # What comes is not what was ordered.
    TRUNCATED = "truncated"
    TRUNCATED_DOWNLOAD = "truncated_download"  # breaks off ``times`` times; the rest can be asked for
    UNAVAILABLE_DOWNLOAD = "unavailable_download"  # 503, ``times`` times
    EXPIRED_DOWNLOAD = "expired_download"  # ``times`` addresses are good no more; asked again, it has another
    HTML = "html"
    HTML_DOWNLOAD = "html_download"
    WRONG_TYPE = "wrong_type"  # a picture for a clip, a clip for a picture
    EMPTY = "empty"  # a file of 0 bytes
    ENDLESS = "endless"  # a download without an end
    REDIRECT_PRIVATE = "redirect_private"  # a download that points into a private network
    # It declines.
    DEAD = "dead"  # nobody is there: no order ever arrives
    RATE_LIMITED = "rate_limited"  # 429, ``times`` times
    UNAVAILABLE = "unavailable"  # 503, ``times`` times
    REFUSED = "refused"  # by its content policy, and it says so
    REFUSED_EMPTY = "refused_empty"  # the same, told as a success without media
    REFUSED_BLACK = "refused_black"  # the same, told as a black picture or clip
    RAW_ERROR = "raw_error"  # with a text that quotes a secret
    FAILS_LATER = "fails_later"  # jobs that were taken, and fail; ``times`` of them, as ``fails_as``
    # It breaks the process that asks.
    CRASH = "crash"
    POISON = "poison"


_TAKES_NOTHING = {
    Behaviour.DEAD,
    Behaviour.RATE_LIMITED,
    Behaviour.UNAVAILABLE,
    Behaviour.REFUSED,
    Behaviour.RAW_ERROR,
    Behaviour.CRASH,
    Behaviour.POISON,
}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``rates`` gives each behaviour a share of the orders (0 to 1), drawn by ``seed`` and id.

    ``times``: how often it declines, its jobs fail (``fails_as``) or a download fails, before it behaves, -1 for ever.
    ``finds``: what it answers when asked for a job of ours; ``later`` cannot tell at first. ``polled``: answer with a
    job whatever the behaviour. ``poll_seconds``: when it wants to be asked again. ``cancels``: whether it stops a job
    when asked. ``loses_answer``: whatever the behaviour, it is not heard of. ``cost``: US dollars that it says it
    charges for a job that it made; with ``bills_failures`` also for one that failed, or was stopped when asked.
    """

    behaviour: Behaviour = Behaviour.OK
    seed: int = 0
    rates: dict[Behaviour, float] = {}
    times: int = 2
    retry_after_seconds: float | None = 0.2
    job_seconds: float = 0.5
    answer_seconds: float = 1.0
    finds: Literal["yes", "no", "later"] = "yes"
    polled: bool = False
    poll_seconds: float = 0.2
    cancels: bool = False
    loses_answer: bool = False
    fails_as: FailureClass = FailureClass.TRANSIENT
    cost: Annotated[str, Meta(pattern=r"^(0|[1-9]\d{0,5})(\.\d{1,9})?$")] | None = None
    bills_failures: bool = False


class Settings(ConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told. ``memory`` is a folder below ``chaos/`` in the data folder: connections that share
    one are one backend. ``poll_batch``: about how many jobs it answers in one request."""

    key: Secret | None = None
    memory: Annotated[str, Meta(pattern="^[a-z0-9-]*$")] = ""
    poll_batch: Annotated[int, Meta(ge=1)] = 1


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was taken. ``number`` counts those of a generation from 1; ``attempt_id`` is ours of the order."""

    generation_id: str
    type: GenerationType
    seconds: int
    behaviour: Behaviour
    job_seconds: float
    finds: str
    cancels: bool
    taken_at: float
    poll_seconds: float = 0.2
    attempt_id: str = ""
    number: int = 1
    retry_after_seconds: float | None = None
    fails_as: FailureClass = FailureClass.TRANSIENT
    times: int = 2
    cost: str | None = None
    bills_failures: bool = False

    def bill(self, said: Answer = NOTHING_SAID, *, has_failed: bool = False) -> Answer:
        """What it says, with what it charges."""
        if has_failed and not self.bills_failures:
            return said
        cost_nanos = None if self.cost is None else parse_usd(self.cost)
        return msgspec.structs.replace(said, cost_nanos=cost_nanos, is_billed=True if has_failed else None)


class Memory:
    """What the backend remembers, on disk before it answers: which orders it was given, and which jobs it took.

    A folder for each generation id. ``calls`` and ``asked`` have a line for each time. A job is one file (``job-1``),
    and so is how it ended (``end-1``): there whole, or not at all. Whoever is killed meanwhile leaves no half of one,
    and of two ends that come at once one is first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def calls(self, generation_id: str) -> int:
        """How often it was given this order."""
        return self._count(generation_id, "calls")

    def taken(self, generation_id: str) -> int:
        """How often it took this order, and would have billed it."""
        return len(list((self._folder / generation_id).glob("job-*")))

    def asked(self, generation_id: str) -> int:
        """How often it was asked for a job of this order."""
        return self._count(generation_id, "asked")

    def note(self, generation_id: str, what: Literal["calls", "asked"]) -> None:
        folder = self._folder / generation_id
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / what).open("ab", buffering=0) as file:
            file.write(f"{time.time():.3f} {os.getpid()}\n".encode())
            os.fsync(file.fileno())

    def take(self, job: _Job) -> _Job:
        """Take a job; it, with its number."""
        number = self.taken(job.generation_id)
        while True:
            number += 1
            numbered = msgspec.structs.replace(job, number=number)
            if self._put(job.generation_id, f"job-{number}", msgspec.json.encode(numbered)):
                return numbered

    def job(self, generation_id: str, number: int | None = None) -> _Job | None:
        """A job of a generation by its number, or the newest."""
        number = number or self.taken(generation_id)
        try:
            return msgspec.json.decode((self._folder / generation_id / f"job-{number}").read_bytes(), type=_Job)
        except FileNotFoundError:
            return None

    def find(self, attempt_id: str) -> _Job | None:
        """The job that it took of an order, by our id of it."""
        generation_id = generation_of(attempt_id)
        jobs = (self.job(generation_id, number) for number in range(self.taken(generation_id), 0, -1))
        return next((job for job in jobs if job is not None and job.attempt_id == attempt_id), None)

    def end(self, job: _Job, how: Literal["over", "canceled"]) -> str:
        """End a job; how it has ended, now or before."""
        self._put(job.generation_id, f"end-{job.number}", how.encode())
        return (self._folder / job.generation_id / f"end-{job.number}").read_text()

    def is_ended(self, job: _Job) -> bool:
        return (self._folder / job.generation_id / f"end-{job.number}").exists()

    def _put(self, generation_id: str, name: str, data: bytes) -> bool:
        """Write a file that is there whole and on disk, or not at all. False: it is there already."""
        folder = self._folder / generation_id
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"new-{os.getpid()}-{threading.get_ident()}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            killpoint("chaos-before-record")
            os.link(temporary, folder / name)
            killpoint("chaos-after-record")
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def _count(self, generation_id: str, what: str) -> int:
        try:
            return (self._folder / generation_id / what).read_bytes().count(b"\n")
        except FileNotFoundError:
            return 0


def generation_of(attempt_id: str) -> str:
    """The generation of an order, by our id of that."""
    return attempt_id.partition(".")[0]


class BlindChaosProvider:
    """Takes jobs and can be asked about one only by the handle that it gave."""

    is_sizeless = True

    def __init__(self, folder: Path, key: str = CANARY, poll_batch: int = 1) -> None:
        self.secrets = (key,)
        self.poll_batch = poll_batch
        self._memory = Memory(folder)
        self._downloads = DownloadServer()
        self._nagging: set[asyncio.Task[None]] = set()

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        options = job.options
        behaviour = _drawn(order, options)
        await asyncio.to_thread(self._memory.note, order.id, "calls")
        if behaviour in _TAKES_NOTHING and (declined := self._decline(behaviour, order, options)):
            return declined
        taken = _Job(
            generation_id=order.id,
            type=order.type,
            seconds=order.spec.duration_seconds or 1,
            behaviour=self._behaviour_of_job(behaviour, order, options),
            job_seconds=options.job_seconds,
            finds=options.finds,
            poll_seconds=options.poll_seconds,
            cancels=options.cancels,
            taken_at=time.time(),
            attempt_id=job.id,
            retry_after_seconds=options.retry_after_seconds,
            fails_as=options.fails_as,
            times=options.times,
            cost=options.cost,
            bills_failures=options.bills_failures,
        )
        taken = await asyncio.to_thread(self._memory.take, taken)
        if options.loses_answer:
            return Unknown("the connection broke")
        match behaviour:
            case Behaviour.ACCEPT_THEN_HANG:
                await asyncio.sleep(options.answer_seconds)
                return Unknown("no answer in time")
            case Behaviour.LOST_ANSWER:
                return Unknown("the connection broke")
            case Behaviour.JOB | Behaviour.FAILS_LATER:
                return Accepted(_handle(taken))
            case Behaviour.LATE_CALLBACK:
                self._nag(job)
        return Accepted(_handle(taken)) if options.polled else await self._result(taken)

    async def poll(self, handle: Handle, job: Job[Options]) -> PollOutcome:
        taken = await asyncio.to_thread(self._memory.job, handle["id"], handle.get("job"))
        if taken is None:
            return Failed(FailureClass.PERMANENT, "there is no such job")
        elapsed = time.time() - taken.taken_at
        if elapsed < taken.job_seconds and not self._memory.is_ended(taken):
            return Pending(elapsed / taken.job_seconds, min(taken.poll_seconds, taken.job_seconds - elapsed + 0.01))
        if await asyncio.to_thread(self._memory.end, taken, "over") == "canceled":
            return Failed(FailureClass.CANCELED, "it was canceled", answer=taken.bill(has_failed=True))
        if taken.behaviour is Behaviour.FAILS_LATER:
            answer = Answer(code="worker_lost", words=f"worker lost, key {self.secrets[0]}")
            return Failed(taken.fails_as, "", taken.retry_after_seconds, taken.bill(answer, has_failed=True))
        return await self._result(taken)

    async def poll_many(self, asked: Sequence[Asked]) -> list[PollOutcome]:
        return [await self.poll(each.handle, each.job) for each in asked]

    async def close(self) -> None:
        for task in self._nagging:
            task.cancel()
        await self._downloads.close()

    def _behaviour_of_job(self, behaviour: Behaviour, order: Order, options: Options) -> Behaviour:
        if behaviour is Behaviour.FAILS_LATER and 0 <= options.times <= self._memory.taken(order.id):
            return Behaviour.JOB
        return Behaviour.OK if behaviour in _TAKES_NOTHING else behaviour

    def _decline(self, behaviour: Behaviour, order: Order, options: Options) -> Failed | None:
        """The refusal; None once it has declined often enough."""
        words = f"from upstream: key {self.secrets[0]} is not valid"
        match behaviour:
            case Behaviour.DEAD:
                return Failed(FailureClass.TRANSIENT, "unreachable: the connection is refused")
            case Behaviour.POISON:
                os.kill(os.getpid(), signal.SIGKILL)
            case Behaviour.CRASH:
                raise RuntimeError(words)
            case Behaviour.REFUSED:
                return Failed(FailureClass.CONTENT_POLICY, answer=_answer(order, 422, "content_policy", words))
            case Behaviour.RAW_ERROR:
                return Failed(FailureClass.AUTH, answer=_answer(order, 401, "invalid_key", words))
        if 0 <= options.times < self._memory.calls(order.id):
            return None
        is_limited = behaviour is Behaviour.RATE_LIMITED
        reason = FailureClass.RATE_LIMITED if is_limited else FailureClass.TRANSIENT
        answer = _answer(order, 429 if is_limited else 503, "slow_down" if is_limited else "unavailable", words)
        return Failed(reason, "", options.retry_after_seconds, answer)

    async def _result(self, job: _Job) -> Completed:
        is_video = job.type is GenerationType.VIDEO
        file = await asyncio.to_thread(_media, job.type, job.seconds)
        produced: Produced = InlineBytes(file)
        match job.behaviour:
            case Behaviour.SHORT_CLIP if is_video:
                produced = InlineBytes(await asyncio.to_thread(_media, job.type, max(1, job.seconds - 1)))
            case Behaviour.TRUNCATED:
                produced = InlineBytes(file[: len(file) // 2])
            case Behaviour.HTML:
                produced = InlineBytes(HTML)
            case Behaviour.WRONG_TYPE:
                other = GenerationType.IMAGE if is_video else GenerationType.VIDEO
                produced = InlineBytes(await asyncio.to_thread(_media, other, 1))
            case Behaviour.EMPTY:
                produced = InlineBytes(b"")
            case Behaviour.REFUSED_EMPTY:
                return Completed((), job.bill())
            case Behaviour.REFUSED_BLACK:
                produced = InlineBytes(await asyncio.to_thread(_media, job.type, job.seconds, black=True))
            case (
                Behaviour.TRUNCATED_DOWNLOAD
                | Behaviour.UNAVAILABLE_DOWNLOAD
                | Behaviour.EXPIRED_DOWNLOAD
                | Behaviour.HTML_DOWNLOAD
                | Behaviour.ENDLESS
                | Behaviour.REDIRECT_PRIVATE
            ):
                produced = await self._downloads.file(job.generation_id, job.behaviour, job.times, file)
        return Completed((produced,), job.bill())

    def _nag(self, job: Job[Options]) -> None:
        """Go on telling of progress, whatever has become of the job."""

        async def tell() -> None:
            for count in range(100):
                job.progress((count % 10) / 10)
                await asyncio.sleep(0.05)

        task = asyncio.create_task(tell())
        self._nagging.add(task)
        task.add_done_callback(self._nagging.discard)


class ChaosProvider(BlindChaosProvider):
    """The same, and it finds a job by our own id, and stops one, as the job's options say."""

    async def find(self, job: Job[Options]) -> FindOutcome:
        generation_id = generation_of(job.id)
        await asyncio.to_thread(self._memory.note, generation_id, "asked")
        taken = await asyncio.to_thread(self._memory.find, job.id)
        if taken is None:
            return NeverTaken()
        if taken.finds == "no" or (taken.finds == "later" and self._memory.asked(generation_id) < 3):
            return CannotTell("it cannot tell now")
        return Found(Accepted(_handle(taken)))

    async def cancel(self, handle: Handle, job: Job[Options]) -> Cancellation:
        taken = await asyncio.to_thread(self._memory.job, handle["id"], handle.get("job"))
        if taken is None or not taken.cancels or time.time() - taken.taken_at > taken.job_seconds:
            return Cancellation.TOO_LATE
        if await asyncio.to_thread(self._memory.end, taken, "canceled") != "canceled":
            return Cancellation.TOO_LATE
        return Cancellation.BILLED if taken.bills_failures else Cancellation.FREE


def _handle(job: _Job) -> Handle:
    return {"id": job.generation_id, "job": job.number}


def open_with(make: Callable[[Path, str, int], Provider], settings: Settings, host: Host) -> Provider:
    """A backend of this family, with its memory in the data folder."""
    key = CANARY if settings.key is None else host.read_secret(settings.key)
    return make(host.data_dir.absolute() / "chaos" / settings.memory, key, settings.poll_batch)


KIND = ProviderKind(
    settings=Settings, options=Options, open=lambda settings, host: open_with(ChaosProvider, settings, host)
)


def _answer(order: Order, status: int, code: str, words: str) -> Answer:
    return Answer(status=status, code=code, request_id=f"chaos-{order.id}", words=words)


def _drawn(order: Order, options: Options) -> Behaviour:
    """The behaviour for an order: the same each time it is asked."""
    share = random.Random(f"{options.seed}/{order.id}").random()  # noqa: S311  (not a secret)
    for behaviour, rate in options.rates.items():
        if share < rate:
            return behaviour
        share -= rate
    return options.behaviour


@functools.lru_cache(maxsize=64)
def _media(type_: GenerationType, seconds: int, *, black: bool = False) -> bytes:
    """A small picture, or a clip without sound, of a slope from dark to light; or of nothing."""
    slope = np.zeros((_SIDE, _SIDE), np.uint8) if black else np.tile(np.arange(0, 256, 4, dtype=np.uint8), (_SIDE, 1))
    return _png(slope) if type_ is GenerationType.IMAGE else _mp4(slope, seconds)


def _png(levels: NDArray[np.uint8]) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _mp4(levels: NDArray[np.uint8], seconds: int) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for position in range(_FPS * seconds):
            frame = av.VideoFrame.from_ndarray(np.dstack([np.roll(levels, position, 1)] * 3), format="rgb24")
            frame.pts = position
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()
