"""What a backend can answer. Outcomes are values, matched once; exceptions are for surprises."""

from __future__ import annotations

from datetime import datetime
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal

import msgspec

Handle = dict[str, Any]
"""A backend's job handle: opaque JSON that means the same job after a restart."""


class FailureClass(Enum):
    """Why a backend failed, as far as what to do next depends on it."""

    CONTENT_POLICY = "content_policy"
    RATE_LIMITED = "rate_limited"
    QUOTA = "quota"
    AUTH = "auth"
    BAD_INPUT = "bad_input"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    CANCELED = "canceled"


class LocalFile(msgspec.Struct, frozen=True):
    """Media that the backend left as a file in the run's own work folder."""

    path: Path


class InlineBytes(msgspec.Struct, frozen=True):
    """Media that came in the answer itself."""

    data: bytes


class RemoteFile(msgspec.Struct, frozen=True):
    """Media to be fetched. ``headers`` go to that address only, and to no host it redirects to.

    ``allow`` opens hosts that are not public for this fetch, in the form of ``SAFELIGHT_REFERENCES_ALLOW``.
    """

    url: str
    headers: dict[str, str] = {}
    allow: tuple[str, ...] = ()


Produced = LocalFile | InlineBytes | RemoteFile


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a backend says that a job used. ``raw`` is as it said it; the rest is the same in our terms, if it says so.

    ``compute_seconds`` are those that the backend counted, of whatever machine it counts.
    """

    raw: dict[str, Any] = {}
    images: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    compute_seconds: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend said beside the outcome, as it said it: HTTP status, its own code, its id of the request, words.

    ``cost_nanos``: what it says that it charges, in nano-dollars. ``is_billed``: whether it charges for a failure, if
    it says so. ``seed``: the one that was used. ``revised_prompt``: the prompt that was used in place of ours.
    """

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    words: str | None = None
    usage: Usage | None = None
    cost_nanos: int | None = None
    is_billed: bool | None = None
    seed: int | None = None
    revised_prompt: str | None = None


NOTHING_SAID = Answer()


class Completed(msgspec.Struct, frozen=True):
    """The job is done, and here is what it made."""

    media: tuple[Produced, ...]
    answer: Answer = NOTHING_SAID


class Accepted(msgspec.Struct, frozen=True):
    """The backend took the job; ``handle`` asks about it from now on."""

    handle: Handle
    answer: Answer = NOTHING_SAID


class Stage(StrEnum):
    """Where a job stands at its backend."""

    QUEUED = "queued"
    RUNNING = "running"


class Pending(msgspec.Struct, frozen=True):
    """Not done yet. ``progress`` is 0 to 1, ``place`` the job's in the backend's queue, from 1, where it tells them."""

    progress: float | None = None
    poll_after_seconds: float | None = None
    stage: Stage | None = None
    place: int | None = None
    answer: Answer = NOTHING_SAID


class Failed(msgspec.Struct, frozen=True):
    """The job certainly made nothing. ``detail`` is why, in our words, and ``answer`` what the backend said.

    Both are the operator's, and never reach a client.
    """

    reason: FailureClass
    detail: str = ""
    retry_after_seconds: float | None = None
    answer: Answer = NOTHING_SAID


class Unknown(msgspec.Struct, frozen=True):
    """The backend may or may not have taken the job: its answer was lost."""

    detail: str = ""
    answer: Answer = NOTHING_SAID


class Cancellation(StrEnum):
    """What a backend answers to a wish to cancel.

    ``FREE``: it stopped, made nothing and charges nothing. ``BILLED``: likewise, but it charges. ``ASKED``: it may
    stop, and asking about the job tells. ``TOO_LATE``: it does not stop, or is done.
    """

    FREE = "free"
    BILLED = "billed"
    ASKED = "asked"
    TOO_LATE = "too_late"


class Found(msgspec.Struct, frozen=True):
    """The backend has a job by our id of it: how it stands."""

    outcome: Completed | Accepted | Failed


class NeverTaken(msgspec.Struct, frozen=True):
    """The backend certainly never took the job."""


class CannotTell(msgspec.Struct, frozen=True):
    """The backend cannot say now whether it has the job."""

    detail: str = ""
    answer: Answer = NOTHING_SAID


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at a live backend found. ``subject`` is what was looked at, ``remedy`` what to do about it."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    text: str
    remedy: str = ""

    @classmethod
    def ok(cls, subject: str, text: str) -> Finding:
        return cls(level="ok", subject=subject, text=text)

    @classmethod
    def warning(cls, subject: str, text: str, remedy: str) -> Finding:
        return cls(level="warning", subject=subject, text=text, remedy=remedy)

    @classmethod
    def problem(cls, subject: str, text: str, remedy: str) -> Finding:
        return cls(level="problem", subject=subject, text=text, remedy=remedy)


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of an order, for the operator: which backend it was, the outcome, and what was said.

    ``outcome`` is ``completed``, ``declined`` (it took nothing), ``failed`` (it took the job), ``canceled``,
    ``unknown``, ``undelivered`` (what it made could not be kept) or ``left`` (a worker could ask none, and left it to
    others). ``reason`` is a ``FailureClass``, ``cost`` is US dollars. Nothing in it is a secret of the connection.
    """

    at: datetime
    connection: str | None
    upstream_model: str | None
    outcome: str
    reason: str | None = None
    detail: str | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    words: str | None = None
    usage: Usage | None = None
    cost: str | None = None
    is_billed: bool | None = None
    seed: int | None = None
    revised_prompt: str | None = None


SubmitOutcome = Completed | Accepted | Failed | Unknown
PollOutcome = Completed | Pending | Failed | Unknown
FindOutcome = Found | NeverTaken | CannotTell
