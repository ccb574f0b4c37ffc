"""How a command that calls a server ends, as an exit status, and the errors that lead there."""

from __future__ import annotations

from collections.abc import Mapping

from safelight.domain.errors import SafelightError

OK = 0
FAILED = 1
"""The generation failed, or its file could not be kept."""
MISUSE = 2
"""What was asked for is not possible as it was asked."""
REFUSED = 3
"""By moderation."""
NO_FUNDS = 4
UNKNOWN = 5
"""How it ended is not known: its id, or how to find it, has been told."""
UNREACHABLE = 6
"""The server did not answer, or would not work now."""
INTERRUPTED = 130

STATUS_OF_CODE = {
    "invalid_api_key": MISUSE,
    "parameter_missing": MISUSE,
    "invalid_parameter": MISUSE,
    "not_found": MISUSE,
    "method_not_allowed": MISUSE,
    "idempotency_conflict": MISUSE,
    "request_too_large": MISUSE,
    "content_policy_violation": REFUSED,
    "quota_exceeded": NO_FUNDS,
    "generation_unknown": UNKNOWN,
    "rate_limit": UNREACHABLE,
    "request_timeout": UNREACHABLE,
    "service_unavailable": UNREACHABLE,
}
"""By the API's error code, of an answer and of a generation alike; any other is ``FAILED``."""


class CommandFailed(SafelightError):
    """The command came to nothing. ``status`` is its exit status, ``body`` the API's own JSON where that said so.

    ``may_have_arrived``: of a call that was repeated, an attempt went out whose answer was lost.
    """

    may_have_arrived = False

    def __init__(self, message: str, status: int = FAILED, *, body: bytes = b"") -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Misuse(CommandFailed):
    """What was asked for is not possible as it was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, MISUSE)


class Unreachable(CommandFailed):
    """No answer came."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNREACHABLE)


class Answered(CommandFailed):
    """The API answered with an error: its code and parameter, the HTTP status, the headers and the body."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        param: str | None = None,
        http_status: int = 0,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(message, STATUS_OF_CODE.get(code, FAILED), body=body)
        self.answer_code = code
        self.param = param
        self.http_status = http_status
        self.headers = headers or {}

    def __str__(self) -> str:
        where = f", {self.param}" if self.param else ""
        return f"{self.message} ({self.answer_code}{where})"
