"""Operations of the description, put together: parameters, answers, failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args, get_type_hints

import msgspec

from safelight.api.errors import STATUS_OF_KIND
from safelight.api.getimg import wire
from safelight.api.schemas import REF, Document
from safelight.domain import errors

_RATE_HEADERS = {
    "X-RateLimit-Limit": "Generations of this type that the workspace may submit a minute.",
    "X-RateLimit-Remaining": "How many of them are left in this window.",
    "X-RateLimit-Reset": "Unix second at which the next window starts.",
}


def describe_call(
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
        "responses": {**answers, **failures_as(failures)},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": json_content(ref_to(body))}
    return operation


def failures_as(failures: tuple[type[errors.SafelightError], ...]) -> Document:
    """One entry a status, naming the codes that share it."""
    by_status: dict[str, list[type[errors.SafelightError]]] = {}
    for failure in failures:
        by_status.setdefault(str(STATUS_OF_KIND[failure.kind]), []).append(failure)
    return {
        status: {
            "description": " ".join(dict.fromkeys(f"`{item.code}`: {item().message}" for item in items)),
            "content": json_content(ref_to(wire.ErrorBody)),
        }
        for status, items in sorted(by_status.items())
    }


def answer_with(
    description: str, *bodies: type[msgspec.Struct], rate: bool = False, then: Document | None = None
) -> Document:
    """An answer, with the rate limit in its headers, and with the calls that go on from it."""
    answer: Document = {"description": description} | ({"links": then} if then else {})
    if bodies:
        refs = [ref_to(body) for body in bodies]
        answer["content"] = json_content(refs[0] if len(refs) == 1 else _by_status(bodies))
    if rate:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "integer"}} for name, text in _RATE_HEADERS.items()
        }
    return answer


def _by_status(bodies: Iterable[type[msgspec.Struct]]) -> Document:
    """One of several answers, told apart by their status."""
    by_status = {get_args(get_type_hints(body)["status"])[0]: ref_to(body)["$ref"] for body in bodies}
    discriminator = {"propertyName": "status", "mapping": by_status}
    return {"oneOf": [{"$ref": ref} for ref in by_status.values()], "discriminator": discriminator}


def submission_headers() -> list[Document]:
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


def generation_id() -> Document:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "examples": ["req-" + "0" * 26]},
    }


def link_parameter(name: str, pattern: str, description: str) -> Document:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "query", "required": True, "schema": schema, "description": description}


def json_content(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def ref_to(kind: type[msgspec.Struct]) -> Document:
    return {"$ref": REF.format(name=kind.__name__)}


def choice(name: str, values: list[str], description: str) -> Document:
    return query(name, {"type": "string", "enum": values}, description)


def query(name: str, schema: Document, description: str) -> Document:
    return {"name": name, "in": "query", "schema": schema, "description": description}
