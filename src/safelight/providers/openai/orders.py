"""The request that gives an order. One picture, or one clip, is asked for."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from safelight.domain.media import EXTENSION_OF_MIME, Reference, ReferenceRole
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.outbound.multipart import FilePart, multipart
from safelight.providers.openai.saying import options_of, size_fields, tagged_text
from safelight.providers.openai.settings import Options, Quirks

_TAG = "sd_cpp_extra_args"
_ANY_TAG = re.compile(rf"<(?=\s*/?\s*{_TAG})", re.IGNORECASE)


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A POST. ``json`` is its body, or else ``form`` with its type. ``seed``: the one that it asks for."""

    path: str
    json: dict[str, Any] | None = None
    form: tuple[bytes, str] | None = None
    seed: int | None = None


def image_order(order: Order, job: Job[Options], quirks: Quirks) -> Asking:
    if quirks.images == "chat":
        return _chat(order, job, quirks)
    seed = seed_of(order, job, quirks)
    body = _common(order, job, quirks, seed) | {"n": 1}
    if quirks.response_format != "none":
        body["response_format"] = quirks.response_format
    formats = quirks.edit_output_formats if order.references else quirks.output_formats
    if order.spec.output_format in formats:
        body["output_format"] = order.spec.output_format
    if not order.references:
        return Asking(path="/images/generations", json=body, seed=seed)
    match quirks.edits:
        case "ref_images":
            body["ref_images"] = [_bare(reference) for reference in order.references]
            return Asking(path="/images/generations", json=body, seed=seed)
        case "json":
            pictures = [{"type": "image_url", "url": url} for url in _urls(order, job, quirks)]
            body |= {"image": pictures[0]} if len(pictures) == 1 else {"images": pictures}
            return Asking(path="/images/edits", json=body, seed=seed)
        case _:
            field = "image[]" if quirks.edits == "image[]" and len(order.references) > 1 else "image"
            return Asking(path="/images/edits", form=_form(body, field, order.references), seed=seed)


def video_order(order: Order, job: Job[Options], quirks: Quirks) -> Asking:
    seed = seed_of(order, job, quirks)
    body = _common(order, job, quirks, seed) | _length(order.spec.duration_seconds or 1, quirks)
    if quirks.sound != "none" and order.spec.sound is not None:
        body[quirks.sound] = order.spec.sound
    if quirks.video_body == "form" or (quirks.video_body == "either" and order.references):
        files = order.references if quirks.video_references == "input_reference" else ()
        return Asking(path=quirks.videos_path, form=_form(body, "input_reference", files), seed=seed)
    if order.references:
        body |= _frames(order, job, quirks)
    return Asking(path=quirks.videos_path, json=body, seed=seed)


def seed_of(order: Order, job: Job[Options], quirks: Quirks) -> int | None:
    """The seed to send: the one that was asked for, or one of our own for a server that has always the same."""
    if quirks.seed == "none":
        return None
    if order.spec.seed is None and quirks.own_seed:
        return int.from_bytes(hashlib.sha256(job.id.encode()).digest()[:4]) >> 1
    return order.spec.seed


def _common(order: Order, job: Job[Options], quirks: Quirks, seed: int | None) -> dict[str, Any]:
    """What pictures and clips have in common. What the order says comes last, and wins."""
    more = options_of(order, job)
    named: dict[str, Any] = {} if seed is None else {"seed": seed}
    negative = order.spec.negative_prompt
    if negative is not None and quirks.negative_prompt == "negative_prompt":
        named["negative_prompt"] = negative
    said = {"model": job.upstream_model, **size_fields(order, job, quirks)}
    if quirks.extras == "sd_cpp_extra_args":
        return said | {"prompt": _tagged(order.spec.prompt, more | named)}
    prompt = order.spec.prompt
    if quirks.negative_prompt == "after-bar":  # what stands after a bar is not wanted, whoever wrote the bar
        prompt = prompt.replace("|", "/") + (f"|{negative.replace('|', '/')}" if negative else "")
    return more | named | said | {"prompt": prompt}


def _tagged(prompt: str, arguments: Mapping[str, Any]) -> str:
    """A prompt with arguments in the tag that the server reads them from.

    Whoever writes a prompt could write that tag, and order sizes and counts that nobody asked for: it is broken.
    """
    told = tagged_text({"embed_image_metadata": False, **arguments})
    return f"{_ANY_TAG.sub('< ', prompt)}<{_TAG}>{told}</{_TAG}>"


def _length(seconds: int, quirks: Quirks) -> dict[str, Any]:
    match quirks.seconds:
        case "text":
            return {"seconds": str(seconds)}
        case "number":
            return {"seconds": seconds}
        case "duration":
            return {"duration": seconds}
        case "num_frames":
            return {"num_frames": seconds * quirks.fps, "fps": quirks.fps}


def _frames(order: Order, job: Job[Options], quirks: Quirks) -> dict[str, Any]:
    """The pictures of a video in JSON."""
    match quirks.video_references:
        case "image":
            first, *_ = [*_urls(order, job, quirks, "first_frame"), None]
            others = [{"url": url} for url in _urls(order, job, quirks, "reference_image")]
            return {"image": {"url": first}} if first else {"reference_images": others}
        case "frame_images":
            roles: tuple[ReferenceRole, ...] = ("first_frame", "last_frame")
            frames = [
                {"type": "image_url", "image_url": {"url": url}, "frame_type": role}
                for role in roles
                for url in _urls(order, job, quirks, role)
            ]
            loose = [
                {"type": "image_url", "image_url": {"url": url}} for url in _urls(order, job, quirks, "reference_image")
            ]
            return {name: value for name, value in (("frame_images", frames), ("input_references", loose)) if value}
        case "start_image":
            names = {"first_frame": "start_image", "last_frame": "end_image"}
            return {names[reference.role]: _bare(reference) for reference in order.references}
        case _:
            return {"input_reference": {"image_url": _urls(order, job, quirks)[0]}}


def _chat(order: Order, job: Job[Options], quirks: Quirks) -> Asking:
    """A picture as an answer in a chat."""
    seed = seed_of(order, job, quirks)
    body = _common(order, job, quirks, seed)
    content: list[dict[str, Any]] = [{"type": "text", "text": body.pop("prompt")}]
    content += [{"type": "image_url", "image_url": {"url": url}} for url in _urls(order, job, quirks)]
    body["messages"] = [{"role": "user", "content": content}]
    body["modalities"] = list(quirks.modalities)
    if quirks.size == "aspect-ratio":
        shape = {"aspect_ratio": body.pop("aspect_ratio"), "image_size": body.pop("resolution")}
        more = body.get("image_config")
        body["image_config"] = {**(more if isinstance(more, dict) else {}), **shape}
    return Asking(path="/chat/completions", json=body, seed=seed)


def _form(body: Mapping[str, Any], field: str, references: Sequence[Reference]) -> tuple[bytes, str]:
    files = [
        FilePart(field, f"{at}.{EXTENSION_OF_MIME[reference.mime_type]}", reference.mime_type, reference.data)
        for at, reference in enumerate(references)
    ]
    return multipart(((name, _text(value)) for name, value in body.items()), files)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _bare(reference: Reference) -> str:
    """Base64 alone."""
    return base64.b64encode(reference.data).decode()


def _urls(order: Order, job: Job[Options], quirks: Quirks, role: ReferenceRole | None = None) -> list[str]:
    """Addresses of the pictures, or of those of one role."""
    wanted = [(at, each) for at, each in enumerate(order.references) if role in (None, each.role)]
    is_link = quirks.reference_urls == "link"
    return [job.reference_url(at) if is_link else reference.data_url() for at, reference in wanted]
