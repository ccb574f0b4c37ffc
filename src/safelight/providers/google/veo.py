"""Clips as long-running operations of Vertex: ``{model}:predictLongRunning``, and ``:fetchPredictOperation`` to ask."""

from __future__ import annotations

import base64
import re
from typing import Any

from safelight.domain.media import Reference
from safelight.domain.outcomes import Answer, Completed, Failed, FailureClass, Pending, PollOutcome, Unknown
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import at, is_count, objects_in, text_in
from safelight.providers.google.answers import with_facts, with_words
from safelight.providers.google.errors import failure_of_job, read_error
from safelight.providers.google.files import Files
from safelight.providers.google.saying import body_of, size_of, without_none
from safelight.providers.google.settings import Options, Settings

_PART = r"[A-Za-z0-9._:@~-]+"
_OPERATION = re.compile(
    rf"(projects/{_PART}/locations/{_PART}/(?:publishers/{_PART}/models|endpoints)/{_PART})/operations/({_PART})",
    re.ASCII,
)


def order_body(order: Order, job: Job[Options]) -> dict[str, Any]:
    spec, options, size = order.spec, job.options, size_of(order, job)
    assert size is not None
    frames = {reference.role: _picture(reference) for reference in order.references}
    loose = [
        {"image": _picture(reference), "referenceType": options.reference_type}
        for reference in order.references
        if reference.role == "reference_image"
    ]
    instance = {
        "prompt": spec.prompt,
        "image": frames.get("first_frame"),
        "lastFrame": frames.get("last_frame"),
        "referenceImages": loose or None,
    }
    parameters = {
        "sampleCount": 1,
        "durationSeconds": spec.duration_seconds,
        "aspectRatio": size.ratio,
        "resolution": size.resolution,
        "seed": spec.seed,
        "negativePrompt": spec.negative_prompt,
        "generateAudio": spec.sound,
        "storageUri": options.storage_uri,
    }
    said = {"instances": [without_none(instance)], "parameters": without_none(parameters)}
    return body_of(said, order, job, "veo")


def operation_of(reply: Reply) -> str | None:
    """The name of the operation that a 2xx tells."""
    name = at(reply.json(), "name")
    return name if isinstance(name, str) and _OPERATION.fullmatch(name) else None


def model_of(operation: str) -> str | None:
    """The model's part of an operation's name, which it is asked about at; None: it has another form."""
    match = _OPERATION.fullmatch(operation)
    return match[1] if match else None


def state_of(reply: Reply, operation: str, settings: Settings, files: Files) -> PollOutcome:
    """How an operation stands, by a 2xx."""
    document = reply.json()
    if not isinstance(document, dict):
        return Unknown("the answer is not the API's", reply.answer())
    said = with_facts(reply.answer(), usage=None, request_id=operation.rpartition("/")[2], seed=None)
    if document.get("done") is not True:
        progress = at(document, "metadata", "progressPercentage")
        return Pending(
            progress=min(progress / 100, 1.0) if is_count(progress) else None,
            poll_after_seconds=reply.retry_after_seconds() or settings.poll_seconds or None,
            answer=said,
        )
    if (error := document.get("error")) is not None and (told := read_error(error)) is not None:
        return failure_of_job(told, settings, said)
    if error:
        return Failed(FailureClass.PERMANENT, "it failed, and its error cannot be read", answer=said)
    return _made(document.get("response"), reply, files, said)


def _made(response: Any, reply: Reply, files: Files, said: Answer) -> Completed | Failed:
    for video in objects_in(at(response, "videos")):
        data, uri = text_in(video.get("bytesBase64Encoded")), text_in(video.get("gcsUri"))
        if data or uri:
            return files.made(reply, data, uri, said)
    if objects_in(at(response, "videos")):
        return Failed(FailureClass.PERMANENT, "it made a clip, and does not say where it is", answer=said)
    reasons = at(response, "raiMediaFilteredReasons")
    words = " ".join(text_in(reason) for reason in reasons) if isinstance(reasons, list) else ""
    detail = "its filter held the clip back" if at(response, "raiMediaFilteredCount") or words else "it made no clip"
    return Failed(FailureClass.CONTENT_POLICY, detail, answer=with_words(said, words))


def _picture(reference: Reference) -> dict[str, str]:
    return {"bytesBase64Encoded": base64.b64encode(reference.data).decode(), "mimeType": reference.mime_type}
