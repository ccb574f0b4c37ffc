"""Reads parts of a backend's JSON that may be missing, null, of another type, or far too large: it never raises.

What is read is of the type that is asked for, or is empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, TypeGuard

MOST_NUMBERS = 100
"""Of one object that ``numbers_in`` reads."""

_BEYOND = 2**53
"""From here on a float no longer tells whole numbers apart (RFC 8259, section 6)."""
_BEYOND_IDS = 2**64
_MOST_OF_AN_ID = 1024
_MOST_OF_A_NAME = 100


def at(document: object, *path: str) -> Any:
    """What stands at a path of objects; None where there is none."""
    for name in path:
        if not isinstance(document, dict):
            return None
        document = document.get(name)
    return document


def object_in(value: object) -> dict[str, Any]:
    """The object that it is; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def objects_in(value: object, most: int | None = None) -> list[dict[str, Any]]:
    """The objects in a list, or in so many of its first items; none where it is no list."""
    items = value[:most] if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def text_in(value: object, most: int | None = None) -> str:
    """The text that it is, or so many of its first characters; an empty one where it is none."""
    return value[:most] if isinstance(value, str) else ""


def id_in(value: object, most: int = _MOST_OF_AN_ID) -> str | None:
    """An id that is a text or a whole number. None: it is neither, is empty, or has more than ``most`` characters."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _BEYOND_IDS:
        return str(value)
    return value if isinstance(value, str) and 0 < len(value) <= most else None


def is_number(value: object, beyond: int = _BEYOND) -> TypeGuard[int | float]:
    """Whether it is a number that can be reckoned with, short of ``beyond``: JSON's may have thousands of digits."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -beyond < value < beyond


def is_count(value: object) -> TypeGuard[int | float]:
    """Whether it is a number that can tell how much of something there is."""
    return is_number(value) and value >= 0


def whole_in(value: object) -> int | None:
    """How many of something there are; None: it tells no whole number of them."""
    return int(value) if is_count(value) and value == int(value) else None


def first_whole_in(values: Mapping[str, object], *names: str) -> int | None:
    """The first of these that tells a whole number of something."""
    return next((whole for name in names if (whole := whole_in(values.get(name))) is not None), None)


def numbers_in(value: object, levels: int = 0, *, with_zeros: bool = True) -> dict[str, Any]:
    """The counts in an object, as they were told, and those of objects in it, so many levels down.

    Texts among them are left out, as nothing clears those of secrets.
    """
    found: dict[str, Any] = {}
    for name, each in islice(object_in(value).items(), MOST_NUMBERS):
        if isinstance(each, dict) and levels:
            if inner := numbers_in(each, levels - 1, with_zeros=with_zeros):
                found[name[:_MOST_OF_A_NAME]] = inner
        elif is_count(each) and (each or with_zeros):
            found[name[:_MOST_OF_A_NAME]] = each
    return found
