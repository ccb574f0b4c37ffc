"""The API described in OpenAPI 3.1, from the very structs that go over the wire."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import get_args, get_type_hints

import msgspec

from safelight import __version__
from safelight.api.errors import STATUS_OF_KIND
from safelight.api.getimg import links, requests, wire
from safelight.api.getimg.examples import BODIES, VALUES
from safelight.api.reference import Description
from safelight.api.schemas import REF, Document, schemas_of
from safelight.domain import errors

_ID = "^req-[0-7][0-9A-HJKMNP-TV-Z]{25}$"
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
_RATE_HEADERS = {
    "X-RateLimit-Limit": "Generations of this type that the workspace may submit a minute.",
    "X-RateLimit-Remaining": "How many of them are left in this window.",
    "X-RateLimit-Reset": "Unix second at which the next window starts.",
}


def describe(public_url: str) -> Description:
    """The document, and the examples that go with it."""
    return Description(document=document(public_url), values=VALUES, bodies=BODIES)


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
    return _operation(
        "createImage",
        "Images",
        "Make an image",
        "Answers with the finished image. The work goes on if the client leaves.",
        body=requests.ImageGenerationBody,
        parameters=_submission_headers(),
        answers={"200": _answer("The image.", wire.CompletedImage, rate=True, then=links.IMAGE)},
        failures=(*_KEYED, *_BODY, *_SUBMIT, errors.GenerationFailed, errors.GenerationUnknown),
    )


def _get_image() -> Document:
    return _operation(
        "getImage",
        "Images",
        "Get an image again",
        "For the workspace that made it, until it is deleted.",
        parameters=[_generation_id()],
        answers={"200": _answer("The image.", wire.CompletedImage, wire.PendingGeneration, wire.FailedGeneration)},
        failures=(*_KEYED, errors.NotFound),
    )


def _create_video() -> Document:
    return _operation(
        "createVideo",
        "Videos",
        "Make a video",
        "Answers at once; poll the id for the video.",
        body=requests.VideoGenerationBody,
        parameters=_submission_headers(),
        answers={
            "202": _answer(
                "Accepted: it is on record, and survives a crash.", wire.PendingGeneration, rate=True, then=links.VIDEO
            )
        },
        failures=(*_KEYED, *_BODY, *_SUBMIT),
    )


def _get_video() -> Document:
    answer = _answer(
        "The video as it stands.",
        wire.PendingGeneration,
        wire.FailedGeneration,
        wire.CompletedVideo,
        rate=True,
    )
    return _operation(
        "getVideo",
        "Videos",
        "Get a video",
        "Pending, failed or completed. Polling is free.",
        parameters=[
            _generation_id(),
            _query("wait", {"type": "integer", "minimum": 0, "maximum": 60, "default": 0}, _WAIT),
        ],
        answers={"200": answer},
        failures=(*_KEYED, errors.InvalidParameter, errors.NotFound),
    )


def _cancel_video() -> Document:
    return _operation(
        "cancelVideo",
        "Videos",
        "Cancel a video",
        "One that waits ends at once. One that runs is stopped if its backend can; until then its price stays held.",
        parameters=[_generation_id()],
        answers={
            "200": _answer("It has ended: canceled, or before that.", wire.CanceledVideo),
            "202": _answer("Its backend is being asked.", wire.CanceledVideo),
        },
        failures=(*_KEYED, errors.NotFound),
    )


def _list_generations() -> Document:
    return _operation(
        "listGenerations",
        "History",
        "List generations",
        "The workspace's images and videos, newest first.",
        parameters=[
            _choice("type", ["image", "video"], "Only these."),
            _choice("status", ["pending", "completed", "failed"], "Only those that stand so."),
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, "How many."),
            _query("after", {"type": "string", "pattern": _ID}, "The id of the last generation you have."),
            _query(
                "idempotency_key",
                {"type": "string", "minLength": 1, "maxLength": 255},
                "Only the one that this key stands for, if there is one.",
            ),
        ],
        answers={"200": _answer("One page.", wire.GenerationList, then=links.LIST)},
        failures=(*_KEYED, errors.InvalidParameter),
    )


def _stream_events() -> Document:
    operation = _operation(
        "streamEvents",
        "History",
        "Follow a generation",
        "Server-sent events: `progress`, and at last `completed` or `failed` with the generation as the list shows it.",
        parameters=[_generation_id()],
        answers={},
        failures=(*_KEYED, errors.NotFound),
    )
    stream = {"description": "The events.", "content": {"text/event-stream": {}}}
    return {**operation, "responses": {"200": stream, **operation["responses"]}}


def _delete_media() -> Document:
    return _operation(
        "deleteMedia",
        "History",
        "Delete a generation's media",
        "Now, before its time. Its links stop working at once.",
        parameters=[_generation_id()],
        answers={"200": _answer("The receipt.", wire.DeletionReceipt)},
        failures=(*_KEYED, errors.NotFound),
    )


def _get_receipt() -> Document:
    return _operation(
        "getReceipt",
        "History",
        "Get a receipt of deletion",
        "What was deleted and when, signed; nothing of what was asked for.",
        parameters=[_generation_id()],
        answers={"200": _answer("The receipt.", wire.DeletionReceipt)},
        failures=(*_KEYED, errors.NotFound),
    )


def _choice(name: str, values: list[str], description: str) -> Document:
    return _query(name, {"type": "string", "enum": values}, description)


def _query(name: str, schema: Document, description: str) -> Document:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _list_models() -> Document:
    kind = {"type": "string", "enum": ["image", "video"]}
    answer = _answer("The models.")
    answer["content"] = {"application/json": {"schema": {"type": "array", "items": _ref(wire.ModelEntry)}}}
    return _operation(
        "listModels",
        "Models",
        "List models",
        "Every model of the catalog, or those of one type.",
        parameters=[{"name": "type", "in": "query", "schema": kind, "description": "Only these."}],
        answers={"200": answer},
        failures=(*_KEYED, errors.InvalidParameter),
    )


def _get_model() -> Document:
    return _operation(
        "getModel",
        "Models",
        "Get a model",
        "What it supports and what it costs.",
        parameters=[{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
        answers={"200": _answer("The model.", wire.ModelEntry)},
        failures=(*_KEYED, errors.NotFound),
    )


def _quote(kind: str, body: type[msgspec.Struct]) -> Document:
    return _operation(
        f"quote{kind}",
        "Billing",
        f"Ask what {'an image' if kind == 'Image' else 'a video'} would cost",
        "The same checks as the generation itself; nothing is held.",
        body=body,
        answers={"200": _answer("The defaults filled in, and the exact price.", wire.Quote)},
        failures=(*_KEYED, *_BODY),
    )


def _balance() -> Document:
    return _operation(
        "getBalance",
        "Billing",
        "Get the balance",
        "What the workspace may spend now.",
        answers={"200": _answer("The balance.", wire.BalanceAnswer)},
        failures=_KEYED,
    )


def _costs() -> Document:
    moment = {"type": "string", "format": "date-time"}
    return _operation(
        "listCosts",
        "Billing",
        "List costs by day",
        "One bucket for each UTC date from `start` to `end`, both included, at most 180 days apart.",
        parameters=[
            {"name": name, "in": "query", "required": True, "schema": moment, "description": "With a time zone."}
            for name in ("start", "end")
        ],
        answers={"200": _answer("The costs.", wire.CostsAnswer)},
        failures=(*_KEYED, errors.InvalidParameter, errors.ParameterMissing),
    )


def _download(method: str, *, variant: str = "") -> Document:
    kinds = ("image/webp",) if variant else ("image/png", "image/jpeg", "image/webp", "video/mp4")
    whole: Document = {"description": "The file."}
    if method == "get":
        whole["content"] = {kind: {"schema": {"type": "string", "contentMediaType": kind}} for kind in kinds}
    operation = _operation(
        f"{method}{variant or 'Download'}",
        "Downloads",
        f"Download a {'thumbnail' if variant else 'file'}" if method == "get" else "Ask about a file",
        "Needs no API key: the link itself is the permission, until `deletes_at`. Take it from an answer.",
        parameters=[
            _generation_id(),
            {"name": "index", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}},
            _link_parameter("exp", "^[1-9][0-9]{9}$", "Unix second at which the link stops working."),
            _link_parameter("sig", "^[0-9a-f]{64}$", "The signature."),
        ],
        answers={"200": whole, **_CONDITIONAL},
        failures=_LINK,
    )
    operation["security"] = []
    return operation


def _healthz() -> Document:
    answer = {"description": "The process lives.", "content": _json({"type": "object"})}
    return {
        "operationId": "healthz",
        "tags": ["Health"],
        "summary": "Is the process alive?",
        "security": [],
        "responses": {"200": answer, **_failures((errors.RateLimited,))},
    }


def _readyz() -> Document:
    body = _json({"type": "object", "properties": {"status": {"type": "string"}, "checks": {"type": "object"}}})
    return {
        "operationId": "readyz",
        "tags": ["Health"],
        "summary": "Can it serve?",
        "description": "Checks the database, its migrations and the media store.",
        "security": [],
        "responses": {
            "200": {"description": "All is there.", "content": body},
            "503": {"description": "Something is away; `checks` tells what.", "content": body},
            **_failures((errors.RateLimited,)),
        },
    }


def _operation(
    operation_id: str,
    tag: str,
    summary: str,
    description: str,
    *,
    answers: Mapping[str, Document],
    failures: tuple[type[errors.SafelightError], ...],
    body: type[msgspec.Struct] | None = None,
    parameters: list[Document] | None = None,
) -> Document:
    operation: Document = {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": description,
        "security": [{"apiKey": []}],
        "parameters": parameters or [],
        "responses": {**answers, **_failures(failures)},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(_ref(body))}
    return operation


def _failures(failures: tuple[type[errors.SafelightError], ...]) -> Document:
    """One entry a status, naming the codes that share it."""
    by_status: dict[str, list[type[errors.SafelightError]]] = {}
    for failure in failures:
        by_status.setdefault(str(STATUS_OF_KIND[failure.kind]), []).append(failure)
    return {
        status: {
            "description": " ".join(dict.fromkeys(f"`{item.code}`: {item().message}" for item in items)),
            "content": _json(_ref(wire.ErrorBody)),
        }
        for status, items in sorted(by_status.items())
    }


def _answer(
    description: str, *bodies: type[msgspec.Struct], rate: bool = False, then: Document | None = None
) -> Document:
    """An answer, with the rate limit in its headers, and with the calls that go on from it."""
    answer: Document = {"description": description} | ({"links": then} if then else {})
    if bodies:
        refs = [_ref(body) for body in bodies]
        answer["content"] = _json(refs[0] if len(refs) == 1 else _by_status(bodies))
    if rate:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "integer"}} for name, text in _RATE_HEADERS.items()
        }
    return answer


def _by_status(bodies: Iterable[type[msgspec.Struct]]) -> Document:
    """One of several answers, told apart by their status."""
    by_status = {get_args(get_type_hints(body)["status"])[0]: _ref(body)["$ref"] for body in bodies}
    discriminator = {"propertyName": "status", "mapping": by_status}
    return {"oneOf": [{"$ref": ref} for ref in by_status.values()], "discriminator": discriminator}


def _submission_headers() -> list[Document]:
    # One character or more, no control characters, and no blank at either end, which HTTP would take away.
    pattern = r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]{0,253}[^\x00-\x20\x7f])?$"
    key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": pattern}
    return [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": key,
            "description": "A repeat with the same key and body gets the first answer again, and is charged once.",
        }
    ]


def _generation_id() -> Document:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "examples": ["req-" + "0" * 26]},
    }


def _link_parameter(name: str, pattern: str, description: str) -> Document:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "query", "required": True, "schema": schema, "description": description}


def _json(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def _ref(kind: type[msgspec.Struct]) -> Document:
    return {"$ref": REF.format(name=kind.__name__)}


def _schemas() -> Document:
    kinds = (
        requests.ImageGenerationBody,
        requests.VideoGenerationBody,
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
