"""What a workspace spent, on what, and how long the rest will do: sums of the database over all that is on record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.scope import WorkspaceScope

By = Literal["model", "key", "type", "end_user"]

NO_KEY = 0
"""As a key's number: whatever was made without a key."""

PACE_DAYS = 7
FEWEST_DAYS_WITH_COSTS = 3
_MOST_NAMES = 10_000
_MOST_SERIES = 6


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; None: all of it. ``key``: its number, or ``NO_KEY``. End users are counted over all keys."""

    model: str | None = None
    type: GenerationType | None = None
    key: int | None = None
    end_user: str | None = None


class SpendRow(msgspec.Struct, frozen=True, kw_only=True):
    """A sum. ``kind``: of ``all``, of a ``name``, of a ``day``, or of a day and name (``series``).

    ``place`` is a name's among all by cost, from 1; 0: ``names`` further ones together. ``name`` is a model's id, a
    type, a key's number or an end user's hash, and empty where there was no key or no end user. ``failed`` counts what
    ended without media, canceled ones included. ``image_thousandths`` and ``second_thousandths`` are what was charged,
    in thousandths of an image or of a second of video.
    """

    kind: Literal["all", "name", "day", "series"]
    date: date | None
    place: int
    name: str | None
    names: int
    completed: int
    failed: int
    image_thousandths: int
    second_thousandths: int
    cost_nanos: int


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """The total, and the same by name and by day, each of which add up to it.

    ``days`` are all of the range, the oldest first, those without anything too. ``series`` are the costliest names, and
    None for the rest together; ``series_nanos`` is what each cost, of each day.
    """

    total: SpendRow
    names: list[SpendRow]
    days: list[SpendRow]
    series: list[str | None]
    series_nanos: list[list[int]]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent in a range of dates, by three accounts of it at one moment. They agree, or something is wrong.

    ``used_nanos``: by the daily usage. ``charged_nanos``: by the generations that ended then. ``revenue_nanos``: by the
    ledger.
    """

    used_nanos: int
    charged_nanos: int
    revenue_nanos: int

    @property
    def holds(self) -> bool:
        return self.used_nanos == self.charged_nanos == self.revenue_nanos


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has and what is held for generations in each state; what it spent in ``PACE_DAYS`` full days."""

    available_nanos: int
    held_nanos: int
    queued: int
    queued_nanos: int
    running: int
    running_nanos: int
    unknown: int
    unknown_nanos: int
    pace_nanos: int
    pace_days: int

    @property
    def days_left(self) -> int | None:
        """How many days what is available lasts at that pace; None: too few of the days had costs to tell."""
        if self.pace_days < FEWEST_DAYS_WITH_COSTS:
            return None
        return self.available_nanos * PACE_DAYS // self.pace_nanos


class ReasonCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests were refused for one reason, the code of their error."""

    reason: str
    count: int


async def find_spend(
    scope: WorkspaceScope,
    db: Database,
    first: date,
    last: date,
    *,
    by: By,
    part: Part,
    most: int = _MOST_NAMES,
    most_series: int = _MOST_SERIES,
) -> Spend:
    """What was spent from ``first`` to ``last``, both included, at one moment.

    Beyond ``most`` names, and ``most_series`` in the series, the rest is one row. Raises ``InvalidParameter``.
    """
    if part.key is not None and (by == "end_user" or part.end_user is not None):
        raise InvalidParameter("End users are counted over all keys. Leave out the key or the end user.", param="key")
    params = {**_range(scope, first, last), **_part(part), "end_user": part.end_user, "by": by}
    rows = await db.all("sum_spend", {**params, "most": most, "most_series": most_series}, SpendRow)
    by_day = {row.date: row for row in rows if row.kind == "day"}
    by_place = {row.place: row.name for row in rows if row.kind == "series"}
    places = sorted(by_place, key=lambda place: (place == 0, place))
    costs = {(row.date, row.place): row.cost_nanos for row in rows if row.kind == "series"}
    dates = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return Spend(
        total=next(row for row in rows if row.kind == "all"),
        names=[row for row in rows if row.kind == "name"],
        days=[by_day.get(day) or _nothing_on(day) for day in dates],
        series=[by_place[place] for place in places],
        series_nanos=[[costs.get((day, place), 0) for place in places] for day in dates],
    )


async def prove_spend(scope: WorkspaceScope, db: Database, first: date, last: date) -> Proof:
    """Look at every generation and every transfer of the workspace. Raises ``InvalidParameter``."""
    proof = await db.one("find_spend_proof", _range(scope, first, last), Proof)
    assert proof is not None
    return proof


async def find_standing(scope: WorkspaceScope, db: Database) -> Standing:
    """How the workspace stands now; its pace is that of the full UTC days before today."""
    today = datetime.now(UTC).date()
    first, last = today - timedelta(days=PACE_DAYS), today - timedelta(days=1)
    standing = await db.one("find_standing", _range(scope, first, last), Standing)
    assert standing is not None
    return standing


async def count_refusals(
    scope: WorkspaceScope, db: Database, first: date, last: date, *, part: Part
) -> list[ReasonCount]:
    """How many requests were refused from ``first`` to ``last``, both included, by reason.

    No end user is known of them. Raises ``InvalidParameter``.
    """
    params = {**_range(scope, first, last), **_part(part)}
    return await db.all("count_refusals_by_reason", params, ReasonCount)


def _nothing_on(day: date) -> SpendRow:
    sums = {"completed": 0, "failed": 0, "image_thousandths": 0, "second_thousandths": 0, "cost_nanos": 0}
    return SpendRow(kind="day", date=day, place=0, name=None, names=0, **sums)


def _part(part: Part) -> dict[str, str | int | None]:
    return {"model": part.model, "type": part.type, "key": part.key}


def _range(scope: WorkspaceScope, first: date, last: date) -> dict[str, int | date]:
    if last < first:
        raise InvalidParameter("The last date is before the first.", param="last")
    return {"workspace_id": scope.workspace_id, "first": first, "last": last}
