"""What can be called after an answer, with what stands in it: OpenAPI's links."""

from __future__ import annotations

from safelight.api.schemas import Document


def _with_its_id(*operations: str) -> Document:
    return {name: {"operationId": name, "parameters": {"path.id": "$response.body#/id"}} for name in operations}


IMAGE = _with_its_id("getImage", "streamEvents", "deleteMedia", "getReceipt")
VIDEO = _with_its_id("getVideo", "cancelVideo", "streamEvents", "deleteMedia", "getReceipt")
LIST = {"nextPage": {"operationId": "listGenerations", "parameters": {"query.after": "$response.body#/data/0/id"}}}
