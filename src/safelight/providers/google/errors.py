"""What a refusal means: an ``error`` of an answer, of an operation, or of an interaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.backend_api import Reply, failure_of
from safelight.outbound.loose_json import at, objects_in, text_in
from safelight.providers.google.answers import seconds_in, with_words
from safelight.providers.google.settings import Settings

_STATUS_OF_NUMBER = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
"""google.rpc.Code."""
_REASONS = {
    "INVALID_ARGUMENT": FailureClass.BAD_INPUT,
    "OUT_OF_RANGE": FailureClass.BAD_INPUT,
    "CANCELLED": FailureClass.CANCELED,
    "UNAUTHENTICATED": FailureClass.AUTH,
    "PERMISSION_DENIED": FailureClass.AUTH,
    "NOT_FOUND": FailureClass.PERMANENT,
    "FAILED_PRECONDITION": FailureClass.PERMANENT,
    "UNIMPLEMENTED": FailureClass.PERMANENT,
    "INTERNAL": FailureClass.TRANSIENT,
    "UNAVAILABLE": FailureClass.TRANSIENT,
    "DEADLINE_EXCEEDED": FailureClass.TRANSIENT,
    "ABORTED": FailureClass.TRANSIENT,
}
_REASON_OF_INFO = {
    "API_KEY_INVALID": FailureClass.AUTH,
    "API_KEY_SERVICE_BLOCKED": FailureClass.AUTH,
    "SERVICE_DISABLED": FailureClass.AUTH,
    "CONSUMER_SUSPENDED": FailureClass.AUTH,
    "BILLING_DISABLED": FailureClass.QUOTA,
}
"""``google.rpc.ErrorInfo``: what the status alone does not say."""
_SAYS_NOTHING_OF_CONTENT = frozenset(_REASONS) - {"INVALID_ARGUMENT"} | {"RESOURCE_EXHAUSTED"}
"""Policies that these tell of are an organization's, or are about the account, and not about what was asked for."""
_POLICY_MARKS = (
    "SAFETY",
    "PROHIBITED",
    "BLOCKED",
    "BLOCKLIST",
    "RECITATION",
    "POLICY",
    "RESPONSIBLE_AI",
    "SPII",
    "ARMOR",
)
_CLIENTS_PARTS = frozenset({"contents", "input", "instances", "prompt"})
_CLIENTS_FIELDS = frozenset({"prompt", "text", "seed", "negative_prompt", "negativeprompt"})
_MOST_DETAILS = 100


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it was told. ``status`` is a word such as ``RESOURCE_EXHAUSTED``, if one is known."""

    status: str = ""
    code: str | None = None
    words: str = ""
    infos: tuple[str, ...] = ()
    quotas: str = ""
    fields: tuple[str, ...] = ()
    retry_after_seconds: float | None = None


def read_error(document: object) -> Said | None:
    """The error in a parsed body, or that is the body itself; None where there is none."""
    if isinstance(document, list) and document:  # as streaming endpoints answer
        document = document[0]
    error = document.get("error", document) if isinstance(document, dict) else None
    if isinstance(error, str):
        return Said(words=error, code=error[:100])
    if not isinstance(error, dict) or not ({"code", "message", "status"} & error.keys()):
        return None
    details = objects_in(error.get("details"), _MOST_DETAILS)
    delays = [seconds_in(detail.get("retryDelay")) for detail in details]
    return Said(
        status=_status(error),
        code=_code(error),
        words=text_in(error.get("message")),
        infos=tuple(text_in(detail.get("reason")) for detail in details),
        quotas=" ".join(_quotas(details)).lower(),
        fields=tuple(_fields(details)),
        retry_after_seconds=next((delay for delay in delays if delay), None),
    )


def refusal_of(reply: Reply, settings: Settings) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to."""
    error = read_error(reply.json())
    if error is None:
        return failure_of(reply)
    answer = reply.answer(code=error.code or error.status or None, words=error.words or None)
    wait = error.retry_after_seconds or reply.retry_after_seconds()
    reason = reason_of(error, settings)
    if reply.status == 429:
        exhausted = FailureClass.QUOTA if is_exhausted(error, settings) else FailureClass.RATE_LIMITED
        return Failed(exhausted, "", wait if exhausted is FailureClass.RATE_LIMITED else None, answer)
    if 400 <= reply.status < 500 and reply.status not in (408, 409, 499) and reason is not None:
        return _explained(Failed(reason, answer=answer), error)
    outcome = failure_of(reply, answer)
    return msgspec.structs.replace(outcome, retry_after_seconds=wait) if isinstance(outcome, Failed) else outcome


def failure_of_job(error: Said, settings: Settings, answer: Answer) -> Failed:
    """What the error of a job that made nothing comes to."""
    said = with_words(answer, error.words, error.code or error.status or None)
    reason = reason_of(error, settings) or FailureClass.PERMANENT
    return _explained(Failed(reason, "", error.retry_after_seconds, said), error)


def reason_of(error: Said, settings: Settings) -> FailureClass | None:
    """Why, as far as the error tells it."""
    told = next((_REASON_OF_INFO[info] for info in error.infos if info in _REASON_OF_INFO), None)
    if told is not None:
        return told
    if error.status not in _SAYS_NOTHING_OF_CONTENT and (
        is_policy(error.status) or tells(error.words, settings.refusal_words)
    ):
        return FailureClass.CONTENT_POLICY
    if error.status == "RESOURCE_EXHAUSTED":
        return FailureClass.QUOTA if is_exhausted(error, settings) else FailureClass.RATE_LIMITED
    reason = _REASONS.get(error.status)
    return FailureClass.PERMANENT if reason is FailureClass.BAD_INPUT and _is_ours(error) else reason


def is_exhausted(error: Said, settings: Settings) -> bool:
    """Whether no waiting mends it: nothing is left of the day, or of the account."""
    return tells(f"{error.words} {error.quotas}", settings.quota_words)


def is_policy(word: str) -> bool:
    """Whether a word of theirs, of today or of tomorrow, names what is not allowed."""
    upper = word.upper()
    return any(mark in upper for mark in _POLICY_MARKS)


def tells(words: str, parts: Iterable[str]) -> bool:
    lower = words.lower()
    return any(part in lower for part in parts)


def _explained(failed: Failed, error: Said) -> Failed:
    if failed.reason is FailureClass.PERMANENT and _is_ours(error):
        detail = f"it does not take {', '.join(error.fields)[:200]} as the catalog has it"
        return msgspec.structs.replace(failed, detail=detail)
    return failed


def _is_ours(error: Said) -> bool:
    """Whether what it does not take are parameters alone that the catalog chose, and not the client."""
    return bool(error.fields) and not any(map(_is_clients, error.fields))


def _is_clients(field: str) -> bool:
    parts = [part.partition("[")[0] for part in field.lower().split(".")]
    return parts[0] in _CLIENTS_PARTS or parts[-1] in _CLIENTS_FIELDS


def _status(error: dict[str, Any]) -> str:
    word, number = text_in(error.get("status")) or text_in(error.get("code")), error.get("code")
    if word:
        return word.rpartition("/")[2].upper()
    return _STATUS_OF_NUMBER.get(number, "") if isinstance(number, int) else ""


def _code(error: dict[str, Any]) -> str | None:
    code = text_in(error.get("status")) or text_in(error.get("code"))
    return code[:100] or (str(error["code"])[:20] if isinstance(error.get("code"), int) else None)


def _quotas(details: list[dict[str, Any]]) -> Iterator[str]:
    """``google.rpc.QuotaFailure``."""
    for detail in details:
        for violation in objects_in(detail.get("violations")):
            yield text_in(violation.get("quotaId"))
            if violation.get("quotaValue") in ("0", 0):
                yield "limit: 0"


def _fields(details: list[dict[str, Any]]) -> Iterator[str]:
    """``google.rpc.BadRequest``."""
    for detail in details:
        for violation in objects_in(detail.get("fieldViolations")):
            if field := text_in(at(violation, "field")):
                yield field[:100]
