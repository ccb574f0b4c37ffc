"""What image and video generations share: the submission read from a request, and the headers of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.auth import api_state, principal
from safelight.api.bodies import LARGE_BYTES, read_body
from safelight.api.departure import watched
from safelight.api.dialect import way_in
from safelight.api.errors import error_response
from safelight.api.told import tells, tells_seen
from safelight.api.waits import hold, let_go
from safelight.domain.errors import Crowded, SafelightError, ServiceUnavailable
from safelight.domain.generations import GenerationType
from safelight.domain.numbers import whole_number
from safelight.domain.request import Request
from safelight.lifecycle.accept import Accepted, rate_window
from safelight.lifecycle.make import Made, note_all_seen, outcome, outcomes, start
from safelight.lifecycle.services import RateWindow
from safelight.lifecycle.submit import Submission, submit, submit_all


class Body(Protocol):
    """A request body of a dialect, that can say what it asks for."""

    def request(self) -> Request: ...


async def read_submission(request: HttpRequest, into: type[Body]) -> Submission:
    """The request's body and headers, read strictly."""
    body, raw = await read_body(request, into)
    asked = body.request()
    # The same bytes are another request where another call is made of them.
    return submission_of(request, asked, await body_digest(str(asked.type), raw))


def submission_of(
    request: HttpRequest,
    asked: Request,
    digest: bytes,
    *,
    end_user: str | None = None,
    remixed_from: str | None = None,
) -> Submission:
    """What the request asks for, with what its headers say. ``digest``: 32 bytes, the same for a repeat of it."""
    return Submission(
        principal=principal(request),
        request=asked,
        body_sha256=digest,
        idempotency_key=request.headers.get("idempotency-key"),
        retry_count=whole_number(request.headers.get("x-stainless-retry-count", "")) or 0,
        end_user=end_user,
        remixed_from=remixed_from,
        way_in=way_in(request.scope),
    )


async def body_digest(call: str, raw: bytes) -> bytes:
    """The digest of a call's body as it came."""
    digest = hashlib.sha256(f"{call}\n".encode())
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
        _let_pictures_go(request, submission)
        if accepted.is_replay:
            hold(request, state.waits.place(sender))
        made = await outcome(
            state.submitting, state.viewing, state.runner, submission, accepted, has_left=departed.is_set
        )
    tell(request, [made])
    return made


class Making:
    """Images that one request asks for, accepted together, and run from here on; ``accepted`` says how."""

    def __init__(self, request: HttpRequest, submission: Submission, accepted: list[Accepted]) -> None:
        self.accepted = accepted
        runner = api_state(request).runner
        self._started = [start(runner, each) for each in accepted]
        self._request = request
        self._submission = submission

    @property
    def headers(self) -> dict[str, str]:
        """The rate limit after the last of them, and whether all of the answer is an earlier attempt's."""
        window = next((each.window for each in reversed(self.accepted) if each.window is not None), None)
        is_replay = all(each.is_replay for each in self.accepted)
        return rate_headers(window) | ({"idempotent-replayed": "true"} if is_replay else {})

    async def ended(self, has_left: Callable[[], bool] | None = None) -> list[Made]:
        """How each ended, once all have; a repeat of the request joins them until ``tell_all``.

        ``has_left``: whether the client has; by default the connection says so. Raises what ``outcomes`` raises.
        """
        if has_left is not None:
            return await self._outcomes(has_left)
        async with watched(self._request) as departed:
            return await self._outcomes(departed.is_set)

    async def tell_all(self, made: list[Made]) -> None:
        """The answer that tells of them is about to be complete."""
        see = note_all_seen(api_state(self._request).viewing, made)
        await tells_seen(self._request, _completed(made), see)

    async def _outcomes(self, has_left: Callable[[], bool]) -> list[Made]:
        state, submission = api_state(self._request), self._submission
        return await outcomes(
            state.submitting, state.viewing, state.runner, submission, self._started, has_left=has_left
        )


async def begin(request: HttpRequest, submission: Submission, count: int) -> Making:
    """Accept so many images, all or none. Raises what ``submit_all`` raises."""
    state = api_state(request)
    async with watched(request) as departed:
        accepted = await submit_all(state.submitting, submission, count, has_left=departed.is_set)
    making = Making(request, submission, accepted)
    _let_pictures_go(request, submission)
    if any(each.is_replay for each in accepted):
        hold(request, state.waits.place(submission.principal))
    return making


def tell(request: HttpRequest, made: list[Made]) -> None:
    """The answer to the request tells of these: where it is lost, a repeat joins those that were completed."""
    tells(request, _completed(made))


def _completed(made: Iterable[Made]) -> list[str]:
    return [each.view.id for each in made if each.error is None]


def _let_pictures_go(request: HttpRequest, submission: Submission) -> None:
    msgspec.structs.force_setattr(submission.request, "images", ())
    let_go(request)


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
