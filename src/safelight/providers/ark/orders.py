"""The request that gives an order, in the vendor's words; what cannot be said is never left out in silence."""

from __future__ import annotations

import re
from typing import Any

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.providers.ark.settings import RESERVED, Options, Settings

_FRAMES = ("first_frame", "last_frame")
_COMMAND = re.compile(
    r"--(?:resolution|rs|ratio|rt|duration|dur|frames|framespersecond|fps|seed|camerafixed|cf|watermark|wm)\b",
    re.ASCII | re.IGNORECASE,
)
"""By which older models take from the prompt what an order says itself: a clip that is longer or larger than what is
paid for, among others."""


def refused(order: Order, job: Job[Options]) -> Failed | None:
    """Why this order is not even given; None: it can be said."""
    spec = order.spec
    if taken := sorted(RESERVED & spec.provider_options.keys()):
        return Failed(FailureClass.BAD_INPUT, f"provider_options: an order says {', '.join(taken)} by itself")
    if spec.negative_prompt is not None:
        return Failed(FailureClass.PERMANENT, "the vendor takes no negative prompt; the catalog says that it does")
    if order.type is GenerationType.IMAGE:
        return None
    if (command := _COMMAND.search(spec.prompt)) is not None:
        return Failed(FailureClass.BAD_INPUT, f"prompt: an order says {command[0]} by itself")
    if spec.sound and not job.options.audio_switch:
        return Failed(FailureClass.PERMANENT, "audio_switch is off: the model cannot be asked for sound")
    if resolution_and_ratio(order, job) is None:
        return Failed(
            FailureClass.PERMANENT, f"the size word {job.size_word!r} is not written as '720p' or '720p 16:9'"
        )
    return None


def image_order(order: Order, job: Job[Options], settings: Settings) -> dict[str, Any]:
    """The body of an order for one picture."""
    spec, options = order.spec, job.options
    more = options.body | spec.provider_options
    body: dict[str, Any] = {
        "model": job.upstream_model,
        "prompt": spec.prompt,
        "size": job.size_word or f"{spec.width}x{spec.height}",
        "response_format": settings.response_format,
        "watermark": options.watermark,
        "seed": spec.seed,
        "sequential_image_generation": options.sequential_image_generation,
        "output_format": spec.output_format if spec.output_format in options.output_formats else None,
    }
    if order.references:
        urls = _urls(order, job, settings)
        body["image"] = urls[0] if len(urls) == 1 else urls
    return more | _said(body)


def video_order(order: Order, job: Job[Options], settings: Settings) -> dict[str, Any]:
    """The body of an order for a clip; ``refused`` has let it through."""
    spec, options = order.spec, job.options
    resolution, ratio = resolution_and_ratio(order, job) or (spec.resolution, spec.aspect_ratio)
    content: list[dict[str, Any]] = [{"type": "text", "text": spec.prompt}]
    for reference, url in zip(order.references, _urls(order, job, settings), strict=True):
        content.append({"type": "image_url", "image_url": {"url": url}, "role": reference.role})
    body = {
        "model": job.upstream_model,
        "content": content,
        "resolution": resolution,
        "ratio": ratio,
        "duration": spec.duration_seconds,
        "seed": spec.seed,
        "generate_audio": bool(spec.sound) if options.audio_switch else None,
        "watermark": options.watermark,
        "service_tier": options.service_tier,
        "execution_expires_after": options.execution_expires_after,
        "callback_url": job.callback_url if settings.callbacks else None,
        "safety_identifier": safety_identifier(job) if settings.find_by_safety_identifier else None,
    }
    return options.body | spec.provider_options | _said(body)


def safety_identifier(job: Job[Any]) -> str:
    """By which a task is looked for: no two orders share it. The vendor takes 64 characters."""
    return f"{OURS}{job.idempotency_key}"


OURS = "safelight-"


def resolution_and_ratio(order: Order, job: Job[Options]) -> tuple[str, str | None] | None:
    """In the vendor's words; None where the catalog's word is neither a resolution nor that and a ratio."""
    spec = order.spec
    parts = [spec.resolution] if job.size_word is None else job.size_word.split()
    if len(parts) not in (1, 2):
        return None
    ratio: str | None = parts[1] if len(parts) == 2 else spec.aspect_ratio
    if any(reference.role in _FRAMES for reference in order.references):
        match job.options.ratio_with_frames:
            case "adaptive":
                ratio = "adaptive"
            case "none":
                ratio = None
    return parts[0], ratio


def _urls(order: Order, job: Job[Options], settings: Settings) -> list[str]:
    is_link = settings.references == "link"
    return [
        job.reference_url(index) if is_link else reference.data_url()
        for index, reference in enumerate(order.references)
    ]


def _said(body: dict[str, Any]) -> dict[str, Any]:
    """Without what is not said: a null is not the same as nothing to every server."""
    return {name: value for name, value in body.items() if value is not None}
