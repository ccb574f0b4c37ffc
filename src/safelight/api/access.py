"""Request ids and the access log: one line a request, with no query, no header and no body in it."""

from __future__ import annotations

from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safelight.domain.ids import new_ulid
from safelight.domain.text import cut
from safelight.telemetry import observe, traces
from safelight.telemetry.logs import access_lines
from safelight.telemetry.spans import Head

_REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_QUIET = ("/healthz", "/readyz")
_OBSERVED = "safelight.observed"
"""In a request's scope: what is observed of it."""


def request_id() -> str:
    """The id of the request being served, as ``x-request-id`` tells it to the client."""
    return _REQUEST_ID.get()


def note_route(scope: Scope, template: str) -> None:
    """The route of a request is found. One that is made within another is not observed by itself."""
    request: observe.Request | None = scope.get(_OBSERVED)
    if request is not None:
        request.route = template


class AccessLog:
    """Wraps an ASGI app: each request is observed, and logged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            with access_lines.in_batches():  # for as long as the server serves
                await self._app(scope, receive, send)
            return
        rid, path = new_ulid(), scope["path"]
        _REQUEST_ID.set(rid)
        is_traced = traces.is_on() and path not in _QUIET
        request = observe.Request(scope["method"], _head(scope, rid) if is_traced else None)
        scope[_OBSERVED] = request

        async def send_noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", rid.encode())]
            await send(message)

        try:
            with request:
                await self._app(scope, receive, send_noted)
        finally:
            if path not in _QUIET:
                milliseconds = round(request.seconds * 1000, 1)
                access_lines.add(scope["method"], cut(path), request.status, milliseconds, rid, request.ids)


def _head(scope: Scope, request_id: str) -> Head:
    sent = {b"host": "", b"traceparent": ""}
    for name, value in scope["headers"]:
        if name in sent:
            # Of two that are sent neither counts: it is not known whose is meant.
            sent[name] = value.decode("latin-1") if not sent[name] else "?"
    return Head(
        method=scope["method"],
        path=scope["path"],
        scheme=scope["scheme"],
        host=sent[b"host"],
        version=scope["http_version"],
        traceparent=sent[b"traceparent"] or None,
        request_id=request_id,
    )
