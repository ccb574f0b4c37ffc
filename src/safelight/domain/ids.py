"""Request ids and API keys.

A request id is ``req-`` and a ULID (https://github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in
Crockford's base 32, so that ids sort by time. An API key is ``sk_``, 43 characters of base 62 (256 random bits)
and a 6-character checksum, so that a mistyped key is known without asking the database.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import zlib
from datetime import UTC, datetime

import msgspec

KEY_PREFIX = "sk_"

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_GENERATION_ID = re.compile(r"req-[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_API_KEY = re.compile(r"sk_[0-9A-Za-z]{49}", re.ASCII)
_CROCKFORD_PAIRS = tuple(high + low for high in _CROCKFORD for low in _CROCKFORD)
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6


def _encode(value: int, alphabet: str, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))


def new_ulid(milliseconds: int | None = None) -> str:
    """A ULID of 26 characters, for now or for the given Unix time."""
    now = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    value = now << 80 | secrets.randbits(80)
    # Two characters at a time: every request has such an id, and this is a tenth of the time.
    return "".join([_CROCKFORD_PAIRS[value >> place & 1023] for place in range(120, -1, -10)])


def new_generation_id() -> str:
    return f"req-{new_ulid()}"


def first_id_at(moment: datetime) -> str:
    """The least id that a generation made at this moment can have."""
    return f"req-{_encode(int(moment.timestamp() * 1000) << 80, _CROCKFORD, 26)}"


def made_at(generation_id: str) -> datetime:
    """When a generation got its id, to the millisecond, in UTC."""
    milliseconds = 0
    for character in generation_id.removeprefix("req-")[:10]:
        milliseconds = milliseconds * 32 + _CROCKFORD.index(character)
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def is_generation_id(text: str) -> bool:
    return _GENERATION_ID.fullmatch(text) is not None


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """What may be kept of a key: its SHA-256, what it begins with and its last four characters."""

    sha256: bytes
    prefix: str
    last_four: str


def new_api_key() -> str:
    secret = _encode(secrets.randbits(256), _BASE62, _SECRET_LENGTH)
    return f"{KEY_PREFIX}{secret}{_checksum(secret)}"


def read_api_key(text: str) -> ApiKey | None:
    """What to keep or look up of a key; None for anything that cannot be a key."""
    if _API_KEY.fullmatch(text) is None:
        return None
    secret, checksum = text[3 : 3 + _SECRET_LENGTH], text[3 + _SECRET_LENGTH :]
    if _checksum(secret) != checksum:
        return None
    return ApiKey(sha256=hashlib.sha256(text.encode()).digest(), prefix=text[:7], last_four=text[-4:])


def _checksum(secret: str) -> str:
    return _encode(zlib.crc32(secret.encode()), _BASE62, _CHECKSUM_LENGTH)
