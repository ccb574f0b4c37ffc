"""What is asked for: a request as it was sent, the spec with the defaults filled in, the order that a backend gets."""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar

import msgspec

from safelight.domain.catalog import Model
from safelight.domain.errors import InvalidParameter, ParameterMissing
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat, MimeType, Reference, ReferenceRole
from safelight.domain.text import cut, is_blank, quoted

MAX_PROMPT_CHARACTERS = 4096
MAX_PROVIDER_OPTIONS_BYTES = 16 * 1024

T = TypeVar("T", str, int)


class ImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a request names. A role of None was not given."""

    url: str
    role: ReferenceRole | None = None


class StoredReference(msgspec.Struct, frozen=True, kw_only=True):
    """A checked reference image, kept under ``key`` for as long as the generation needs it."""

    role: ReferenceRole
    mime_type: MimeType
    key: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was sent; None is what was left out.

    ``references``: those of an earlier generation of the same workspace, to be copied; no body names any.
    """

    type: GenerationType
    model: str
    prompt: str
    aspect_ratio: str | None = None
    resolution: str | None = None
    output_format: ImageFormat | None = None
    duration: int | None = None
    sound: bool | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    provider_options: dict[str, Any] | None = None
    images: tuple[ImageInput, ...] = ()
    references: tuple[StoredReference, ...] = ()
    retention_seconds: int | None = None
    store: bool = True
    webhook_url: str | None = None


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request with its defaults filled in, as it is kept with the generation. ``width`` and ``height`` are pixels.

    ``seed`` and ``negative_prompt`` are None where none was given; ``provider_options`` go to the backend as they came.
    """

    prompt: str
    aspect_ratio: str
    resolution: str
    width: int
    height: int
    output_format: ImageFormat | None = None
    duration_seconds: int | None = None
    sound: bool | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    provider_options: dict[str, Any] = {}
    references: tuple[StoredReference, ...] = ()


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend is asked to make: the spec, and its references' own bytes, in the same order.

    A video's spec has a duration, an image's none; its ``sound`` is None where the model has no sound to switch.
    """

    id: str
    type: GenerationType
    model: str
    spec: Spec
    references: tuple[Reference, ...] = ()


def resolve(request: Request, model: Model) -> Spec:
    """Check a request against its model and fill in the defaults.

    Raises ``InvalidParameter`` or ``ParameterMissing`` naming the parameter and what would work.
    """
    check_prompt(request.prompt)
    aspect_ratio = _choose("aspect_ratio", request.aspect_ratio, model.aspect_ratios)
    resolution = _choose("resolution", request.resolution, model.resolutions)
    width, height = model.sizes[resolution][aspect_ratio]
    _check_images(request, model)
    is_image = request.type is GenerationType.IMAGE
    return Spec(
        prompt=request.prompt,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        width=width,
        height=height,
        output_format=(request.output_format or "jpeg") if is_image else None,
        duration_seconds=None if is_image else _choose("duration", request.duration, model.durations),
        sound=None if is_image else _sound(request, model),
        seed=_seed(request, model),
        negative_prompt=_negative_prompt(request, model),
        provider_options=_provider_options(request, model),
    )


def check_prompt(prompt: str) -> None:
    if not 1 <= len(prompt) <= MAX_PROMPT_CHARACTERS:
        raise InvalidParameter(
            f"prompt has {len(prompt)} characters. Use 1 to {MAX_PROMPT_CHARACTERS}.", param="prompt"
        )
    if is_blank(prompt):
        raise InvalidParameter("prompt is blank. Say what to make.", param="prompt")
    if "\0" in prompt:
        raise InvalidParameter("prompt has a NUL character. Remove it.", param="prompt")


def _choose(param: str, value: T | None, supported: tuple[T, ...]) -> T:
    if value is None:
        return supported[0]
    if value not in supported:
        listed = ", ".join(str(item) for item in supported)
        raise InvalidParameter(
            f"{param} {quoted(value)} is not supported by this model. Use one of: {listed}.", param=param
        )
    return value


def _sound(request: Request, model: Model) -> bool | None:
    if model.supports_sound:
        return bool(request.sound)
    if request.sound:
        raise InvalidParameter(f"{model.id} makes no sound. Leave sound out, or set it to false.", param="sound")
    return None


def _seed(request: Request, model: Model) -> int | None:
    if request.seed is None or model.supports_seed:
        return request.seed
    raise InvalidParameter(f"{model.id} takes no seed. Leave it out.", param="seed")


def _negative_prompt(request: Request, model: Model) -> str | None:
    negative = request.negative_prompt
    if negative is None or is_blank(negative):
        return None
    if not model.supports_negative_prompt:
        raise InvalidParameter(
            f"{model.id} takes no negative prompt. Leave it out, or say in the prompt what to avoid.",
            param="negative_prompt",
        )
    if len(negative) > MAX_PROMPT_CHARACTERS or "\0" in negative:
        raise InvalidParameter(
            f"negative_prompt has up to {MAX_PROMPT_CHARACTERS} characters, and no NUL.", param="negative_prompt"
        )
    return negative


def _provider_options(request: Request, model: Model) -> dict[str, Any]:
    given = request.provider_options or {}
    for name in given:
        if name not in model.provider_options:
            known = ", ".join(model.provider_options) or "none"
            raise InvalidParameter(
                f"{model.id} does not pass {quoted(name)} on. It passes: {known}.",
                param=f"provider_options.{cut(name)}",
            )
    if len(msgspec.json.encode(given)) > MAX_PROVIDER_OPTIONS_BYTES:
        raise InvalidParameter(
            f"provider_options are over {MAX_PROVIDER_OPTIONS_BYTES} bytes as JSON. Send less.",
            param="provider_options",
        )
    return given


def _check_images(request: Request, model: Model) -> None:
    counts: Counter[ReferenceRole] = Counter()
    for index, image in enumerate(request.images):
        role = image.role
        if role is None:
            if request.type is GenerationType.VIDEO:
                raise ParameterMissing(
                    "role is missing. Use reference_image, first_frame or last_frame.",
                    param=f"images[{index}].role",
                )
            role = "reference_image"
        counts[role] += 1
        most = model.references.get(role, 0)
        if counts[role] > most:
            raise InvalidParameter(
                _too_many(model, role, most), param=f"images[{index}].role" if not most else "images"
            )
    for role, count in (counts + Counter(kept.role for kept in request.references)).items():
        if count > (most := model.references.get(role, 0)):
            raise InvalidParameter(_too_many(model, role, most), param="images")


def _too_many(model: Model, role: ReferenceRole, most: int) -> str:
    if most:
        return f"{model.id} takes at most {most} of role {role}."
    roles = ", ".join(f"{name} (up to {count})" for name, count in model.references.items()) or "none"
    return f"{model.id} takes no image of role {role}. Roles it takes: {roles}."
