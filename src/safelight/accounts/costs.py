"""What a workspace spent, by UTC date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.scope import WorkspaceScope

MAX_DAYS = 180


class DailyCost(msgspec.Struct, frozen=True, kw_only=True):
    date: date
    cost_nanos: int


async def daily_costs(scope: WorkspaceScope, db: Database, start: datetime, end: datetime) -> list[DailyCost]:
    """One bucket for each UTC date that the range touches, days without costs included.

    ``start`` and ``end`` are aware and inclusive. Raises ``InvalidParameter``.
    """
    if end <= start:
        raise InvalidParameter("end must be after start.", param="end")
    if end - start > timedelta(days=MAX_DAYS):
        raise InvalidParameter(f"start and end are more than {MAX_DAYS} days apart. Ask for less.", param="end")
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    params = {"workspace_id": scope.workspace_id, "first": first, "last": last}
    spent = {row.date: row.cost_nanos for row in await db.all("list_daily_costs", params, DailyCost)}
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return [DailyCost(date=day, cost_nanos=spent.get(day, 0)) for day in days]
