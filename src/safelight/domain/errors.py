"""One tree of errors. Each class is a wire code; its kind says, free of HTTP, what went wrong.

An error's docstring is its default message. ``param`` names the request parameter at fault, if one is.
``retryable`` says whether repeating the very same request is safe and may succeed.
"""

from __future__ import annotations

import inspect
from enum import Enum
from typing import ClassVar


class Kind(Enum):
    """What went wrong, in terms that say nothing of a transport."""

    UNAUTHENTICATED = "unauthenticated"
    BAD_REQUEST = "bad_request"
    NO_FUNDS = "no_funds"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TIMED_OUT = "timed_out"
    CONFLICT = "conflict"
    GONE = "gone"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    REFUSED = "refused"
    TOO_MANY = "too_many"
    INTERNAL = "internal"
    BACKEND = "backend"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


class SafelightError(Exception):
    """Something went wrong.

    ``message`` is for whoever asked. ``detail`` is for the operator and reaches no client: why it went wrong, perhaps
    in the words of a store. As a string, an error is its detail where it has one.
    """

    code: ClassVar[str] = "internal_error"
    kind: ClassVar[Kind] = Kind.INTERNAL
    retryable: ClassVar[bool] = False
    retry_after_seconds: float | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        retry_after_seconds: float | None = None,
        detail: str | None = None,
    ) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.detail = detail
        self.param = param
        if retry_after_seconds is not None:
            self.retry_after_seconds = retry_after_seconds
        super().__init__(detail or self.message)


class InvalidApiKey(SafelightError):
    """The API key is missing or not valid. Send it as 'Authorization: Bearer sk_...'."""

    code = "invalid_api_key"
    kind = Kind.UNAUTHENTICATED


class Forbidden(SafelightError):
    """This needs a permission that the sender does not have."""

    code = "forbidden"
    kind = Kind.FORBIDDEN


class ParameterMissing(SafelightError):
    """A required parameter is missing."""

    code = "parameter_missing"
    kind = Kind.BAD_REQUEST


class InvalidParameter(SafelightError):
    """A parameter has a value that is not supported."""

    code = "invalid_parameter"
    kind = Kind.BAD_REQUEST


class QuotaExceeded(SafelightError):
    """The workspace's balance does not cover this generation. Add credit and try again."""

    code = "quota_exceeded"
    kind = Kind.NO_FUNDS


class ContentPolicyViolation(SafelightError):
    """The request was refused by the content policy. Change the prompt or the images."""

    code = "content_policy_violation"
    kind = Kind.REFUSED


class RateLimited(SafelightError):
    """Too many requests. Wait, and try again."""

    code = "rate_limit"
    kind = Kind.TOO_MANY
    retryable = True


class Crowded(RateLimited):
    """Too many requests are open. Wait for some to end, or close some."""


class NotFound(SafelightError):
    """There is no such thing in this workspace."""

    code = "not_found"
    kind = Kind.NOT_FOUND


class MethodNotAllowed(SafelightError):
    """This address does not take that method."""

    code = "method_not_allowed"
    kind = Kind.METHOD_NOT_ALLOWED


class IdempotencyConflict(SafelightError):
    """This idempotency key was used with another request. Use a new key for a new request."""

    code = "idempotency_conflict"
    kind = Kind.CONFLICT


class RequestTimeout(SafelightError):
    """The request body did not arrive in time. Send it again."""

    code = "request_timeout"
    kind = Kind.TIMED_OUT
    retryable = True


class RequestTooLarge(SafelightError):
    """The request body is over the limit of 25 MiB. Send fewer or smaller images."""

    code = "request_too_large"
    kind = Kind.TOO_LARGE


class UnsupportedCoding(SafelightError):
    """The request body is in a content coding that is not taken. Send it as it is, without Content-Encoding."""

    code = "unsupported_content_encoding"
    kind = Kind.UNSUPPORTED


class InvalidSignature(SafelightError):
    """The download link is not valid. Fetch the generation again for a fresh link."""

    code = "invalid_signature"
    kind = Kind.FORBIDDEN


class DownloadExpired(SafelightError):
    """The download link has expired, or its file has been deleted."""

    code = "download_expired"
    kind = Kind.GONE


class GenerationFailed(SafelightError):
    """The backend could not make this generation. Nothing was charged."""

    code = "generation_failed"
    kind = Kind.BACKEND
    retryable = True


class GenerationUnknown(SafelightError):
    """The outcome is not known yet."""

    code = "generation_unknown"
    kind = Kind.UNKNOWN


class ImageGoesOn(GenerationUnknown):
    """This server is stopping. The image is made all the same: repeat the request to get it."""

    retryable = True


class ServiceUnavailable(SafelightError):
    """The service is away for a moment. Nothing was charged; try again."""

    code = "service_unavailable"
    kind = Kind.UNAVAILABLE
    retryable = True
    retry_after_seconds = 1.0


class MayBeAccepted(ServiceUnavailable):
    """The service is away for a moment, and may have accepted this. A repeat by your client joins it, and is free."""


class StoreFull(ServiceUnavailable):
    """The media store is full. Nothing was charged; try again later."""


class InternalError(SafelightError):
    """Something broke on our side."""


class ConfigurationError(SafelightError):
    """The configuration is wrong."""

    code = "configuration_error"


class MediaError(SafelightError):
    """The bytes are not the media they should be."""

    code = "generation_failed"
    kind = Kind.BACKEND


class ProvenanceError(SafelightError):
    """The file could not be signed."""

    code = "generation_failed"
    kind = Kind.BACKEND
