"""From an error's kind to an HTTP answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.types import Send

from safelight.api.access import request_id
from safelight.api.answer import json_response
from safelight.api.getimg.wire import ErrorBody, ErrorDetail
from safelight.domain.errors import (
    InternalError,
    InvalidParameter,
    Kind,
    MethodNotAllowed,
    NotFound,
    RequestTooLarge,
    SafelightError,
)
from safelight.domain.text import cut

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
    Kind.REFUSED: 422,
    Kind.TOO_MANY: 429,
    Kind.INTERNAL: 500,
    Kind.BACKEND: 502,
    Kind.UNAVAILABLE: 503,
    Kind.UNKNOWN: 504,
}


def error_response(error: SafelightError, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """The answer for an error: its body, its status, and what tells a client whether to repeat the request."""
    status = STATUS_OF_KIND[error.kind]
    detail = ErrorDetail(message=error.message, param=error.param, code=error.code)
    answer: dict[str, str] = dict(headers or {})
    if status == 401:
        answer["www-authenticate"] = "Bearer"
    if error.retry_after_seconds is not None:
        answer["retry-after"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if status == 409 or status >= 500:
        answer.setdefault("x-should-retry", "true" if error.retryable else "false")
    return json_response(ErrorBody(error=detail), status=status, headers=answer)


async def send_error(send: Send, error: SafelightError, headers: Mapping[str, str] | None = None) -> None:
    """The same answer from outside the framework."""
    answer = error_response(error, headers)
    fields = {"content-type": "application/json", "content-length": str(len(answer.content)), **answer.headers}
    encoded = [(name.encode(), value.encode()) for name, value in fields.items()]
    status = STATUS_OF_KIND[error.kind]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": answer.content, "more_body": False})


def on_safelight_error(_: Request[Any, Any, Any], error: SafelightError) -> Response[bytes]:
    return error_response(error)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses on its own: unknown paths, wrong methods, bodies over the limit."""
    if isinstance(error, NotFoundException):
        return error_response(NotFound(f"There is nothing at {cut(request.url.path)}. /docs lists what there is."))
    if isinstance(error, MethodNotAllowedException):
        allowed = ", ".join(_methods_at(request))
        told = MethodNotAllowed(f"{request.method} is not supported here. Use: {allowed}.")
        return error_response(told, {"allow": allowed})
    if error.status_code == 413:
        return error_response(RequestTooLarge())
    if error.status_code < 500:
        return error_response(InvalidParameter(error.detail))
    return on_exception(request, error)


def _methods_at(request: Request[Any, Any, Any]) -> list[str]:
    """What a path takes (RFC 9110, section 15.5.6); as in routing, a fixed word goes before a parameter."""
    here = request.url.path.strip("/").split("/")
    fitting = {}
    for template, methods in request.app.route_handler_method_map.items():
        there = template.strip("/").split("/")
        is_parameter = [part.startswith("{") for part in there]
        if len(here) == len(there) and all(p or a == b for a, b, p in zip(here, there, is_parameter, strict=True)):
            fitting[tuple(is_parameter)] = methods
    return sorted(str(method) for method in fitting[min(fitting)]) if fitting else []


def on_exception(_: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    return error_response(as_internal_error(error))


def as_internal_error(error: Exception) -> InternalError:
    """A bug: the log has all of it, the client a request id."""
    log.error("unhandled error", exc_info=error)
    return InternalError(f"Something broke on our side. Report request {request_id()} with what you sent.")


HANDLERS: Any = {
    SafelightError: on_safelight_error,
    HTTPException: on_http_exception,
    Exception: on_exception,
}
