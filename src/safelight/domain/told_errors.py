"""An error as a client reads it out of the API's answer."""

from __future__ import annotations

import msgspec


class ToldError(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    code: str
    param: str | None = None


class _Body(msgspec.Struct, frozen=True):
    error: ToldError


def told_error(body: bytes) -> ToldError | None:
    """What the body of an answer tells; None where it is none of Safelight's."""
    try:
        return msgspec.json.decode(body, type=_Body).error
    except msgspec.DecodeError:
        return None
