"""Request headers that mean one thing come once: of two, each reader on the way could believe another."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from safelight.api.errors import error_response
from safelight.domain.errors import InvalidParameter

_ONCE = {
    name.lower().encode(): name
    for name in (
        "Authorization",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Host",
        "Idempotency-Key",
        "Last-Event-ID",
        "X-Stainless-Retry-Count",
    )
}


class HeadersOnce:
    """Wraps an ASGI app. A request with a second header of those above gets a 400 that names it.

    A second ``Host`` has to be refused (RFC 9112, section 3.2). Lists, such as ``Accept`` or ``If-None-Match``, may
    come in several lines (RFC 9110, section 5.3). Two of ``Range`` or ``If-Range`` are as none: the whole file is sent
    (section 14.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        twice = _given_twice(scope["headers"]) if scope["type"] == "http" else None
        if twice is None:
            await self._app(scope, receive, send)
            return
        error = InvalidParameter(f"The {twice} header is given twice. Send it once.", param=twice)
        await error_response(scope, error)(scope, receive, send)


def _given_twice(headers: list[tuple[bytes, bytes]]) -> str | None:
    given = [name for name, _ in headers if name in _ONCE]
    if len(given) == len(set(given)):
        return None
    return next(_ONCE[name] for place, name in enumerate(given) if name in given[:place])
