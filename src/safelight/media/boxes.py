"""Boxes: the form of an MP4 file (ISO/IEC 14496-12, 4.2), and of a manifest store (JUMBF, ISO/IEC 19566-5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

_HEADER_BYTES = 8
_LONG_HEADER_BYTES = 16


class BrokenBox(ValueError):
    """A box reaches past the end of what it is in, or has no whole header."""


class Box(NamedTuple):
    """Where a box lies. ``is_short``: its size is told in the usual 32 bits."""

    name: bytes
    begin: int
    content: int
    end: int
    is_short: bool


def box(name: bytes, *parts: bytes | bytearray) -> bytes:
    return b"".join(((_HEADER_BYTES + sum(map(len, parts))).to_bytes(4), name, *parts))


def boxes_of(file: BinaryIO) -> Iterator[Box]:
    """The row of boxes that a file is."""

    def head(at: int) -> bytes:
        file.seek(at)
        return file.read(_LONG_HEADER_BYTES)

    return _boxes(head, 0, file.seek(0, os.SEEK_END))


def boxes_in(data: bytes | bytearray, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """The same of a row in memory, or of a part of it."""
    return _boxes(lambda at: data[at : at + _LONG_HEADER_BYTES], begin, len(data) if end is None else end)


def _boxes(head: Callable[[int], bytes | bytearray], begin: int, end: int) -> Iterator[Box]:
    """Each box of a row that fills all from ``begin`` to ``end``. ``head`` reads up to 16 bytes from an offset on.

    A size of 1 says that 64 bits of it follow, and 0 that the box goes up to the end. Raises ``BrokenBox``.
    """
    at = begin
    while at < end:
        start = head(at)
        size_bytes, name, header_bytes = int.from_bytes(start[:4]), bytes(start[4:8]), _HEADER_BYTES
        is_short = size_bytes > 1
        if size_bytes == 1:
            size_bytes, header_bytes = int.from_bytes(start[8:]), _LONG_HEADER_BYTES
        elif size_bytes == 0:
            size_bytes = end - at
        if size_bytes < header_bytes or at + size_bytes > end:
            raise BrokenBox("A box is cut off.")
        yield Box(name, at, at + header_bytes, at + size_bytes, is_short)
        at += size_bytes
