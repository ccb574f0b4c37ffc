"""The gallery: what can still be looked at, a page at a time, by date, one by one, and as a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.api.dialect import Route
from safelight.dashboard.exports import MOST_ROWS, export, routes_of_files
from safelight.dashboard.filters import WAYS_IN, key_names
from safelight.dashboard.gallery.query import Asked, page_of, read_asked
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import NotFound
from safelight.domain.generations import State
from safelight.domain.money import NANOS_PER_USD, as_decimal
from safelight.keeping.receipts import Receipt, receipt
from safelight.lifecycle.media_views import BEYOND, Kept, behind, count_kept, first_id_of, list_kept
from safelight.lifecycle.views import detail

_COLUMNS = (
    "id",
    "type",
    "model",
    "created_at",
    "finished_at",
    "deletes_at",
    "cost_usd",
    "mime_type",
    "width",
    "height",
    "duration_seconds",
    "api_key_id",
    "way_in",
    "prompt",
)
_ROWS_AT_ONCE = 1000


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """A month of the date rail, newest first. ``start``: the address of what is last of it. ``days``: with the same."""

    first: date
    count: int
    start: str
    days: list[tuple[date, int, str]]


async def show(request: Request) -> Response:
    """A page of the gallery; htmx is given the page alone, and the way on."""
    visit = visit_of(request)
    asked = read_asked(request)
    viewing, workspace_id = visit.state.viewing, visit.principal.workspace_id
    page = await page_of(viewing, workspace_id, asked)
    if visit.is_partial:
        return visit.page(
            "gallery/gallery.html", block="pages", asked=asked, page=page, signer=viewing.signer, now=datetime.now(UTC)
        )
    keys, days = await asyncio.gather(key_names(visit), count_kept(viewing, workspace_id, asked.which))
    models = {*visit.state.submitting.catalog.models, *filter(None, [asked.which.model])}
    return visit.page(
        "gallery/gallery.html",
        asked=asked,
        page=page,
        signer=viewing.signer,
        now=datetime.now(UTC),
        months=_months(asked, days),
        total=sum(count for _, count in days),
        models=[(each, each) for each in sorted(models)],
        keys=list(keys.items()),
        ways_in=list(WAYS_IN.items()),
    )


async def show_one(request: Request) -> Response:
    """One generation with its media, or with the receipt of their deletion."""
    visit = visit_of(request)
    asked, generation_id = read_asked(request), request.path_params["id"]
    viewing, workspace_id = visit.state.viewing, visit.principal.workspace_id
    found = await detail(viewing, workspace_id, generation_id)
    if found.view.state is not State.COMPLETED:
        raise NotFound(f"There is no media of {generation_id}: it is {found.view.state}. Its job tells more.")
    now = datetime.now(UTC)
    assert found.view.deletes_at is not None
    is_kept = found.view.deletes_at > now
    previous, following = await _neighbours(visit, asked, generation_id)
    return visit.page(
        "gallery/item.html",
        block="item",
        found=found,
        view=found.view,
        is_kept=is_kept,
        receipt=None if is_kept else await receipt_of(visit, generation_id),
        asked=asked,
        cost_nanos=None if found.view.usage is None else int(found.view.usage.total_cost * NANOS_PER_USD),
        previous=previous,
        following=following,
        now=now,
    )


async def receipt_of(visit: Visit, generation_id: str) -> Receipt | None:
    """The receipt of what was deleted; None: it is not yet seen to be gone."""
    try:
        return await receipt(visit.state.keeping, visit.principal.workspace_id, generation_id)
    except NotFound:
        return None


async def give_file(request: Request) -> Response:
    """The list as a file, from where the address says on."""
    visit, asked = visit_of(request), read_asked(request)
    rows = [_row(kept) async for kept in _all(visit, asked)]
    return export(request, "gallery", _COLUMNS, rows)


def _months(asked: Asked, days: list[tuple[date, int]]) -> list[Month]:
    """The date rail: each leads to the page that begins there, in the order that is asked for."""

    def start(first: date, last: date) -> str:
        if asked.is_newest_first:
            return asked.address(after=first_id_of(last + timedelta(days=1)))
        return asked.address(after=first_id_of(first))

    months = []
    for first, within in groupby(days, key=lambda each: each[0].replace(day=1)):
        listed = list(within)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        months.append(
            Month(
                first=first,
                count=sum(count for _, count in listed),
                start=start(first, last),
                days=[(day, count, start(day, day)) for day, count in listed],
            )
        )
    return months


async def _neighbours(visit: Visit, asked: Asked, generation_id: str) -> tuple[str | None, str | None]:
    """The ids before and behind it in the list that is asked for, where there are any."""
    viewing, workspace_id = visit.state.viewing, visit.principal.workspace_id
    newer, older = await asyncio.gather(
        list_kept(viewing, workspace_id, asked.which, newest_first=False, least=behind(generation_id), limit=1),
        list_kept(viewing, workspace_id, asked.which, newest_first=True, below=generation_id, limit=1),
    )
    newer_id, older_id = (found[0].id if found else None for found in (newer, older))
    return (newer_id, older_id) if asked.is_newest_first else (older_id, newer_id)


async def _all(visit: Visit, asked: Asked) -> AsyncIterator[Kept]:
    least, below, left = "", BEYOND, MOST_ROWS
    while left > 0:
        found = await list_kept(
            visit.state.viewing,
            visit.principal.workspace_id,
            asked.which,
            newest_first=asked.is_newest_first,
            least=least,
            below=below,
            limit=min(_ROWS_AT_ONCE, left),
        )
        for kept in found:
            yield kept
        left -= len(found)
        if len(found) < _ROWS_AT_ONCE:
            return
        if asked.is_newest_first:
            below = found[-1].id
        else:
            least = behind(found[-1].id)


def _row(kept: Kept) -> dict[str, object]:
    return {**msgspec.structs.asdict(kept), "cost_usd": as_decimal(kept.charged_nanos)}


ROUTES = (
    Route("GET", f"{PREFIX}/gallery", show),
    *routes_of_files("/gallery", give_file),
    Route("GET", f"{PREFIX}/gallery/{{id}}", show_one),
)
