"""How others' words are repeated: short, fit to be sent, and without what is secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

_LONGEST = 80
_LEAST_CODED = 8  # fewer digits of base64 turn up by chance


def quoted(value: object) -> str:
    """A value as an error message may show it: in quotes if it is text, cut if it is long."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."
    return cut(str(value))


def cut(text: str) -> str:
    """Text without lone surrogates, cut if it is long."""
    plain = text.encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """Text in which each secret is ``***``: as it is, and as it stands in a URL, in JSON or in base64."""
    for secret in filter(None, secrets):
        for spelling in _spellings(secret):
            text = text.replace(spelling, "***")
    return text


def _spellings(secret: str) -> list[str]:
    """The longest first. In base64 what a secret becomes depends on where it begins; its ends share digits with what
    stands beside it, and are left out."""
    coded = []
    for offset in range(3):
        digits = base64.b64encode(b"." * offset + secret.encode()).decode().rstrip("=")
        inner = digits[offset and offset + 1 : len(secret.encode() + b"." * offset) // 3 * 4]
        if len(inner) >= _LEAST_CODED:
            coded += [inner, inner.replace("+", "-").replace("/", "_")]
    plain = [secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]]
    return sorted({*plain, *coded}, key=len, reverse=True)


def first_bytes(text: str, most: int) -> str:
    """The beginning of a text that fits in so many bytes of UTF-8, without half a character, NUL or lone surrogates."""
    plain = text.replace("\0", "").encode("utf-8", "replace")
    return plain[:most].decode("utf-8", "ignore")
