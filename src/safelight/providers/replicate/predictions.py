"""Reads a prediction with care: only its id must be there, and each other member may have any shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Answer,
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    Pending,
    PollOutcome,
    Produced,
    Stage,
    Usage,
)
from safelight.domain.ports import Job
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.outbound.inline_media import decoded
from safelight.outbound.loose_json import first_whole_in, numbers_in, text_in
from safelight.providers.replicate.failures import failure_of_prediction, is_refusal
from safelight.providers.replicate.settings import Options, Settings

ENDED = frozenset({"succeeded", "failed", "canceled", "aborted"})
_STAGES = {"starting": Stage.QUEUED, "processing": Stage.RUNNING}
_PERCENT = re.compile(r"^\s*(?:.{0,80}: +)?(\d{1,3})%\s*\|")
_SEED = re.compile(r"^using seed:? (\d{1,19})\s*$", re.IGNORECASE | re.MULTILINE)
_LOG_CHARACTERS = 8192
"""So much is read of the end of a log, and of its beginning."""
_MOST_LEVELS = 8
_MOST_TEXTS = 1000
_BEYOND = 2**53
_EXTENSIONS = {
    GenerationType.IMAGE: (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif"),
    GenerationType.VIDEO: (".mp4", ".webm", ".mov", ".m4v", ".mkv"),
}


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction. ``output`` is ``UNSET`` where an answer does not say what it is."""

    id: Any = None
    status: Any = None
    output: Any = msgspec.UNSET
    error: Any = None
    logs: Any = None
    metrics: Any = None
    data_removed: Any = None
    webhook: Any = None
    created_at: Any = None

    @property
    def word(self) -> str:
        """The status."""
        return text_in(self.status).strip().lower()

    @property
    def is_known(self) -> bool:
        """Whether it has an id, without which it is no prediction."""
        return isinstance(self.id, str) and bool(self.id)


class _Page(msgspec.Struct, frozen=True):
    results: list[msgspec.Raw]
    next: Any = None


class Page(msgspec.Struct, frozen=True):
    """A page of predictions, newest first. ``cursor`` leads to the next one."""

    predictions: tuple[Prediction, ...]
    cursor: str | None


_prediction = msgspec.json.Decoder(Prediction)
_page = msgspec.json.Decoder(_Page)


def prediction_in(reply: Reply) -> Prediction | None:
    """The prediction that an answer is; None: it is none."""
    found = reply.read(_prediction)
    return found if found is not None and found.is_known else None


def page_in(reply: Reply) -> Page | None:
    """The page that an answer is; None: it is none. What in it is no prediction is left out."""
    found = reply.read(_page)
    if found is None:
        return None
    read = (_read(raw) for raw in found.results)
    return Page(tuple(each for each in read if each is not None and each.is_known), _cursor(found.next))


def created_before(prediction: Prediction, moment: datetime) -> bool:
    """Whether it says that it is older."""
    try:
        return datetime.fromisoformat(prediction.created_at) < moment
    except (TypeError, ValueError):
        return False


def state_of(
    prediction: Prediction, reply: Reply, *, job: Job[Options], api: BackendApi, settings: Settings
) -> PollOutcome:
    """Where it stands. A word that is no end is none, whatever is in the output already."""
    answer = answer_of(prediction, reply)
    match prediction.word:
        case "succeeded":
            return _made(prediction, answer, job, api, settings)
        case "failed":
            return failure_of_prediction(prediction.error, settings, answer)
        case "canceled":
            billed = msgspec.structs.replace(answer, is_billed=True)
            return Failed(FailureClass.CANCELED, "it was canceled while it ran, or its time was up", answer=billed)
        case "aborted":
            free = msgspec.structs.replace(answer, is_billed=False)
            return Failed(FailureClass.CANCELED, "it was canceled before it ran, or its time was up", answer=free)
        case word:
            return Pending(_progress(prediction.logs), reply.retry_after_seconds(), _STAGES.get(word), answer=answer)


def answer_of(prediction: Prediction, reply: Reply) -> Answer:
    """What was said, for the operator. The prediction's id is what the vendor's support asks for."""
    return Answer(
        status=reply.status,
        request_id=prediction.id[:200],
        usage=_usage(prediction.metrics),
        seed=_seed(prediction.logs),
    )


def _read(raw: msgspec.Raw) -> Prediction | None:
    try:
        return _prediction.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _cursor(address: Any) -> str | None:
    """The cursor alone: the rest of the address is ours to write."""
    try:
        return parse_qs(urlsplit(address).query)["cursor"][0] if isinstance(address, str) else None
    except (KeyError, ValueError):
        return None


def _made(
    prediction: Prediction, answer: Answer, job: Job[Options], api: BackendApi, settings: Settings
) -> Completed | Failed:
    output = None if prediction.output is msgspec.UNSET else prediction.output
    if output is None and prediction.data_removed is True:
        return Failed(FailureClass.PERMANENT, "what it made was deleted there before it was asked for", answer=answer)
    if job.options.output is not None and output is not None:
        output = _inside(output, job.options.output)
        if output is None:
            return Failed(FailureClass.PERMANENT, f"output: there is no {job.options.output} in it", answer=answer)
    texts = list(_texts(output))
    if not texts:
        return Completed((), answer)
    addresses = [text for text in texts if _is_address(text)]
    if addresses:
        return _at(_chosen(addresses, job.type), api, answer)
    told = msgspec.structs.replace(answer, words=texts[0][:4096])
    if any(is_refusal(text, settings) for text in texts):
        return Failed(FailureClass.CONTENT_POLICY, answer=told)
    return Failed(FailureClass.PERMANENT, "there is text in its output, and no file", answer=told)


def _at(address: str, api: BackendApi, answer: Answer) -> Completed | Failed:
    """The media at an address. The API's own files want the key; no other path of it is asked with it, nor any host."""
    if _is_data(address):
        data = decoded(address)
        if data is None:
            return Failed(FailureClass.PERMANENT, "the data URL in its output cannot be read", answer=answer)
        return Completed((InlineBytes(data),) if data else (), answer)
    try:
        produced: Produced = api.file(address, with_key=address.startswith(f"{api.base_url}/files/"))
    except ValueError:
        return Failed(FailureClass.PERMANENT, "the address of the file is none", answer=answer)
    return Completed((produced,), answer)


def _texts(output: Any) -> Iterator[str]:
    """All that is written in an output, in its order."""
    waiting, left = [(output, 0)], _MOST_TEXTS
    while waiting and left:
        value, level = waiting.pop()
        left -= 1
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, dict | list) and level < _MOST_LEVELS:
            inner = list(value.values() if isinstance(value, dict) else value)[:_MOST_TEXTS]
            waiting.extend((each, level + 1) for each in reversed(inner))


def _inside(output: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(output, dict):
            output = output.get(key)
        elif isinstance(output, list) and re.fullmatch(r"-?\d{1,4}", key):
            at = int(key)
            output = output[at] if -len(output) <= at < len(output) else None
        else:
            return None
    return output


def _is_address(text: str) -> bool:
    return _is_data(text) or text[:8].lower().startswith(("http://", "https://"))


def _is_data(text: str) -> bool:
    return text[:5].lower() == "data:"


def _chosen(addresses: list[str], wanted: GenerationType) -> str:
    """The first that may be what was ordered: a clip may come with a picture of itself."""
    for kinds in ((wanted,), (None,)):
        for address in addresses:
            if _kind(address) in kinds:
                return address
    return addresses[0]


def _kind(address: str) -> GenerationType | None:
    """What its media type or its name says that it is."""
    file = address.partition("#")[0].partition("?")[0]
    head = address[5:30].lower() if _is_data(address) else file[-6:].lower()
    for kind, extensions in _EXTENSIONS.items():
        if head.startswith(f"{kind.value}/") or head.endswith(extensions):
            return kind
    return None


def _progress(logs: Any) -> float | None:
    """The last percentage of a progress bar in the log."""
    if not isinstance(logs, str):
        return None
    for line in reversed(re.split(r"[\r\n]+", logs[-_LOG_CHARACTERS:])):
        if found := _PERCENT.match(line[:200]):
            return min(int(found[1]) / 100, 1.0)
    return None


def _seed(logs: Any) -> int | None:
    """The seed that the model says it uses, in a line of the log that is nothing else."""
    found = _SEED.search(logs[:_LOG_CHARACTERS]) if isinstance(logs, str) else None
    return int(found[1]) if found and int(found[1]) < _BEYOND else None


def _usage(metrics: Any) -> Usage | None:
    told = numbers_in(metrics)
    if not told:
        return None
    return Usage(
        raw=told,
        images=first_whole_in(told, "image_count", "image_output_count"),
        input_tokens=first_whole_in(told, "input_token_count", "token_input_count"),
        output_tokens=first_whole_in(told, "output_token_count", "token_output_count"),
        compute_seconds=float(told["predict_time"]) if "predict_time" in told else None,
    )
