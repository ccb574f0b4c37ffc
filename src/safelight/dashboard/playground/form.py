"""What the form says, as text, and the request for a model that comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import msgspec

from safelight.api.bodies import parse_json
from safelight.api.forms import Part
from safelight.dashboard.reading import Fields
from safelight.domain.catalog import Catalog, Model
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.ids import is_generation_id
from safelight.domain.media import ImageFormat, ReferenceRole
from safelight.domain.numbers import number_within, whole_number
from safelight.domain.request import ImageInput, Request, StoredReference
from safelight.domain.text import quoted
from safelight.lifecycle.views import GenerationDetail

ROLES: tuple[ReferenceRole, ...] = get_args(ReferenceRole)
FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
MOST_OTHERS = 3
_MOST_SEED = 2**32 - 1


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A reference image that the form has, by one of these.

    ``file``: it came with the form. ``name`` alone: it is in the form, which was sent without its files. ``pick``: the
    id of an earlier image. ``kept``: the id of an earlier request that had it as a reference, and its place there.
    """

    role: ReferenceRole
    file: Part | None = None
    name: str = ""
    pick: str = ""
    kept: tuple[str, int] | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The form's fields; empty is what was left out. ``others``: models to compare with. ``options``: as text.

    ``run``: what the order is known by. ``quoted``: the nano-dollars that the page said it costs.
    """

    model: str = ""
    others: tuple[str, ...] = ()
    prompt: str = ""
    aspect_ratio: str = ""
    resolution: str = ""
    duration: str = ""
    sound: bool = False
    output_format: str = ""
    seed: str = ""
    negative_prompt: str = ""
    retention_seconds: str = ""
    once: bool = False
    options: Mapping[str, str] = {}
    pictures: tuple[Chosen, ...] = ()
    run: str = ""
    quoted: str = ""
    tab: str = "json"


def read_asked(fields: Fields, files: Sequence[Part] = ()) -> Asked:
    """The form's fields. Raises ``InvalidParameter`` where one is given twice."""
    texts = ("model", "aspect_ratio", "resolution", "duration", "output_format", "seed", "retention_seconds")
    return Asked(
        **{name: fields.text(name).strip() for name in (*texts, "run", "quoted")},
        prompt=_lines(fields.text("prompt")),
        negative_prompt=_lines(fields.text("negative_prompt")),
        others=tuple(dict.fromkeys(fields.every("with"))),
        sound=bool(fields.text("sound")),
        once=bool(fields.text("once")),
        options={name: fields.text(f"option.{name}").strip() for name in fields.below("option")},
        pictures=tuple(_pictures(fields, files)),
        tab=fields.text("as", "json"),
    )


def _lines(text: str) -> str:
    """Forms end lines with CRLF, which nobody typed."""
    return text.replace("\r\n", "\n")


def _pictures(fields: Fields, files: Sequence[Part]) -> list[Chosen]:
    found: list[Chosen] = []
    for role in ROLES:
        for text in fields.every(f"kept.{role}"):
            id_, _, index = text.partition(":")
            place = whole_number(index)
            if not is_generation_id(id_) or place is None:
                raise InvalidParameter(f"{quoted(text)} is no reference image of an earlier request.", param="images")
            found.append(Chosen(role=role, kept=(id_, place)))
        for text in dict.fromkeys(fields.every(f"pick.{role}")):
            found.append(Chosen(role=role, pick=text))
        found += [Chosen(role=role, name=text) for text in fields.every(f"named.{role}")]
        found += [Chosen(role=role, file=each, name=each.filename or "") for each in files if each.name == role]
    return found


def asked_of(found: GenerationDetail, catalog: Catalog) -> Asked:
    """The form for what was asked for once, as far as that is still known."""
    spec, view = found.spec, found.view
    if spec is None:
        return Asked(model=view.model)
    model = catalog.models.get(view.model)
    known = model.provider_options if model else ()
    return Asked(
        model=view.model,
        prompt=spec.prompt,
        aspect_ratio=spec.aspect_ratio,
        resolution=spec.resolution,
        duration=str(spec.duration_seconds or ""),
        sound=bool(spec.sound),
        output_format=spec.output_format or "",
        seed="" if spec.seed is None else str(spec.seed),
        negative_prompt=spec.negative_prompt or "",
        once=not found.is_stored,
        options={name: _as_text(value) for name, value in spec.provider_options.items() if name in known},
        pictures=tuple(Chosen(role=each.role, kept=(view.id, at)) for at, each in enumerate(spec.references)),
    )


def fitted(asked: Asked, model: Model) -> tuple[Asked, list[str]]:
    """The same for a model: what it does not have is left out, and said."""
    left: dict[str, Any] = {}
    notes: list[str] = []
    choices: dict[str, tuple[Any, ...]] = {"aspect_ratio": model.aspect_ratios, "resolution": model.resolutions}
    if model.type is GenerationType.VIDEO:
        choices["duration"] = model.durations
    for name, values in choices.items():
        value = getattr(asked, name)
        if value and value not in map(str, values):
            left[name] = ""
            notes.append(f"{_WORDS[name]} {values[0]} instead of {value}")
    for name, takes in (
        ("sound", model.supports_sound),
        ("seed", model.supports_seed),
        ("negative_prompt", model.supports_negative_prompt),
    ):
        if getattr(asked, name) and not takes:
            left[name] = False if name == "sound" else ""
            notes.append(f"without {_WORDS[name]}")
    options = {name: value for name, value in asked.options.items() if name in model.provider_options}
    notes += [f"without {name}" for name, value in asked.options.items() if value and name not in options]
    pictures = _fitting(asked.pictures, model)
    if len(pictures) < len(asked.pictures):
        notes.append(f"{len(pictures) or 'none'} of the {len(asked.pictures)} reference images")
    return msgspec.structs.replace(asked, **left, options=options, pictures=tuple(pictures)), notes


_WORDS = {
    "aspect_ratio": "aspect ratio",
    "resolution": "resolution",
    "duration": "seconds",
    "sound": "sound",
    "seed": "seed",
    "negative_prompt": "negative prompt",
}


def _fitting(pictures: Sequence[Chosen], model: Model) -> list[Chosen]:
    """Of each role as many as the model takes."""
    room = dict(model.references)
    fitting = []
    for each in pictures:
        if room.get(each.role, 0):
            room[each.role] -= 1
            fitting.append(each)
    return fitting


def request_of(
    asked: Asked,
    model: Model,
    *,
    prompt: str | None = None,
    images: tuple[ImageInput, ...] = (),
    references: tuple[StoredReference, ...] = (),
) -> Request:
    """The request for a model. ``prompt``: another than the form's. What this model does not take is left to
    ``lifecycle.submit`` to refuse. Raises ``InvalidParameter`` for what no model takes.
    """
    is_video = model.type is GenerationType.VIDEO
    return Request(
        type=model.type,
        model=model.id,
        prompt=asked.prompt if prompt is None else prompt,
        aspect_ratio=asked.aspect_ratio or None,
        resolution=asked.resolution or None,
        output_format=None if is_video else _format(asked.output_format),
        duration=_number("duration", asked.duration, 86_400) if is_video else None,
        sound=asked.sound or None,
        seed=_number("seed", asked.seed, _MOST_SEED),
        negative_prompt=asked.negative_prompt or None,
        provider_options={name: _option(name, text) for name, text in asked.options.items() if text} or None,
        images=images,
        references=references,
        retention_seconds=_number("retention_seconds", asked.retention_seconds, 2**31),
        store=not asked.once,
    )


def fields_sent(request: Request) -> dict[str, Any]:
    """The same as the API's JSON, without images; what was left out, and what is so anyhow, is not there."""
    fields = {name: value for name in _SENT if (value := getattr(request, name)) is not None}
    return fields if request.store else {**fields, "store": False}


_SENT = (
    "model",
    "prompt",
    "aspect_ratio",
    "resolution",
    "output_format",
    "duration",
    "sound",
    "seed",
    "negative_prompt",
    "provider_options",
    "retention_seconds",
)


def _format(text: str) -> ImageFormat | None:
    for each in FORMATS:
        if each == text:
            return each
    if text:
        raise InvalidParameter(
            f"output_format {quoted(text)} is not one of {', '.join(FORMATS)}.", param="output_format"
        )
    return None


def _number(name: str, text: str, most: int) -> int | None:
    if not text:
        return None
    number = number_within(text, 0, most)
    if number is None:
        raise InvalidParameter(f"{name} {quoted(text)} is not a whole number from 0 to {most}.", param=name)
    return number


def _option(name: str, text: str) -> Any:
    if "\0" in text:
        raise InvalidParameter(f"{name} has a NUL character. Remove it.", param=f"provider_options.{name}")
    return _value(text)


def _value(text: str) -> Any:
    """What a backend is to get: JSON where it is that, else the text."""
    try:
        return parse_json(text.encode())
    except InvalidParameter:
        return text


def _as_text(value: Any) -> str:
    if isinstance(value, str) and _value(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
