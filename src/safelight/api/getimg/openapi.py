"""The API described in OpenAPI 3.1, from the very structs that go over the wire."""

from __future__ import annotations

import functools

import msgspec

from safelight import __version__
from safelight.api.getimg import links, requests, wire
from safelight.api.getimg.examples import BODIES, VALUES
from safelight.api.getimg.operations import (
    answer_with,
    choice,
    describe_call,
    failures_as,
    generation_id,
    json_content,
    link_parameter,
    query,
    ref_to,
    submission_headers,
)
from safelight.api.reference import Description
from safelight.api.schemas import Document, schemas_of
from safelight.domain import errors
from safelight.domain.events import EventType

_ID = "^req-[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_EVENT_ID = "^evt_[0-9a-f]{32}$"
_WAIT = "Seconds to wait for the end before answering."

_KEYED = (errors.InvalidApiKey, errors.RateLimited, errors.ServiceUnavailable, errors.InternalError)
_BODY = (
    errors.InvalidParameter,
    errors.ParameterMissing,
    errors.RequestTooLarge,
    errors.RequestTimeout,
    errors.UnsupportedCoding,
)
_SUBMIT = (
    errors.Forbidden,
    errors.QuotaExceeded,
    errors.RateLimited,
    errors.IdempotencyConflict,
    errors.ContentPolicyViolation,
)
_LINK = (
    errors.RateLimited,
    errors.InvalidSignature,
    errors.DownloadExpired,
    errors.ServiceUnavailable,
    errors.InternalError,
)

_CONDITIONAL = {
    "206": {"description": "The ranges that were asked for (RFC 9110)."},
    "304": {"description": "You have it already."},
    "307": {"description": "The object store sends it, where the operator chose so."},
    "412": {"description": "It is not the version you asked for."},
    "416": {"description": "There are no such bytes in it."},
}
_PLAYABLE = frozenset({"createImage", "createVideo"})
_STREAM: Document = {"description": "The events.", "content": {"text/event-stream": {}}}


def describe(public_url: str) -> Description:
    """The document, and the examples that go with it."""
    return Description(document=document(public_url), values=VALUES, bodies=BODIES, playable=_PLAYABLE)


@functools.cache
def document(public_url: str = "/") -> Document:
    """The whole document, of the API at an address."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Safelight",
            "version": __version__,
            "description": "Images and videos over one HTTP contract: kept, signed, delivered, deleted on time, "
            "and billed to the last digit.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "tags": [
            {"name": "Images", "description": "Made while you wait."},
            {"name": "Videos", "description": "Accepted at once, polled to completion."},
            {"name": "History", "description": "What the workspace made, and what is under way."},
            {"name": "Events", "description": "What happens in the workspace, told as it happens."},
            {"name": "Models", "description": "What can be asked for, and what it costs."},
            {"name": "Billing", "description": "What is left, what was spent, what it would cost."},
            {"name": "Downloads", "description": "Signed links to the files."},
            {"name": "Health", "description": "Whether the server lives and can serve."},
        ],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": "`sk_...`"}},
        },
    }


def _paths() -> Document:
    return {
        "/v2/images/generations": {"post": _create_image()},
        "/v2/images/generations/{id}": {"get": _get_image()},
        "/v2/videos/generations": {"post": _create_video()},
        "/v2/videos/generations/{id}": {"get": _get_video(), "delete": _cancel_video()},
        "/v2/generations": {"get": _list_generations()},
        "/v2/generations/{id}/events": {"get": _stream_events()},
        "/v2/generations/{id}/media": {"delete": _delete_media()},
        "/v2/generations/{id}/receipt": {"get": _get_receipt()},
        "/v2/events": {"get": _follow_events(), "post": _send_test_event()},
        "/v2/models": {"get": _list_models()},
        "/v2/models/{model}": {"get": _get_model()},
        "/v2/images/generations/quote": {"post": _quote("Image", requests.ImageGenerationBody)},
        "/v2/videos/generations/quote": {"post": _quote("Video", requests.VideoGenerationBody)},
        "/v2/billing/balance": {"get": _balance()},
        "/v2/billing/costs": {"get": _costs()},
        "/v2/downloads/{id}/{index}": {"get": _download("get"), "head": _download("head")},
        "/v2/downloads/{id}/{index}/thumbnail": {"get": _download("get", variant="Thumbnail")},
        "/healthz": {"get": _healthz()},
        "/readyz": {"get": _readyz()},
    }


def _create_image() -> Document:
    return describe_call(
        "createImage",
        "Images",
        "Make an image",
        "Answers with the finished image. The work goes on if the client leaves.",
        body=requests.ImageGenerationBody,
        parameters=submission_headers(),
        answers={"200": answer_with("The image.", wire.CompletedImage, rate=True, then=links.IMAGE)},
        failures=(*_KEYED, *_BODY, *_SUBMIT, errors.GenerationFailed, errors.GenerationUnknown),
    )


def _get_image() -> Document:
    return describe_call(
        "getImage",
        "Images",
        "Get an image again",
        "For the workspace that made it, until it is deleted.",
        parameters=[generation_id()],
        answers={"200": answer_with("The image.", wire.CompletedImage, wire.PendingGeneration, wire.FailedGeneration)},
        failures=(*_KEYED, errors.NotFound),
    )


def _create_video() -> Document:
    return describe_call(
        "createVideo",
        "Videos",
        "Make a video",
        "Answers at once; poll the id for the video.",
        body=requests.VideoGenerationBody,
        parameters=submission_headers(),
        answers={
            "202": answer_with(
                "Accepted: it is on record, and survives a crash.", wire.PendingGeneration, rate=True, then=links.VIDEO
            )
        },
        failures=(*_KEYED, *_BODY, *_SUBMIT),
    )


def _get_video() -> Document:
    answer = answer_with(
        "The video as it stands.",
        wire.PendingGeneration,
        wire.FailedGeneration,
        wire.CompletedVideo,
        rate=True,
    )
    return describe_call(
        "getVideo",
        "Videos",
        "Get a video",
        "Pending, failed or completed. Polling is free.",
        parameters=[
            generation_id(),
            query("wait", {"type": "integer", "minimum": 0, "maximum": 60, "default": 0}, _WAIT),
        ],
        answers={"200": answer},
        failures=(*_KEYED, errors.InvalidParameter, errors.NotFound),
    )


def _cancel_video() -> Document:
    return describe_call(
        "cancelVideo",
        "Videos",
        "Cancel a video",
        "One that waits ends at once. One that runs is stopped if its backend can; until then its price stays held.",
        parameters=[generation_id()],
        answers={
            "200": answer_with("It has ended: canceled, or before that.", wire.CanceledVideo),
            "202": answer_with("Its backend is being asked.", wire.CanceledVideo),
        },
        failures=(*_KEYED, errors.Forbidden, errors.NotFound),
    )


def _list_generations() -> Document:
    return describe_call(
        "listGenerations",
        "History",
        "List generations",
        "The workspace's images and videos, newest first.",
        parameters=[
            choice("type", ["image", "video"], "Only these."),
            choice("status", ["pending", "completed", "failed"], "Only those that stand so."),
            query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, "How many."),
            query("after", {"type": "string", "pattern": _ID}, "The id of the last generation you have."),
            query(
                "idempotency_key",
                {"type": "string", "minLength": 1, "maxLength": 255},
                "Only the one that this key stands for, if there is one.",
            ),
        ],
        answers={"200": answer_with("One page.", wire.GenerationList, then=links.LIST)},
        failures=(*_KEYED, errors.InvalidParameter),
    )


def _stream_events() -> Document:
    return describe_call(
        "streamEvents",
        "History",
        "Follow a generation",
        "Server-sent events: `progress`, and at last `completed` or `failed` with the generation as the list shows it.",
        parameters=[generation_id()],
        answers={"200": _STREAM},
        failures=(*_KEYED, errors.NotFound),
    )


def _follow_events() -> Document:
    event_id = {"type": "string", "pattern": _EVENT_ID}
    said = "The id of the last event you have: what came after it is told first."
    return describe_call(
        "followEvents",
        "Events",
        "Follow all events",
        "Server-sent events of everything in the workspace, in their order: `id` is the event's, `event` its type, "
        "`data` what a webhook is sent. Without the id of an event, from now on.",
        parameters=[
            {"name": "Last-Event-ID", "in": "header", "schema": event_id, "description": said},
            query("after", event_id, "The same, where a header cannot be set; the header goes first."),
            query("types", {"type": "string"}, "Only these types, with commas between: " + ", ".join(EventType) + "."),
        ],
        answers={"200": _STREAM},
        failures=(*_KEYED, errors.InvalidParameter),
    )


def _send_test_event() -> Document:
    return describe_call(
        "sendTestEvent",
        "Events",
        "Send a test event",
        "Told to the workspace's endpoints and to those who follow, as if it had happened, about a generation that is "
        "nobody's. So many a minute.",
        body=requests.TestEventBody,
        answers={"202": answer_with("It is on its way, if anybody listens.", wire.TestEvent)},
        failures=(*_KEYED, *_BODY, errors.Forbidden),
    )


def _delete_media() -> Document:
    return describe_call(
        "deleteMedia",
        "History",
        "Delete a generation's media",
        "Now, before its time. Its links stop working at once.",
        parameters=[generation_id()],
        answers={"200": answer_with("The receipt.", wire.DeletionReceipt)},
        failures=(*_KEYED, errors.Forbidden, errors.NotFound),
    )


def _get_receipt() -> Document:
    return describe_call(
        "getReceipt",
        "History",
        "Get a receipt of deletion",
        "What was deleted and when, signed; nothing of what was asked for.",
        parameters=[generation_id()],
        answers={"200": answer_with("The receipt.", wire.DeletionReceipt)},
        failures=(*_KEYED, errors.NotFound),
    )


def _list_models() -> Document:
    kind = {"type": "string", "enum": ["image", "video"]}
    answer = answer_with("The models.")
    answer["content"] = {"application/json": {"schema": {"type": "array", "items": ref_to(wire.ModelEntry)}}}
    return describe_call(
        "listModels",
        "Models",
        "List models",
        "Every model of the catalog, or those of one type.",
        parameters=[{"name": "type", "in": "query", "schema": kind, "description": "Only these."}],
        answers={"200": answer},
        failures=(*_KEYED, errors.InvalidParameter),
    )


def _get_model() -> Document:
    return describe_call(
        "getModel",
        "Models",
        "Get a model",
        "What it supports and what it costs.",
        parameters=[{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
        answers={"200": answer_with("The model.", wire.ModelEntry)},
        failures=(*_KEYED, errors.NotFound),
    )


def _quote(kind: str, body: type[msgspec.Struct]) -> Document:
    return describe_call(
        f"quote{kind}",
        "Billing",
        f"Ask what {'an image' if kind == 'Image' else 'a video'} would cost",
        "The same checks as the generation itself; nothing is held.",
        body=body,
        answers={"200": answer_with("The defaults filled in, and the exact price.", wire.Quote)},
        failures=(*_KEYED, *_BODY),
    )


def _balance() -> Document:
    return describe_call(
        "getBalance",
        "Billing",
        "Get the balance",
        "What the workspace may spend now.",
        answers={"200": answer_with("The balance.", wire.BalanceAnswer)},
        failures=_KEYED,
    )


def _costs() -> Document:
    moment = {"type": "string", "format": "date-time"}
    return describe_call(
        "listCosts",
        "Billing",
        "List costs by day",
        "One bucket for each UTC date from `start` to `end`, both included, at most 180 days apart.",
        parameters=[
            {"name": name, "in": "query", "required": True, "schema": moment, "description": "With a time zone."}
            for name in ("start", "end")
        ],
        answers={"200": answer_with("The costs.", wire.CostsAnswer)},
        failures=(*_KEYED, errors.InvalidParameter, errors.ParameterMissing),
    )


def _download(method: str, *, variant: str = "") -> Document:
    kinds = ("image/webp",) if variant else ("image/png", "image/jpeg", "image/webp", "video/mp4")
    whole: Document = {"description": "The file."}
    if method == "get":
        whole["content"] = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in kinds}
    operation = describe_call(
        f"{method}{variant or 'Download'}",
        "Downloads",
        f"Download a {'thumbnail' if variant else 'file'}" if method == "get" else "Ask about a file",
        "Needs no API key: the link itself is the permission, until `deletes_at`. Take it from an answer.",
        parameters=[
            generation_id(),
            {"name": "index", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}},
            link_parameter("exp", "^[1-9][0-9]{9}$", "Unix second at which the link stops working."),
            link_parameter("sig", "^[0-9a-f]{64}$", "The signature."),
        ],
        answers={"200": whole, **_CONDITIONAL},
        failures=_LINK,
    )
    operation["security"] = []
    return operation


def _healthz() -> Document:
    answer = {"description": "The process lives.", "content": json_content({"type": "object"})}
    return {
        "operationId": "healthz",
        "tags": ["Health"],
        "summary": "Is the process alive?",
        "security": [],
        "responses": {"200": answer, **failures_as((errors.RateLimited,))},
    }


def _readyz() -> Document:
    body = json_content({"type": "object", "properties": {"status": {"type": "string"}, "checks": {"type": "object"}}})
    return {
        "operationId": "readyz",
        "tags": ["Health"],
        "summary": "Can it serve?",
        "description": "Checks the database, its migrations and the media store.",
        "security": [],
        "responses": {
            "200": {"description": "All is there.", "content": body},
            "503": {"description": "Something is away; `checks` tells what.", "content": body},
            **failures_as((errors.RateLimited,)),
        },
    }


def _schemas() -> Document:
    kinds = (
        requests.ImageGenerationBody,
        requests.VideoGenerationBody,
        requests.TestEventBody,
        wire.TestEvent,
        wire.CompletedImage,
        wire.CompletedVideo,
        wire.PendingGeneration,
        wire.FailedGeneration,
        wire.ModelEntry,
        wire.CanceledVideo,
        wire.GenerationList,
        wire.DeletionReceipt,
        wire.BalanceAnswer,
        wire.CostsAnswer,
        wire.Quote,
        wire.ErrorBody,
    )
    return schemas_of(kinds)
