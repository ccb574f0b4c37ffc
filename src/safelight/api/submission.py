"""What image and video generations share: the submission read from a request, and the headers of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.auth import api_state, principal
from safelight.api.bodies import LARGE_BYTES, read_body
from safelight.api.departure import watched
from safelight.api.errors import error_response
from safelight.api.waits import hold, let_go
from safelight.domain.errors import Crowded, SafelightError, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.numbers import whole_number
from safelight.domain.request import Request
from safelight.lifecycle.accept import Accepted, rate_window
from safelight.lifecycle.make import Made, outcome
from safelight.lifecycle.services import RateWindow
from safelight.lifecycle.submit import Submission, submit


class Body(Protocol):
    """A request body of a dialect, that can say what it asks for."""

    def request(self) -> Request: ...


async def read_submission(request: HttpRequest, into: type[Body]) -> Submission:
    """The request's body and headers, read strictly."""
    body, raw = await read_body(request, into)
    asked = body.request()
    return Submission(
        principal=principal(request),
        request=asked,
        # The same bytes are another request where another call is made of them.
        body_sha256=await _digest(f"{asked.type}\n".encode(), raw),
        idempotency_key=request.headers.get("idempotency-key"),
        retry_count=whole_number(request.headers.get("x-stainless-retry-count", "")) or 0,
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
    async with watched(request) as departed:
        return await submit(api_state(request).submitting, submission, has_left=departed.is_set)


async def make(request: HttpRequest, submission: Submission) -> Made:
    """Accept an image and wait for its end. Raises what ``make_image`` raises.

    Once it is accepted its pictures are kept, and what they took of memory is let go.
    """
    state, sender = api_state(request), submission.principal
    async with watched(request) as departed:
        accepted = await submit(state.submitting, submission, has_left=departed.is_set)
        msgspec.structs.force_setattr(submission.request, "images", ())
        let_go(request)
        if accepted.is_replay:
            hold(request, state.waits.place(sender))
        return await outcome(
            state.submitting, state.viewing, state.runner, submission, accepted, has_left=departed.is_set
        )


async def with_rate_headers(
    request: HttpRequest, type_: GenerationType, answer: Callable[[], Awaitable[Response]]
) -> Response:
    """The answer, or its error, with the workspace's rate limit in its headers."""
    try:
        response = await answer()
    except (Crowded, ServiceUnavailable) as error:
        # There may be many of these, or the database may be away: nobody waits for it once more.
        return error_response(request.scope, error)
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


def failure_response(request: HttpRequest, made: Made, error: SafelightError) -> Response:
    """The answer for an image that came to nothing."""
    headers = accepted_headers(made.accepted)
    if made.is_final:  # under the same key nothing else will come of it
        headers["x-should-retry"] = "false"
    return error_response(request.scope, error, headers)
