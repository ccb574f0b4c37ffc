"""Where a generation's files lie in the store: under the UTC date that its id carries."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

_THUMBNAIL = ".thumb.webp"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def media_key(generation_id: str, index: int, run_token: UUID, extension: str) -> str:
    """``media/2026/11/22/req-01...-0.1f0c9a3e.png``

    The run's token is in it, so that a runner that was presumed dead never writes over its successor's file.
    """
    return f"media/{_date(generation_id)}/{generation_id}-{index}.{run_token.hex[:8]}.{extension}"


def input_key(generation_id: str, index: int, extension: str) -> str:
    """``inputs/2026/11/22/req-01...-0.png``"""
    return f"inputs/{_date(generation_id)}/{generation_id}-{index}.{extension}"


def thumbnail_key(key: str) -> str:
    """Of a file's own key: ``media/2026/11/22/req-01...-0.png.thumb.webp``"""
    return f"{key}{_THUMBNAIL}"


def original_key(key: str) -> str:
    """The file that a key belongs to: its own, or the one that it is a thumbnail of."""
    return key.removesuffix(_THUMBNAIL)


def generation_of(key: str) -> str:
    """The id in a key."""
    return key.rpartition("/")[2].rpartition("-")[0]


@lru_cache(maxsize=256)
def _date(generation_id: str) -> str:
    milliseconds = 0
    for digit in generation_id.removeprefix("req-")[:10]:
        milliseconds = milliseconds * 32 + _CROCKFORD.index(digit)
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y/%m/%d")
