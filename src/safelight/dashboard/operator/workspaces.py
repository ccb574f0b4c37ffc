"""Workspaces: those there are, making one, its limits, its end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.credit import credit_history
from safelight.accounts.workspaces import (
    SORTS,
    Account,
    create_workspace,
    list_accounts,
    set_limits,
    workspace_scope,
)
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import Fields, check_word, query_fields, read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.ids import new_ulid
from safelight.domain.money import as_decimal
from safelight.domain.roles import Role
from safelight.domain.scope import WorkspaceScope
from safelight.domain.text import quoted
from safelight.keeping.erase import begin_erasure

_PATH = "/operator/workspaces"
_HERE = f"{PREFIX}{_PATH}"
_DAYS = 30
_MOST_SHOWN = 200
_MOST_ENTRIES = 50
_PATIENCE_SECONDS = 2.0
_LIMITS = ("image_rpm", "video_rpm", "concurrency")
_COLUMNS = (
    "name",
    "available",
    "held",
    "under_way",
    "spent",
    "image_rpm",
    "video_rpm",
    "concurrency",
    "created_at",
)


async def show_all(request: Request) -> Response:
    """Workspaces, searched and sorted as the address says."""
    return await _list_page(visit_of(request))


async def give_file(request: Request) -> Response:
    """The same as a file."""
    visit = visit_of(request)
    rows = [_row(each) for each in await _accounts(visit, query_fields(request), most=MOST_ROWS)]
    return export(request, "workspaces", _COLUMNS, rows)


async def create(request: Request) -> Response:
    """Make a workspace, and go on to its page."""
    visit = visit_of(request)
    name = (await read_fields(request)).text("name").strip()
    try:
        made = await create_workspace(visit.operator, visit.state.keeping.db, name)
        if made is None:
            raise InvalidParameter(f"There is a workspace {quoted(name)} already.", param="name")
    except InvalidParameter as error:
        return await _list_page(visit, problem=error, name=name)
    await visit.audit(Action.WORKSPACE_CREATE, name, scope=made)
    return visit.redirect(f"/operator/workspaces/{name}", said="workspace_created")


async def show_one(request: Request) -> Response:
    """One workspace: its money, its limits, and what can be done to it."""
    return await one_page(request)


async def change_limits(request: Request) -> Response:
    """Set the limits to what the form says: a field left empty is the setting's."""
    visit, name = visit_of(request), request.path_params["name"]
    scope = await scope_of(request)
    fields = await read_fields(request)
    try:
        limits = {limit: fields.number(limit, 1, 2**31 - 1) for limit in _LIMITS}
    except InvalidParameter as error:
        return await one_page(request, problem=error, given=fields)
    changed = {limit: value or 0 for limit, value in limits.items()}
    await set_limits(visit.operator, visit.state.keeping.db, of=scope, **changed)
    await visit.audit(Action.WORKSPACE_LIMIT, name, limits, scope=scope)
    return visit.redirect(f"/operator/workspaces/{name}", said="limits_changed")


async def erase(request: Request) -> Response:
    """Make the workspace gone, where its name was typed again. The upkeep erases what it had, a batch at a time."""
    visit, name = visit_of(request), request.path_params["name"]
    scope = await scope_of(request)
    try:
        check_word(await read_fields(request), name, "erase_name")
        await begin_erasure(visit.state.keeping, name, patience_seconds=_PATIENCE_SECONDS)
    except InvalidParameter as error:
        return await one_page(request, problem=error)
    await visit.audit(Action.WORKSPACE_ERASE, name, scope=scope)
    return visit.redirect("/operator/workspaces", said="workspace_erased")


async def scope_of(request: Request) -> WorkspaceScope:
    """The scope of the workspace that the address names. Raises ``NotFound``."""
    visit = visit_of(request)
    return await workspace_scope(visit.operator, visit.state.keeping.db, request.path_params["name"])


async def one_page(
    request: Request, *, problem: InvalidParameter | None = None, given: Fields | None = None
) -> Response:
    """The page of one workspace; with a problem, the form as it was sent. Raises ``NotFound``."""
    visit, name, db = visit_of(request), request.path_params["name"], visit_of(request).state.keeping.db
    scope = await scope_of(request)
    found = await list_accounts(scope, db, since=_since())
    if not found or found[0].name != name:
        raise NotFound("There is no such workspace.")
    history = await credit_history(scope, db)
    limits = visit.state.submitting.limits
    return visit.page(
        "operator/workspace.html",
        status=400 if problem else 200,
        workspace=found[0],
        days=_DAYS,
        history=history[:_MOST_ENTRIES],
        entries=len(history),
        settings={limit: getattr(limits, limit) for limit in _LIMITS},
        problem=problem,
        given=given,
        form_id=(given and given.text("form_id")) or new_ulid(),
    )


async def _list_page(visit: Visit, *, problem: InvalidParameter | None = None, name: str = "") -> Response:
    fields = query_fields(visit.request)
    accounts = await _accounts(visit, fields, most=_MOST_SHOWN + 1)
    return visit.page(
        "operator/workspaces.html",
        block="list",
        status=400 if problem else 200,
        accounts=accounts[:_MOST_SHOWN],
        has_more=len(accounts) > _MOST_SHOWN,
        given={"search": fields.text("search"), "sort": fields.text("sort")},
        days=_DAYS,
        problem=problem,
        name=name,
        most=_MOST_SHOWN,
    )


async def _accounts(visit: Visit, fields: Fields, *, most: int) -> list[Account]:
    search, sort = fields.text("search").strip().lower(), fields.choice("sort", SORTS) or "name"
    db = visit.state.keeping.db
    return await list_accounts(visit.operator, db, since=_since(), search=search, sort=sort, most=most)


def _since() -> date:
    return datetime.now(UTC).date() - timedelta(days=_DAYS - 1)


def _row(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "available": as_decimal(account.available_nanos),
        "held": as_decimal(account.held_nanos),
        "under_way": account.in_flight,
        "spent": as_decimal(account.spent_nanos),
        "image_rpm": account.image_rpm,
        "video_rpm": account.video_rpm,
        "concurrency": account.concurrency,
        "created_at": account.created_at,
    }


ROUTES = (
    Route("GET", _HERE, show_all, role=Role.OPERATOR),
    *routes_of_files(_PATH, give_file, Role.OPERATOR),
    Route("POST", _HERE, create, role=Role.OPERATOR),
    Route("GET", f"{_HERE}/{{name}}", show_one, role=Role.OPERATOR),
    Route("POST", f"{_HERE}/{{name}}/limits", change_limits, role=Role.OPERATOR),
    Route("POST", f"{_HERE}/{{name}}/erase", erase, role=Role.OPERATOR),
)
