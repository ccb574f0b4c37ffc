"""What an answer brings: a picture, where a task stands, what was used. Any field may be null, or of another type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from safelight.domain.outcomes import (
    Answer,
    Completed,
    Failed,
    FailureClass,
    Pending,
    PollOutcome,
    Produced,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import at, is_number, object_in, objects_in, text_in, whole_in
from safelight.providers.ark.errors import error_in, failure_of_task

Address = Callable[[str], RemoteFile]
"""Where a file is, from what an answer says. Raises ``ValueError`` for what is no address."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,199}", re.ASCII)
_MAX_WORDS = 4096
_DATA = "data:"
_STAGES = {"queued": Stage.QUEUED, "running": Stage.RUNNING}


def task_id_of(document: object) -> str | None:
    """The id of a task, if it is one that can be asked about."""
    given = at(document, "id")
    return given if isinstance(given, str) and _ID.fullmatch(given) else None


def status_of(task: Mapping[str, Any]) -> str:
    """Its status in lower case; empty: it tells none."""
    return text_in(task.get("status")).strip().lower()


def image_of(
    reply: Reply, address: Address, own: frozenset[str], *, seed: int | None, fetches_images: bool
) -> Completed | Failed | Unknown:
    """What a 2xx to an order for a picture brings. Nothing in it, and no error, is a refusal: no media."""
    document = reply.json()
    if not isinstance(document, dict):
        words = reply.body[:_MAX_WORDS].decode("utf-8", "replace")
        return Unknown("what came is not the vendor's JSON", reply.answer(words=words))
    said = msgspec.structs.replace(
        reply.answer(), seed=seed, usage=_usage(document.get("usage"), of="generated_images")
    )
    found = objects_in(document.get("data"))
    for item in found:
        if (made := _picture(item, reply, address, said)) is not None:
            return made
    errors = [error for error in map(error_in, (document, *found)) if not error.is_empty]
    policy = [error for error in errors if error.reason() is FailureClass.CONTENT_POLICY]
    for error in policy or errors:
        return failure_of_task(error, _billed(said), own, fetches_images=fetches_images)
    return Completed((), said)


def state_of(
    task: Mapping[str, Any], reply: Reply, address: Address, *, poll_seconds: float, fetches_images: bool
) -> PollOutcome:
    """Where a task stands, as it was told by itself or in a list."""
    said, word = reply.answer(), status_of(task)
    error = error_in(task)
    if not word:
        detail = "it tells an error, and not how the task stands" if error.code else "it does not tell how it stands"
        return Unknown(detail, said)
    said = msgspec.structs.replace(
        said,
        usage=_usage(task.get("usage"), of=None),
        seed=whole_in(task.get("seed")),
        revised_prompt=text_in(task.get("revised_prompt")) or None,
    )
    match word:
        case "succeeded":
            return _made(task, address, said)
        case "failed":
            return failure_of_task(error, said, fetches_images=fetches_images)
        case "expired":
            detail = "the vendor gave the task up, as it was not made in time (execution_expires_after)"
            return Failed(FailureClass.PERMANENT, detail, answer=said)
        case "cancelled" | "canceled":
            return Failed(FailureClass.CANCELED, "the vendor says that the task was canceled", answer=said)
        case _:
            wait = reply.retry_after_seconds() or poll_seconds or None
            return Pending(poll_after_seconds=wait, stage=_STAGES.get(word), answer=said)


def _made(task: Mapping[str, Any], address: Address, said: Answer) -> Completed | Failed:
    url = text_in(at(task, "content", "video_url"))
    if not url:
        return Completed((), said)
    try:
        return Completed((address(url),), said)
    except ValueError:
        return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=said)


def _picture(item: Mapping[str, Any], reply: Reply, address: Address, said: Answer) -> Completed | Failed | None:
    """What an item brings; None: it brings no picture."""
    inline, url = text_in(item.get("b64_json")), text_in(item.get("url"))
    if not inline and url.startswith(_DATA):
        inline = url
    if inline:
        data: Produced | None = reply.inline(inline)
        if data is None:
            return Failed(FailureClass.PERMANENT, "the picture's base64 cannot be read", answer=_billed(said))
        return Completed((data,), said)
    if not url:
        return None
    try:
        return Completed((address(url),), said)
    except ValueError:
        return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=_billed(said))


def _billed(said: Answer) -> Answer:
    """It counts a picture, and so it charges for one."""
    return msgspec.structs.replace(said, is_billed=True) if said.usage is not None and said.usage.images else said


def _usage(given: object, *, of: str | None) -> Usage | None:
    """Numbers as they were told; texts among them are left out, as nothing clears those of secrets."""
    raw: dict[str, Any] = {name: value for name, value in object_in(given).items() if is_number(value)}
    if tools := {name: value for name, value in object_in(at(given, "tool_usage")).items() if is_number(value)}:
        raw["tool_usage"] = tools
    if not raw:
        return None
    images = raw.get(of) if of is not None else None
    tokens = raw.get("completion_tokens", raw.get("output_tokens"))
    return Usage(raw=raw, images=whole_in(images), output_tokens=whole_in(tokens))
