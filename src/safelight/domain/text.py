"""How a stranger's words are repeated in a message: short, on one line, and always fit to be sent."""

from __future__ import annotations

_LONGEST = 80


def quoted(value: object) -> str:
    """A value as an error message may show it: in quotes if it is text, cut if it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."
    return cut(str(value))


def cut(text: str) -> str:
    """Text without lone surrogates, cut if it is long."""
    plain = text.encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
