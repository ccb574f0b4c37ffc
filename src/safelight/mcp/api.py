"""The API, as the tools call it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from safelight.domain.errors import SafelightError
from safelight.domain.told_errors import told_error

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


def refusal_of(status: int, body: bytes) -> Refused:
    """The error that an answer tells."""
    detail = told_error(body)
    if detail is None:
        return Refused(f"The server answered with status {status}, and not as Safelight does.", code="not_safelight")
    return Refused(detail.message, code=detail.code, param=detail.param, is_unknown=status >= 500)
