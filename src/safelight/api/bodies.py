"""Reading a request body strictly: what two parsers could read in two ways is refused (RFC 8259, sections 4 and 8)."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from safelight.api.auth import api_state, principal
from safelight.api.faults import fault_in
from safelight.api.waits import hold
from safelight.domain.errors import InvalidParameter, RequestTimeout, RequestTooLarge, UnsupportedCoding
from safelight.domain.headers import coding_in
from safelight.domain.numbers import json_integer, json_number, whole_number
from safelight.domain.text import cut, quoted

MAX_BODY_BYTES = 25 * 1024 * 1024
MAX_DEPTH = 32
BODY_SECONDS = 60.0
PAUSE_SECONDS = 15.0
LARGE_BYTES = 256 * 1024

T = TypeVar("T")

_LARGE_AT_ONCE = asyncio.Semaphore(2)
_SURROGATE = re.compile("[\ud800-\udfff]")
# How a document of another encoding begins: with a byte order mark, or its first character, which is ASCII (RFC 4627,
# section 3). UTF-32 goes first, as its mark begins like that of UTF-16. And how one begins that is compressed and does
# not say so (RFC 1952, 8878 and 1950).
_OTHER_ENCODINGS = (
    ("UTF-32", re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff|\0\0\0[^\0]|[^\0]\0\0\0")),
    ("UTF-16", re.compile(rb"\xff\xfe|\xfe\xff|\0[^\0]|[^\0]\0")),
    ("compressed (gzip)", re.compile(rb"\x1f\x8b")),
    ("compressed (zstd)", re.compile(rb"\x28\xb5\x2f\xfd")),
    ("compressed (deflate)", re.compile(rb"\x78[\x01\x5e\x9c\xda]")),
)


async def read_body(request: Request, into: type[T]) -> tuple[T, bytes]:
    """The body as ``into``, and its bytes as they came.

    Raises ``InvalidParameter`` or ``ParameterMissing``, and what ``receive_body`` raises.
    """
    raw = await receive_body(request)
    return await read_aside(len(raw), partial(parse_body, raw, into)), raw


async def receive_body(request: Request, most_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body as it came, if it is not longer. Raises ``UnsupportedCoding``, or what says that it did not arrive."""
    if coding := coding_in(", ".join(request.headers.getlist("content-encoding"))):
        raise UnsupportedCoding(
            f"The request body is in the content coding {quoted(coding)}. Send it as it is, without Content-Encoding."
        )
    try:
        with api_state(request).waits.place(principal(request)):
            return await _received(request, most_bytes)
    except TimeoutError:
        raise RequestTimeout from None
    except ClientDisconnect:
        raise InvalidParameter("The body ended before the length that was announced.") from None


async def read_aside(size_bytes: int, read: Callable[[], T]) -> T:
    """What reading a body of that size comes to; a large one in a thread, and few at once: it takes long enough for
    others to notice, and some times its size in memory."""
    if size_bytes > LARGE_BYTES:
        async with _LARGE_AT_ONCE:
            return await asyncio.to_thread(read)
    return read()


async def _received(request: Request, most_bytes: int) -> bytes:
    """The body, which is refused as soon as it is known to be over the limit."""
    too_large = RequestTooLarge()
    if most_bytes != MAX_BODY_BYTES:
        too_large = RequestTooLarge(f"The request body is over the limit of {most_bytes >> 20} MiB. Send less.")
    if (whole_number(request.headers.get("content-length", "")) or 0) > most_bytes:
        raise too_large
    take = hold(request, api_state(request).body_memory.of(principal(request)))
    raw, now = bytearray(), asyncio.get_running_loop().time
    ends_at = now() + BODY_SECONDS
    async with asyncio.timeout(PAUSE_SECONDS) as patience:
        async for piece in request.stream():
            take(len(piece))
            raw += piece
            if len(raw) > most_bytes:
                raise too_large
            patience.reschedule(min(now() + PAUSE_SECONDS, ends_at))
    return bytes(raw)


def parse_body(raw: bytes, into: type[T]) -> T:
    """A JSON object as ``into``; every error names the parameter and says what would work."""
    document = parse_json(raw)
    if not isinstance(document, dict):
        raise InvalidParameter("The body must be a JSON object.")
    return convert_body(document, into)


def convert_body(document: dict[str, object], into: type[T]) -> T:
    """An object as ``into``. Raises ``InvalidParameter`` or ``ParameterMissing`` naming the parameter."""
    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError:
        raise fault_in(document, into) or InvalidParameter("The body is not what this call takes.") from None


def parse_json(raw: bytes) -> object:
    """A JSON document in UTF-8, without NaN, duplicate keys, lone surrogates, NUL or absurd nesting.

    A byte order mark before it is passed over, as RFC 8259, section 8.1, lets a parser do.
    """
    try:
        text = raw.decode("utf-8").lstrip("\ufeff")
        if not text.strip():
            raise InvalidParameter("The body is empty. Send a JSON object.")
        document: object = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_not_json,
            parse_int=json_integer,
            parse_float=json_number,
        )
        if "\\u" in text or "\0" in text:
            _check_strings(document, 0)
    except RecursionError:
        raise InvalidParameter(f"The body is nested too deeply; {MAX_DEPTH} levels are more than enough.") from None
    except UnicodeDecodeError:
        raise _other_encoding(raw) from None
    except json.JSONDecodeError as error:
        if "\0" in text[:4]:
            raise _other_encoding(raw) from None
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidParameter(f"The body is not valid JSON at {where}. Send a JSON object (RFC 8259).") from None
    except ValueError as error:
        raise InvalidParameter(f"The body is not valid JSON: {error}.") from None
    return document


def _other_encoding(raw: bytes) -> InvalidParameter:
    """What is said of a document that is not UTF-8; its encoding is named where its first bytes tell."""
    name = next((name for name, begins in _OTHER_ENCODINGS if begins.match(raw)), None)
    return InvalidParameter(f"The body is {name or 'not UTF-8'}. Send JSON encoded as UTF-8.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = cut(next(key for key, count in counts.items() if count > 1))
        raise InvalidParameter(f"{twice} is given twice. Send it once.", param=twice)
    return result


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check_strings(value: object, depth: int) -> None:
    """Refuse what is no text: a lone surrogate, or NUL, which no database column takes."""
    if depth > MAX_DEPTH:
        raise RecursionError
    match value:
        case str():
            if "\0" in value:
                raise ValueError("a string has a NUL character; remove it")
            if _SURROGATE.search(value):
                raise ValueError("a string has half a surrogate pair; send whole characters")
        case dict():
            for key, item in value.items():
                _check_strings(key, depth + 1)
                _check_strings(item, depth + 1)
        case list():
            for item in value:
                _check_strings(item, depth + 1)
