"""What an answer brings: a picture, or where a job stands, and what the server says beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard
from urllib.parse import quote

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Answer,
    Completed,
    Failed,
    FailureClass,
    Pending,
    PollOutcome,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.outbound.loose_json import at, id_in, is_number, object_in, objects_in, text_in
from safelight.providers.a1111.errors import Said, error_of_job, failure_by_words, read_error

_MAX_WORDS = 4096
_BEYOND = 2**63
_HASH = re.compile(r"[0-9a-f]{8,64}")
_IN_BRACKETS = re.compile(r"\s*\[([0-9a-f]{8,64})\]\s*$")
_OF_WEIGHTS = re.compile(r"\.(safetensors|ckpt|gguf|sft|pt|pth|bin|vae)$", re.IGNORECASE)
_CLIPS = frozenset({"mp4", "webm", "mov", "mkv", "avi", "gif"})


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to an order for a picture. ``info`` is what its text of JSON says; empty where it says nothing."""

    images: tuple[str, ...]
    info: Mapping[str, Any]

    @property
    def job_timestamp(self) -> str | None:
        """The server's own mark of when it began."""
        found = self.info.get("job_timestamp")
        return found if isinstance(found, str) and found else None


def told_in(reply: Reply) -> Told | None:
    """The answer in its shape; None if it has another."""
    document = reply.json()
    if not isinstance(document, dict) or "images" not in document:
        return None
    images = document["images"] if isinstance(document["images"], list) else []
    return Told(images=tuple(item for item in images if isinstance(item, str)), info=_info(document.get("info")))


def picture_of(
    reply: Reply, told: Told | None, *, prompt: str, seed: int | None, model: str | None
) -> Completed | Failed:
    """What a 2xx to an order for a picture brings. ``model``: the one that has to have made it, if any."""
    if told is None:
        return _unusual(reply)
    info, at = told.info, _position(told)
    said = msgspec.structs.replace(
        reply.answer(),
        usage=_process_time(reply),
        seed=_seed(info, at, seed),
        revised_prompt=revised if (revised := text_in(info.get("prompt"), _MAX_WORDS) or None) != prompt else None,
    )
    if not told.images:
        return Failed(FailureClass.TRANSIENT, "it made no picture, and its log says why", answer=said)
    if model is not None and (other := _another_model(info, model)) is not None:
        return Failed(FailureClass.PERMANENT, f"it does not have the model: the picture is by {other}", answer=said)
    made = reply.inline(told.images[at])
    if made is None:
        return Failed(FailureClass.PERMANENT, "the picture's base64 cannot be read", answer=said)
    return Completed((made,), said)


def job_id_of(reply: Reply) -> str | None:
    return id_in(at(reply.json(), "id"))


def job_path(job_id: str) -> str:
    return f"/sdapi/v2/jobs/{quote(job_id, safe='')}"


def state_of(reply: Reply, handle: Mapping[str, Any], kind: GenerationType, api: BackendApi) -> PollOutcome:
    """Where a job stands, by a 2xx. ``handle`` has its id, the seed and the options that the client chose."""
    document = reply.json()
    job = object_in(document)
    word = str(job.get("status") or "").strip().lower()
    seed, chosen = handle.get("seed"), handle.get("chosen") or ()
    said = msgspec.structs.replace(reply.answer(), seed=seed, usage=_worked(job))
    if not word:
        error = read_error(document)
        told = reply.body[:_MAX_WORDS].decode("utf-8", "replace") if error is None else error.words
        return Unknown("it does not say how the job stands", msgspec.structs.replace(said, words=told))
    match word:
        case "completed":
            return _made(job, str(handle["id"]), kind, api, said)
        case "failed":
            return _failed(error_of_job(job.get("error")), chosen, said)
        case "cancelled" | "canceled":
            return Failed(FailureClass.CANCELED, "the server says that the job was canceled", answer=said)
        case "pending":
            return Pending(stage=Stage.QUEUED, answer=said)
        case _:
            stage = Stage.RUNNING if word == "running" else None
            return Pending(progress=part_of_one(job.get("progress")), stage=stage, answer=said)


def part_of_one(value: object) -> float | None:
    return min(max(float(value), 0.0), 1.0) if is_number(value) else None


def _made(
    job: Mapping[str, Any], job_id: str, kind: GenerationType, api: BackendApi, said: Answer
) -> Completed | Failed:
    files = objects_in(at(job, "result", "images"))
    is_video = kind is GenerationType.VIDEO
    for place, file in enumerate(files):
        if (str(file.get("format") or "").lower() in _CLIPS) == is_video:
            index = file.get("index")
            return Completed((_file(api, job_id, index if _is_index(index) else place),), said)
    return Failed(FailureClass.TRANSIENT, "the job made no file, and the server's log says why", answer=said)


def _file(api: BackendApi, job_id: str, index: int) -> RemoteFile:
    return api.file(api.url(f"{job_path(job_id)}/images/{index}"), with_key=True)


def _failed(said: Said, chosen: Any, answer: Answer) -> Failed:
    answer = msgspec.structs.replace(answer, code=said.name, words=said.words or None)
    if said.words == "Server restarted":
        return Failed(FailureClass.TRANSIENT, "the server was started anew meanwhile", answer=answer)
    return failure_by_words(said, chosen, answer) or Failed(FailureClass.TRANSIENT, answer=answer)


def _unusual(reply: Reply) -> Failed:
    """An error in a success, or no answer of such a server at all."""
    error = read_error(reply.json())
    answer = msgspec.structs.replace(reply.answer(), words=reply.body[:_MAX_WORDS].decode("utf-8", "replace"))
    if error is not None:
        failure = failure_by_words(error, (), answer)
        return failure or Failed(FailureClass.TRANSIENT, "it tells an error in a success", answer=answer)
    return Failed(FailureClass.PERMANENT, "what came is no such answer: look at base_url", answer=answer)


def _info(text: object) -> Mapping[str, Any]:
    if isinstance(text, str) and text:
        try:
            text = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return {}
    return object_in(text)


def _position(told: Told) -> int:
    """Of the first picture itself: a grid may come before it, and what ControlNet saw behind it."""
    first = told.info.get("index_of_first_image")
    return first if _is_index(first) and first < len(told.images) else 0


def _seed(info: Mapping[str, Any], at: int, sent: int | None) -> int | None:
    seeds = info.get("all_seeds")
    first = seeds[0] if isinstance(seeds, list) and seeds else info.get("seed")
    return first if is_number(first, _BEYOND) and isinstance(first, int) and first >= 0 else sent


def _another_model(info: Mapping[str, Any], asked: str) -> str | None:
    """The model that made the picture, if it certainly is not the one that was asked for.

    One that is not there is replaced by the one that is loaded, and nothing is said. Names come with a folder, an
    ending and a hash, or without.
    """
    name, digest = (text_in(info.get(key), _MAX_WORDS) for key in ("sd_model_name", "sd_model_hash"))
    in_brackets = _IN_BRACKETS.search(asked)
    wanted = in_brackets[1] if in_brackets else asked if _HASH.fullmatch(asked) else None
    if digest and wanted and (digest.startswith(wanted) or wanted.startswith(digest)):
        return None
    if not name:
        return None
    ours, theirs = _plain(asked), _plain(name)
    return None if ours.endswith(theirs) or theirs.endswith(ours) else name[:200]


def _plain(model: str) -> str:
    """Its name behind a ``_``: some servers write a folder before it as ``folder_name``, and others leave it out.

    A part of a name is none: AUTOMATIC1111 itself takes the first checkpoint that has what was asked for anywhere in
    its title.
    """
    bare = _OF_WEIGHTS.sub("", _IN_BRACKETS.sub("", model).strip()).lower()
    return "_" + bare.replace("\\", "/").rpartition("/")[2]


def _process_time(reply: Reply) -> Usage | None:
    """How long the request took there, the wait for others with it."""
    try:
        seconds = float(reply.headers.get("x-process-time", ""))
    except ValueError:
        return None
    return Usage(raw={"x-process-time": seconds}) if 0 <= seconds < _BEYOND else None


def _worked(job: Mapping[str, Any]) -> Usage | None:
    """How long the server worked at a job that ended."""
    begun, ended = (_moment(job.get(name)) for name in ("started_at", "completed_at"))
    try:
        seconds = None if begun is None or ended is None else (ended - begun).total_seconds()
    except TypeError:  # one has a zone, the other none
        return None
    return None if seconds is None or seconds < 0 else Usage(compute_seconds=seconds)


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _is_index(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1000
