"""From an error's kind to an HTTP answer, whose body has the shape of the dialect that was spoken."""

from __future__ import annotations

import math
from collections.abc import Mapping

import structlog
from starlette.responses import Response
from starlette.types import Scope

from safelight.api.access import request_id
from safelight.api.answer import head_of, json_response
from safelight.api.dialect import dialect_at
from safelight.domain.errors import InternalError, Kind, SafelightError
from safelight.telemetry import observe

log = structlog.get_logger()

STATUS_OF_KIND: dict[Kind, int] = {
    Kind.BAD_REQUEST: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.NO_FUNDS: 402,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.METHOD_NOT_ALLOWED: 405,
    Kind.TIMED_OUT: 408,
    Kind.CONFLICT: 409,
    Kind.GONE: 410,
    Kind.TOO_LARGE: 413,
    Kind.UNSUPPORTED: 415,
    Kind.REFUSED: 422,
    Kind.TOO_MANY: 429,
    Kind.INTERNAL: 500,
    Kind.BACKEND: 502,
    Kind.UNAVAILABLE: 503,
    Kind.UNKNOWN: 504,
}


def error_response(scope: Scope, error: Exception, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for an error: its body, its status, and what tells a client whether to repeat the request."""
    error = for_client(error)
    dialect = dialect_at(scope)
    status = dialect.statuses.get(error.kind, STATUS_OF_KIND[error.kind])
    if status < 500:
        observe.refused(error.code)
    answer: dict[str, str] = dict(headers or {})
    if status == 401:
        answer["www-authenticate"] = "Bearer"
    if status == 415:
        answer["accept-encoding"] = "identity"  # RFC 9110, section 15.5.16
    if error.retry_after_seconds is not None:
        answer["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if status == 409 or status >= 500 or (status == 429 and not error.retryable):
        answer.setdefault("x-should-retry", "true" if error.retryable else "false")
    if dialect.error_response is not None:
        response = dialect.error_response(scope, error, status, answer)
    else:
        response = json_response(dialect.error_body(error), status=status, headers=answer)
    return head_of(response) if scope["method"] == "HEAD" else response


def for_client(error: Exception) -> SafelightError:
    """The error as a client is told of it. One that is none of ours is a bug: the log has all of it, the client a
    request id."""
    if not isinstance(error, SafelightError):
        log.error("unhandled error", exc_info=error)
        error = InternalError(f"Something broke on our side. Report request {request_id()} with what you sent.")
    if error.detail is not None:
        log.error("what a client is not told", error=error.code, reason=error.detail)
    return error
