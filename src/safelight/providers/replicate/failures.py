"""Why an order was declined, or a prediction failed. A model's error is a text and no more, so its words decide."""

from __future__ import annotations

import re
from collections.abc import Collection

import msgspec

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.backend_api import Reply, failure_of
from safelight.outbound.loose_json import objects_in, whole_in
from safelight.providers.replicate.settings import Settings

_REFUSALS = (
    "nsfw",
    "flagged as sensitive",
    "flagged as potentially sensitive",
    "sensitive content",
    "content policy",
    "content policies",
    "content moderation",
    "moderation_blocked",
    "safety system",
    "safety filter",
    "safety checker",
    "prohibited content",
    "inappropriate content",
    "usage policies",
)
_PASSING = (
    "prediction interrupted",
    "unexpected error handling prediction",
    "queue is full",
    "queue full",
    "high demand",
    "overloaded",
    "temporarily unavailable",
    "timeout starting prediction",
    "please try again later",
    "please retry",
)
_LIMITED = ("rate limit", "too many requests", "throttled")
_UNPAID = ("insufficient credit", "spend limit", "billing required")
_OF_THE_CATALOG = ("additional propert", "version", "webhook")
_OF_CODES = {
    "E005": FailureClass.CONTENT_POLICY,
    "E006": FailureClass.BAD_INPUT,
    "E003": FailureClass.TRANSIENT,
    "E004": FailureClass.TRANSIENT,
    "E1000": FailureClass.TRANSIENT,
    "E6716": FailureClass.TRANSIENT,
    "E8765": FailureClass.TRANSIENT,
    "E9243": FailureClass.TRANSIENT,
    "E9828": FailureClass.TRANSIENT,
    "PA": FailureClass.TRANSIENT,
}
_CODE = re.compile(r"\b(E\d{3,5})\b|\(code: ([A-Z]{2})\)")
_FIELD = re.compile(r"\binput\.([A-Za-z0-9_]{1,100})")
_PAUSE = re.compile(r"(?:available in|resets in) ~?(\d{1,5}) ?s", re.IGNORECASE)
_MAX_WORDS = 4096


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error of the API's. ``status``: the one in the body. ``fields``: the keys of the input that are at fault."""

    words: str = ""
    status: int | None = None
    retry_after_seconds: float | None = None
    fields: tuple[str, ...] = ()


def problem_in(body: object) -> Problem | None:
    """The error in a parsed body (RFC 9457's members, or ``detail`` alone); None where there is none."""
    if not isinstance(body, dict) or not (body.keys() & {"detail", "title", "error"}):
        return None
    words = " ".join(text for name in ("title", "detail", "error") if (text := text_of(body.get(name))))
    status, pause = body.get("status"), body.get("retry_after")
    told = [text_of(each.get("field")) for each in objects_in(body.get("invalid_fields"))]
    return Problem(
        words=words[:_MAX_WORDS],
        status=whole_in(status),
        retry_after_seconds=float(pause) if isinstance(pause, int | float) and 0 < pause < 86_400 else _pause_in(words),
        fields=tuple(dict.fromkeys(_FIELD.findall(" ".join([words, *told])[:_MAX_WORDS]))),
    )


def refusal_of(reply: Reply, settings: Settings, clients_own: Collection[str]) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to. ``clients_own``: the keys whose values the client chose."""
    problem = problem_in(reply.json()) or Problem()
    answer = reply.answer(code=_code_in(problem.words), words=problem.words or None)
    outcome = failure_of(reply, answer)
    if isinstance(outcome, Unknown):
        return outcome
    is_declined = 400 <= reply.status < 500
    if is_declined and reply.status != 429 and is_refusal(problem.words, settings):
        return Failed(FailureClass.CONTENT_POLICY, answer=answer)
    if is_declined and _has_any(problem.words, _UNPAID):
        return Failed(FailureClass.QUOTA, answer=answer)
    match outcome.reason:
        case FailureClass.BAD_INPUT if not _is_clients(problem, clients_own):
            return Failed(
                FailureClass.PERMANENT, "the model does not take the input as the catalog has it", None, answer
            )
        case FailureClass.RATE_LIMITED:
            wait = outcome.retry_after_seconds or problem.retry_after_seconds
            return msgspec.structs.replace(outcome, retry_after_seconds=wait)
        case _:
            return outcome


def failure_of_prediction(error: object, settings: Settings, answer: Answer) -> Failed:
    """What a model's error comes to."""
    words = text_of(error)[:_MAX_WORDS]
    code = _code_in(words)
    told = msgspec.structs.replace(answer, code=code, words=words or None)
    return Failed(_reason_of(words, code, settings), "", answer=told)


def is_refusal(words: str, settings: Settings) -> bool:
    """Whether a text tells that something was refused by policy."""
    return _reason_of(words[:_MAX_WORDS], _code_in(words), settings) is FailureClass.CONTENT_POLICY


def text_of(value: object) -> str:
    """A text as it is; anything else as JSON, and nothing as an empty one."""
    if value is None or isinstance(value, str):
        return value or ""
    return msgspec.json.encode(value).decode()


def _has_any(words: str, parts: Collection[str]) -> bool:
    lower = words.lower()
    return any(part.lower() in lower for part in parts)


def _reason_of(words: str, code: str | None, settings: Settings) -> FailureClass:
    if _has_any(words, (*_REFUSALS, *settings.refusal_words)):
        return FailureClass.CONTENT_POLICY
    if code in _OF_CODES:
        return _OF_CODES[code]
    if _has_any(words, _UNPAID):
        return FailureClass.QUOTA
    if _has_any(words, _LIMITED):
        return FailureClass.RATE_LIMITED
    if _has_any(words, (*_PASSING, *settings.transient_words)):
        return FailureClass.TRANSIENT
    return FailureClass.PERMANENT


def _is_clients(problem: Problem, clients_own: Collection[str]) -> bool:
    """Whether what is wrong with an order is the client's doing; the rest of it is as the catalog has it."""
    if problem.fields:
        return any(field in clients_own for field in problem.fields)
    return not _has_any(problem.words, _OF_THE_CATALOG)


def _code_in(words: str) -> str | None:
    found = _CODE.search(words[:_MAX_WORDS])
    return None if found is None else found[1] or found[2]


def _pause_in(words: str) -> float | None:
    found = _PAUSE.search(words)
    return float(found[1]) if found else None
