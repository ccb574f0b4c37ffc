"""What people did: who, when, from where, what, and to what."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action, ActionRecord, list_actions
from safelight.accounts.workspaces import scope_of
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import Fields, file_kind, moments, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.numbers import BEYOND
from safelight.domain.roles import Role

_PATH = "/operator/audit"
_HERE = f"{PREFIX}{_PATH}"
_PAGE = 50
_COLUMNS = ("id", "at", "person", "role", "workspace", "action", "target", "detail", "address")


async def show(request: Request) -> Response:
    """The log, newest first, a page at a time."""
    visit, fields = visit_of(request), query_fields(request)
    given = {name: fields.text(name) for name in ("person", "action", "of", "first", "last")}
    rows = await _actions(visit, fields, before=fields.number("before", 1, BEYOND - 1), most=_PAGE + 1)
    return visit.page(
        "operator/audit.html",
        block="list",
        rows=[(each, _words(each.detail)) for each in rows[:_PAGE]],
        older=rows[_PAGE - 1].id if len(rows) > _PAGE else None,
        is_first=not fields.text("before"),
        actions=[(each.value, each.value) for each in Action],
        given=given,
    )


async def give_file(request: Request) -> Response:
    """What the filters leave, newest first, as a file."""
    visit = visit_of(request)
    found = await _actions(visit, query_fields(request), before=None, most=MOST_ROWS)
    rows = [{**msgspec.structs.asdict(each), "detail": _cell(each, file_kind(request))} for each in found]
    return export(request, "audit", _COLUMNS, rows)


async def _actions(visit: Visit, fields: Fields, *, before: int | None, most: int) -> list[ActionRecord]:
    db, of = visit.state.keeping.db, fields.text("of").strip()
    since, until = moments(fields)
    return await list_actions(
        await scope_of(visit.operator, db, of or None),
        db,
        before=before,
        limit=most,
        person=fields.text("person").strip().replace("\0", "") or None,
        action=fields.choice("action", Action),
        since=since,
        until=until,
    )


def _words(detail: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in detail.items()
        if value is not None
    ]


def _cell(row: ActionRecord, kind: str) -> object:
    return row.detail if kind == "json" else msgspec.json.encode(row.detail).decode()


ROUTES = (
    Route("GET", _HERE, show, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
)
