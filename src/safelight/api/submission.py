"""What image and video generations share: the submission read from a request, and the headers of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.auth import api_state, principal
from safelight.api.bodies import LARGE_BYTES, read_body
from safelight.api.errors import error_response
from safelight.domain.errors import SafelightError, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.lifecycle.accept import Accepted, rate_window
from safelight.lifecycle.make import Made, make_image
from safelight.lifecycle.services import RateWindow
from safelight.lifecycle.submit import Submission, submit


class Body(Protocol):
    """A request body of a dialect, that can say what it asks for."""

    def request(self) -> Request: ...


async def read_submission(request: HttpRequest, into: type[Body]) -> Submission:
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


async def accept(request: HttpRequest, submission: Submission) -> Accepted:
    """Accept what was read from the request, unless its client leaves first. Raises what ``submit`` raises."""
    async with _watched(request) as has_left:
        return await submit(api_state(request).submitting, submission, has_left=has_left)


async def make(request: HttpRequest, submission: Submission) -> Made:
    """Accept an image and wait for its end. Raises what ``make_image`` raises."""
    state = api_state(request)
    async with _watched(request) as has_left:
        return await make_image(state.submitting, state.viewing, state.runner, submission, has_left=has_left)


async def with_rate_headers(
    request: HttpRequest, type_: GenerationType, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """The answer, or its error, with the workspace's rate limit in its headers."""
    try:
        response = await answer()
    except SafelightError as error:
        response = error_response(request.scope, error)
    if "x-ratelimit-limit" not in response.headers:
        with contextlib.suppress(ServiceUnavailable):
            window = await rate_window(api_state(request).submitting, principal(request).workspace_id, type_)
            response.headers.update(rate_headers(window))
    return response


def rate_headers(window: RateWindow | None) -> dict[str, str]:
    if window is None:
        return {}
    return {
        "x-ratelimit-limit": str(window.limit),
        "x-ratelimit-remaining": str(max(0, window.limit - window.used)),
        "x-ratelimit-reset": str(window.reset),
    }


def accepted_headers(accepted: Accepted) -> dict[str, str]:
    """The rate limit, and whether the answer is an earlier attempt's."""
    return rate_headers(accepted.window) | ({"idempotent-replayed": "true"} if accepted.is_replay else {})


def failure_response(request: HttpRequest, submission: Submission, made: Made, error: SafelightError) -> Response:
    """The answer for an image that came to nothing."""
    headers = accepted_headers(made.accepted)
    if submission.idempotency_key is not None:  # under the same key nothing else will come of it
        headers["x-should-retry"] = "false"
    return error_response(request.scope, error, headers)


@contextlib.asynccontextmanager
async def _watched(request: HttpRequest) -> AsyncIterator[Callable[[], bool]]:
    """Whether the client has left, while inside. The request's body must have been read."""
    departed = asyncio.Event()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        departed.set()

    watching = asyncio.create_task(watch(), name="departure")
    try:
        yield departed.is_set
    finally:
        watching.cancel()
