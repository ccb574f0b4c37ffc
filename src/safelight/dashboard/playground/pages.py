"""The playground's routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight.accounts.audit import Action
from safelight.api.auth import api_state
from safelight.api.dialect import Route
from safelight.api.errors import STATUS_OF_KIND
from safelight.api.forms import Form, is_form, read_form
from safelight.dashboard.playground.cards import Card, card_of, cards_of
from safelight.dashboard.playground.form import ROLES, Asked, Chosen, asked_of, read_asked
from safelight.dashboard.playground.form_view import Line, Sheet, lines_of, problems_of, sheet_of
from safelight.dashboard.playground.ordering import Placed, place
from safelight.dashboard.playground.pictures import gather, still_kept
from safelight.dashboard.reading import Fields, query_fields, read_fields
from safelight.dashboard.site import PREFIX
from safelight.dashboard.templates import usd
from safelight.dashboard.visit import Visit, visit_of
from safelight.domain.errors import InvalidParameter, SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.ids import is_generation_id, new_ulid
from safelight.domain.roles import Role
from safelight.lifecycle.cancel import cancel
from safelight.lifecycle.views import detail

_PATH = f"{PREFIX}/playground"
_RUN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_GONE = "What was asked for is gone: it is deleted with the media. Its model is chosen here."
_NO_REFERENCES = "Not all of its reference images are kept any more. Add them again if they are needed."
_NO_MODEL = "Its model {} is no longer in the catalog. Another is chosen here."


async def show(request: Request) -> Response:
    """The form: empty, as an earlier request was, or as it was sent with what came of it."""
    visit = visit_of(request)
    fields = query_fields(request)
    runs = fields.every("run")
    cards = await cards_of(visit, runs)
    asked, said = await _begun(visit, fields, cards)
    return await _page(visit, asked, cards=cards, said=said)


async def _begun(visit: Visit, fields: Fields, cards: Sequence[Card]) -> tuple[Asked, list[str]]:
    """What the form begins with, and what is to be said of it."""
    catalog, workspace_id = visit.state.submitting.catalog, visit.principal.workspace_id
    said: list[str] = []
    earlier = fields.text("from")
    if earlier:
        found = await detail(visit.state.viewing, workspace_id, earlier)
    elif cards:
        found = cards[0].detail
    else:
        found = None
    asked = Asked() if found is None else asked_of(found, catalog)
    if found is not None and found.spec is None:
        said.append(_GONE)
    if found is not None and found.view.model not in catalog.models:
        said.append(_NO_MODEL.format(found.view.model))
        same = [each.id for each in catalog.models.values() if each.type is found.view.type]
        asked = msgspec.structs.replace(asked, model=same[0] if same else "")
    if not earlier:
        asked = msgspec.structs.replace(asked, others=tuple(each.view.model for each in cards[1:]))
    asked = msgspec.structs.replace(
        asked, model=fields.text("model") or asked.model, prompt=fields.text("prompt") or asked.prompt
    )
    if use := fields.text("use"):
        asked = _with_pick(visit, asked, use)
    kept, is_all = await still_kept(visit.state, workspace_id, asked.pictures)
    if not is_all:
        said.append(_NO_REFERENCES)
    return msgspec.structs.replace(asked, pictures=tuple(kept)), said


def _with_pick(visit: Visit, asked: Asked, generation_id: str) -> Asked:
    """With an earlier image as a reference; by the first model that takes one, where the form's does not."""
    models = visit.state.submitting.catalog.models
    own = models.get(asked.model)
    candidates = [*([own] if own else []), *(each for each in models.values() if own is None or each.type is own.type)]
    for model in [*candidates, *models.values()]:
        for role in ROLES:
            taken = sum(each.role == role for each in asked.pictures)
            if taken < model.references.get(role, 0):
                picked = (*asked.pictures, Chosen(role=role, pick=generation_id))
                return msgspec.structs.replace(asked, model=model.id, pictures=picked)
    return asked


async def update(request: Request) -> Response:
    """The form anew for what it says now: what is legal, what it costs. Nothing is ordered, and no file is read."""
    visit = visit_of(request)
    fields = await read_fields(request)
    asked = _with_run(read_asked(fields))
    model = visit.state.submitting.catalog.models.get(asked.model)
    shown = fields.text("shown").split()
    has_picker = model is not None and any(role not in shown for role in model.references)
    sheet = await sheet_of(visit, asked, has_picker=has_picker)
    return visit.page(
        "playground/playground.html", block="ask", status=200, **_context(sheet, cards=[], placed=[], said=[])
    )


async def run(request: Request) -> Response:
    """Order what the form says, once; or show it anew, without a script's help."""
    visit = visit_of(request)
    fields, files = await _read(request)
    asked = _with_run(read_asked(fields, files.files()))
    if fields.text("do") == "update":
        return await _page(visit, asked, said=_LOST_FILES if files.files() else [])
    try:
        _check(visit, asked)
        lines = lines_of(visit, asked, is_sent=True)
        if wrong := next((line.error for line in lines if line.error is not None), None):
            raise wrong
        if _is_another_price(asked, lines):
            return await _page(visit, asked, status=409, said=[_price_is_another(lines)])
        chosen = list(asked.pictures)
        gathered = await gather(request, chosen)
    except SafelightError as error:
        return await _refused(visit, asked, error)
    by_id = {id(each): found for each, found in zip(chosen, gathered, strict=True)}
    placed = await place(request, asked.run, lines, by_id)
    for each in placed:
        if each.is_new and each.generation_id is not None:
            await visit.audit(Action.GENERATION_CREATE, each.generation_id, {"model": each.model})
    made = [each.generation_id for each in placed if each.generation_id is not None]
    first = placed[0].error or next((each.error for each in placed if each.error), None)
    if not made and first is not None:
        return await _refused(visit, asked, first, placed[1:])
    if first is None and not visit.is_partial:
        return Response(status_code=303, headers={"location": _address(visit, made), "cache-control": "no-store"})
    if first is None:
        asked = msgspec.structs.replace(asked, run=new_ulid())
    refused = [each for each in placed if each.error is not None]
    response = await _page(visit, asked, cards=await cards_of(visit, made), placed=refused)
    response.headers["hx-replace-url"] = _address(visit, made)
    return response


def _address(visit: Visit, runs: Sequence[str]) -> str:
    """The address of the form with its runs beside it."""
    return visit.site.at(f"{_PATH}?{urlencode([*(('run', each) for each in runs), *visit.own.items()])}")


_LOST_FILES = ["A page that is made anew does not keep files: choose them again before you run it."]


def _is_another_price(asked: Asked, lines: Sequence[Line]) -> bool:
    """Whether it costs something else than the page said that it does."""
    return bool(asked.quoted) and asked.quoted != str(sum(line.price_nanos or 0 for line in lines))


def _price_is_another(lines: Sequence[Line]) -> str:
    total = usd(sum(line.price_nanos or 0 for line in lines))
    return f"It costs {total}, which is not what was shown before. Nothing is ordered now: run it again if you want it."


def _check(visit: Visit, asked: Asked) -> None:
    catalog = visit.state.submitting.catalog
    if not asked.model:
        raise InvalidParameter("No model is chosen.", param="model")
    for param, message in problems_of(catalog, asked).items():
        raise InvalidParameter(message, param=param)


async def _refused(visit: Visit, asked: Asked, error: SafelightError, placed: Sequence[Placed] = ()) -> Response:
    status = STATUS_OF_KIND[error.kind]
    response = await _page(visit, asked, error=error, placed=placed, status=status)
    if error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after_seconds)))
    return response


async def _read(request: Request) -> tuple[Fields, Form]:
    """The form as a browser sends it, with files or without."""
    if not is_form(request):
        return await read_fields(request), Form(())
    form, _ = await read_form(request)
    pairs = []
    for part in form.parts:
        if part.filename is None:
            try:
                pairs.append((part.name, part.data.decode("utf-8")))
            except UnicodeDecodeError:
                raise InvalidParameter("The form is not UTF-8.", param="form") from None
    return Fields(pairs), form


def _with_run(asked: Asked) -> Asked:
    """With an id to be known by, if it has none that is one."""
    return asked if _RUN.fullmatch(asked.run) else msgspec.structs.replace(asked, run=new_ulid())


async def _page(
    visit: Visit,
    asked: Asked,
    *,
    cards: Sequence[Card] = (),
    placed: Sequence[Placed] = (),
    said: Sequence[str] = (),
    error: SafelightError | None = None,
    status: int = 200,
) -> Response:
    sheet = await sheet_of(visit, _with_run(asked), error=error)
    context: dict[str, Any] = _context(sheet, cards=cards, placed=placed, said=said)
    return visit.page(
        "playground/playground.html",
        block="playground" if visit.request.method == "POST" else None,
        status=status,
        **context,
    )


def _context(sheet: Sheet, *, cards: Sequence[Card], placed: Sequence[Placed], said: Sequence[str]) -> dict[str, Any]:
    return {
        "sheet": sheet,
        "options": lambda values: [(each, each) for each in values],
        "cards": cards,
        "placed": placed,
        "notices": said,
        "is_under_way": any(not card.view.state.is_final for card in cards),
        "runs": urlencode([("run", card.view.id) for card in cards]),
    }


async def show_run(request: Request) -> Response:
    """One run, as it stands."""
    visit = visit_of(request)
    card = await card_of(visit, request.path_params["id"])
    return visit.piece("playground/_run.html", card=card, runs=urlencode([("run", card.view.id)]))


async def cancel_run(request: Request) -> Response:
    """End a video before its time. The other runs that the page shows stay there."""
    visit = visit_of(request)
    fields = await read_fields(request)
    state, id_ = api_state(request), request.path_params["id"]
    found = await detail(state.viewing, visit.principal.workspace_id, id_)
    if found.view.type is not GenerationType.VIDEO:
        raise InvalidParameter("An image cannot be canceled: it is there within seconds.", param="id")
    became, _ = await cancel(state.running, state.viewing, visit.principal.workspace_id, id_, GenerationType.VIDEO)
    await visit.audit(Action.GENERATION_CANCEL, id_, {"became": str(became)})
    if visit.is_partial:
        return visit.piece("playground/_run.html", card=await card_of(visit, id_), runs=urlencode([("run", id_)]))
    others = [each for each in fields.every("run") if is_generation_id(each)] or [id_]
    return Response(status_code=303, headers={"location": _address(visit, others), "cache-control": "no-store"})


ROUTES = (
    Route("GET", _PATH, show, role=Role.GENERATE),
    Route("POST", _PATH, run, role=Role.GENERATE),
    Route("POST", f"{_PATH}/form", update, role=Role.GENERATE),
    Route("GET", f"{_PATH}/runs/{{id}}", show_run, role=Role.GENERATE),
    Route("POST", f"{_PATH}/runs/{{id}}/cancel", cancel_run, role=Role.GENERATE),
)
