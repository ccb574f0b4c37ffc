"""What the operator may know of a generation: where it stands, which backend was asked, and what that said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import NotFound
from safelight.domain.ids import is_generation_id
from safelight.domain.outcomes import Handle, Report


class GenerationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One generation, whosever it is. Reports stand oldest first, and go with the request.

    ``attempts`` counts runners, those that were lost included, ``tries`` orders that came to nothing. ``connection``,
    ``upstream_model`` and ``binding_options`` are those of the backend that was asked last; None before the first, and
    where a release that knew no names asked it. ``handle`` is the job that it gave, ``backend_stage`` and
    ``backend_place`` where that stands there, if it tells. ``cost_nanos`` is what the order that was delivered costs
    us, ``seed`` the one that was used, each where it is known. Amounts are nano-dollars.
    """

    id: str
    workspace: str
    key_name: str | None
    key: str | None
    type: str
    model: str
    state: str
    progress: float | None
    attempts: int
    tries: int
    created_at: datetime
    submitted_at: datetime | None
    lease_until: datetime | None
    wake_at: datetime | None
    cancel_requested_at: datetime | None
    deadline: datetime
    finished_at: datetime | None
    deletes_at: datetime | None
    held_nanos: int
    charged_nanos: int | None
    cost_nanos: int | None
    seed: int | None
    error_code: str | None
    error_message: str | None
    connection: str | None
    upstream_model: str | None
    binding_options: dict[str, Any] | None
    handle: Handle | None
    backend_stage: str | None
    backend_place: int | None
    backend_reports: list[Report]
    is_request_kept: bool


class ConnectionUse(msgspec.Struct, frozen=True, kw_only=True):
    """How many generations under way have asked a connection."""

    connection: str
    generations: int


async def find_record(db: Database, generation_id: str) -> GenerationRecord:
    """The record of any workspace's generation. Raises ``NotFound``."""
    row = await db.one("find_record", {"id": generation_id}, dict) if is_generation_id(generation_id) else None
    if row is None:
        raise NotFound(f"There is no generation {generation_id!r}. Ids look like req-01K..., and answers tell them.")
    return msgspec.convert(row, GenerationRecord)


async def connections_under_way(db: Database) -> list[ConnectionUse]:
    """The connections that generations under way have asked, by name."""
    return await db.all("connections_under_way", {}, ConnectionUse)
