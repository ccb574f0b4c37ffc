"""A picture in the answer to its order: ``{model}:generateContent``, of either platform."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from safelight.domain.outcomes import Answer, Completed, Failed, FailureClass, Unknown
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import at, objects_in, text_in
from safelight.providers.google.answers import usage_of, with_facts, with_words
from safelight.providers.google.errors import failure_of_job, is_policy, read_error
from safelight.providers.google.files import Files
from safelight.providers.google.saying import body_of, size_of, without_none
from safelight.providers.google.settings import Options, Settings

_POLICY = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "RECITATION",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "MODEL_ARMOR",
    }
)
_WORTH_ANOTHER_TRY = frozenset({"NO_IMAGE", "IMAGE_OTHER", "OTHER", "MALFORMED_RESPONSE", "CONTINUATION"})
_REASONS = {
    "LANGUAGE": FailureClass.BAD_INPUT,
    "MAX_TOKENS": FailureClass.PERMANENT,
    "PUP_LIMITED_DISABLED": FailureClass.AUTH,
}
_ENDED_WELL = ("", "STOP", "FINISH_REASON_UNSPECIFIED")
_INPUT_TOKENS = ("promptTokenCount", "toolUsePromptTokenCount")
_OUTPUT_TOKENS = ("candidatesTokenCount", "thoughtsTokenCount")


def order_body(order: Order, job: Job[Options]) -> dict[str, Any]:
    size = size_of(order, job)
    assert size is not None
    parts: list[dict[str, Any]] = [{"text": order.spec.prompt}]
    parts += [
        {"inlineData": {"mimeType": reference.mime_type, "data": base64.b64encode(reference.data).decode()}}
        for reference in order.references
    ]
    shape = without_none({"aspectRatio": size.ratio, "imageSize": size.resolution})
    config = {
        "responseModalities": list(job.options.modalities),
        "imageConfig": shape or None,
        "seed": order.spec.seed,
    }
    said = {"contents": [{"role": "user", "parts": parts}], "generationConfig": without_none(config)}
    return body_of(said, order, job, "generate-content")


def picture_of(
    reply: Reply, order: Order, job: Job[Options], settings: Settings, files: Files
) -> Completed | Failed | Unknown:
    """What a 2xx brings. One without a picture is how it refuses, most of the time."""
    document = reply.json()
    if not isinstance(document, dict):
        return Unknown("the answer is not the API's", reply.answer())
    usage = usage_of(document.get("usageMetadata"), _INPUT_TOKENS, _OUTPUT_TOKENS)
    said = with_facts(reply.answer(), usage=usage, request_id=document.get("responseId"), seed=order.spec.seed)
    candidates = objects_in(document.get("candidates"))
    for part in reversed(list(_parts(candidates))):
        data, uri = text_in(at(part, "inlineData", "data")), text_in(at(part, "fileData", "fileUri"))
        if data or uri:
            return files.made(reply, data, uri, said)
    if document.keys() & {"candidates", "promptFeedback"}:
        return _without_picture(document, candidates, job, said)
    if (error := read_error(document)) is not None:
        return failure_of_job(error, settings, said)
    return Failed(FailureClass.CONTENT_POLICY, "it answered without a picture, and without a reason", answer=said)


def _parts(candidates: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The parts of the answer that are no drafts."""
    for candidate in candidates:
        yield from (part for part in objects_in(at(candidate, "content", "parts")) if part.get("thought") is not True)


def _without_picture(document: Any, candidates: list[dict[str, Any]], job: Job[Options], said: Answer) -> Failed:
    blocked = text_in(at(document, "promptFeedback", "blockReason"))
    if blocked or not candidates:
        words = text_in(at(document, "promptFeedback", "blockReasonMessage"))
        detail = "the prompt was blocked" if blocked else "it answered without a picture, and without a reason"
        return Failed(FailureClass.CONTENT_POLICY, detail, answer=with_words(said, words, blocked[:100] or None))
    reason = next((text_in(candidate.get("finishReason")) for candidate in candidates), "").upper()
    told = [text_in(candidate.get("finishMessage")) for candidate in candidates]
    told += [text_in(part.get("text")) for part in _parts(candidates)]
    answer = with_words(said, " ".join(filter(None, told)), reason[:100] or None)
    if reason in _ENDED_WELL:
        return Failed(FailureClass.CONTENT_POLICY, "it answered in words instead of a picture", answer=answer)
    if reason in _REASONS:
        return Failed(_REASONS[reason], answer=answer)
    if reason in _POLICY or is_policy(reason):
        return Failed(FailureClass.CONTENT_POLICY, answer=answer)
    if reason in _WORTH_ANOTHER_TRY and job.id == job.generation_id:  # each try may be billed: once more, no oftener
        return Failed(FailureClass.TRANSIENT, "it made no picture", answer=answer)
    return Failed(FailureClass.PERMANENT, "it made no picture", answer=answer)
