"""Errors as clients of OpenAI's API read them: its statuses, its names for some, and its names for parameters.

Its clients know the statuses 400, 401, 403, 404, 409, 422, 429 and those from 500. What the content policy refuses is
a 400 there, and one who has no funds left gets a 429 that is not worth a repeat.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from safelight.domain.errors import Kind, QuotaExceeded, SafelightError

STATUSES: Mapping[Kind, int] = {Kind.REFUSED: 400, Kind.NO_FUNDS: 429}

_CODES = {QuotaExceeded.code: "insufficient_quota"}
_TYPES: Mapping[Kind, ErrorType] = {
    Kind.NO_FUNDS: "insufficient_quota",
    Kind.TOO_MANY: "rate_limit_error",
    Kind.INTERNAL: "server_error",
    Kind.BACKEND: "server_error",
    Kind.UNAVAILABLE: "server_error",
    Kind.UNKNOWN: "server_error",
}
# How OpenAI begins it. Of an image's error LiteLLM has the sentence alone, and knows a refusal by these words.
_REJECTED = "The request was rejected as a result of the safety system. "
_ROOT = re.compile(r"[^.\[]*")

ErrorType = Literal["invalid_request_error", "insufficient_quota", "rate_limit_error", "server_error"]


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    type: ErrorType
    param: str | None
    code: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorDetail


def error_body(error: SafelightError) -> ErrorBody:
    return ErrorBody(
        error=ErrorDetail(
            message=_REJECTED + error.message if error.kind is Kind.REFUSED else error.message,
            type=_TYPES.get(error.kind, "invalid_request_error"),
            param=error.param,
            code=_CODES.get(error.code, error.code),
        )
    )


@contextlib.contextmanager
def naming(params: Mapping[str, str]) -> Iterator[None]:
    """Inside, an error at a parameter of these names, or at what it holds, is one at the parameter they stand for.

    Such as ``images[0].url`` at ``image``, where ``images`` stands for that.
    """
    try:
        yield
    except SafelightError as error:
        if error.param is not None and (found := _ROOT.match(error.param)):
            error.param = params.get(found[0], error.param)
        raise
