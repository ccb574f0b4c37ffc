"""Which keys, prefixes and ranges every store takes. Its keys mean the same on a disk, in a URL and in a bucket."""

from __future__ import annotations

import re

MAX_KEY_CHARACTERS = 900
"""Object stores stop at 1,024 bytes with the prefix of the store's URL; this leaves room for one."""

_SEGMENT = "[A-Za-z0-9_][A-Za-z0-9._=+@-]{0,199}"
_KEY = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")


def is_key(text: str) -> bool:
    """Whether ``text`` is a key: relative, ``/`` between plain names that start with a letter, digit or
    ``_``.

    That leaves out ``..``, empty segments, NUL, hidden names (the stores' own) and whatever a URL would
    escape.
    """
    return len(text) <= MAX_KEY_CHARACTERS and _KEY.fullmatch(text) is not None


def check_key(key: str) -> str:
    """The key itself. Raises ``ValueError`` for what is none: keys are made by the program, not by a
    client."""
    if not is_key(key):
        raise ValueError(f"not a blob key: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """A folder's key without a ``/`` at its end; empty for the whole store. Raises ``ValueError``."""
    bare = prefix.removesuffix("/")
    return check_key(bare) if prefix else bare


def check_range(start: int, end: int) -> None:
    """Raises ``ValueError`` unless ``0 <= start <= end``, both in bytes."""
    if not 0 <= start <= end:
        raise ValueError(f"not a byte range: {start} to {end}")
