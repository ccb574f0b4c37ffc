"""The backends: how each process finds them, what they say, and what they cost beside what was charged."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.margins import Margin, list_margins
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import days, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.connections import Connection
from safelight.domain.money import as_decimal
from safelight.domain.roles import Role
from safelight.lifecycle.processes import ConnectionStanding, Process, list_processes
from safelight.lifecycle.queue_views import list_words
from safelight.lifecycle.records import connections_under_way

_PATH = "/operator/connections"
_HERE = f"{PREFIX}{_PATH}"
_SPANS = {"hour": 3600, "day": 86400}
_COLUMNS = (
    "date",
    "model",
    "connection",
    "completed",
    "charged",
    "cost",
    "losses",
    "losses_of_unknown_cost",
    "lost",
)


class Sums(msgspec.Struct, kw_only=True):
    """What one connection made in a range of days: nano-dollars, and numbers of orders."""

    completed: int = 0
    charged_nanos: int = 0
    cost_nanos: int = 0
    losses: int = 0
    losses_of_unknown_cost: int = 0
    lost_nanos: int = 0

    def add(self, row: Margin) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(row, name))


class Backend(msgspec.Struct, frozen=True, kw_only=True):
    """One connection as the page shows it. ``declared`` None: the catalog has it no more, and orders wait for it."""

    name: str
    declared: Connection | None
    models: list[str]
    under_way: int
    standings: list[tuple[Process, ConnectionStanding]]
    sums: Sums

    @property
    def address(self) -> str | None:
        """Where it is, without anything that could be secret; None where it is within the process."""
        return None if self.declared is None else getattr(self.declared.settings, "base_url", None)

    @property
    def verdict(self) -> tuple[str, str]:
        """How it stands, and in words."""
        now = datetime.now(UTC)
        closed = [s for _, s in self.standings if s.closed_until is not None and s.closed_until > now]
        paused = [s for _, s in self.standings if s.paused_until is not None and s.paused_until > now]
        if self.declared is None:
            return "bad", "not in the catalog"
        if closed:
            return "bad", "left alone: it keeps failing"
        if paused:
            return "warn", "asked to be left alone"
        if any(s.failures for _, s in self.standings):
            return "warn", "failed last"
        return "good", "asked as usual"


async def show(request: Request) -> Response:
    """Every connection of the catalog, and those that orders under way wait for."""
    visit, fields = visit_of(request), query_fields(request)
    first, last = days(fields)
    db = visit.state.keeping.db
    span = fields.choice("span", _SPANS) or "day"
    margins = await list_margins(visit.operator, db, first, last)
    processes = await list_processes(visit.operator, db)
    one = fields.text("connection")
    words = await list_words(visit.operator, db, within_seconds=_SPANS[span])
    return visit.page(
        "operator/connections.html",
        block="list",
        backends=[each for each in await _backends(visit, processes, margins.margins) if one in ("", each.name)],
        processes=[each for each in processes if each.kind is not None],
        words=[each for each in words if one in ("", each.connection)],
        losses=[each for each in margins.losses if one in ("", each.connection)][:100],
        uncosted=margins.uncosted,
        names=[(name, name) for name in sorted(visit.state.submitting.catalog.connections)],
        given={"connection": one, "span": span, "first": first, "last": last},
        spans=[("hour", "the last hour"), ("day", "the last day")],
        first=first,
        last=last,
    )


async def give_file(request: Request) -> Response:
    """What was charged beside what it cost, by date, model and connection, as a file."""
    visit = visit_of(request)
    first, last = days(query_fields(request))
    found = await list_margins(visit.operator, visit.state.keeping.db, first, last)
    one = query_fields(request).text("connection")
    rows = [_margin_row(each) for each in found.margins if one in ("", each.connection)][:MOST_ROWS]
    return export(request, f"connections-{first}-{last}", _COLUMNS, rows)


async def _backends(visit: Visit, processes: list[Process], margins: list[Margin]) -> list[Backend]:
    catalog = visit.state.submitting.catalog
    uses = {use.connection: use.generations for use in await connections_under_way(visit.state.keeping.db)}
    sums: dict[str, Sums] = defaultdict(Sums)
    for row in margins:
        sums[row.connection].add(row)
    return [
        Backend(
            name=name,
            declared=catalog.connections.get(name),
            models=[m.id for m in catalog.models.values() if any(b.connection == name for b in m.bindings)],
            under_way=uses.get(name, 0),
            standings=[(each, each.standings[name]) for each in processes if name in each.standings],
            sums=sums[name],
        )
        for name in sorted({*catalog.connections, *uses})
    ]


def _margin_row(row: Margin) -> dict[str, Any]:
    return {
        "date": row.date,
        "model": row.model,
        "connection": row.connection,
        "completed": row.completed,
        "charged": as_decimal(row.charged_nanos),
        "cost": as_decimal(row.cost_nanos),
        "losses": row.losses,
        "losses_of_unknown_cost": row.losses_of_unknown_cost,
        "lost": as_decimal(row.lost_nanos),
    }


ROUTES = (
    Route("GET", _HERE, show, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
)
