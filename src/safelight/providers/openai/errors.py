"""What a refusal means, said as an ``error`` object or text, as FastAPI's ``detail``, as a page, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.backend_api import Reply, failure_of
from safelight.outbound.loose_json import text_in
from safelight.providers.openai.settings import Quirks

_REASONS = {
    "moderation_blocked": FailureClass.CONTENT_POLICY,
    "content_policy_violation": FailureClass.CONTENT_POLICY,
    "content_filter": FailureClass.CONTENT_POLICY,
    "insufficient_quota": FailureClass.QUOTA,
    "billing_hard_limit_reached": FailureClass.QUOTA,
    "insufficient_user_quota": FailureClass.QUOTA,
    "insufficient_credits": FailureClass.QUOTA,
    "rate_limit_exceeded": FailureClass.RATE_LIMITED,
    "invalid_api_key": FailureClass.AUTH,
    # Not the client's doing, and another binding may well take it.
    "model_not_found": FailureClass.PERMANENT,
    "unknown_parameter": FailureClass.PERMANENT,
    "unsupported_parameter": FailureClass.PERMANENT,
    "unsupported_task": FailureClass.PERMANENT,
    "invalid_size": FailureClass.PERMANENT,
    "invalid_frames": FailureClass.PERMANENT,
    "too_many_images": FailureClass.PERMANENT,
    "wrong_size": FailureClass.PERMANENT,
}
_OF_A_JOB = {
    "server_error": FailureClass.TRANSIENT,
    "internal_error": FailureClass.TRANSIENT,
    "internal_server_error": FailureClass.TRANSIENT,
    "service_unavailable": FailureClass.TRANSIENT,
    "timeout": FailureClass.TRANSIENT,
    "replica_lost": FailureClass.TRANSIENT,
    "invalid_request_error": FailureClass.BAD_INPUT,
}
_CODE = re.compile("[a-z0-9_.-]{1,64}", re.IGNORECASE | re.ASCII)
_MAX_WORDS = 4096
_MAX_CODE = 200


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it was told. ``number``: a code that is an HTTP status. ``is_flagged``: it says what it refuses."""

    code: str | None = None
    kind: str | None = None
    number: int | None = None
    words: str = ""
    retry_after_seconds: float | None = None
    is_flagged: bool = False

    def reason(self, quirks: Quirks) -> FailureClass | None:
        """Why, if its code or its words tell it."""
        if self.is_flagged or any(part in self.words.lower() for part in quirks.refusal_words):
            return FailureClass.CONTENT_POLICY
        return next((_REASONS[name] for name in (self.code, self.kind) if name in _REASONS), None)


NOTHING_SAID = Said()


def read_error(document: object) -> Said | None:
    """The error in a parsed body; None where there is none."""
    if not isinstance(document, dict):
        return None
    error = document.get("error")
    if isinstance(error, dict):
        return _of_object(error)
    if isinstance(error, str) and error:  # some have the words here, and the code beside it or the words again
        message = document.get("message")
        code = _name(document.get("code")) or (error if _CODE.fullmatch(error) else None)
        return Said(code=code, words=_joined(error, message))
    if "detail" in document:
        return _of_detail(document["detail"])
    if isinstance(document.get("message"), str) and ("code" in document or "type" in document):
        return _of_object(document)
    return None


def refusal_of(reply: Reply, quirks: Quirks) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to."""
    said = read_error(reply.json()) or NOTHING_SAID
    if reply.status == 404 and quirks.own_ids and said is NOTHING_SAID:
        return Failed(FailureClass.TRANSIENT, "its proxy does not know the server yet", answer=reply.answer())
    answer = reply.answer(code=said.code or said.kind)
    if said.code == "server_error" and said.words.startswith("server_error [json.exception"):
        return Failed(FailureClass.BAD_INPUT, "the server cannot read the order", answer=answer)
    reason = said.reason(quirks)
    if reason is None:
        return failure_of(reply, answer)
    wait = reply.retry_after_seconds() or said.retry_after_seconds
    return Failed(reason, "", wait if reason is FailureClass.RATE_LIMITED else None, answer)


def failure_of_job(said: Said, quirks: Quirks, answer: Answer) -> Failed:
    """What comes of a job that failed, or of an error in an answer that was to be a success."""
    reason = said.reason(quirks)
    if reason is None:
        reason = next((_OF_A_JOB[name] for name in (said.code, said.kind) if name in _OF_A_JOB), None)
    if reason is None:
        reason = _of_number(said.number)
    told = msgspec.structs.replace(
        answer, code=said.code or said.kind or answer.code, words=said.words[:_MAX_WORDS] or None
    )
    return Failed(reason, "", said.retry_after_seconds, told)


def _of_object(error: Mapping[str, Any]) -> Said:
    code, metadata = error.get("code"), error.get("metadata")
    headers = error.get("headers")
    return Said(
        code=_name(code),
        kind=_name(error.get("type")),
        number=code if isinstance(code, int) and not isinstance(code, bool) else None,
        words=_joined(error.get("message")),
        retry_after_seconds=_retry_after(headers) if isinstance(headers, dict) else None,
        is_flagged=isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata),
    )


def _of_detail(detail: object) -> Said:
    """FastAPI's: a text, or a list of what is wrong with which field."""
    if isinstance(detail, dict):
        return _of_object(detail)
    first = detail[0] if isinstance(detail, list) and detail else None
    if isinstance(first, dict):
        return Said(code=_name(first.get("type")), words=_joined(first.get("msg")))
    return Said(words=_joined(detail))


def _of_number(number: int | None) -> FailureClass:
    match number:
        case 429:
            return FailureClass.RATE_LIMITED
        case int() if 400 <= number < 500:
            return FailureClass.BAD_INPUT
        case int() if 500 <= number < 600:
            return FailureClass.TRANSIENT
        case _:
            return FailureClass.PERMANENT


def _retry_after(headers: Mapping[str, Any]) -> float | None:
    told = {str(name).lower(): str(value) for name, value in headers.items()}
    return Reply(0, told, b"").retry_after_seconds()


def _name(value: object) -> str | None:
    return text_in(value, _MAX_CODE) or None


def _joined(*texts: object) -> str:
    return " ".join(text for text in texts if isinstance(text, str))[:_MAX_WORDS]
