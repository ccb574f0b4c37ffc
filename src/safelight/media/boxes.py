"""Boxes: the form of an MP4 file (ISO/IEC 14496-12, 4.2), and of a manifest store (JUMBF, ISO/IEC 19566-5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_HEADER, _LONG_SIZE = struct.Struct(">I4s"), struct.Struct(">Q")
_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16


class BrokenBox(ValueError):
    """A box reaches past the end of what it is in, or has no whole header."""


class Box(NamedTuple):
    """Where a box lies. ``is_short``: its size is told in the usual 32 bits."""

    name: bytes
    begin: int
    content: int
    end: int
    is_short: bool


def box(name: bytes, *parts: bytes) -> bytes:
    return b"".join(((_HEADER_BYTES + sum(map(len, parts))).to_bytes(4), name, *parts))


def boxes_of(file: BinaryIO) -> Iterator[Box]:
    """The row of boxes that a file is: each whole, one behind the other, up to the end. Raises ``BrokenBox``."""
    at, end = 0, file.seek(0, os.SEEK_END)
    while at < end:
        file.seek(at)
        found = _box(file.read(_LONG_HEADER_BYTES), 0, at, end)
        yield found
        at = found.end


def boxes_in(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """The same of a row in memory, or of a part of it."""
    at, end = begin, len(data) if end is None else end
    while at < end:
        found = _box(data, at, at, end)
        yield found
        at = found.end


def _box(data: bytes, where: int, at: int, end: int) -> Box:
    """The box that begins at ``at``, in a row up to ``end``; ``data`` has its header at ``where``.

    A size of 1 says that 64 bits of it follow, and 0 that the box goes up to the end.
    """
    try:
        size_bytes, name = _HEADER.unpack_from(data, where)
        is_short, header_bytes = size_bytes > 1, _HEADER_BYTES
        if size_bytes == 0:
            size_bytes = end - at
        elif size_bytes == 1:
            (size_bytes,), header_bytes = _LONG_SIZE.unpack_from(data, where + _HEADER_BYTES), _LONG_HEADER_BYTES
    except struct.error as error:
        raise BrokenBox("A box has no whole header.") from error
    if size_bytes < header_bytes or at + size_bytes > end:
        raise BrokenBox("A box is cut off.")
    return Box(name, at, at + header_bytes, at + size_bytes, is_short)
