"""The pixels of a PNG file are inflated by a quicker library than zlib, which says of every stream what zlib says."""

from __future__ import annotations

import random
import zlib

import pytest

from safelight.domain.errors import MediaError
from safelight.media.pictures import Inflated, PngFacts

_WIDTH, _HEIGHT = 40, 30
_ROW_BYTES = 1 + 3 * _WIDTH
_SIZE_BYTES = _ROW_BYTES * _HEIGHT


def chunk(name: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def png(compressed: bytes) -> bytes:
    header = _WIDTH.to_bytes(4) + _HEIGHT.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def by_zlib(compressed: bytes) -> Inflated | None:
    """None: it is damaged."""
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(compressed)
    except zlib.error:
        return None
    return Inflated(len(compressed) - len(inflater.unused_data), inflater.eof and len(raw) == _SIZE_BYTES)


def by_us(compressed: bytes) -> Inflated | None:
    try:
        return PngFacts(png(compressed)).inflated
    except MediaError:
        return None


def is_whole(found: Inflated | None) -> bool:
    return found is not None and found.is_whole


@pytest.mark.parametrize("window_bits", [9, 12, 15])
@pytest.mark.parametrize("seed", range(4))
def test_what_zlib_refuses_is_refused(seed: int, window_bits: int) -> None:
    chance = random.Random(seed)
    wholes = 0
    for _ in range(300):
        levels = bytes(chance.choices(range(chance.choice((2, 256))), k=_SIZE_BYTES - _HEIGHT))
        rows = b"".join(b"\0" + levels[at : at + _ROW_BYTES - 1] for at in range(0, len(levels), _ROW_BYTES - 1))
        compressed = bytearray(zlib.compress(rows, chance.choice((0, 1, 6, 9)), window_bits))
        for _ in range(chance.choice((0, 1, 2))):
            place = chance.choice((0, 1, chance.randrange(len(compressed))))
            compressed[place] ^= 1 << chance.randrange(8)
        given = bytes(compressed) + chance.choice((b"", b"", b"more"))
        expected = by_zlib(given)
        found = by_us(given)
        assert is_whole(found) == is_whole(expected), given
        if is_whole(expected):
            wholes += 1
            assert found == expected
    assert wholes > 50
