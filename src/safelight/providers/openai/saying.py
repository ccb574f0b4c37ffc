"""Whether a server can be told all that an order says. What it cannot be told is never left out in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.providers.openai.settings import RESERVED, Options, Quirks, SizeStyle

_MOST_TAGGED_BYTES = 16_000
"""Of options, beside which a negative prompt has room: sd-server ends with a crash at about 47,000 in its tag."""

PIXELS = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)


def refused(order: Order, job: Job[Options], quirks: Quirks) -> Failed | None:
    """Why this order is not even given; None: it can be said."""
    if taken := sorted(RESERVED & order.spec.provider_options.keys()):
        return Failed(FailureClass.BAD_INPUT, f"provider_options: an order says {', '.join(taken)} by itself")
    if quirks.extras == "sd_cpp_extra_args" and len(tagged_text(options_of(order, job)).encode()) > _MOST_TAGGED_BYTES:
        return Failed(FailureClass.BAD_INPUT, "provider_options: there is more in them than this server reads")
    roles = [reference.role for reference in order.references]
    why = (
        unsayable_type(order.type, quirks)
        or unsayable_roles(order.type, roles, quirks)
        or unsayable_seed(quirks, is_wanted=order.spec.seed is not None)
        or unsayable_negative(quirks, is_wanted=order.spec.negative_prompt is not None)
        or unsayable_size(job.size_word, size_style(order.type, quirks))
    )
    return Failed(FailureClass.PERMANENT, why) if why else None


def options_of(order: Order, job: Job[Options]) -> dict[str, Any]:
    """What an order carries besides. A request's own win over the binding's."""
    return job.options.body | order.spec.provider_options


def tagged_text(arguments: Mapping[str, Any]) -> str:
    """As sd-server reads them from within a prompt. No tag can be in it."""
    return msgspec.json.encode(arguments).decode().replace("<", "\\u003c")


def size_style(kind: GenerationType, quirks: Quirks) -> SizeStyle:
    return quirks.size if kind is GenerationType.IMAGE else quirks.video_size


def unsayable_type(kind: GenerationType, quirks: Quirks) -> str | None:
    if kind is GenerationType.VIDEO and not quirks.videos_path:
        return "this server makes no videos (videos_path is empty)"
    return None


def unsayable_roles(kind: GenerationType, roles: Iterable[ReferenceRole], quirks: Quirks) -> str | None:
    """Why these pictures together cannot be given."""
    given = list(roles)
    if not given:
        return None
    if kind is GenerationType.IMAGE:
        return "this server takes no reference images (edits)" if _takes_no_pictures(quirks) else None
    match quirks.video_references:
        case "none":
            return "this server takes no pictures for a video (video_references)"
        case "input_reference" if len(given) > 1 or "last_frame" in given:
            return "this server takes one picture for a video, its first frame (video_references)"
        case "image" if "last_frame" in given:
            return "this server takes no last_frame (video_references)"
        case "image" if "first_frame" in given and len(given) > 1:
            return "this server takes a first_frame or reference images, not both (video_references)"
        case "start_image" if "reference_image" in given:
            return "this server takes a first and a last frame, and no reference_image (video_references)"
        case _:
            return None


def unsayable_seed(quirks: Quirks, *, is_wanted: bool) -> str | None:
    return "this server takes no seed (seed)" if is_wanted and quirks.seed == "none" else None


def unsayable_negative(quirks: Quirks, *, is_wanted: bool) -> str | None:
    if is_wanted and quirks.negative_prompt == "none":
        return "this server takes no negative prompt (negative_prompt)"
    return None


def unsayable_size(word: str | None, style: SizeStyle) -> str | None:
    if word is not None and style == "width-height" and PIXELS.fullmatch(word) is None:
        return "the size's word is not of the form 1024x768, and this server wants width and height"
    return None


def size_fields(order: Order, job: Job[Options], quirks: Quirks) -> dict[str, Any]:
    """The size as this server wants it said. A word of the catalog stands for the pixels, or for the resolution."""
    spec, word = order.spec, job.size_word
    match size_style(order.type, quirks):
        case "size":
            return {"size": word or f"{spec.width}x{spec.height}"}
        case "width-height":
            pixels = PIXELS.fullmatch(word or f"{spec.width}x{spec.height}")
            assert pixels is not None
            return {"width": int(pixels[1]), "height": int(pixels[2])}
        case "aspect-ratio":
            own = spec.resolution.lower() if quirks.lower_case_resolution else spec.resolution
            return {"aspect_ratio": spec.aspect_ratio, "resolution": word or own}


def _takes_no_pictures(quirks: Quirks) -> bool:
    return quirks.images == "images" and quirks.edits == "none"
