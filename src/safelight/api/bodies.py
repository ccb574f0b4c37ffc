"""Reading a request body strictly: what two parsers could read in two ways is refused (RFC 8259, sections 4 and 8)."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from safelight.api.faults import fault_in
from safelight.domain.errors import InvalidParameter, RequestTimeout, RequestTooLarge
from safelight.domain.text import cut

MAX_BODY_BYTES = 25 * 1024 * 1024
MAX_DEPTH = 32
BODY_SECONDS = 60.0
LARGE_BYTES = 256 * 1024

T = TypeVar("T")

_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 40  # more than any parameter takes, and few enough that reading them costs nothing


async def read_body(request: Request, into: type[T]) -> tuple[T, bytes]:
    """The body as ``into``, and its bytes as they came. Raises ``InvalidParameter`` or ``ParameterMissing``."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await _received(request)
    except TimeoutError:
        raise RequestTimeout from None
    except ClientDisconnect:
        raise InvalidParameter("The body ended before the length that was announced.") from None
    if len(raw) > LARGE_BYTES:  # reading it takes long enough for others to notice
        return await asyncio.to_thread(parse_body, raw, into), raw
    return parse_body(raw, into), raw


async def _received(request: Request) -> bytes:
    """The body, which is refused as soon as it is known to be over the limit."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise RequestTooLarge
    pieces, size_bytes = [], 0
    async for piece in request.stream():
        pieces.append(piece)
        size_bytes += len(piece)
        if size_bytes > MAX_BODY_BYTES:
            raise RequestTooLarge
    return b"".join(pieces)


def parse_body(raw: bytes, into: type[T]) -> T:
    """A JSON object as ``into``; every error names the parameter and says what would work."""
    document = parse_json(raw)
    if not isinstance(document, dict):
        raise InvalidParameter("The body must be a JSON object.")
    try:
        return msgspec.convert(document, into)
    except msgspec.ValidationError:
        raise fault_in(document, into) or InvalidParameter("The body is not what this call takes.") from None


def parse_json(raw: bytes) -> object:
    """A JSON document in UTF-8, without NaN, duplicate keys, lone surrogates, NUL or absurd nesting."""
    try:
        text = raw.decode("utf-8")
        if not text.strip():
            raise InvalidParameter("The body is empty. Send a JSON object.")
        document: object = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_not_json, parse_int=_whole_number
        )
        if "\\u" in text or "\0" in text:
            _check_strings(document, 0)
    except RecursionError:
        raise InvalidParameter(f"The body is nested too deeply; {MAX_DEPTH} levels are more than enough.") from None
    except UnicodeDecodeError:
        raise InvalidParameter("The body is not UTF-8. Send JSON encoded as UTF-8.") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidParameter(f"The body is not valid JSON at {where}. Send a JSON object (RFC 8259).") from None
    except ValueError as error:
        raise InvalidParameter(f"The body is not valid JSON: {error}.") from None
    return document


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = cut(next(key for key, count in counts.items() if count > 1))
        raise InvalidParameter(f"{twice} is given twice. Send it once.", param=twice)
    return result


def _not_json(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _whole_number(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; use at most {_MAX_DIGITS}")
    return int(digits)


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
