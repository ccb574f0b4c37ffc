"""Numbers, words and times as Google's answers have them, read with care: any part may be missing, or be another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from safelight.domain.outcomes import Answer, Usage
from safelight.outbound.loose_json import is_count, objects_in, text_in, whole_in

_MOST_LEVELS = 4
_MAX_WORDS = 4096
_MODALITY = re.compile(r"[A-Za-z_]{1,32}", re.ASCII)
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def numbers(values: Mapping[str, Any], levels: int = _MOST_LEVELS) -> dict[str, Any]:
    """The counts in an object; a list of them by modality becomes an object. Texts may be secret, and are left out."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        kept: Any = value if is_count(value) else None
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
    own_id = text_in(request_id, 200) or answer.request_id
    return msgspec.structs.replace(answer, usage=usage, request_id=own_id, seed=seed)


def with_words(answer: Answer, words: str, code: str | None = None) -> Answer:
    return msgspec.structs.replace(answer, words=words[:_MAX_WORDS] or answer.words, code=code or answer.code)


def seconds_in(duration: object) -> float | None:
    """A duration in JSON, as ``"37s"``."""
    match = _SECONDS.fullmatch(duration) if isinstance(duration, str) else None
    return float(match[1]) if match else None


def _by_modality(values: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in objects_in(values):
        modality, tokens = text_in(item.get("modality")), whole_in(item.get("tokenCount", item.get("tokens")))
        if tokens and _MODALITY.fullmatch(modality):
            found[modality] = found.get(modality, 0) + tokens
    return found


def _sum(raw: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    counted = [tokens for name in names if (tokens := whole_in(raw.get(name))) is not None]
    return sum(counted) if counted else None
