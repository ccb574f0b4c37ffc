"""What image and video generations share: the submission read from a request, and the rate limit headers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from litestar import Request, Response

from safelight.api.auth import api_state, principal
from safelight.api.bodies import LARGE_BYTES, read_body
from safelight.api.errors import error_response
from safelight.api.getimg.wire import ImageGenerationBody, VideoGenerationBody
from safelight.domain.errors import SafelightError, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.scope import Principal
from safelight.lifecycle.accept import rate_window
from safelight.lifecycle.services import RateWindow, SubmitServices
from safelight.lifecycle.submit import Submission

HttpRequest = Request[Any, Any, Any]
REPLAYED = "idempotent-replayed"


async def read_submission(
    request: HttpRequest, into: type[ImageGenerationBody] | type[VideoGenerationBody]
) -> Submission:
    """The request's body and headers, read strictly."""
    body, raw = await read_body(request, into)
    asked = body.request()
    retries = request.headers.get("x-stainless-retry-count", "0")
    return Submission(
        principal=principal(request),
        request=asked,
        # The same bytes are another request where another call is made of them.
        body_sha256=await _digest(f"{asked.type}\n".encode(), raw),
        idempotency_key=request.headers.get("idempotency-key"),
        retry_count=int(retries) if retries.isascii() and retries.isdecimal() and len(retries) < 4 else 0,
    )


async def _digest(call: bytes, raw: bytes) -> bytes:
    digest = hashlib.sha256(call)
    if len(raw) > LARGE_BYTES:
        await asyncio.to_thread(digest.update, raw)
    else:
        digest.update(raw)
    return digest.digest()


async def with_rate_headers(
    request: HttpRequest, type_: GenerationType, answer: Callable[[], Awaitable[Response[bytes]]]
) -> Response[bytes]:
    """The answer, or its error, with the workspace's rate limit told in its headers."""
    services = api_state(request).submitting
    try:
        response = await answer()
    except SafelightError as error:
        response = error_response(error)
    if "x-ratelimit-limit" not in response.headers:
        with contextlib.suppress(ServiceUnavailable):
            response.headers.update(await _current_headers(services, principal(request), type_))
    return response


def rate_headers(window: RateWindow | None) -> dict[str, str]:
    if window is None:
        return {}
    return {
        "x-ratelimit-limit": str(window.limit),
        "x-ratelimit-remaining": str(max(0, window.limit - window.used)),
        "x-ratelimit-reset": str(window.reset),
    }


async def _current_headers(services: SubmitServices, sender: Principal, type_: GenerationType) -> dict[str, str]:
    return rate_headers(await rate_window(services, sender.workspace_id, type_))


class Departure:
    """Notices that the client left before its answer was sent."""

    def __init__(self) -> None:
        self._has_left = False

    def has_left(self) -> bool:
        return self._has_left

    @contextlib.asynccontextmanager
    async def watched(self, request: HttpRequest) -> AsyncIterator[None]:
        """Watch while inside. The request's body must have been read."""
        watch = asyncio.create_task(self._watch(request))
        try:
            yield
        finally:
            watch.cancel()

    async def _watch(self, request: HttpRequest) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self._has_left = True
