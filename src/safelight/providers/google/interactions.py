"""Pictures and clips as interactions that run in the background: ordered, asked about by id, canceled."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Answer, Failed, FailureClass, Pending, PollOutcome, Stage, Unknown
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import at, objects_in, text_in
from safelight.providers.google.answers import usage_of, with_facts, with_words
from safelight.providers.google.errors import Said, failure_of_job, read_error, tells
from safelight.providers.google.files import Files
from safelight.providers.google.saying import body_of, size_of, without_none
from safelight.providers.google.settings import Options, Settings

_FAILED = {
    "failed": FailureClass.PERMANENT,
    "incomplete": FailureClass.PERMANENT,
    "requires_action": FailureClass.PERMANENT,  # of somebody, and there is nobody
    "requires_continuation": FailureClass.PERMANENT,
    "budget_exceeded": FailureClass.QUOTA,
    "cancelled": FailureClass.CANCELED,
    "canceled": FailureClass.CANCELED,
}
_STAGES = {"queued": Stage.QUEUED, "in_progress": Stage.RUNNING}
_INPUT_TOKENS = ("total_input_tokens", "total_tool_use_tokens")
_OUTPUT_TOKENS = ("total_output_tokens", "total_thought_tokens")


def order_body(order: Order, job: Job[Options], settings: Settings) -> dict[str, Any]:
    size = size_of(order, job)
    assert size is not None
    options, is_clip = job.options, order.type is GenerationType.VIDEO
    content: list[dict[str, Any]] = [{"type": "text", "text": order.spec.prompt}]
    content += [
        {
            "type": "image",
            "data": base64.b64encode(reference.data).decode(),
            "mime_type": reference.mime_type,
        }
        for reference in order.references
    ]
    shape = {
        "type": "video" if is_clip else "image",
        "aspect_ratio": size.ratio,
        ("resolution" if is_clip else "image_size"): size.resolution,
        "duration": _duration(order, options) if is_clip else None,
        "delivery": _delivery(options, settings, is_clip=is_clip),
        "gcs_uri": options.storage_uri if is_clip else None,
    }
    task = _task(order) if is_clip and options.task == "by-references" else None
    config = {"seed": order.spec.seed, "video_config": {"task": task} if task else None}
    said = {
        "model": job.upstream_model,
        "input": content,
        "response_format": without_none(shape),
        "generation_config": without_none(config) or None,
        "background": True,
        "store": True,
    }
    return body_of(without_none(said), order, job, "interactions")


def state_of(
    reply: Reply, type_: GenerationType, settings: Settings, files: Files, *, seed: int | None = None
) -> PollOutcome:
    """How an interaction stands, by a 2xx."""
    document = reply.json()
    if not isinstance(document, dict):
        return Unknown("the answer is not the API's", reply.answer())
    usage = usage_of(document.get("usage"), _INPUT_TOKENS, _OUTPUT_TOKENS)
    said = with_facts(reply.answer(), usage=usage, request_id=document.get("id"), seed=seed)
    word = text_in(document.get("status")).strip().lower()
    if word == "completed":
        return _made(document, reply, type_, settings, files, said)
    if word in _FAILED:
        return _failed(document, word, settings, said)
    if not word and document.get("error") is not None:
        return Unknown("it tells an error, and not how the job stands", said)
    return Pending(poll_after_seconds=_pause(reply, settings), stage=_STAGES.get(word), answer=said)


def _made(
    document: dict[str, Any],
    reply: Reply,
    type_: GenerationType,
    settings: Settings,
    files: Files,
    said: Answer,
) -> PollOutcome:
    """The last one of the type, as the official client has it."""
    made = [item for item in _content(document) if item.get("type") in ("image", "video")]
    for item in reversed(made):
        data, uri = text_in(item.get("data")), text_in(item.get("uri"))
        if item["type"] == type_.value and (data or uri):
            return files.made(reply, data, uri, said)
    if made:
        return Failed(FailureClass.PERMANENT, f"it made no {type_}, but another thing", answer=said)
    error = next(_errors(document), None)
    if error is not None:
        return failure_of_job(error, settings, said)
    words = " ".join(text_in(item.get("text")) for item in _content(document))
    return Failed(FailureClass.CONTENT_POLICY, "it completed, and made nothing", answer=with_words(said, words.strip()))


def _failed(document: dict[str, Any], word: str, settings: Settings, said: Answer) -> Failed:
    """The reason is that of its errors, where they tell one."""
    for error in _errors(document):
        failure = failure_of_job(error, settings, said)
        if failure.reason is not FailureClass.PERMANENT or word not in ("budget_exceeded", "cancelled", "canceled"):
            return failure
    words = " ".join(text_in(item.get("text")) for item in _content(document)).strip()
    refuses = word in ("failed", "incomplete") and tells(words, settings.refusal_words)
    reason = FailureClass.CONTENT_POLICY if refuses else _FAILED[word]
    return Failed(reason, f"the interaction is {word}", answer=with_words(said, words, word))


def _content(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the model put out, in order. ``outputs`` is where earlier revisions have it."""
    for step in objects_in(document.get("steps")):
        if step.get("type") == "model_output":
            yield from objects_in(step.get("content"))
    yield from objects_in(document.get("outputs"))


def _errors(document: dict[str, Any]) -> Iterator[Said]:
    candidates = [*objects_in(document.get("errors")), document.get("error")]
    candidates += [at(step, "error") for step in objects_in(document.get("steps"))]
    yield from (error for error in map(read_error, filter(None, candidates)) if error is not None)


def _task(order: Order) -> str:
    roles = {reference.role for reference in order.references}
    if not roles:
        return "text_to_video"
    return "reference_to_video" if roles == {"reference_image"} else "image_to_video"


def _duration(order: Order, options: Options) -> str | None:
    seconds = order.spec.duration_seconds
    if seconds is None or options.duration == "none":
        return None
    return f"{seconds}s" if options.duration == "8s" else str(seconds)


def _delivery(options: Options, settings: Settings, *, is_clip: bool) -> str | None:
    if options.delivery is not None:
        return options.delivery
    if is_clip and (settings.platform == "gemini" or options.storage_uri is not None):
        return "uri"
    return None


def _pause(reply: Reply, settings: Settings) -> float | None:
    return reply.retry_after_seconds() or settings.poll_seconds or None
