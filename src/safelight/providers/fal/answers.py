"""Reads what the queue and the models behind it say, with care: two shapes of errors, and models that have others."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from safelight.domain.field_map import Fields
from safelight.domain.outcomes import Answer, Cancellation, Failed, FailureClass, Usage
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import text_in
from safelight.providers.fal.settings import Options, app_of

_POLICY = ("content_policy_violation", "no_media_generated")
_POLICY_WORDS = ("content policy", "content_policy", "content checker", "nsfw content", "unsafe content")
_PASSING = frozenset(
    {
        "request_timeout",
        "startup_timeout",
        "runner_scheduling_failure",
        "runner_connection_timeout",
        "runner_disconnected",
        "runner_connection_refused",
        "runner_connection_error",
        "runner_incomplete_response",
        "runner_server_error",
        "internal_error",
        "internal_server_error",
        "generation_timeout",
        "downstream_service_error",
        "downstream_service_unavailable",
    }
)
"""Types of errors that are no fault of the order."""
_FETCHES = ("file_download_error", "image_load_error")
_ABSENT = ("missing", "value_error.missing", "extra_forbidden", "value_error.extra")
_CLIENTS_OWN = ("prompt", "negative_prompt", "seed", "references", "reference", "first_frame", "last_frame")
_REVISED = ("revised_prompt", "actual_prompt", "expanded_prompt")
_STOPPED = ("CANCELED", "CANCELLED")
_MOST_PLACES = 2**31
_ADDRESS = re.compile(r"[!-~]{1,500}")


_CANCELLATIONS = {
    "OK": Cancellation.FREE,
    "CANCELLATION_REQUESTED": Cancellation.ASKED,
    "ALREADY_COMPLETED": Cancellation.TOO_LATE,
}


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A job that the queue took, and where it is asked about."""

    id: str
    status_url: str
    response_url: str
    cancel_url: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How a job stands. ``word`` is the queue's; ``error`` is its type, or its words."""

    word: str
    ahead: int | None = None
    error: str | None = None
    error_type: str | None = None
    seconds: float | None = None

    @property
    def is_ended(self) -> bool:
        return self.word in ("COMPLETED", "FAILED", "ERROR", *_STOPPED)

    @property
    def is_failed(self) -> bool:
        return self.is_ended and (self.word != "COMPLETED" or bool(self.error or self.error_type))


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """An error. ``type`` is fal's word for it, ``field`` the key of the input that is at fault."""

    type: str | None = None
    words: str | None = None
    field: str | None = None


def ticket_in(reply: Reply, base_url: str, model_id: str) -> Ticket | None:
    """The job of an answer to an order; None if it tells none."""
    body = reply.json()
    id_ = body.get("request_id") if isinstance(body, dict) else None
    if not isinstance(id_, str) or not 0 < len(id_) <= 200:
        return None
    return ticket_of(id_, body, base_url, model_id)


def ticket_of(id_: str, told: Mapping[str, Any], base_url: str, model_id: str) -> Ticket:
    """A job, with the addresses that an answer told, or that a handle keeps of it.

    One that is not behind ``base_url``, or that no row could keep, is not the queue's own, or not any more: it is built
    from the job's id instead.
    """
    here = f"{base_url}/{app_of(model_id)}/requests/{quote(id_, safe='')}"
    usual = {"status_url": f"{here}/status", "response_url": here, "cancel_url": f"{here}/cancel"}
    return Ticket(id=id_, **{name: _own(told.get(name), base_url) or usual[name] for name in usual})


def status_in(reply: Reply) -> Status | None:
    """How a job stands; None if it is not told."""
    body = reply.json()
    if not isinstance(body, dict) or not isinstance(body.get("status"), str):
        return None
    metrics = body.get("metrics")
    word, ahead, type_ = body["status"].upper(), body.get("queue_position"), _text(body.get("error_type"))
    return Status(
        word=word,
        ahead=ahead if type(ahead) is int and 0 <= ahead < _MOST_PLACES else None,
        error=_words(body.get("error")),
        error_type=type_ or ("client_cancelled" if word in _STOPPED else None),
        seconds=_amount(metrics.get("inference_time")) if isinstance(metrics, dict) else None,
    )


def cancellation_in(reply: Reply) -> Cancellation:
    """What became of a wish to cancel. ``OK`` is said of a job that was taken out of the queue, unbegun."""
    body = reply.json()
    word = body.get("status") if isinstance(body, dict) else None
    found = _CANCELLATIONS.get(word) if isinstance(word, str) else None
    if found is None or (found is Cancellation.FREE and not reply.is_ok):
        return Cancellation.TOO_LATE if reply.status in (400, 405, 409) else Cancellation.ASKED
    return found


def error_in(reply: Reply, status: Status | None = None) -> Error:
    """The error of an answer, or else of the job's status: ``detail`` is a text, or a list of what is wrong."""
    body = reply.json()
    detail = body.get("detail", body.get("error")) if isinstance(body, dict) else body
    type_ = _text(body.get("error_type")) if isinstance(body, dict) else None
    type_ = type_ or _text(reply.headers.get("x-fal-error-type"))
    told = status or Status(word="")
    if isinstance(detail, dict):
        type_ = type_ or _text(detail.get("type"))
    if isinstance(detail, list):
        wrong = [each for each in detail if isinstance(each, dict)]
        worst = next((each for each in wrong if each.get("type") in _POLICY), wrong[0] if wrong else {})
        words = "; ".join(_one(each) if isinstance(each, dict) else str(each)[:500] for each in detail[:8]) or None
        return Error(type=_text(worst.get("type")) or type_, words=words, field=_field(worst.get("loc")))
    words = _words(detail) or told.error
    if words is None and reply.content_type != "application/json":
        words = reply.body[:2000].decode("utf-8", "replace") or None
    return Error(type=type_ or told.error_type, words=words)


def failed(
    reply: Reply, error: Error, options: Options, *, answer: Answer, is_linked: bool, status: int | None
) -> Failed:
    """What an error comes to that certainly made nothing; ``status`` is the HTTP status of it, if it has one.

    Only 5xx are never billed, so nothing else is ordered again, unless it says itself that this helps.
    """
    words = (error.words or "").lower()
    is_refused_input = status is not None and 400 <= status < 500
    is_in_words = is_refused_input or (status is None and reply.is_ok)
    if error.type in _POLICY or (is_in_words and any(each in words for each in _POLICY_WORDS)):
        return Failed(FailureClass.CONTENT_POLICY, answer=answer)
    if error.type == "client_cancelled":
        return Failed(FailureClass.CANCELED, answer=answer)
    if status == 402 or (status == 403 and "balance" in words):
        return Failed(FailureClass.QUOTA, answer=answer)
    if status in (401, 403):
        return Failed(FailureClass.AUTH, answer=answer)
    if status == 429:
        return Failed(FailureClass.RATE_LIMITED, "", reply.retry_after_seconds(), answer)
    if error.type in _PASSING or not is_refused_input:
        return _of_the_platform(reply, error, answer=answer, status=status)
    if status in (404, 405, 410, 499) or error.type in ("bad_request", "client_disconnected"):
        return Failed(FailureClass.PERMANENT, answer=answer)
    if (why := _of_the_catalog(error, options, is_linked=is_linked)) is not None:
        return Failed(FailureClass.PERMANENT, why, answer=answer)
    return Failed(FailureClass.BAD_INPUT, answer=answer)


def answer_of(
    reply: Reply, id_: str | None, *, error: Error | None = None, status: Status | None = None, output: Any = None
) -> Answer:
    """What was said, for the operator."""
    said = Answer(status=reply.status, request_id=id_ or reply.headers.get("x-fal-request-id"))
    units = _amount(reply.headers.get("x-fal-billable-units"))
    seconds = status.seconds if status else None
    raw = {name: value for name, value in (("billable_units", units), ("inference_time", seconds)) if value is not None}
    usage = Usage(raw=raw, compute_seconds=seconds) if raw else None
    if error is not None:
        is_billed = False if reply.status >= 500 else None if units is None else units > 0
        return msgspec.structs.replace(said, code=error.type, words=error.words, usage=usage, is_billed=is_billed)
    told = output if isinstance(output, dict) else {}
    seed = told.get("seed")
    return msgspec.structs.replace(
        said,
        usage=usage,
        seed=seed if type(seed) is int else None,
        revised_prompt=next((told[name] for name in _REVISED if isinstance(told.get(name), str)), None),
    )


def is_known(error: Error) -> bool:
    """Whether its type is one of those that a job fails with."""
    return error.type in _POLICY or error.type in _PASSING


def is_made_billed(answer: Answer) -> bool:
    """Whether an output is billed of which there is nothing to deliver: what the queue calls a success is, unless it
    counts no units."""
    units = answer.usage.raw.get("billable_units") if answer.usage else None
    return units is None or units > 0


def _of_the_platform(reply: Reply, error: Error, *, answer: Answer, status: int | None) -> Failed:
    """A failure that is no fault of the order: whether it is given again."""
    retryable = reply.headers.get("x-fal-retryable", "").lower()
    is_free = status >= 500 if status is not None else error.type in _PASSING
    if retryable in ("true", "1") or (is_free and retryable not in ("false", "0")):
        return Failed(FailureClass.TRANSIENT, "", reply.retry_after_seconds(), answer)
    return Failed(FailureClass.PERMANENT, answer=answer)


def _of_the_catalog(error: Error, options: Options, *, is_linked: bool) -> str | None:
    """Why a refused input is no fault of the client's."""
    if error.field is None:
        return None
    if error.type in _ABSENT:
        return f"{error.field}: the model asks for it, or does not take it: see the binding's fields and input"
    if is_linked and error.type in _FETCHES:
        return "it could not fetch a reference image here by its link"
    if error.field in _heads(options.fields, own=True):
        return None
    if error.field in options.input or error.field in _heads(options.fields, own=False):
        return f"it does not take {error.field} as the catalog has it"
    return None


def _heads(fields: Fields, *, own: bool) -> set[str]:
    """The keys of the input where what a client chose freely goes, or what the catalog offered."""
    return {place.partition(".")[0] for name, place in fields.places().items() if (name in _CLIENTS_OWN) == own}


def _own(url: object, base_url: str) -> str | None:
    """The address if it is of the origin of ``base_url``, and is written as addresses are."""
    if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
        return None
    try:
        return url if _origin(urlsplit(url)) == _origin(urlsplit(base_url)) else None
    except ValueError:
        return None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None, str | None]:
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.username


def _field(loc: object) -> str | None:
    """The key of the input in ``["body", "image_size", "width"]``."""
    if not isinstance(loc, list) or len(loc) < 2 or loc[0] != "body":
        return None
    return _text(loc[1])


def _one(wrong: Mapping[str, Any]) -> str:
    """Where it is, and what: not the input itself, which may hold pictures."""
    loc = wrong.get("loc")
    where = ".".join(str(each)[:64] for each in loc[:8]) if isinstance(loc, list) else ""
    return f"{where}: {(_text(wrong.get('msg')) or '')[:500]}"


def _text(value: object) -> str | None:
    return text_in(value, 2000) or None


def _words(value: object) -> str | None:
    """A text, or what an object says in its ``message``."""
    if isinstance(value, dict):
        value = value.get("message") or value.get("msg")
    return _text(value)


def _amount(value: object) -> float | None:
    try:
        amount = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) and 0 <= amount < 1e12 else None
