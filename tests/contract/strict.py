"""Holding answers against the official client's types, without any of its leniency."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

OURS = {
    "thumbnail_url",
    "seed",
    "supports_seed",
    "supports_negative_prompt",
    "supported_provider_options",
}
"""What our answers have beyond the client's types. Nothing gets in here by accident."""


def strictly(kind: Any, raw: bytes) -> Any:
    """``raw`` as ``kind``, one of the client's types: no field too many or too few, none of another JSON type."""
    value = TypeAdapter(kind).validate_json(raw, strict=True)
    _check_whole(value, "answer")
    return value


def _check_whole(value: object, where: str) -> None:
    match value:
        case BaseModel():
            unknown = set(value.model_extra or ()) - OURS
            assert not unknown, f"{where} has fields that the client does not know: {unknown}"
            missing = set(type(value).model_fields) - value.model_fields_set
            assert not missing, f"{where} lacks {missing}"
            for name in type(value).model_fields:
                _check_whole(getattr(value, name), f"{where}.{name}")
        case list():
            for index, item in enumerate(value):
                _check_whole(item, f"{where}[{index}]")
