"""Generations as resources: what the API says of one, and the file itself where that is small."""

from __future__ import annotations

import base64

import msgspec
from mcp_types import BlobResourceContents, ReadResourceResult, ResourceTemplate, TextResourceContents

from safelight.mcp.api import Api, Refused
from safelight.mcp.generations import look

_BEGINS = "safelight://generations/"
_MOST_BYTES = 768 * 1024  # 1 MiB as base64

TEMPLATE = ResourceTemplate(
    name="generation",
    title="A generation",
    uri_template=_BEGINS + "{id}",
    description="What the API says of an image or a video; and its file, where that is under 1 MiB as text.",
    mime_type="application/json",
)


async def read(api: Api, uri: str) -> ReadResourceResult:
    """Raises ``Refused``."""
    if not uri.startswith(_BEGINS):
        raise Refused(f"There is no such resource. Use {_BEGINS}req-...", code="not_found", param="uri")
    found = await look(api, uri.removeprefix(_BEGINS))
    contents: list[TextResourceContents | BlobResourceContents] = [
        TextResourceContents(uri=uri, mime_type="application/json", text=msgspec.json.encode(found).decode())
    ]
    for file in found.get("data", [])[:1]:
        data = await api.download(file["url"], _MOST_BYTES)
        if data is not None:
            blob = base64.b64encode(data).decode()
            contents.append(BlobResourceContents(uri=uri, mime_type=file["mime_type"], blob=blob))
    return ReadResourceResult(contents=contents)
