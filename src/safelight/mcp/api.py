"""The API, as the tools call it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

import msgspec

from safelight.domain.errors import SafelightError

Json = dict[str, Any]


class Refused(SafelightError):
    """The API answered with an error: its message, ``code`` and ``param``. ``is_unknown``: it may be at work on it."""

    def __init__(self, message: str, *, code: str, param: str | None = None, is_unknown: bool = False) -> None:
        super().__init__(message, param=param)
        self.answer_code = code
        self.is_unknown = is_unknown


class Api(Protocol):
    """Calls with one caller's key. Paths begin with ``/v2/``. Each raises ``Refused``."""

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """The JSON that a GET answers."""

    async def post(self, path: str, body: Json, key: str | None) -> Json:
        """The JSON that a POST answers; ``key`` is the idempotency key of what orders work."""

    async def delete(self, path: str) -> Json:
        """The JSON that a DELETE answers."""

    def events(self, path: str) -> AsyncIterator[tuple[str, Json]]:
        """Names and values of a stream's events. Whoever stops reading closes it."""

    async def download(self, url: str, most_bytes: int) -> bytes | None:
        """What a signed link leads to; None where that is longer."""

    async def size_of(self, url: str) -> int | None:
        """Bytes of what a signed link leads to; None where that is not told."""


class _Detail(msgspec.Struct):
    message: str
    code: str
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Detail


def refusal_of(status: int, body: bytes) -> Refused:
    """The error that an answer tells."""
    try:
        detail = msgspec.json.decode(body, type=_ErrorBody).error
    except msgspec.DecodeError:
        return Refused(f"The server answered with status {status}, and not as Safelight does.", code="not_safelight")
    return Refused(detail.message, code=detail.code, param=detail.param, is_unknown=status >= 500)


async def parse_events(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, Json]]:
    """Names and values of a stream's events (HTML, section 9.2.6), each of whose values is JSON on one line."""
    rest, name = b"", ""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for raw in lines:
            field, _, value = raw.decode().rstrip("\r").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, msgspec.json.decode(value)
