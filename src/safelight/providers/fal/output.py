"""Finds the media in a model's output: each has a shape of its own, and all of them have files as objects with a
``url``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safelight.domain.generations import GenerationType

_KEYS = {
    GenerationType.IMAGE: ("images", "image"),
    GenerationType.VIDEO: ("video", "videos"),
}
_FLAGS = ("has_nsfw_concepts", "has_nsfw_concept", "nsfw_content_detected")
_MOST_PARTS = 10_000


def address_in(output: Any, type_: GenerationType, place: str | None) -> str | None:
    """The address, or data URL, of the first file of the type; None: there is none.

    With a ``place`` it is looked for there and nowhere else. Else what is called so comes first, then what is said to
    be of the type, the less deep before the deeper.
    """
    if place is not None:
        return _address_of(_at(output, place))
    for part in _parts(output):
        for key in _KEYS[type_]:
            if key in part and (found := _address_of(part[key])) is not None:
                return found
    for part in _parts(output):
        if _is_of(part, type_) and (found := _address_of(part)) is not None:
            return found
    return None


def is_empty(output: Any, type_: GenerationType) -> bool:
    """Whether the model says that it made nothing: the place of its files is there, and nothing in it."""
    return isinstance(output, dict) and any(key in output and not output[key] for key in _KEYS[type_])


def is_flagged(output: Any) -> bool:
    """Whether the model marks the first file as indecent: its picture is then often black."""
    if not isinstance(output, dict):
        return False
    for flag in (output.get(name) for name in _FLAGS):
        first = flag[0] if isinstance(flag, list) and flag else flag
        if first is True:
            return True
    return False


def _parts(output: Any) -> Iterator[dict[str, Any]]:
    """The objects in it, the less deep ones first."""
    waiting, seen = [output], 0
    while waiting and seen < _MOST_PARTS:
        deeper: list[Any] = []
        for part in waiting[: _MOST_PARTS - seen]:
            seen += 1
            if isinstance(part, dict):
                yield part
                deeper.extend(part.values())
            elif isinstance(part, list):
                deeper.extend(part)
        waiting = [part for part in deeper if isinstance(part, dict | list)]


def _at(output: Any, place: str) -> Any:
    for key in place.split("."):
        if isinstance(output, list):
            output = output[int(key)] if key.isascii() and key.isdecimal() and int(key[:9]) < len(output) else None
        else:
            output = output.get(key) if isinstance(output, dict) else None
    return output


def _address_of(file: Any) -> str | None:
    """The address of a file, as an object, as a text, or as the first of a list."""
    if isinstance(file, list):
        file = file[0] if file else None
    if isinstance(file, dict):
        file = file.get("url")
    return file if isinstance(file, str) and file else None


def _is_of(file: dict[str, Any], type_: GenerationType) -> bool:
    mime_type = file.get("content_type")
    return isinstance(mime_type, str) and mime_type.lower().startswith(f"{type_.value}/")
