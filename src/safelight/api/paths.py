"""One spelling of a path, for routes and links alike, before anything else reads it.

========================================  =============================================================
``//v2/models``, ``/v2/models/``          as ``/v2/models``: empty segments are left out
``/v2/%6dodels``                          as ``/v2/models``: each segment is decoded, once
``/v2%2Fmodels``, ``/v2/models%2F``       nothing: an encoded slash divides no path (RFC 3986, section 2.2)
``/v2/./models``, ``/v2/%2e%2e/models``   nothing: clients resolve dot segments before they send a path
========================================  =============================================================

A proxy in front that opens some paths and not others sees the path as it was sent. What the last two mean to it is
unknown, so here they mean nothing.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send


class Paths:
    """Wraps an ASGI app, which gets paths in their one spelling."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["path"] = plain_path(scope["raw_path"])
        await self._app(scope, receive, send)


def plain_path(raw_path: bytes) -> str:
    """The path as the routes have it; ``%2F`` stays where it is."""
    if not raw_path.startswith(b"/"):
        return raw_path.decode("latin-1")  # such as the ``*`` of OPTIONS
    return "/" + "/".join(_decoded(segment) for segment in raw_path.split(b"/") if segment)


def _decoded(segment: bytes) -> str:
    plain = unquote_to_bytes(segment) if b"%" in segment else segment
    return plain.decode("utf-8", "replace").replace("/", "%2F")
