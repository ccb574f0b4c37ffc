"""What a connection and a binding of this kind may be told."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Binding, Model, repeated_word
from safelight.domain.connections import HttpConnectionSettings, Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.ports import Host

PIXELS = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)

RESERVED = frozenset(
    {
        "model",
        "prompt",
        "content",
        "image",
        "images",
        "n",
        "size",
        "resolution",
        "ratio",
        "aspect_ratio",
        "duration",
        "frames",
        "seed",
        "generate_audio",
        "watermark",
        "response_format",
        "output_format",
        "sequential_image_generation",
        "sequential_image_generation_options",
        "layer_decomposition",
        "stream",
        "draft",
        "service_tier",
        "execution_expires_after",
        "callback_url",
        "safety_identifier",
    }
)
"""What an order or a binding's own option says: nothing else may say it otherwise."""

_OF_IMAGES = ("sequential_image_generation", "output_formats", "least_pixels")
_OF_VIDEOS = ("audio_switch", "ratio_with_frames", "service_tier", "execution_expires_after")


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told.

    ``references``: whether reference images go along with an order, or are fetched here by a link.
    ``response_format``: whether an image comes in the answer, or as an address that ends after about a day.
    ``callbacks``: whether a task is asked to tell when its status changes. ``find_by_safety_identifier``: each task
    carries an identifier of its own, by which it is looked for where its answer was lost. ``timeout_seconds``: how long
    an image is waited for. ``poll_seconds``: the pause between two questions about a task; 0: as ever.
    """

    key: Secret
    references: Literal["inline", "link"] = "inline"
    response_format: Literal["b64_json", "url"] = "b64_json"
    callbacks: bool = False
    find_by_safety_identifier: bool = False
    timeout_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 600.0
    poll_seconds: Annotated[float, Meta(ge=0, le=60)] = 5.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``watermark`` is always sent, as the vendor's own default is not the same everywhere.

    ``body``: what each order carries besides; a request's provider options win over it.

    Of images: ``sequential_image_generation``: said to models that take it. ``output_formats``: those that may be asked
    for; any other is made from what comes. ``least_pixels``: of a picture; less is refused.

    Of videos: ``audio_switch``: the model takes ``generate_audio``, and is always told it. ``ratio_with_frames``: what
    a task with a first or last frame says as its ratio: the order's, ``adaptive`` (that of the frame), or nothing.
    ``service_tier``: ``flex`` is made when there is room. ``execution_expires_after``: seconds after which the vendor
    gives a task up.
    """

    watermark: bool = False
    body: dict[str, Any] = {}
    sequential_image_generation: Literal["disabled"] | None = None
    output_formats: tuple[Literal["png", "jpeg"], ...] = ()
    least_pixels: Annotated[int, Meta(ge=0)] = 0
    audio_switch: bool = True
    ratio_with_frames: Literal["ordered", "adaptive", "none"] = "ordered"
    service_tier: Literal["default", "flex"] | None = None
    execution_expires_after: Annotated[int, Meta(ge=3600, le=259_200)] | None = None

    def __post_init__(self) -> None:
        if taken := sorted(RESERVED & self.body.keys()):
            raise ValueError(f"body: an order says {', '.join(taken)} by itself")


def check_binding(model: Model, binding: Binding, host: Host) -> None:
    """Raises ``ConfigurationError`` for a binding that could never be told what the model promises."""
    options = binding.options
    assert isinstance(options, Options)
    others = _OF_VIDEOS if model.type is GenerationType.IMAGE else _OF_IMAGES
    for name in others:
        if getattr(options, name) != getattr(Options(), name):
            raise ConfigurationError(f"{name} is not for {model.type.value} models. Remove it.")
    if model.type is GenerationType.IMAGE:
        if (shared := repeated_word(model, binding)) is not None:
            raise ConfigurationError(
                f"sizes: {shared!r} stands for several sizes, so that none is told. Write pixels, such as 2560x1440, "
                "or no word."
            )
        _check_pixels(model, binding, options.least_pixels)
        return
    if model.supports_sound and not options.audio_switch:
        raise ConfigurationError(
            "audio_switch is off, and the model lets a request ask for sound. Remove supports_sound from the model."
        )
    _check_expiry(model, options)


def pixels_of(model: Model, binding: Binding, resolution: str, ratio: str) -> tuple[int, int] | None:
    """Width and height that an order of this size says; None: it says a word that has none."""
    word = binding.size_word(resolution, ratio)
    if word is None:
        return model.sizes[resolution][ratio]
    match = PIXELS.fullmatch(word)
    return None if match is None else (int(match[1]), int(match[2]))


def _check_pixels(model: Model, binding: Binding, least: int) -> None:
    for resolution, ratios in model.sizes.items():
        for ratio in ratios:
            pixels = pixels_of(model, binding, resolution, ratio)
            if pixels is not None and pixels[0] * pixels[1] < least:
                width, height = pixels
                raise ConfigurationError(
                    f"least_pixels is {least}, and {resolution} at {ratio} is {width}x{height}, {width * height} "
                    f"pixels. Raise the model's sizes, or give a word of the vendor's own in the binding's sizes."
                )


def _check_expiry(model: Model, options: Options) -> None:
    expires, deadline = options.execution_expires_after, model.deadline_seconds
    if options.service_tier == "flex" and (expires is None or deadline is None):
        raise ConfigurationError(
            "service_tier is flex, which may take two days, and be billed then. Give the model a deadline_seconds, and "
            "the binding an execution_expires_after that is no longer."
        )
    if expires is not None and deadline is not None and expires > deadline:
        raise ConfigurationError(
            f"execution_expires_after is {expires}, and the model's deadline_seconds is {deadline}: what is made after "
            f"that is paid for nothing. Lower the one, or raise the other."
        )
