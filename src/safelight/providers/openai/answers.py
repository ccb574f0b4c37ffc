"""What an answer brings: a picture, or where a job stands, and what the server says beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from safelight.domain.money import MAX_NANOS, NANOS_PER_USD
from safelight.domain.outcomes import (
    Answer,
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    Pending,
    PollOutcome,
    Produced,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.outbound.backend_api import Reply
from safelight.outbound.inline_media import decoded
from safelight.outbound.loose_json import first_whole_in, id_in, is_number, numbers_in, object_in, objects_in
from safelight.providers.openai.errors import NOTHING_SAID, failure_of_job, read_error
from safelight.providers.openai.settings import Quirks

Address = Callable[[str], RemoteFile]
"""Where a file is, from what an answer says. Raises ``ValueError`` for what is no address."""

_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_TICKS_PER_NANO = 10  # some count money in 10^-10 dollars
_MAX_WORDS = 4096
_BEYOND_SEEDS = 2**64
_MOST_LEVELS = 8

_COMPLETED = frozenset({"completed", "complete", "done", "succeeded", "succeed", "success", "finished"})
_FAILED = frozenset({"failed", "failure", "fail", "error", "expired", "incomplete"})
_CANCELED = frozenset({"cancelled", "canceled", "deleted", "aborted"})
_RUNNING = frozenset({"in_progress", "in-progress", "processing", "running", "generating", "rendering"})
_QUEUED = frozenset({"queued", "pending", "created", "submitted", "waiting", "not_started"})


class _Item(msgspec.Struct):
    b64_json: bytes | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Images(msgspec.Struct):
    """The usual answer. The picture becomes bytes as it is read, with no text of it made in between."""

    data: list[_Item] | None = None
    usage: Any = None
    inference_time_s: Any = None
    seed: Any = None


_usual = msgspec.json.Decoder(_Images)


def image_of(reply: Reply, quirks: Quirks, address: Address, *, prompt: str, seed: int | None) -> Completed | Failed:
    """What a 2xx to an order for a picture brings, if no job. A refusal is ``Completed`` without media."""
    said = msgspec.structs.replace(reply.answer(), seed=seed)
    if (raw := _raw(reply, said)) is not None:
        return raw
    found = reply.read(_usual)
    item = None if found is None else next((item for item in found.data or () if item.b64_json or item.url), None)
    if found is None or item is None:
        return _unusual(reply, quirks, address, said)
    said = _with_usage(said, found.usage, found.inference_time_s)
    revised = item.revised_prompt if item.revised_prompt != prompt else None
    said = msgspec.structs.replace(said, revised_prompt=revised, seed=_seed(found.seed, seed))
    return Completed((InlineBytes(item.b64_json),), said) if item.b64_json else _at(item.url or "", address, said)


def state_of(reply: Reply, quirks: Quirks, address: Address, content: str | None) -> PollOutcome:
    """Where a job stands, by a 2xx. ``content``: the path of its file, if the server has one for each job."""
    if (raw := _raw(reply, reply.answer())) is not None:
        return raw
    document = reply.json()
    job = _unwrapped(object_in(document))
    said = _with_usage(reply.answer(), job.get("usage"), job.get("inference_time_s"))
    said = msgspec.structs.replace(said, seed=_seed(job.get("seed"), None))
    word = str(job.get("status") or "").strip().lower()
    error = read_error(job)
    if word in _CANCELED:
        return Failed(FailureClass.CANCELED, "the server says that the job was canceled", answer=said)
    if error is not None and not word:  # of the question, perhaps, and not of the job
        return Unknown("the server tells an error, and not how the job stands", said)
    if word in _FAILED or word in quirks.failed_words:
        return failure_of_job(error or NOTHING_SAID, quirks, said)
    if word in _COMPLETED or word in quirks.completed_words or (not word and _where(job)):
        return _made(job, address, content, said)
    return Pending(_progress(job.get("progress")), _poll_after(reply, quirks), _stage(word), answer=said)


def job_id_of(document: object) -> str | None:
    """The id of a job, by the name that the server has for it."""
    if not isinstance(document, dict):
        return None
    found = next((document[name] for name in ("id", "request_id", "task_id") if document.get(name)), None)
    if found is None and isinstance(document.get("data"), dict):
        return job_id_of(document["data"])
    return id_in(found)


def _raw(reply: Reply, said: Answer) -> Completed | Failed | None:
    """A file in place of JSON, by its type; None: it is none."""
    kind = reply.content_type
    if kind in ("application/zip", "application/x-zip-compressed") or reply.body.startswith(b"PK\x03\x04"):
        return Failed(FailureClass.PERMANENT, "a zip archive came where one file was ordered", answer=said)
    is_file = kind == "application/octet-stream" and not reply.body.startswith((b"{", b"["))
    if is_file or kind.startswith(("image/", "video/")):
        return Completed((InlineBytes(reply.body),) if reply.body else (), said)
    return None


def _unusual(reply: Reply, quirks: Quirks, address: Address, said: Answer) -> Completed | Failed:
    """An answer in another shape: of a chat, with an error in it, with a broken picture, with nothing, or no JSON."""
    document = reply.json()
    if not isinstance(document, dict):
        told = msgspec.structs.replace(said, words=_text(reply))
        return Failed(FailureClass.PERMANENT, "what came is no JSON, and no file: look at base_url", answer=told)
    said = _with_usage(said, document.get("usage"), document.get("inference_time_s"))
    if (error := read_error(document)) is not None:
        return failure_of_job(error, quirks, said)
    choice = _first(document.get("choices"))
    if (error := read_error(choice)) is not None:
        return failure_of_job(error, quirks, said)
    for word in (*_words_of_items(document.get("data")), *_words_of_chat(choice.get("message"))):
        return _at(word, address, said)
    told = msgspec.structs.replace(said, code=_code(choice.get("finish_reason")), words=_text(reply))
    return Completed((), told)


def _words_of_items(data: object) -> list[str]:
    """Pictures of the Images shape, each as base64 or an address."""
    found = [
        ("data:;base64,", item.get("b64_json")) if item.get("b64_json") else ("", item.get("url"))
        for item in objects_in(data)
    ]
    return [word if _DATA_URL.match(word) else head + word for head, word in found if isinstance(word, str) and word]


def _words_of_chat(message: object) -> list[str]:
    """Pictures in a chat's message: beside its text, or among its parts."""
    if not isinstance(message, dict):
        return []
    parts = [part for key in ("images", "content") if isinstance(message.get(key), list) for part in message[key]]
    urls = [part.get("image_url") for part in parts if isinstance(part, dict)]
    found = [url.get("url") if isinstance(url, dict) else url for url in urls]
    return [word for word in found if isinstance(word, str) and word]


def _made(job: Mapping[str, Any], address: Address, content: str | None, said: Answer) -> Completed | Failed:
    video = job.get("video")
    if isinstance(video, dict) and video.get("respect_moderation") is False:
        return Failed(FailureClass.CONTENT_POLICY, "its moderation holds the clip back", answer=said)
    where = _where(job) or content
    return _at(where, address, said) if where else Completed((), said)


def _where(job: Mapping[str, Any]) -> str | None:
    """The file of a job that is done: an address, or base64 as a data URL. A path on the server's disk is neither."""
    video = job.get("video")
    candidates = [
        video.get("url") if isinstance(video, dict) else video,
        *(job.get(name) for name in ("url", "video_url", "output_url")),
        *(urls[0] for urls in (job.get("unsigned_urls"), job.get("urls")) if isinstance(urls, list) and urls),
        *_words_of_items(job.get("data")),
    ]
    return next((word for word in candidates if isinstance(word, str) and word), None)


def _at(word: str, address: Address, said: Answer) -> Completed | Failed:
    """The media that a data URL holds, or that lies at an address."""
    if (head := _DATA_URL.match(word)) is not None:
        data = decoded(word[head.end() :])
        if data is None:
            return Failed(FailureClass.PERMANENT, "the picture's base64 cannot be read", answer=said)
        return Completed((InlineBytes(data),) if data else (), said)
    try:
        produced: Produced = address(word)
    except ValueError:
        return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=said)
    return Completed((produced,), said)


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    """The job itself: some put it into ``data``."""
    inner = document.get("data")
    return inner if "status" not in document and isinstance(inner, dict) and "status" in inner else document


def _with_usage(said: Answer, usage: object, inference_seconds: object) -> Answer:
    told = numbers_in(usage, _MOST_LEVELS, with_zeros=False)
    seconds = float(inference_seconds) if is_number(inference_seconds) and inference_seconds > 0 else None
    cost = _cost_nanos(usage) if isinstance(usage, dict) else None
    if not told and seconds is None and cost is None:
        return said
    counted = Usage(
        raw=told,
        images=first_whole_in(told, "images"),
        input_tokens=first_whole_in(told, "input_tokens", "prompt_tokens"),
        output_tokens=first_whole_in(told, "output_tokens", "completion_tokens"),
        compute_seconds=seconds,
    )
    return msgspec.structs.replace(said, usage=counted, cost_nanos=cost)


def _cost_nanos(usage: Mapping[str, Any]) -> int | None:
    """What the server charges; nothing is an amount too, but where it is another's key that pays."""
    ticks = usage.get("cost_in_usd_ticks")
    if ticks is not None:
        return _nanos(ticks, Decimal(1) / _TICKS_PER_NANO)
    cost_nanos = _nanos(usage.get("cost"), NANOS_PER_USD)
    return None if cost_nanos == 0 and usage.get("is_byok") else cost_nanos


def _nanos(amount: Any, each: int | Decimal) -> int | None:
    """To the nearest: a float is a hair off."""
    if not is_number(amount):
        return None
    nanos = int((Decimal(repr(amount)) * each).to_integral_value())
    return nanos if 0 <= nanos <= MAX_NANOS else None


def _seed(told: Any, sent: int | None) -> int | None:
    return told if is_number(told, _BEYOND_SEEDS) and isinstance(told, int) else sent


def _progress(value: Any) -> float | None:
    """Percent, as a part of one."""
    return min(max(float(value) / 100, 0.0), 1.0) if is_number(value) else None


def _poll_after(reply: Reply, quirks: Quirks) -> float | None:
    told = reply.headers.get("openai-poll-after-ms", "")
    if told.isascii() and told.isdecimal():
        return int(told[:12]) / 1000
    return reply.retry_after_seconds() or quirks.poll_seconds or None


def _stage(word: str) -> Stage | None:
    return Stage.QUEUED if word in _QUEUED else Stage.RUNNING if word in _RUNNING else None


def _first(values: object) -> dict[str, Any]:
    return object_in(values[0] if isinstance(values, list) and values else None)


def _code(value: object) -> str | None:
    return value[:200] if isinstance(value, str) else None


def _text(reply: Reply) -> str:
    return reply.body[:_MAX_WORDS].decode("utf-8", "replace")
