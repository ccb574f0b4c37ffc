"""What the steps of a generation's life need: made once in ``safelight.wiring``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

import msgspec

from safelight.db.pool import Connection, Database
from safelight.domain.catalog import Catalog, Model
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference, ReferenceRole
from safelight.domain.ports import Backends, BlobStore, Moderator
from safelight.domain.signing import LinkSigner
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.changes import Changes
from safelight.lifecycle.links import BackendLinks
from safelight.lifecycle.polls import Polls
from safelight.lifecycle.presence import Presence
from safelight.lifecycle.refusals import Refusals
from safelight.media.provenance import ProvenanceSigner
from safelight.outbound.policy import OutboundPolicy

Enqueue = Callable[[Connection, str, str], Awaitable[None]]
"""Puts the job of a generation (its id, its model's id) on the queue, on the caller's transaction."""


class GatherReferences(Protocol):
    """Turns ``(url, role, param)`` into clean references, in the same order. Raises ``InvalidParameter``."""

    def check(self, images: Sequence[tuple[str, ReferenceRole, str]]) -> None: ...

    async def gather(self, images: Sequence[tuple[str, ReferenceRole, str]]) -> tuple[Reference, ...]: ...


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of a workspace that has none of its own, and how long things may take, in seconds."""

    image_rpm: int
    video_rpm: int
    concurrency: int
    image_deadline_seconds: int
    video_deadline_seconds: int
    lease_seconds: int
    retention_seconds: int
    retention_max_seconds: int
    low_balance_nanos: int | None = None

    def rpm(self, type_: GenerationType) -> int:
        """Generations of this type that a workspace may submit in a minute."""
        return self.image_rpm if type_ is GenerationType.IMAGE else self.video_rpm

    def deadline_seconds(self, model: Model) -> int:
        """How long a generation of this model may take: its own deadline, or that of its type."""
        if model.deadline_seconds is not None:
            return model.deadline_seconds
        return self.image_deadline_seconds if model.type is GenerationType.IMAGE else self.video_deadline_seconds


class RateWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace's rate window for one type: ``reset`` is the Unix second at which it starts anew."""

    limit: int
    used: int
    reset: int


class SubmitServices(msgspec.Struct, frozen=True, kw_only=True):
    """What accepting a request takes."""

    db: Database
    store: BlobStore
    catalog: Catalog
    references: GatherReferences
    moderator: Moderator | None
    enqueue: Enqueue
    presence: Presence
    limits: Limits
    work_dir: Path
    refusals: Refusals
    webhook_policy: OutboundPolicy = OutboundPolicy()


class RunServices(msgspec.Struct, frozen=True, kw_only=True):
    """What running a generation to its end takes.

    ``media_threads`` measure, convert and sign media: no more than there are processors, as more would only wait for
    each other and for the interpreter lock.
    """

    db: Database
    store: BlobStore
    catalog: Catalog
    backends: Backends
    enqueue: Enqueue
    provenance: ProvenanceSigner | None
    tells_prompt: bool
    breakers: Breakers
    polls: Polls
    changes: Changes
    presence: Presence
    limits: Limits
    work_dir: Path
    media_threads: Executor
    links: BackendLinks


class ViewServices(msgspec.Struct, frozen=True, kw_only=True):
    """What telling how a generation stands takes."""

    db: Database
    signer: LinkSigner
    changes: Changes
    limits: Limits
