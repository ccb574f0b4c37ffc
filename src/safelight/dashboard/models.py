"""The catalog, and one model of it: what it can do, what it costs, what else it is called, and what is behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.spend import Part, find_spend
from safelight.api.dialect import Route
from safelight.dashboard.exports import export, routes_of_files
from safelight.dashboard.reading import query_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.catalog import Binding, Catalog, Model
from safelight.domain.connections import Connection
from safelight.domain.generations import GenerationType
from safelight.domain.money import as_decimal

ABILITIES = {
    "references": "takes images",
    "sound": "makes sound",
    "seed": "takes a seed",
    "negative_prompt": "takes a negative prompt",
}
UNITS = {"image": "an image", "video_second": "a second of video"}
_SPEND_DAYS = 30
_MOST_SEARCHED = 200
_COLUMNS = (
    "id",
    "name",
    "type",
    "aliases",
    "aspect_ratios",
    "resolutions",
    "durations",
    "references",
    "sound",
    "unit",
    "lowest_price",
    "highest_price",
)


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is made by. ``seconds_closed``: how long this process leaves the connection alone; 0: it asks it."""

    binding: Binding
    connection: Connection
    seconds_closed: float


async def show(request: Request) -> Response:
    """The models that the address asks for, in the catalog's order."""
    visit = visit_of(request)
    asked = _read(request)
    return visit.page(
        "models.html",
        given=asked,
        found=_search(visit, asked),
        count_of_all=len(visit.state.submitting.catalog.models),
        abilities=ABILITIES,
        units=UNITS,
    )


async def give_file(request: Request) -> Response:
    """The same as a file."""
    rows = [_row(model) for model in _search(visit_of(request), _read(request))]
    return export(request, "models", _COLUMNS, rows)


async def show_one(request: Request) -> Response:
    """Everything of a model, and what the workspace spent on it."""
    visit = visit_of(request)
    catalog = visit.state.submitting.catalog
    model = catalog.find(request.path_params["id"])
    last = datetime.now(UTC).date()
    first = last - timedelta(days=_SPEND_DAYS - 1)
    spend = None
    if visit.viewer.principal is not None:
        scope, db = visit.principal.scope, visit.state.keeping.db
        spend = (await find_spend(scope, db, first, last, by="model", part=Part(model=model.id))).total
    return visit.page(
        "model.html",
        model=model,
        abilities=[text for name, text in ABILITIES.items() if _can(model, name)],
        units=UNITS,
        is_first=model is next(each for each in catalog.models.values() if each.type is model.type),
        behind=_behind(visit, catalog, model) if visit.viewer.is_operator else [],
        spend=spend,
        range={"first": first, "last": last},
        days=_SPEND_DAYS,
    )


def _read(request: Request) -> dict[str, str | None]:
    """What the address asks for. Raises ``InvalidParameter``."""
    fields = query_fields(request)
    return {
        "q": fields.text("q").strip()[:_MOST_SEARCHED],
        "type": fields.choice("type", list(GenerationType)),
        "can": fields.choice("can", ABILITIES),
    }


def _search(visit: Visit, asked: Mapping[str, str | None]) -> list[Model]:
    words = (asked["q"] or "").lower().split()

    def is_asked_for(model: Model) -> bool:
        names = " ".join((model.id, model.name, *model.aliases)).lower()
        return (
            all(word in names for word in words)
            and asked["type"] in (None, model.type)
            and (asked["can"] is None or _can(model, asked["can"]))
        )

    return [model for model in visit.state.submitting.catalog.models.values() if is_asked_for(model)]


def _can(model: Model, ability: str) -> bool:
    return {
        "references": bool(model.references),
        "sound": model.supports_sound,
        "seed": model.supports_seed,
        "negative_prompt": model.supports_negative_prompt,
    }[ability]


def _behind(visit: Visit, catalog: Catalog, model: Model) -> list[Behind]:
    breakers = visit.state.running.breakers
    return [
        Behind(
            binding=binding,
            connection=catalog.connections[binding.connection],
            seconds_closed=breakers.seconds_closed(binding.connection),
        )
        for binding in model.bindings
    ]


def _row(model: Model) -> dict[str, Any]:
    prices = [rate.unit_price_nanos for rate in model.rates]
    return {
        "id": model.id,
        "name": model.name,
        "type": model.type,
        "aliases": _words(model.aliases),
        "aspect_ratios": _words(model.aspect_ratios),
        "resolutions": _words(model.resolutions),
        "durations": _words(map(str, model.durations)),
        "references": _words(f"{role}: {most}" for role, most in model.references.items()),
        "sound": "yes" if model.supports_sound else "no",
        "unit": model.rates[0].billable_unit,
        "lowest_price": as_decimal(min(prices)),
        "highest_price": as_decimal(max(prices)),
    }


def _words(words: Iterable[str]) -> str:
    return ", ".join(words)


ROUTES = (
    Route("GET", f"{PREFIX}/models", show),
    *routes_of_files("/models", give_file),
    Route("GET", f"{PREFIX}/models/{{id}}", show_one),
)
