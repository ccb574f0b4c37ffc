"""Requests that never became a job: refused for want of credit, by the content policy, or as too many."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.spend import NO_KEY
from safelight.accounts.usage import RefusedRequest, list_refusals, list_refused
from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.filters import WAYS_IN, given, key_name, key_names, read_key
from safelight.dashboard.reading import Fields, days, query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.numbers import BEYOND
from safelight.lifecycle.refusals import COUNTED, KEEP_DAYS

_REASONS = [each.code for each in COUNTED]
_FIELDS = ("reason", "type", "model", "key", "way_in", "first", "last")
_A_PAGE = 50
_COLUMNS = ("at", "reason", "message", "param", "model", "type", "key_id", "key", "way_in", "count")


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    first: date
    last: date
    before: int | None = None
    type_: str | None = None
    model: str | None = None
    key_id: int | None = None
    way_in: str | None = None
    reason: str | None = None


async def show(request: Request) -> Response:
    """The list; where the address asks for what cannot be, the same page says what is wrong with it."""
    visit, fields, names = visit_of(request), query_fields(request), await key_names(visit_of(request))
    shown = given(visit, _FIELDS)
    context: dict[str, Any] = {"problem": None}
    status = 200
    try:
        context |= await _figures(visit, _read(fields, names))
    except InvalidParameter as error:
        context["problem"], status = error, 400
    return visit.page(
        "jobs/refused.html",
        status=status,
        given=shown,
        is_filtered=any(shown[name] for name in _FIELDS),
        address=visit.link("/jobs/refused"),
        reasons=[(each, each) for each in _REASONS],
        ways_in=WAYS_IN,
        models=list(visit.state.submitting.catalog.models),
        names=names,
        key_name=lambda key_id: key_name(names, key_id),
        kept_days=KEEP_DAYS,
        **context,
    )


async def _figures(visit: Visit, asked: _Asked) -> dict[str, Any]:
    rows = await _rows(visit, asked, _A_PAGE + 1)
    counts = await _counts(visit, asked)
    return {
        "rows": rows[:_A_PAGE],
        "older": rows[_A_PAGE - 1].id if len(rows) > _A_PAGE else None,
        "before": asked.before,
        "first": asked.first,
        "last": asked.last,
        "total": None if counts is None else counts.total(),
        "reasons_counted": [] if counts is None else sorted(counts.items()),
    }


async def _counts(visit: Visit, asked: _Asked) -> Counter[str] | None:
    """How many were refused in all, by reason; None where they are not counted like that, which is by the way in."""
    if asked.way_in is not None:
        return None
    counts: Counter[str] = Counter()
    for each in await list_refusals(visit.scope, visit.state.keeping.db, asked.first, asked.last):
        wanted = ((asked.type_, each.type), (asked.model, each.model), (asked.reason, each.reason))
        if all(want in (None, has) for want, has in wanted) and asked.key_id in (None, each.api_key_id or NO_KEY):
            counts[each.reason] += each.count
    return counts


async def give_file(request: Request) -> Response:
    """The list as a file, with the filters of the page. Raises ``InvalidParameter``."""
    visit = visit_of(request)
    names = await key_names(visit)
    rows = await _rows(visit, _read(query_fields(request), names), MOST_ROWS)
    lines = (
        {
            **msgspec.structs.asdict(each),
            "key_id": each.api_key_id,
            "key": None if each.api_key_id is None else key_name(names, each.api_key_id),
        }
        for each in rows
    )
    return export(request, f"refused-{visit.principal.workspace}", _COLUMNS, lines)


def _read(fields: Fields, names: dict[int, str]) -> _Asked:
    first, last = days(fields)
    return _Asked(
        first=first,
        last=last,
        before=fields.number("before", 1, BEYOND - 1),
        type_=fields.choice("type", list(GenerationType)),
        model=fields.text("model").strip() or None,
        key_id=read_key(fields, names),
        way_in=fields.choice("way_in", WAYS_IN),
        reason=fields.choice("reason", _REASONS),
    )


async def _rows(visit: Visit, asked: _Asked, limit: int) -> list[RefusedRequest]:
    return await list_refused(
        visit.scope,
        visit.state.keeping.db,
        first=asked.first,
        last=asked.last,
        before=asked.before,
        limit=limit,
        type_=asked.type_,
        model=asked.model,
        api_key_id=asked.key_id,
        way_in=asked.way_in,
        reason=asked.reason,
    )


ROUTES = (
    Route("GET", f"{PREFIX}/jobs/refused", show),
    *routes_of_files("/jobs/refused", give_file),
)
