"""Step four: the end of a generation, in one statement and only for the live runner.

State, media, capture of what was delivered, release of the rest and the usage are one commit; who failed a
generation released its hold in the same breath.
"""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec
from psycopg.types.json import Jsonb

from safelight.db.pool import Database
from safelight.domain.errors import SafelightError
from safelight.domain.generations import GenerationType, State
from safelight.domain.media import MediaFacts
from safelight.domain.outcomes import Report
from safelight.domain.pricing import THOUSANDTHS, charge_for
from safelight.lifecycle.bills import Loss
from safelight.lifecycle.claims import Claim
from safelight.node.killpoints import killpoint
from safelight.telemetry import observe


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that lies in the store, durably, with what was measured on it. ``sha256`` is lower-case hex."""

    index: int
    key: str
    size_bytes: int
    sha256: str
    facts: MediaFacts


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """What the statement ``settle`` is given. ``sent_after_seconds``: of an image, how long after it was accepted this
    was to be sent: its client waits from then on, for its turn as well."""

    id: str
    run_token: uuid.UUID
    state: State
    unseen: bool
    sent_after_seconds: float | None
    charged_nanos: int = 0
    charged_thousandths: int = 0
    error_code: str | None = None
    error_message: str | None = None
    report: Jsonb | None = None
    media: Jsonb = Jsonb([])
    frees_key: bool = False
    may_be_made: bool = False
    cost_nanos: int | None = None
    seed: int | None = None
    loss: Jsonb | None = None


class Settled(msgspec.Struct, frozen=True):
    """What the end came to. ``deletes_at``: whether, and when, the files are deleted; ``is_stored`` False: they are
    delivered once. ``unseen``: a repeat joins it."""

    charged_nanos: int
    charged_thousandths: int
    created_at: datetime
    finished_at: datetime
    deletes_at: datetime | None
    is_stored: bool = True
    unseen: bool = False
    notified: str | None = None


class MadeImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was completed just now. ``unseen``: that nobody was answered with it yet is on record."""

    claim: Claim
    files: tuple[StoredFile, ...]
    settled: Settled
    unseen: bool
    seed: int | None = None


async def complete(
    db: Database,
    claim: Claim,
    files: tuple[StoredFile, ...],
    *,
    unseen: bool = False,
    report: Report | None = None,
    cost_nanos: int | None = None,
    seed: int | None = None,
) -> Settled | None:
    """End it as completed and charge for what was delivered. None: this runner is no longer the live one.

    ``report`` is what the backend said, ``cost_nanos`` what it costs us, as far as anybody says.
    """
    charged_nanos, charged_thousandths = charge_for(claim.price, delivered_thousandths(claim, files))
    ending = Ending(
        id=claim.id,
        run_token=claim.run_token,
        state=State.COMPLETED,
        unseen=unseen,
        sent_after_seconds=claim.seconds_since_accepted,
        charged_nanos=charged_nanos,
        charged_thousandths=charged_thousandths,
        media=Jsonb([_row(file) for file in files]),
        report=None if report is None else Jsonb(report),
        cost_nanos=cost_nanos,
        seed=seed,
    )
    return await _end(db, claim, ending)


async def fail(
    db: Database,
    claim: Claim,
    error: SafelightError,
    *,
    state: State = State.FAILED,
    unseen: bool = False,
    report: Report | None = None,
    may_be_made: bool = False,
    loss: Loss | None = None,
) -> Settled | None:
    """End it as failed (or canceled) and release the hold in full. None: no longer the live runner.

    ``report`` is why, for the operator alone; ``loss`` what the backend bills all the same. A failure that is worth
    another try uses up no idempotency key, unless a backend that was asked and gave no certain answer may have made it
    all the same (``may_be_made``).
    """
    ending = Ending(
        id=claim.id,
        run_token=claim.run_token,
        state=state,
        unseen=unseen,
        sent_after_seconds=claim.seconds_since_accepted,
        error_code="canceled" if state is State.CANCELED else error.code,
        error_message=error.message,
        report=None if report is None else Jsonb(report),
        frees_key=error.retryable and state is State.FAILED,
        may_be_made=may_be_made,
        loss=None if loss is None else Jsonb(loss),
    )
    return await _end(db, claim, ending)


def delivered_thousandths(claim: Claim, files: tuple[StoredFile, ...]) -> int:
    """What the files amount to, in thousandths of the billable unit: images, or seconds of video."""
    if claim.type is GenerationType.IMAGE:
        return THOUSANDTHS * len(files)
    return sum(int((file.facts.duration_seconds or 0) * THOUSANDTHS + 1e-6) for file in files)


async def _end(db: Database, claim: Claim, ending: Ending) -> Settled | None:
    killpoint("settle-before-commit")
    with observe.Step("settle", claim.id, claim.type, claim.model):
        async with db.turn(claim.workspace_id):
            settled = await db.one("settle", ending, Settled)
    killpoint("settle-after-commit")
    if settled is not None:
        observe.settled(
            claim.type,
            claim.model,
            ending.state,
            ending.error_code,
            captured_nanos=ending.charged_nanos,
            released_nanos=claim.price.total_nanos - ending.charged_nanos,
        )
    return settled


def _row(file: StoredFile) -> dict[str, object]:
    facts = msgspec.structs.asdict(file.facts)
    return {
        "index": file.index,
        "key": file.key,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        **facts,
    }
