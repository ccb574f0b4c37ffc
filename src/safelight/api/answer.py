"""JSON answers. Amounts are exact decimals, written as JSON numbers digit by digit."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response
from litestar.enums import MediaType

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode(body: object) -> bytes:
    """JSON in which amounts are exact numbers."""
    return _ENCODER.encode(body)


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """A JSON answer; money in it stays exact."""
    return Response(encode(body), status_code=status, headers=headers, media_type=MediaType.JSON)
