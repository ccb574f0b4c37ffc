"""The workspace's API keys: those there are, making, changing and revoking them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.accounts.keys import (
    ORDERS,
    STATES,
    FoundKey,
    change_key,
    create_key,
    get_key,
    revoke_key,
    search_keys,
)
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.reading import (
    Fields,
    check_word,
    number_in_path,
    query_fields,
    read_fields,
)
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import Forbidden, InvalidParameter, NotFound
from safelight.domain.ids import new_ulid
from safelight.domain.money import as_decimal, format_usd, parse_usd
from safelight.domain.roles import OF_KEYS, Role

_ON_A_PAGE = 100
_MOST_PAGES = 10_000
_MOST_TEXT = 100
_COLUMNS = (
    "id",
    "name",
    "role",
    "prefix",
    "last_four",
    "state",
    "spend_cap",
    "counted_against_cap",
    "spent",
    "expires_at",
    "last_used_at",
    "created_at",
    "revoked_at",
)


async def show(request: Request) -> Response:
    """The keys: a page of those that are asked for."""
    visit, fields = visit_of(request), query_fields(request)
    page = fields.number("page", 1, _MOST_PAGES) or 1
    given = _given(fields)
    keys = await _search(visit, given, limit=_ON_A_PAGE, offset=(page - 1) * _ON_A_PAGE)
    total = keys[0].total if keys else 0
    if not keys and page > 1:
        raise NotFound("There are fewer pages than that.")
    return visit.page(
        "keys/keys.html",
        keys=keys,
        total=total,
        given=given,
        page=page,
        pages=-(-total // _ON_A_PAGE),
        states=STATES,
        is_asked=any(given[name] for name in ("q", "state")),
    )


async def give_file(request: Request) -> Response:
    """The keys that are asked for, as a file; no secret is in it, as none is kept."""
    visit = visit_of(request)
    keys = await _search(visit, _given(query_fields(request)), limit=MOST_ROWS, offset=0)
    return export(request, f"keys-{visit.principal.workspace}", _COLUMNS, map(_line, keys))


async def ask(request: Request) -> Response:
    """The form for a new key."""
    return _form(visit_of(request), {"name": "", "role": Role.GENERATE, "spend_cap": "", "expires": ""})


async def create(request: Request) -> Response:
    """Make a key, and show its secret: this once. The same form, sent again, makes no other."""
    visit, fields = visit_of(request), await read_fields(request)
    typed = {name: fields.text(name) for name in ("name", "role", "spend_cap", "expires")}
    try:
        name, role = typed["name"].strip(), _role(visit, typed["role"])
        expires_at = _end_of_day(fields.day("expires"), None)
        made = await create_key(
            visit.principal.scope,
            visit.state.keeping.db,
            name=name,
            role=role,
            spend_cap_nanos=_cap(typed["spend_cap"]),
            expires_at=expires_at,
            idempotency_key=fields.form_id(),
        )
    except InvalidParameter as problem:
        return _form(visit, typed, problem)
    detail = {
        "name": name,
        "role": role,
        "spend_cap": typed["spend_cap"].strip() or None,
        "expires_at": _iso(expires_at),
    }
    await visit.audit(Action.KEY_CREATE, made.id, detail)
    key = await get_key(visit.principal.scope, visit.state.keeping.db, made.id)
    return visit.page("keys/key_made.html", key=key, secret=made.secret)


async def show_one(request: Request) -> Response:
    """One key: what is known of it, and what can be done with it."""
    visit = visit_of(request)
    return _one(visit, await _key_of(visit, request))


async def change(request: Request) -> Response:
    """Give a key another name, cap and expiry."""
    visit, fields = visit_of(request), await read_fields(request)
    key = await _key_of(visit, request)
    typed = {name: fields.text(name) for name in ("name", "spend_cap", "expires")}
    try:
        name, cap = typed["name"].strip(), _cap(typed["spend_cap"])
        expires_at = _end_of_day(fields.day("expires"), key.expires_at)
        await change_key(
            visit.scope, visit.state.keeping.db, key.id, name=name, spend_cap_nanos=cap, expires_at=expires_at
        )
    except InvalidParameter as problem:
        return _one(visit, key, typed=typed, problem=problem)
    before, after = _changeable(key.name, key.spend_cap_nanos, key.expires_at), _changeable(name, cap, expires_at)
    changed = {each: after[each] for each in after if after[each] != before[each]}
    await visit.audit(Action.KEY_CHANGE, key.id, changed)
    return visit.redirect(f"/keys/{key.id}", visit.own, said="key_changed")


async def revoke(request: Request) -> Response:
    """End a key for good, once its name is typed."""
    visit, fields = visit_of(request), await read_fields(request)
    key = await _key_of(visit, request)
    try:
        check_word(fields, key.name)
    except InvalidParameter as problem:
        return _one(visit, key, problem=problem)
    await revoke_key(visit.scope, visit.state.keeping.db, key.id)
    await visit.audit(Action.KEY_REVOKE, key.id, {"name": key.name})
    return visit.redirect(f"/keys/{key.id}", visit.own, said="key_revoked")


def _given(fields: Fields) -> dict[str, str | None]:
    """What is asked for, as the address carries it. Raises ``InvalidParameter``."""
    text = fields.text("q").strip()
    if len(text) > _MOST_TEXT:
        raise InvalidParameter(f"q has at most {_MOST_TEXT} characters.", param="q")
    return {"q": text or None, "state": fields.choice("state", STATES), "sort": fields.choice("sort", ORDERS)}


async def _search(visit: Visit, given: Mapping[str, str | None], *, limit: int, offset: int) -> list[FoundKey]:
    return await search_keys(
        visit.principal.scope,
        visit.state.keeping.db,
        text=given["q"],
        state=given["state"],
        order=given["sort"] or "-created",
        limit=limit,
        offset=offset,
    )


async def _key_of(visit: Visit, request: Request) -> FoundKey:
    return await get_key(visit.principal.scope, visit.state.keeping.db, number_in_path(request, "key"))


def _form(visit: Visit, typed: Mapping[str, str], problem: InvalidParameter | None = None) -> Response:
    return visit.page(
        "keys/key_new.html",
        status=400 if problem else 200,
        typed=typed,
        problem=problem,
        roles=[role for role in OF_KEYS if visit.viewer.role.includes(role)],
        form_id=new_ulid(),
        today=datetime.now(UTC).date(),
    )


def _one(
    visit: Visit, key: FoundKey, typed: Mapping[str, str] | None = None, problem: InvalidParameter | None = None
) -> Response:
    last_day = _last_day(key.expires_at)
    cap = "" if key.spend_cap_nanos is None else format_usd(key.spend_cap_nanos)
    known = {"name": key.name, "spend_cap": cap, "expires": last_day.isoformat() if last_day else ""}
    return visit.page(
        "keys/key.html",
        status=400 if problem else 200,
        key=key,
        typed=known if typed is None else typed,
        problem=problem,
        is_own=visit.principal.key_id == key.id,
    )


def _role(visit: Visit, text: str) -> Role:
    """A key's role; nobody gives more than they have. Raises ``InvalidParameter`` and ``Forbidden``."""
    if text not in OF_KEYS:
        raise InvalidParameter(f"A key has one of these roles: {', '.join(OF_KEYS)}.", param="role")
    if not visit.viewer.role.includes(Role(text)):
        raise Forbidden(f"You have the role {str(visit.viewer.role)!r}, and cannot give a key more than that.")
    return Role(text)


def _cap(text: str) -> int | None:
    """Nano-dollars, or None for no cap. Raises ``InvalidParameter``."""
    if not text.strip():
        return None
    try:
        return parse_usd(text.strip())
    except ValueError as error:
        raise InvalidParameter(f"{error}.", param="spend_cap") from None


def _end_of_day(day: date | None, known: datetime | None) -> datetime | None:
    """When a key ends whose last day this is, in UTC; as it is known, where that is the day already.

    Raises ``InvalidParameter`` for a day that is over.
    """
    if day is None or day == _last_day(known):
        return known if day else None
    now = datetime.now(UTC)
    if not now.date() <= day <= now.date() + timedelta(days=36_500):
        raise InvalidParameter("The last day is today or later, and within 100 years.", param="expires")
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


def _last_day(expires_at: datetime | None) -> date | None:
    """The UTC date on which a key works for the last time."""
    return None if expires_at is None else (expires_at.astimezone(UTC) - timedelta(microseconds=1)).date()


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _changeable(name: str, cap: int | None, expires_at: datetime | None) -> dict[str, str | None]:
    return {"name": name, "spend_cap": None if cap is None else format_usd(cap), "expires_at": _iso(expires_at)}


def _line(key: FoundKey) -> dict[str, Any]:
    is_capped = key.spend_cap_nanos is not None
    return {
        **{name: getattr(key, name) for name in _COLUMNS if hasattr(key, name)},
        "spend_cap": None if key.spend_cap_nanos is None else as_decimal(key.spend_cap_nanos),
        "counted_against_cap": as_decimal(key.spent_nanos) if is_capped else None,
        "spent": as_decimal(key.charged_nanos),
    }


ROUTES = (
    Route("GET", f"{PREFIX}/keys", show, role=Role.ADMIN),
    *routes_of_files("/keys", give_file, Role.ADMIN),
    Route("GET", f"{PREFIX}/keys/new", ask, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/keys/new", create, role=Role.ADMIN),
    Route("GET", f"{PREFIX}/keys/{{key}}", show_one, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/keys/{{key}}/change", change, role=Role.ADMIN),
    Route("POST", f"{PREFIX}/keys/{{key}}/revoke", revoke, role=Role.ADMIN),
)
