"""What the API says: of a task, with a picture in the answer, or why not. Nothing in it is taken to be of any shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Completed,
    Failed,
    FailureClass,
    Pending,
    PollOutcome,
    Produced,
    RemoteFile,
    Stage,
    SubmitOutcome,
    Unknown,
    Usage,
)
from safelight.outbound.backend_api import Reply, failure_of
from safelight.outbound.loose_json import id_in, numbers_in, object_in, objects_in, text_in, whole_in

Address = Callable[[str], RemoteFile]
"""Where a file is, from what an answer says. Raises ``ValueError`` for what is no address."""

_STAGES = {"PENDING": Stage.QUEUED, "SUSPENDED": Stage.QUEUED, "RUNNING": Stage.RUNNING}
_CANCELED = ("CANCELED", "CANCELLED")
_ALLOCATION_QUOTA = "throttling.allocationquota"
_REASONS: tuple[tuple[str, FailureClass], ...] = (
    ("datainspectionfailed", FailureClass.CONTENT_POLICY),
    ("data_inspection_failed", FailureClass.CONTENT_POLICY),
    ("ipinfringementsuspect", FailureClass.CONTENT_POLICY),
    ("faqruleblocked", FailureClass.CONTENT_POLICY),
    ("customroleblocked", FailureClass.CONTENT_POLICY),
    ("arrearage", FailureClass.QUOTA),
    ("billoverdue", FailureClass.QUOTA),
    ("commoditynotpurchased", FailureClass.QUOTA),
    ("budgetlimitexceeded", FailureClass.QUOTA),
    ("insufficient_quota", FailureClass.QUOTA),
    ("allocationquota", FailureClass.QUOTA),
    ("throttling", FailureClass.RATE_LIMITED),
    ("limitrequests", FailureClass.RATE_LIMITED),
    ("limit_requests", FailureClass.RATE_LIMITED),
    ("invalidapikey", FailureClass.AUTH),
    ("invalid_api_key", FailureClass.AUTH),
    ("accessdenied", FailureClass.AUTH),
    ("invalidworkspace", FailureClass.AUTH),
    # Not the client's doing, and another binding may well take it.
    ("modelnotfound", FailureClass.PERMANENT),
    ("model_not_found", FailureClass.PERMANENT),
    ("model.notfound", FailureClass.PERMANENT),
    ("invalidmodel", FailureClass.PERMANENT),
    ("unsupported", FailureClass.PERMANENT),
    ("badrequest.emptyparameters", FailureClass.PERMANENT),
    ("badrequest.emptymodel", FailureClass.PERMANENT),
    ("invalid", FailureClass.BAD_INPUT),
    ("badrequest", FailureClass.BAD_INPUT),
    ("internalerror", FailureClass.TRANSIENT),
    ("internal_error", FailureClass.TRANSIENT),
    ("systemerror", FailureClass.TRANSIENT),
    ("serviceunavailable", FailureClass.TRANSIENT),
    ("requesttimeout", FailureClass.TRANSIENT),
    ("modelservice", FailureClass.TRANSIENT),
    ("modelserving", FailureClass.TRANSIENT),
    ("modelunavailable", FailureClass.TRANSIENT),
)
"""By a part of the code, without regard to case: codes are grown at their ends (``InternalError.Algo``). The first that
fits counts."""
_OF_PICTURES = ("invalidparameter.datainspection", "inputdownloadfailed", "invalidurl", "invalid_url")
"""A picture could not be fetched, or not be read."""
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_MAX_CODE = 200
_MAX_WORDS = 4096
_MAX_ID = 256
_MOST_ITEMS = 100


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What of a refusal depends on the connection: ``is_linked``: pictures are fetched from here by a link."""

    is_linked: bool = False
    retry_allocation_quota: bool = False


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """A code and words, of an answer, a task, or one of its results."""

    code: str | None = None
    words: str | None = None

    def reason(self, rules: Rules) -> FailureClass | None:
        code = (self.code or "").lower()
        if not code:
            return None
        if rules.retry_allocation_quota and _ALLOCATION_QUOTA in code:
            return FailureClass.RATE_LIMITED
        if rules.is_linked and any(part in code for part in _OF_PICTURES):
            return FailureClass.PERMANENT
        return next((reason for part, reason in _REASONS if part in code), None)


def taken(reply: Reply, rules: Rules) -> SubmitOutcome:
    """What a 2xx to an order for a task means."""
    document = object_in(reply.json())
    output, answer = object_in(document.get("output")), _answer(reply, document)
    task_id = id_in(output.get("task_id"), _MAX_ID)
    if task_id is None:
        return _refused_with_200(document, output, answer, rules)
    if _word(output) == "FAILED":
        return _failed(output, document, answer, rules)
    return Accepted({"id": task_id}, answer)


def made(reply: Reply, rules: Rules, address: Address, prompt: str) -> SubmitOutcome:
    """What a 2xx to an order for a picture brings. Nothing in it is a refusal: ``Completed`` without media."""
    document = object_in(reply.json())
    output, answer = object_in(document.get("output")), _answer(reply, document)
    if (task_id := id_in(output.get("task_id"), _MAX_ID)) is not None:
        return Accepted({"id": task_id}, answer)
    if not output.keys() & {"choices", "results"}:
        return _refused_with_200(document, output, answer, rules)
    return _brought(reply, output, answer, rules, address, prompt)


def state_of(reply: Reply, rules: Rules, address: Address) -> PollOutcome | None:
    """Where a task stands, by a 2xx; None: the API does not know it (or not any more)."""
    document = object_in(reply.json())
    output, answer = object_in(document.get("output")), _answer(reply, document)
    word = _word(output)
    if not output:
        said = _said(document)
        return Unknown("the answer says nothing of the task", _with(answer, said))
    if word == "UNKNOWN":
        return None
    if word == "SUCCEEDED":
        return _brought(reply, output, answer, rules, address, None)
    if word == "FAILED":
        return _failed(output, document, answer, rules)
    if word in _CANCELED:
        return Failed(FailureClass.CANCELED, "the task was canceled", answer=answer)
    return Pending(poll_after_seconds=reply.retry_after_seconds(), stage=_STAGES.get(word), answer=answer)


def refusal_of(reply: Reply, rules: Rules) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to. One that gave up waiting says nothing of the order."""
    document = object_in(reply.json())
    said = _said(document)
    answer = _with(_answer(reply, document), said)
    if "timeout" in (said.code or "").lower() and (reply.status == 408 or reply.status >= 500):
        return Unknown("it gave up waiting, which says nothing of the order", answer)
    reason = said.reason(rules)
    if (
        reason is None
        or (reason is FailureClass.TRANSIENT)
        or (reply.status >= 500 and reason is FailureClass.BAD_INPUT)
    ):
        return failure_of(reply, answer)
    if reason is FailureClass.AUTH and reply.status == 429:
        reason = FailureClass.RATE_LIMITED
    wait = reply.retry_after_seconds() if reason is FailureClass.RATE_LIMITED else None
    return Failed(reason, "", wait, answer)


def answer_of(reply: Reply) -> Answer:
    """What was said beside the matter, for the operator."""
    document = object_in(reply.json())
    return _with(_answer(reply, document), _said(document))


def is_error(reply: Reply) -> bool:
    """Whether a body tells an error, whatever its status."""
    return _said(object_in(reply.json())).code is not None


def _refused_with_200(
    document: Mapping[str, Any], output: Mapping[str, Any], answer: Answer, rules: Rules
) -> Failed | Unknown:
    """An error in a success. What may pass by itself leaves open what became of the order."""
    said = _said(document) if _said(document).code else _said(output)
    reason = said.reason(rules)
    if said.code is None or reason is FailureClass.TRANSIENT:
        return Unknown("the answer tells neither a task nor a picture", _with(answer, said))
    return Failed(reason or FailureClass.PERMANENT, answer=_with(answer, said))


def _failed(output: Mapping[str, Any], document: Mapping[str, Any], answer: Answer, rules: Rules) -> Failed:
    said = next((each for each in map(_said, (output, *_items(output), document)) if each.code), _said(output))
    return Failed(said.reason(rules) or FailureClass.PERMANENT, answer=_with(answer, said))


def _brought(
    reply: Reply, output: Mapping[str, Any], answer: Answer, rules: Rules, address: Address, prompt: str | None
) -> Completed | Failed:
    """The one file of a task or an answer. A result may have a code in place of it."""
    answer = msgspec.structs.replace(answer, revised_prompt=_revised(output, prompt))
    for item in _items(output):
        for name in ("video_url", "url", "image", "video", "image_url"):
            word = item.get(name)
            if isinstance(word, str) and word:
                return _at(reply, word, answer, address)
    said = next((each for each in map(_said, (*_items(output), object_in(reply.json()))) if each.code), None)
    if said is not None:
        return Failed(said.reason(rules) or FailureClass.PERMANENT, answer=_with(answer, said))
    return Completed((), answer)


def _at(reply: Reply, word: str, answer: Answer, address: Address) -> Completed | Failed:
    produced: Produced | None
    if _DATA_URL.match(word):
        produced = reply.inline(word)
    else:
        try:
            produced = address(word)
        except ValueError:
            return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=answer)
    if produced is None:
        return Failed(FailureClass.PERMANENT, "the file's base64 cannot be read", answer=answer)
    return Completed((produced,), answer)


def _items(output: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All that may hold a file or tell why there is none: the task itself, its results, the contents of its choices."""
    yield output
    results = output.get("results")
    yield from objects_in([results] if isinstance(results, dict) else results, _MOST_ITEMS)
    for choice in objects_in(output.get("choices"), _MOST_ITEMS):
        yield from objects_in(object_in(choice.get("message")).get("content"), _MOST_ITEMS)


def _word(output: Mapping[str, Any]) -> str:
    return text_in(output.get("task_status")).strip().upper()


def _said(values: Mapping[str, Any]) -> _Said:
    """The code and the words of an error, as this API has it, or as its other shapes do (``error``)."""
    inner = object_in(values.get("error")) or values
    return _Said(
        code=text_in(inner.get("code"), _MAX_CODE) or None,
        words=text_in(inner.get("message"), _MAX_WORDS) or None,
    )


def _answer(reply: Reply, document: Mapping[str, Any]) -> Answer:
    said = reply.answer()
    request_id = id_in(document.get("request_id"), _MAX_ID) or said.request_id
    return msgspec.structs.replace(said, request_id=request_id, usage=_usage(document.get("usage")))


def _with(answer: Answer, said: _Said) -> Answer:
    return msgspec.structs.replace(answer, code=said.code or answer.code, words=said.words or answer.words)


def _usage(told: object) -> Usage | None:
    raw = numbers_in(told)
    if not raw:
        return None
    return Usage(
        raw=raw,
        images=whole_in(raw.get("image_count")),
        input_tokens=whole_in(raw.get("input_tokens")),
        output_tokens=whole_in(raw.get("output_tokens")),
    )


def _revised(output: Mapping[str, Any], prompt: str | None) -> str | None:
    """The prompt that was used, where it is another than ours."""
    for item in _items(output):
        actual = item.get("actual_prompt")
        if isinstance(actual, str) and actual:
            return None if actual in (item.get("orig_prompt"), output.get("orig_prompt"), prompt) else actual
    return None
