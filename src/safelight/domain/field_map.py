"""Where in a model's own input each part of an order goes, for backends whose models have no names in common."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Binding, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat, ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.request import Order

Place = Annotated[str, Meta(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
"""A key of the input, or with dots one in an object of it: ``image_size.width``."""

_PLACES = (
    "prompt",
    "negative_prompt",
    "seed",
    "size",
    "width",
    "height",
    "aspect_ratio",
    "resolution",
    "duration",
    "frames",
    "sound",
    "output_format",
    "references",
    "reference",
    "first_frame",
    "last_frame",
)


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where each part of an order goes. What has no place is not said, and is refused where an order asks for it.

    ``size``: the binding's own word for the size, or ``1024x768``. ``resolution``: the word, where ``size`` has no
    place, or else the catalog's resolution. ``duration``: seconds, as a number, as its text or as ``5s``
    (``duration_as``). ``frames``: as many as the clip lasts at ``fps``; one more than a multiple of ``frames_step``.
    ``output_format``: ``png``, ``jpeg`` or ``webp``, or what ``output_format_words`` has for it. ``references``: the
    addresses of all reference images, as a list. ``reference``: that of the only one. ``sound``: a switch, off for a
    model that has none by the catalog.
    """

    prompt: Place = "prompt"
    negative_prompt: Place | None = None
    seed: Place | None = None
    size: Place | None = None
    width: Place | None = None
    height: Place | None = None
    aspect_ratio: Place | None = None
    resolution: Place | None = None
    duration: Place | None = None
    duration_as: Literal["number", "text", "seconds"] = "number"
    frames: Place | None = None
    fps: Annotated[float, Meta(gt=0, le=1000)] = 24.0
    frames_step: Annotated[int, Meta(ge=1, le=1000)] = 1
    sound: Place | None = None
    output_format: Place | None = None
    output_format_words: dict[ImageFormat, str] = {}
    references: Place | None = None
    reference: Place | None = None
    first_frame: Place | None = None
    last_frame: Place | None = None

    def places(self) -> dict[str, str]:
        """Those that are given, by what goes there."""
        return {name: place for name in _PLACES if (place := getattr(self, name)) is not None}


def filled(
    fields: Fields, order: Order, size_word: str | None, *, fixed: Mapping[str, Any], urls: Sequence[str]
) -> dict[str, Any] | Failed:
    """The model's input: what is ``fixed``, a request's provider options, and over them the order's own parts.

    ``urls`` are the addresses of its references, in their order. ``Failed`` is what cannot be said: nothing of an order
    is left out in silence.
    """
    places = fields.places()
    taken = {place.partition(".")[0] for place in places.values()}
    if named := sorted(taken & order.spec.provider_options.keys()):
        return Failed(FailureClass.BAD_INPUT, f"provider_options: an order says {', '.join(named)} by itself")
    put: dict[str, Any] = {}
    for name, value in {**_of_spec(fields, order, size_word), **_of_references(fields, order, urls)}.items():
        if value is None:
            continue
        if name not in places:
            if name in _MAY_BE_UNSAID:
                continue
            return Failed(FailureClass.PERMANENT, f"fields.{name}: the order asks for it, and it has no place")
        if places[name] in put:
            return Failed(FailureClass.PERMANENT, f"fields.{name}: something else of this order has its place")
        put[places[name]] = value
    body: dict[str, Any] = {**copy.deepcopy(dict(fixed)), **order.spec.provider_options}
    if _is_silent(fields, order, fixed):
        _put(body, places["sound"], False)
    for place, value in put.items():
        _put(body, place, value)
    return body


def _is_silent(fields: Fields, order: Order, fixed: Mapping[str, Any]) -> bool:
    """Whether a model of the catalog that has no sound is told so: one that has a switch makes some by itself, and
    bills it. Not where what is ``fixed`` says it."""
    if fields.sound is None or order.spec.sound is not None or order.type is not GenerationType.VIDEO:
        return False
    return fields.sound.partition(".")[0] not in fixed


def frames_of(seconds: int, fps: float, step: int) -> int:
    """So many frames that a clip lasts these seconds at least: one more than a multiple of ``step``."""
    return math.ceil((math.ceil(seconds * fps - 1e-6) - 1) / step) * step + 1


def check_fields(fields: Fields, model: Model, binding: Binding) -> None:
    """Whether all that the model promises has a place. Raises ``ConfigurationError`` that begins with the key."""
    for problem in _unserved(fields, model, binding):
        raise ConfigurationError(problem)


_MAY_BE_UNSAID = frozenset(
    {"size", "width", "height", "aspect_ratio", "resolution", "duration", "frames", "output_format"}
)
"""What ``check_fields`` lets have no place: a model may have but one of it, and files are converted to a format."""


def _of_spec(fields: Fields, order: Order, size_word: str | None) -> dict[str, Any]:
    spec = order.spec
    seconds, wanted = spec.duration_seconds, spec.output_format
    return {
        "prompt": spec.prompt,
        "negative_prompt": spec.negative_prompt,
        "seed": spec.seed,
        "size": size_word or f"{spec.width}x{spec.height}",
        "width": spec.width,
        "height": spec.height,
        "aspect_ratio": spec.aspect_ratio,
        "resolution": spec.resolution if fields.size or size_word is None else size_word,
        "duration": None if seconds is None else _duration(seconds, fields),
        "frames": None if seconds is None else frames_of(seconds, fields.fps, fields.frames_step),
        "sound": spec.sound,
        "output_format": None if wanted is None else fields.output_format_words.get(wanted, wanted),
    }


def _of_references(fields: Fields, order: Order, urls: Sequence[str]) -> dict[str, Any]:
    by_role: dict[ReferenceRole, list[str]] = {}
    for reference, url in zip(order.references, urls, strict=True):
        by_role.setdefault(reference.role, []).append(url)
    images, said = by_role.pop("reference_image", []), {}
    if images:
        is_single = fields.references is None and len(images) == 1
        said["reference" if is_single else "references"] = images[0] if is_single else images
    return {**said, **{role: found[0] for role, found in by_role.items()}}


def _duration(seconds: int, fields: Fields) -> int | str:
    match fields.duration_as:
        case "number":
            return seconds
        case "text":
            return str(seconds)
        case "seconds":
            return f"{seconds}s"


def _put(body: dict[str, Any], place: str, value: Any) -> None:
    *outer, last = place.split(".")
    for key in outer:
        inner = body.get(key)
        body[key] = inner if isinstance(inner, dict) else {}
        body = body[key]
    body[last] = value


def _unserved(fields: Fields, model: Model, binding: Binding) -> Iterator[str]:
    for name in ("seed", "negative_prompt", "sound"):
        if getattr(model, f"supports_{name}") and getattr(fields, name) is None:
            yield f"fields.{name}: the model supports_{name}, and nothing says where it goes. Map it."
    for name, place in fields.places().items():
        if any(other.startswith(f"{place}.") for other in fields.places().values()):
            yield f"fields.{name}: something else has its place inside {place}. Map one of them."
    yield from _unsized(fields, model, binding)
    if model.type is GenerationType.VIDEO and len(model.durations) > 1 and not (fields.duration or fields.frames):
        yield "fields.duration: the model has several durations, and nothing tells them. Map duration or frames."
    room = {
        "reference_image": math.inf if fields.references else 1 if fields.reference else 0,
        "first_frame": 1 if fields.first_frame else 0,
        "last_frame": 1 if fields.last_frame else 0,
    }
    for role, most in model.references.items():
        if most > room[role]:
            key = "references" if role == "reference_image" else role
            yield f"fields.{key}: the model takes {most} of role {role}, and nothing says where they go. Map it."


def _unsized(fields: Fields, model: Model, binding: Binding) -> Iterator[str]:
    """What tells the sizes of a model apart, and has no place."""
    if (fields.width is None) != (fields.height is None):
        yield f"fields.{'width' if fields.width is None else 'height'}: the other one is mapped. Map both or none."
    if fields.size or fields.width:
        return
    if len(model.aspect_ratios) > 1 and fields.aspect_ratio is None:
        yield "fields.size: the model has several aspect_ratios, and nothing says which. Map size, or aspect_ratio."
    has_words = len({word for words in binding.sizes.values() for word in words.values()}) > 1
    if (len(model.resolutions) > 1 or has_words) and fields.resolution is None:
        yield "fields.size: the model has several resolutions, and nothing says which. Map size, or resolution."
