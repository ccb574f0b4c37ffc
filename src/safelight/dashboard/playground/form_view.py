"""What the form shows: what is legal for its models, what each would cost, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from safelight.accounts.workspaces import get_workspace
from safelight.dashboard.playground.form import FORMATS, MOST_OTHERS, Asked, Chosen, fields_sent, fitted, request_of
from safelight.dashboard.playground.pictures import (
    Shown,
    link_of_kept,
    newest_images,
    picture_of,
    still_kept,
    thumbnail_of_pick,
)
from safelight.dashboard.snippets import Snippet, snippets_of
from safelight.dashboard.templates import duration, usd
from safelight.dashboard.visit import Visit
from safelight.domain.catalog import Catalog, Model
from safelight.domain.errors import InvalidParameter, NotFound, QuotaExceeded, SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.text import quoted
from safelight.lifecycle.submit import MIN_RETENTION_SECONDS, most_retention_seconds, quote

_RETENTIONS = (3600, 86_400, 7 * 86_400, 30 * 86_400)
_ROLE_NAMES: dict[ReferenceRole, str] = {
    "reference_image": "Reference images",
    "first_frame": "First frame",
    "last_frame": "Last frame",
}
_OF_PICTURES = "images"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One model that the form would run. ``asked``: the form as the model takes it; ``notes``: what that leaves out."""

    model: Model
    asked: Asked
    notes: list[str]
    price_nanos: int | None
    error: SafelightError | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The references of one role. ``most``: as many as the model takes of it."""

    role: ReferenceRole
    name: str
    most: int
    kept: list[Shown]
    picks: list[Shown]


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """All that the form shows. ``lines``: its model, and those beside it. ``problems``: by field."""

    asked: Asked
    model: Model
    models: list[tuple[str, list[Model]]]
    lines: list[Line]
    problems: dict[str, str]
    available_nanos: int
    retentions: list[tuple[str, str]]
    groups: list[Group]
    snippets: list[Snippet]
    formats: tuple[str, ...] = FORMATS

    @property
    def others(self) -> list[Model]:
        """What it may be compared with."""
        same = next(models for _, models in self.models if self.model in models)
        return [each for each in same if each.id != self.model.id]

    @property
    def total_nanos(self) -> int:
        return sum(line.price_nanos or 0 for line in self.lines)

    @property
    def after_nanos(self) -> int:
        """The balance after it; below zero where it is not covered."""
        return self.available_nanos - self.total_nanos


def lines_of(visit: Visit, asked: Asked, *, is_sent: bool) -> list[Line]:
    """The form for its model and for each beside it, with its price.

    ``is_sent``: as it is to be ordered, so that the model itself takes it as it is, and nobody's prompt is empty.
    """
    catalog = visit.state.submitting.catalog
    model = chosen_model(catalog, asked)
    lines = [_line(visit, model, asked, [], is_sent=is_sent)]
    for id_ in [each for each in asked.others if each != model.id][:MOST_OTHERS]:
        other = catalog.models.get(id_)
        if other is not None and other.type is model.type:
            own, notes = fitted(asked, other)
            lines.append(_line(visit, other, own, notes, is_sent=is_sent))
    return lines


def _line(visit: Visit, model: Model, asked: Asked, notes: list[str], *, is_sent: bool) -> Line:
    asked = msgspec.structs.replace(asked, model=model.id)
    prompt = asked.prompt if is_sent or asked.prompt.strip() else "a quote"
    try:
        request = request_of(asked, model, prompt=prompt)
        price = quote(visit.state.submitting, visit.principal, request).price
    except SafelightError as error:
        return Line(model=model, asked=asked, notes=notes, price_nanos=None, error=error)
    return Line(model=model, asked=asked, notes=notes, price_nanos=price.total_nanos)


def chosen_model(catalog: Catalog, asked: Asked) -> Model:
    """The model of the form, or the first that there is. Raises ``NotFound`` where there is none."""
    model = catalog.models.get(asked.model) or next(iter(catalog.models.values()), None)
    if model is None:
        raise NotFound("There are no models. The operator's catalog has none.")
    return model


def problems_of(catalog: Catalog, asked: Asked) -> dict[str, str]:
    """What is wrong with the choice of models."""
    problems: dict[str, str] = {}
    model = catalog.models.get(asked.model)
    if asked.model and model is None:
        problems["model"] = f"There is no model {quoted(asked.model)}."
    unknown = [each for each in asked.others if each not in catalog.models]
    if unknown:
        problems["with"] = f"There is no model {quoted(unknown[0])}."
    elif model is not None and any(catalog.models[each].type is not model.type for each in asked.others):
        problems["with"] = f"Only models that make {model.type}s as well can run beside {model.id}."
    if len([each for each in asked.others if each != asked.model]) > MOST_OTHERS:
        problems["with"] = f"Up to {MOST_OTHERS + 1} models can run side by side. Choose fewer."
    return problems


def field_of(error: SafelightError) -> str:
    """The field that an error is about; empty where it is about none."""
    param = error.param or ""
    if param.startswith(_OF_PICTURES):
        return _OF_PICTURES
    if param.startswith("provider_options."):
        return f"option.{param.removeprefix('provider_options.')}"
    return param


async def sheet_of(
    visit: Visit, asked: Asked, *, error: SafelightError | None = None, has_picker: bool = True
) -> Sheet:
    """The form. ``error``: what the request was refused with. ``has_picker``: False where the page has it already."""
    state, principal = visit.state, visit.principal
    catalog = state.submitting.catalog
    problems = problems_of(catalog, asked)
    model = chosen_model(catalog, asked)
    if error is None:
        asked, notes = fitted(asked, model)
        if any("reference image" in note for note in notes):
            problems[_OF_PICTURES] = f"{model.id} takes {', '.join(note for note in notes if 'reference' in note)}."
    asked = msgspec.structs.replace(asked, model=model.id)
    lines = lines_of(visit, asked, is_sent=False)
    workspace = await get_workspace(principal.scope, state.keeping.db)
    for wrong in (lines[0].error, error):
        if isinstance(wrong, QuotaExceeded):
            problems[""] = _not_covered(wrong, workspace.available_nanos, lines)
        elif wrong is not None:
            problems.setdefault(field_of(wrong), wrong.message)
    return Sheet(
        asked=asked,
        model=model,
        models=_by_type(catalog),
        lines=lines,
        problems=problems,
        available_nanos=workspace.available_nanos,
        retentions=_retentions(visit, asked),
        groups=await _groups(visit, model, asked.pictures, has_picker=has_picker),
        snippets=_snippets(visit, lines[0]),
    )


def _not_covered(error: QuotaExceeded, available_nanos: int, lines: Sequence[Line]) -> str:
    total = sum(line.price_nanos or 0 for line in lines)
    if available_nanos >= total:
        return error.message
    return (
        f"The balance is {usd(available_nanos)} and this costs {usd(total)}: {usd(total - available_nanos)} are "
        "missing. Nothing was ordered of what it does not cover."
    )


def _by_type(catalog: Catalog) -> list[tuple[str, list[Model]]]:
    of_type = [
        (name, [model for model in catalog.models.values() if model.type is type_])
        for name, type_ in (("Images", GenerationType.IMAGE), ("Videos", GenerationType.VIDEO))
    ]
    return [(name, models) for name, models in of_type if models]


def _retentions(visit: Visit, asked: Asked) -> list[tuple[str, str]]:
    submitting = visit.state.submitting
    most = most_retention_seconds(submitting, visit.principal)
    usual = min(submitting.limits.retention_seconds, most)
    offered = {each for each in (*_RETENTIONS, most) if MIN_RETENTION_SECONDS <= each <= most}
    options = [("", f"{duration(usual)}, as usual")]
    options += [(str(each), duration(each)) for each in sorted(offered)]
    if asked.retention_seconds and asked.retention_seconds not in dict(options):
        options.append((asked.retention_seconds, f"{asked.retention_seconds} s"))
    return options


def _snippets(visit: Visit, line: Line) -> list[Snippet]:
    try:
        request = request_of(line.asked, line.model)
    except InvalidParameter:
        return []
    sent = fields_sent(request)
    if line.model.type is GenerationType.VIDEO:
        sent.setdefault("duration", line.model.durations[0])
    pictures = [picture_of(each, place) for place, each in enumerate(line.asked.pictures, 1)]
    return snippets_of(visit.site.settings.base_url, line.model.type, sent, pictures)


async def _groups(visit: Visit, model: Model, chosen: Sequence[Chosen], *, has_picker: bool) -> list[Group]:
    roles = {role: most for role, most in model.references.items() if most}
    if not roles:
        return []
    newest = await newest_images(visit.state, visit.principal.workspace_id) if has_picker else []
    thumbnails = {each.id: each.media[0].thumbnail_url for each in newest}
    names = {each.id: f"{each.model}, {each.created_at:%Y-%m-%d %H:%M}" for each in newest}
    for each in chosen if has_picker else ():
        if each.pick and each.pick not in thumbnails:
            found = await thumbnail_of_pick(visit.state, visit.principal.workspace_id, each.pick)
            if found is not None:
                thumbnails = {each.pick: found, **thumbnails}
    kept, _ = await still_kept(visit.state, visit.principal.workspace_id, [each for each in chosen if each.kept])
    return [
        Group(
            role=role,
            name=_ROLE_NAMES[role],
            most=most,
            kept=[_kept(visit, each) for each in kept if each.role == role],
            picks=_picks(thumbnails, names, {each.pick for each in chosen if each.role == role}),
        )
        for role, most in roles.items()
    ]


def _kept(visit: Visit, chosen: Chosen) -> Shown:
    assert chosen.kept is not None
    generation_id, place = chosen.kept
    return Shown(
        value=f"{generation_id}:{place}",
        thumbnail_url=link_of_kept(visit.state, chosen.kept),
        name=f"Reference {place + 1} of {generation_id}",
    )


def _picks(thumbnails: Mapping[str, str], names: Mapping[str, str], chosen: set[str]) -> list[Shown]:
    """The chosen ones first."""
    picks = [
        Shown(value=id_, thumbnail_url=url, name=names.get(id_, id_), is_chosen=id_ in chosen)
        for id_, url in thumbnails.items()
    ]
    return sorted(picks, key=lambda each: not each.is_chosen)
