"""The request that gives an order. One picture, or one clip, is asked for."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.providers.a1111.saying import frames_of, options_of, pixels_of, seed_of, settings_of
from safelight.providers.a1111.settings import Options, Quirks

_ANY_TAG = re.compile(r"<(?=\s*+/?\s*+sd_cpp_extra_args)", re.IGNORECASE)
_CROPPED = {"resize_mode": 1}
"""A picture to begin with that has another shape is cropped; else it is stretched."""
_CROPPED_INPUT = {"resize_mode_before": 2, "resize_name_before": "Lanczos"}
_FRAMES = {
    "video": {"first_frame": "init_image", "last_frame": "last_image"},
    "ltx": {"first_frame": "condition_image", "last_frame": "condition_last"},
}


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A POST. ``seed``: the one that it asks for."""

    path: str
    json: dict[str, Any]
    seed: int | None = None


def picture_order(order: Order, job: Job[Options], quirks: Quirks) -> Asking:
    """A picture that comes in the answer."""
    width, height = pixels_of(order, job)
    seed = seed_of(order, job, quirks)
    body = options_of(order, job) | {
        "prompt": _prompt(order, quirks),
        "width": width,
        "height": height,
        "batch_size": 1,
        "n_iter": 1,
        "send_images": True,
        "save_images": False,
    }
    if seed is not None:
        body["seed"] = seed
    if order.spec.negative_prompt is not None:
        body["negative_prompt"] = order.spec.negative_prompt
    if settings := settings_of(order, job, quirks):
        body |= {"override_settings": settings, "override_settings_restore_afterwards": True}
    if quirks.progress == "task":
        body["force_task_id"] = job.id
    if not order.references:
        return Asking(path="/sdapi/v1/txt2img", json=body, seed=seed)
    pictures = [_bare(reference) for reference in order.references]
    if quirks.references == "extra_images":
        return Asking(path="/sdapi/v1/txt2img", json={**body, "extra_images": pictures}, seed=seed)
    return Asking(path="/sdapi/v1/img2img", json={**_CROPPED, **body, "init_images": pictures}, seed=seed)


def job_order(order: Order, job: Job[Options], quirks: Quirks) -> Asking:
    """A picture or a clip that is a job."""
    seed = seed_of(order, job, quirks)
    width, height = pixels_of(order, job)
    body = options_of(order, job) | {"prompt": _prompt(order, quirks), "width": width, "height": height}
    if seed is not None:
        body["seed"] = seed
    body = _clip(order, job, body) if order.type is GenerationType.VIDEO else _picture(order, job, quirks, body)
    return Asking(path="/sdapi/v2/jobs", json=body, seed=seed)


def _picture(order: Order, job: Job[Options], quirks: Quirks, body: dict[str, Any]) -> dict[str, Any]:
    """A job of type generate. It keeps its file, as it tells of no other; what runs it reads ``width_before``."""
    body |= {
        "type": "generate",
        "width_before": body["width"],
        "height_before": body["height"],
        "batch_size": 1,
        "batch_count": 1,
        "save_images": True,
    }
    if order.spec.negative_prompt is not None:
        body["negative_prompt"] = order.spec.negative_prompt
    if settings := settings_of(order, job, quirks):
        body |= {"extra": settings, "override_settings": settings}
    if not order.references:
        return body
    return {**_CROPPED_INPUT, **body, "inputs": [_bare(reference) for reference in order.references]}


def _clip(order: Order, job: Job[Options], body: dict[str, Any]) -> dict[str, Any]:
    options = job.options
    body |= {
        "type": options.job,
        "model": job.upstream_model,
        "frames": frames_of(order, options),
        "fps": options.fps,
        "format": "mp4",
        "save_video": True,
    }
    if options.job == "video":
        body["engine"] = options.engine
    elif order.spec.sound is not None:
        body["audio_enable"] = order.spec.sound
    if order.spec.negative_prompt is not None:
        body["negative"] = order.spec.negative_prompt
    names = _FRAMES[options.job]
    return body | {names[reference.role]: _bare(reference) for reference in order.references}


def _prompt(order: Order, quirks: Quirks) -> str:
    """Whoever writes a prompt could write the tag, and order sizes and counts that nobody asked for: it is broken."""
    return _ANY_TAG.sub("< ", order.spec.prompt) if quirks.tagged_prompts else order.spec.prompt


def _bare(reference: Reference) -> str:
    return base64.b64encode(reference.data).decode()
