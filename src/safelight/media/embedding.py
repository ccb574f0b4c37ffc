"""Where a media file takes its C2PA manifest store, in which wrapping, and what of the file is hashed.

Only plain files are known here: whole, and without a manifest. Of any other None is said, and the C2PA library decides
about it. Source: C2PA 2.2, appendix A, with the choices that the library makes where more than one is allowed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, Literal

import msgspec

from safelight.domain.media import MimeType
from safelight.media.boxes import Box, BrokenBox, box, boxes_in, boxes_of

Bytes = bytes | memoryview

_PNG_HEAD, _PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\0\0\0\0IEND\xaeB`\x82"
_PNG_AFTER_HEADER = 33

_JPEG_START, _JPEG_JFIF, _JPEG_END, _JPEG_APP11 = b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd9", b"\xff\xeb"
_JPEG_PIECE_BYTES = 64_000
"""How much of the store goes into one segment, which can hold 65,533 bytes with its header."""

_RIFF_HEAD_BYTES = 8

_MP4_HEAD = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\0" + bytes(8)
"""Extended type, version and flags, purpose, and that no box with further hashes follows."""
_MP4_FREE = frozenset({b"free", b"skip"})
"""Free space, which may be anywhere, and is not hashed between the boxes of the file."""
_MP4_TOP = _MP4_FREE | {b"ftyp", b"moov", b"mdat"}
_MP4_INDEX_BYTES = 64 * 1024 * 1024
_MP4_PIECE_BYTES = 1024 * 1024
_MP4_INSIDE: dict[bytes, frozenset[bytes]] = {
    name: frozenset(inside.encode().split()) | _MP4_FREE
    for name, inside in {
        b"moov": "mvhd trak udta iods",
        b"trak": "tkhd edts mdia udta",
        b"edts": "elst",
        b"mdia": "mdhd hdlr minf",
        b"minf": "vmhd smhd hdlr dinf stbl",
        b"dinf": "dref",
        b"stbl": "stsd stts ctts cslg stss sdtp stsc stsz stz2 stco co64 sgpd sbgp",
        b"udta": "meta name",
        b"meta": "hdlr ilst",
    }.items()
}
"""What may be in each box of an index. Of these only the tables of chunks, ``stco`` and ``co64``, tell places."""
_MP4_TABLES = {b"stco": "I", b"co64": "Q"}
_FULL_BOX_BYTES = 4

SMALLEST_CLIP = (
    box(b"ftyp", b"isom\0\0\2\0isommp42")
    + box(b"free")
    + box(
        b"moov",
        *(
            box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table))))
            for table in (
                box(b"stco", bytes(7), b"\2", (200).to_bytes(4), (201).to_bytes(4)),
                box(b"co64", bytes(7), b"\1", (200).to_bytes(8)),
            )
        ),
    )
    + box(b"skip")
    + box(b"mdat", b"\0")
)
"""A file with all that a manifest can change, or leave out, and nothing to see."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A file parted where a store of one size goes. ``excluded_bytes`` from ``before`` on are the manifest's own.

    ``after``: the rest of the file in pieces, once; what is hashed of the whole file is put into a hash meanwhile.
    ``hashed_as``: the C2PA assertion that has this hash.
    """

    before: bytes
    excluded_bytes: int
    wrapped: Callable[[bytes], bytes]
    after: Callable[[Any], Iterable[Bytes]]
    hashed_as: Literal["c2pa.hash.data", "c2pa.hash.bmff.v3"] = "c2pa.hash.data"

    def head(self, store: bytes) -> bytes:
        """The file up to the rest, with a store of the size that the gap was made for."""
        wrapped = self.wrapped(store)
        if len(wrapped) != self.excluded_bytes:
            raise ValueError("The manifest store has another size than it was to have.")
        return self.before + wrapped


def gap(source: BinaryIO, mime_type: MimeType, store_bytes: int) -> Gap | None:
    """Part a file, which has to be at its start, for a store of that size; None where it is not plain.

    A picture is read as a whole, of a clip the index.
    """
    return _mp4(source, store_bytes) if mime_type == "video/mp4" else _PICTURES[mime_type](source.read(), store_bytes)


def _picture(before: bytes, after: Bytes, excluded_bytes: int, wrapped: Callable[[bytes], bytes]) -> Gap:
    """Of a picture everything is hashed but the manifest."""

    def hashed(digest: Any) -> Iterator[Bytes]:
        digest.update(before)
        digest.update(after)
        yield after

    return Gap(before=before, excluded_bytes=excluded_bytes, wrapped=wrapped, after=hashed)


def _png(data: bytes, store_bytes: int) -> Gap | None:
    """Right behind the header: ``caBX`` has to come before the pixels."""
    if not data.startswith(_PNG_HEAD) or not data.endswith(_PNG_END) or b"caBX" in data:
        return None
    at = _PNG_AFTER_HEADER
    return _picture(data[:at], memoryview(data)[at:], store_bytes + 12, _png_chunk)


def _png_chunk(store: bytes) -> bytes:
    body = b"caBX" + store
    return len(store).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


def _jpeg(data: bytes, store_bytes: int) -> Gap | None:
    """Behind a JFIF segment, which has to be the first, or else at the start."""
    if not data.startswith(_JPEG_START) or not data.endswith(_JPEG_END) or _JPEG_APP11 in data:
        return None
    at = 4 + int.from_bytes(data[4:6]) if data.startswith(_JPEG_JFIF) else 2
    pieces = -(-store_bytes // _JPEG_PIECE_BYTES)
    excluded_bytes = store_bytes + 12 * pieces + 8 * (pieces - 1)
    return _picture(data[:at], memoryview(data)[at:], excluded_bytes, _jpeg_segments)


def _jpeg_segments(store: bytes) -> bytes:
    """Source: ISO/IEC 18477-3, annex B.2: a box over several segments repeats its length and type in each."""
    segments = []
    for number, at in enumerate(range(0, len(store), _JPEG_PIECE_BYTES), start=1):
        piece = store[at : at + _JPEG_PIECE_BYTES] if number == 1 else store[:8] + store[at : at + _JPEG_PIECE_BYTES]
        size_bytes = 10 + len(piece)
        segments += [_JPEG_APP11, size_bytes.to_bytes(2), b"JP\x02\x11", number.to_bytes(4), piece]
    return b"".join(segments)


def _webp(data: bytes, store_bytes: int) -> Gap | None:
    """The last chunk. A byte that pads it to an even size is the file's, not the manifest's."""
    size_bytes = int.from_bytes(data[4:8], "little")
    is_plain = data[:4] == b"RIFF" and data[8:12] == b"WEBP" and size_bytes + _RIFF_HEAD_BYTES == len(data)
    if not is_plain or size_bytes % 2 or b"C2PA" in data:
        return None
    padding = bytes(store_bytes % 2)
    grown = size_bytes + 8 + store_bytes + len(padding)
    if grown >= 1 << 32:
        return None
    return _picture(b"RIFF" + grown.to_bytes(4, "little") + data[8:], padding, 8 + store_bytes, _webp_chunk)


def _webp_chunk(store: bytes) -> bytes:
    return b"C2PA" + len(store).to_bytes(4, "little") + store


_PICTURES: dict[MimeType, Callable[[bytes, int], Gap | None]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/webp": _webp,
}


def _mp4(source: BinaryIO, store_bytes: int) -> Gap | None:
    """Right behind ``ftyp``; what tells places of media data in the file is moved by as much."""
    excluded_bytes = len(_mp4_box(b"")) + store_bytes
    try:
        rows = list(boxes_of(source))
        names = [row.name for row in rows]
        is_known = all(row.is_short and row.name in _MP4_TOP for row in rows)
        is_whole = names[:1] == [b"ftyp"] and names.count(b"ftyp") == names.count(b"moov") == 1 and b"mdat" in names
        if not is_known or not is_whole:
            return None
        index_at = rows[names.index(b"moov")]
        if index_at.end - index_at.begin > _MP4_INDEX_BYTES:
            return None
        index = _moved(b"".join(_read(source, index_at)), excluded_bytes)
    except BrokenBox:
        return None

    def hashed(digest: Any) -> Iterator[Bytes]:
        """A box that is hashed follows the place where it begins (C2PA 2.2, section 18.6)."""
        for row in rows[1:]:
            is_hashed = row.name not in _MP4_FREE
            if is_hashed:
                digest.update((row.begin + excluded_bytes).to_bytes(8))
            for piece in (index,) if row is index_at else _read(source, row):
                if is_hashed:
                    digest.update(piece)
                yield piece

    return Gap(
        before=b"".join(_read(source, rows[0])),
        excluded_bytes=excluded_bytes,
        wrapped=_mp4_box,
        after=hashed,
        hashed_as="c2pa.hash.bmff.v3",
    )


def _mp4_box(store: bytes) -> bytes:
    return box(b"uuid", _MP4_HEAD, store)


def _read(source: BinaryIO, row: Box) -> Iterator[bytes]:
    """A box of a file in pieces. Raises ``OSError`` if the file became shorter meanwhile."""
    source.seek(row.begin)
    left = row.end - row.begin
    while left:
        piece = source.read(min(left, _MP4_PIECE_BYTES))
        if not piece:
            raise OSError("The file became shorter while it was read.")
        left -= len(piece)
        yield piece


def _moved(index: bytes, by: int) -> bytes:
    """An index for media data that lies further behind.

    Raises ``BrokenBox`` where a box is damaged or unknown, or a place does not fit into its table. Source of tables:
    ISO/IEC 14496-12, 8.7.5: version and flags, how many, and the places.
    """
    moved = bytearray(index)
    (whole,) = boxes_in(index)
    for table in _tables(index, whole):
        begin = table.content + _FULL_BOX_BYTES + 4
        places = f">{int.from_bytes(index[begin - 4 : begin])}{_MP4_TABLES[table.name]}"
        if begin + struct.calcsize(places) != table.end:
            raise BrokenBox("A table has another length than it says.")
        try:
            struct.pack_into(places, moved, begin, *(place + by for place in struct.unpack_from(places, index, begin)))
        except struct.error as error:
            raise BrokenBox("A place is too far in the file for its table.") from error
    return bytes(moved)


def _tables(index: bytes, within: Box) -> Iterator[Box]:
    known = _MP4_INSIDE[within.name]
    for inner in boxes_in(index, within.content + _FULL_BOX_BYTES * (within.name == b"meta"), within.end):
        if not inner.is_short or inner.name not in known:
            raise BrokenBox("A box is not known.")
        if inner.name in _MP4_TABLES:
            yield inner
        elif inner.name in _MP4_INSIDE:
            yield from _tables(index, inner)
