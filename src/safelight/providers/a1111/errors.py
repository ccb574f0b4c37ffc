"""What a refusal means: an exception's name and words, FastAPI's ``detail``, a plain text, or nothing at all."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Failed, FailureClass, Unknown
from safelight.outbound.backend_api import Reply, failure_of
from safelight.outbound.loose_json import objects_in

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}", re.ASCII)
_JOB_ERROR = re.compile(r"([A-Za-z_][A-Za-z0-9_.]{0,63}): (.*)", re.ASCII | re.DOTALL)
_MAX_WORDS = 4096

_NO_MEMORY = ("out of memory", "outofmemory", "not enough memory")
_NO_MODEL = re.compile(r"\b(model|checkpoint)\b.{0,300}\bnot found\b|unknown checkpoint", re.IGNORECASE | re.DOTALL)
_BAD_PICTURE = ("invalid encoded image", "invalid image url", "init image", "cannot identify image file")
_OPTIONS_AT_FAULT = {
    "sampler": ("sampler_name", "sampler_index", "sampler", "scheduler"),
    "scheduler": ("scheduler", "sampler_name"),
    "script": ("script_name", "script_args", "alwayson_scripts"),
    "lora": ("lora",),
}
"""What the words of a refusal name, and the options that say it."""
_OF_WRONG_OPTIONS = frozenset({"TypeError", "KeyError", "ValueError", "IndexError", "AssertionError"})


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An error as it was told: an exception's name, words, and the fields of the request that are at fault."""

    name: str | None = None
    words: str = ""
    fields: tuple[str, ...] = ()


def read_error(document: object) -> Said | None:
    """The error in a parsed body; None where there is none."""
    if isinstance(document, str):
        return Said(words=document[:_MAX_WORDS]) if document else None
    if not isinstance(document, dict) or not document.keys() & {"error", "detail", "errors"}:
        return None
    error, detail = document.get("error"), document.get("detail")
    if isinstance(error, dict):
        return read_error(error) or Said(words=_joined(error.get("message")))
    name = error if isinstance(error, str) and _NAME.fullmatch(error) else None
    items = objects_in(detail)
    words = _joined(
        error, detail, document.get("errors"), document.get("message"), *(item.get("msg") for item in items)
    )
    return Said(name=name, words=words, fields=tuple(_fields(items))) if words or items else None


def error_of_job(text: object) -> Said:
    """A job's error: an exception's name and words."""
    if not isinstance(text, str):
        return Said()
    found = _JOB_ERROR.fullmatch(text)
    return Said(words=text[:_MAX_WORDS]) if found is None else Said(name=found[1], words=text[:_MAX_WORDS])


def refusal_of(reply: Reply, chosen: Collection[str]) -> Failed | Unknown:
    """What an answer other than 2xx to an order comes to. ``chosen``: the options that the client chose."""
    said = read_error(reply.json())
    answer = reply.answer(code=None if said is None else said.name)
    if said is None or reply.status in (401, 403, 407, 429, 503):
        return failure_of(reply, answer)
    if (failure := failure_by_words(said, chosen, answer)) is not None:
        return failure
    if reply.status in (400, 422):
        return Failed(_of_options(bool(chosen)), answer=answer)
    if reply.status in (404, 405):
        return Failed(FailureClass.PERMANENT, "there is no such call: the server's API may be off", answer=answer)
    return failure_of(reply, answer)


def failure_by_words(said: Said, chosen: Collection[str], answer: Answer) -> Failed | None:
    """What the error's own words tell; None: nothing."""
    words = said.words.lower()
    if any(part in words for part in _NO_MEMORY):
        return Failed(FailureClass.TRANSIENT, "its memory does not suffice just now", answer=answer)
    if any(part in words for part in _BAD_PICTURE):
        return Failed(FailureClass.BAD_INPUT, "it cannot read a reference image", answer=answer)
    if said.fields:
        return Failed(_of_options(_is_chosen(said.fields, chosen)), f"it refuses {said.fields[0]}", answer=answer)
    if _NO_MODEL.search(said.words):
        return Failed(FailureClass.PERMANENT, "it does not have the model", answer=answer)
    if "not found" in words or "invalid" in words or "required" in words:
        for subject, options in _OPTIONS_AT_FAULT.items():
            if subject in words:
                return Failed(_of_options(_is_chosen(options, chosen)), f"it refuses the {subject}", answer=answer)
    if said.name in _OF_WRONG_OPTIONS or "[json.exception" in words:
        return Failed(_of_options(bool(chosen)), "it stumbles over the order", answer=answer)
    return None


def _is_chosen(options: Collection[str], chosen: Collection[str]) -> bool:
    """Whether the client chose one of them."""
    return any(option in chosen for option in options)


def _of_options(is_clients: bool) -> FailureClass:
    """A wrong option is the client's fault where the client chose any, else the catalog's."""
    return FailureClass.BAD_INPUT if is_clients else FailureClass.PERMANENT


def _fields(items: list[dict[str, Any]]) -> list[str]:
    """The names in FastAPI's ``loc``, such as ``["body", "steps"]``."""
    places = [item["loc"] for item in items if isinstance(item.get("loc"), list) and len(item["loc"]) > 1]
    return [place[1][:64] for place in places if isinstance(place[1], str)]


def _joined(*texts: object) -> str:
    return " ".join(text for text in texts if isinstance(text, str) and text)[:_MAX_WORDS]
