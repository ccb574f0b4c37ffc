"""Signed downloads: no API key, no redirect, the file's bytes."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import structlog
from litestar import Request, asgi
from litestar.types import HTTPScope, Receive, Scope, Send

from safelight.api.errors import error_response
from safelight.api.state import ApiState
from safelight.domain.errors import DownloadExpired, InvalidSignature, MethodNotAllowed, SafelightError
from safelight.domain.media import EXTENSION_OF_MIME
from safelight.domain.ports import BlobStore
from safelight.lifecycle.download import FileToSend, find_file

log = structlog.get_logger()

_PATHSEND = "http.response.pathsend"


@asgi("/v2/downloads", is_mount=True, copy_scope=True)
async def download(scope: Scope, receive: Receive, send: Send) -> None:
    """``/v2/downloads/{id}/{index}?exp=&sig=``"""
    assert scope["type"] == "http"
    state: ApiState = scope["litestar_app"].state.api
    try:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed("A download takes GET and HEAD.")
        parts = scope["path"].strip("/").split("/")
        if len(parts) != 2:
            raise InvalidSignature
        found = await find_file(state.services, parts[0], parts[1], scope["query_string"])
        await _send_file(state.services.store, found, scope, send)
    except SafelightError as error:
        headers = {"allow": "GET, HEAD"} if isinstance(error, MethodNotAllowed) else None
        request: Request[Any, Any, Any] = Request(scope)
        await error_response(error, headers).to_asgi_response(None, request)(scope, receive, send)


async def _send_file(store: BlobStore, found: FileToSend, scope: HTTPScope, send: Send) -> None:
    """The whole file. Sent from local disk by the server itself, from elsewhere in chunks."""
    path = store.local_path(found.key)
    if path is not None and not path.exists():
        log.error("file is missing from the store", key=found.key)
        raise DownloadExpired
    headers = [(name.encode(), value.encode()) for name, value in _headers(found).items()]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif path is not None and _PATHSEND in scope.get("extensions", {}):
        await send({"type": _PATHSEND, "path": str(path)})  # type: ignore[misc,typeddict-item]
    else:
        async with contextlib.aclosing(store.stream(found.key, 0, found.size_bytes)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(found: FileToSend) -> dict[str, str]:
    seconds_left = max(0, found.deletes_at_unix - int(time.time()))
    extension = EXTENSION_OF_MIME[found.mime_type]
    return {
        "content-type": found.mime_type,
        "content-length": str(found.size_bytes),
        "content-disposition": f'inline; filename="{found.name}.{extension}"',
        "etag": f'"{found.sha256.hex()}"',
        "cache-control": f"private, max-age={seconds_left}",
        "accept-ranges": "none",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "referrer-policy": "no-referrer",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
