"""Numbers, words and times as Google's answers have them, read with care: any part may be missing, or be another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Usage

_MOST_COUNT = 2**53
_MOST_LEVELS = 4
_MAX_WORDS = 4096
_MODALITY = re.compile(r"[A-Za-z_]{1,32}", re.ASCII)
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def at(document: object, *path: str) -> Any:
    """What stands at a path of objects; None where there is none."""
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def objects(value: object) -> Iterator[dict[str, Any]]:
    """The objects in a list; none where it is no list."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def count(value: object) -> int | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return int(value) if 0 <= value < _MOST_COUNT else None


def numbers(values: Mapping[str, Any], levels: int = _MOST_LEVELS) -> dict[str, Any]:
    """The counts in an object; a list of them by modality becomes an object. Texts may be secret, and are left out."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        kept: Any = count(value)
        if isinstance(value, dict) and levels:
            kept = numbers(value, levels - 1)
        elif isinstance(value, list):
            kept = _by_modality(value)
        if kept:
            found[name] = kept
    return found


def usage_of(said: object, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Usage | None:
    """Use as it was told; the names of each kind of tokens are added up."""
    if not isinstance(said, dict) or not (raw := numbers(said)):
        return None
    return Usage(raw=raw, input_tokens=_sum(raw, inputs), output_tokens=_sum(raw, outputs))


def with_facts(answer: Answer, *, usage: Usage | None, request_id: object, seed: int | None) -> Answer:
    own_id = request_id[:200] if isinstance(request_id, str) and request_id else answer.request_id
    return msgspec.structs.replace(answer, usage=usage, request_id=own_id, seed=seed)


def with_words(answer: Answer, words: str, code: str | None = None) -> Answer:
    return msgspec.structs.replace(answer, words=words[:_MAX_WORDS] or answer.words, code=code or answer.code)


def seconds_in(duration: object) -> float | None:
    """A duration in JSON, as ``"37s"``."""
    match = _SECONDS.fullmatch(duration) if isinstance(duration, str) else None
    return float(match[1]) if match else None


def _by_modality(values: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in objects(values):
        modality, tokens = text(item.get("modality")), count(item.get("tokenCount", item.get("tokens")))
        if tokens and _MODALITY.fullmatch(modality):
            found[modality] = found.get(modality, 0) + tokens
    return found


def _sum(raw: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    counted = [raw[name] for name in names if isinstance(raw.get(name), int)]
    return sum(counted) if counted else None
