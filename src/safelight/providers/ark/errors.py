"""What a refusal means: ``{error: {code, message, param, type}}``, a failed task's error, an image's own."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.backend_api import Reply, failure_of

_REASONS = {
    "AuthenticationError": FailureClass.AUTH,
    "InvalidAccountStatus": FailureClass.AUTH,
    "AccessDenied": FailureClass.AUTH,
    "OperationDenied.PermissionDenied": FailureClass.AUTH,
    "AccountOverdueError": FailureClass.QUOTA,
    "AccountOverdue": FailureClass.QUOTA,
    "OperationDenied.ServiceOverdue": FailureClass.QUOTA,
    "QuotaExceeded": FailureClass.QUOTA,
    "SetLimitExceeded": FailureClass.QUOTA,
    "RateLimitExceeded": FailureClass.RATE_LIMITED,
    "ServerOverloaded": FailureClass.RATE_LIMITED,
    "ModelLoadingError": FailureClass.RATE_LIMITED,
    "RequestBurstTooFast": FailureClass.RATE_LIMITED,
    "InflightBatchsizeExceeded": FailureClass.RATE_LIMITED,
    "FlowLimitExceeded": FailureClass.RATE_LIMITED,
    "InvalidParameter": FailureClass.BAD_INPUT,
    "MissingParameter": FailureClass.BAD_INPUT,
    "InvalidArgumentError": FailureClass.BAD_INPUT,
    "InvalidImageURL": FailureClass.BAD_INPUT,
    "OutofContextError": FailureClass.BAD_INPUT,
    "ModelNotOpen": FailureClass.PERMANENT,
    "OperationDenied": FailureClass.PERMANENT,
    "InvalidEndpoint": FailureClass.PERMANENT,
    "InvalidEndpointOrModel": FailureClass.PERMANENT,
    "InvalidSubscription": FailureClass.PERMANENT,
    "UnsupportedModel": FailureClass.PERMANENT,
    "InvalidParameter.UnsupportedParameter": FailureClass.PERMANENT,
    "InternalServiceError": FailureClass.TRANSIENT,
    "InternalServiceTimeout": FailureClass.TRANSIENT,
    "ServiceUnavailableTemp": FailureClass.TRANSIENT,
    "ContentSecurityDetectionError": FailureClass.TRANSIENT,
}
_REMEDIES = {
    "ModelNotOpen": "Activate the model in the vendor's console.",
    "OperationDenied.ServiceNotOpen": "Activate the model in the vendor's console.",
    "InvalidEndpointOrModel": "Name a model or an endpoint that this key's account has, in this region.",
    "InvalidEndpoint": "Start the endpoint in the vendor's console, or name another.",
    "AccountOverdueError": "Pay what is owed in the vendor's console.",
    "OperationDenied.ServiceOverdue": "Pay what is owed in the vendor's console.",
    "QuotaExceeded": "Buy the model, or raise its quota, in the vendor's console.",
    "SetLimitExceeded": "Raise the limit that was set in the vendor's console.",
    "AccessDenied": "Let the key use the model, in the vendor's console.",
    "AuthenticationError": "Correct the connection's key. Keys are of one region: see that base_url is the same.",
}
_POLICY = ("SensitiveContentDetected", "RiskDetection")
_QUEUE = ("queue", "排队")
_CLIENTS_OWN = frozenset({"prompt", "content", "text", "image", "image_url", "seed"})
_PARAMETER = re.compile(r"`([A-Za-z_][\w.\[\]]{0,80})`")
_MAX_CODE = 200

GAVE_UP = "it gave up waiting, which says nothing of the order"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it was told."""

    code: str | None = None
    message: str = ""
    param: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.code is None and not self.message

    def reason(self) -> FailureClass | None:
        """Why, if its code tells it, or a code that its words quote."""
        code = self.code or ""
        if any(part in code or part in self.message for part in _POLICY):
            return FailureClass.CONTENT_POLICY
        root = code.partition(".")[0]
        if root == "QuotaExceeded" and any(word in self.message.lower() for word in _QUEUE):
            return FailureClass.RATE_LIMITED  # not what may be used is used up, but too many tasks wait
        if root.endswith("RateLimitExceeded"):
            return FailureClass.RATE_LIMITED
        return _REASONS.get(code) or _REASONS.get(root)

    @property
    def is_open(self) -> bool:
        """Whether it tells that somebody gave up waiting, which says nothing of the order."""
        return "timeout" in (self.code or "").lower()

    def remedy(self) -> str:
        """What the operator may do about it; empty where the code does not tell."""
        code = self.code or ""
        return _REMEDIES.get(code) or _REMEDIES.get(code.partition(".")[0], "")

    def parameter(self) -> str | None:
        """The parameter that is at fault, if it is named."""
        if self.param:
            return self.param
        quoted = _PARAMETER.search(self.message)
        if quoted is not None:
            return quoted[1]
        suffix = (self.code or "").partition(".")[2]
        return suffix if suffix[:1].islower() else None


NOTHING_SAID = Said()


def error_in(document: object) -> Said:
    """The error of a body, a task or an item: under ``error``, by itself, or as the vendor's gateway wraps it."""
    given: Any = document.get("error") if isinstance(document, dict) else None
    if given is None and isinstance(document, dict):
        wrapped = document.get("ResponseMetadata")
        given = wrapped.get("Error") if isinstance(wrapped, dict) else document
    if isinstance(given, str):
        return Said(message=given)
    if not isinstance(given, dict):
        return NOTHING_SAID
    texts = {
        name: value
        for name in ("code", "message", "param")
        for value in (given.get(name), given.get(name.capitalize()))
        if isinstance(value, str) and value
    }
    if "code" in texts:
        texts["code"] = texts["code"][:_MAX_CODE]
    return Said(**texts)


def with_error(answer: Answer, said: Said) -> Answer:
    return msgspec.structs.replace(answer, code=said.code, words=said.message or answer.words)


def refusal_of(reply: Reply, own: frozenset[str], *, fetches_images: bool) -> Failed | Unknown:
    """What an answer other than 2xx to an order means. ``own``: names of options that the client chose.

    A parameter that the client did not choose as it stands is at odds with the catalog, and none of the client's fault;
    neither is an image that the vendor could not fetch here (``fetches_images``).
    """
    said = error_in(reply.json())
    answer = with_error(reply.answer(), said)
    if said.is_open and reply.status >= 500:
        return Unknown(GAVE_UP, answer)
    otherwise, reason = failure_of(reply, answer), said.reason()
    if reason is None or (reply.status >= 500 and reason is not FailureClass.CONTENT_POLICY):
        return otherwise
    if reason is FailureClass.BAD_INPUT:
        return _bad_input(said, answer, own, fetches_images=fetches_images)
    return Failed(reason, said.remedy(), reply.retry_after_seconds(), answer)


def failure_of_task(said: Said, answer: Answer, own: frozenset[str] = frozenset(), *, fetches_images: bool) -> Failed:
    """What the error of a task or an image that came to nothing means."""
    reason = said.reason() or FailureClass.PERMANENT
    if reason is FailureClass.BAD_INPUT:
        return _bad_input(said, with_error(answer, said), own, fetches_images=fetches_images)
    return Failed(reason, said.remedy(), answer=with_error(answer, said))


def _bad_input(said: Said, answer: Answer, own: frozenset[str], *, fetches_images: bool) -> Failed:
    parameter = said.parameter()
    if parameter is None:
        return Failed(FailureClass.BAD_INPUT, answer=answer)
    root = re.split(r"[.\[]", parameter, maxsplit=1)[0]
    is_image = "image" in parameter
    if root not in _CLIENTS_OWN | own or (fetches_images and is_image):
        return Failed(FailureClass.PERMANENT, f"it does not take {parameter} as the catalog has it", answer=answer)
    return Failed(FailureClass.BAD_INPUT, answer=answer)
