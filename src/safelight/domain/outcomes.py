"""What a backend can answer. Outcomes are values, matched once; exceptions are for surprises."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

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


class Completed(msgspec.Struct, frozen=True):
    """The job is done, and here is what it made."""

    media: tuple[Produced, ...]


class Accepted(msgspec.Struct, frozen=True):
    """The backend took the job; ``handle`` asks about it from now on."""

    handle: Handle


class Pending(msgspec.Struct, frozen=True):
    """Not done yet. ``progress`` is 0 to 1 where the backend tells it."""

    progress: float | None = None
    poll_after_seconds: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend said, as it said it: the HTTP status, its own code, its id of the request, its words."""

    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    words: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """The job certainly made nothing. ``detail`` is why, in our words, and ``answer`` what the backend said.

    Both are the operator's, and never reach a client.
    """

    reason: FailureClass
    detail: str = ""
    retry_after_seconds: float | None = None
    answer: Answer = Answer()


class Unknown(msgspec.Struct, frozen=True):
    """The backend may or may not have taken the job: its answer was lost."""

    detail: str = ""
    answer: Answer = Answer()


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a run did not go on, for the operator: which backend it was, the outcome, and what was said.

    ``outcome`` is ``declined`` (it took nothing), ``failed`` (it took the job), ``unknown``, ``undelivered`` (what it
    made could not be kept) or ``left`` (a worker could ask none, and left it to others). ``reason`` is a
    ``FailureClass``. Nothing in it is a secret of the connection.
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


SubmitOutcome = Completed | Accepted | Failed | Unknown
PollOutcome = Completed | Pending | Failed | Unknown
