"""What was charged beside what it cost, and what was paid for and charged to nobody."""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from safelight.db.pool import Database, every
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import OperatorScope, Scope

MOST_LOSSES = 1000


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection made of one model, and what was lost on it, on one UTC date.

    ``completed``, ``charged_nanos`` and ``cost_nanos`` are of what was completed at a known cost. ``lost_nanos`` is the
    cost of orders that nobody was charged for, as far as it is known: of ``losses`` in all it is not known of
    ``losses_of_unknown_cost``.
    """

    date: date
    model: str
    connection: str
    completed: int
    charged_nanos: int
    cost_nanos: int
    losses: int
    losses_of_unknown_cost: int
    lost_nanos: int


class Uncosted(msgspec.Struct, frozen=True, kw_only=True):
    """What was completed of one model, and what was charged for it, where nobody said what it cost."""

    model: str
    completed: int
    charged_nanos: int


class LossRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order that a backend bills, or may have billed (``reason`` is ``unknown``), and that nobody was charged for.

    ``cost_nanos`` None: it is not known. ``request_id`` is the backend's own, to ask it by.
    """

    at: datetime
    workspace: str
    generation_id: str
    type: str
    model: str
    connection: str
    upstream_model: str
    reason: str
    cost_nanos: int | None
    request_id: str | None


class Margins(msgspec.Struct, frozen=True, kw_only=True):
    """All three at one moment. ``losses`` are the newest ``MOST_LOSSES``."""

    margins: list[Margin]
    uncosted: list[Uncosted]
    losses: list[LossRecord]


class RecentLosses(msgspec.Struct, frozen=True, kw_only=True):
    """The losses on one connection within the last day. ``lost_nanos``: as far as it is known what they cost."""

    connection: str
    losses: int
    losses_of_unknown_cost: int
    lost_nanos: int


async def list_margins(scope: Scope, db: Database, first: date, last: date) -> Margins:
    """From ``first`` to ``last``, both included, newest first. Raises ``InvalidParameter``."""
    if last < first:
        raise InvalidParameter("The last date is before the first.", param="last")
    within = {"workspace_id": scope.workspace_id, "first": first, "last": last}
    async with db.snapshot() as connection:
        return Margins(
            margins=await every(connection, "list_margins", within, Margin),
            uncosted=await every(connection, "list_uncosted", within, Uncosted),
            losses=await every(connection, "list_losses", {**within, "most": MOST_LOSSES}, LossRecord),
        )


async def recent_losses(operator: OperatorScope, db: Database) -> list[RecentLosses]:
    """What was lost within the last day, by connection."""
    return await db.all("recent_losses", {}, RecentLosses)
