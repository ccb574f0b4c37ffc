"""Where a picture's file takes its C2PA manifest store, and in which wrapping.

Only plain files are known here: whole, and without a manifest. Of any other None is said, and the C2PA library decides
about it. Source: C2PA 2.2, appendix A.3, with the choices that the library makes where more than one is allowed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import msgspec

from safelight.domain.media import MimeType

_PNG_HEAD, _PNG_END = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"\0\0\0\0IEND\xaeB`\x82"
_PNG_AFTER_HEADER = 33

_JPEG_START, _JPEG_JFIF, _JPEG_END, _JPEG_APP11 = b"\xff\xd8\xff", b"\xff\xd8\xff\xe0", b"\xff\xd9", b"\xff\xeb"
_JPEG_PIECE_BYTES = 64_000
"""How much of the store goes into one segment, which can hold 65,533 bytes with its header."""

_RIFF_HEAD_BYTES = 8


class Gap(msgspec.Struct, frozen=True):
    """A file parted where a store of one size goes. ``excluded_bytes`` from ``before`` on are the manifest's own."""

    mime_type: MimeType
    before: bytes
    after: bytes | memoryview
    excluded_bytes: int

    def filled(self, store: bytes) -> bytes:
        """The file with its store, of the size that the gap was made for."""
        wrapped = _FORMATS[self.mime_type][1](store)
        if len(wrapped) != self.excluded_bytes:
            raise ValueError("The manifest store has another size than it was to have.")
        return b"".join((self.before, wrapped, self.after))


def gap(data: bytes, mime_type: MimeType, store_bytes: int) -> Gap | None:
    """Part a file for a store of that size; None where it is not plain."""
    return _FORMATS[mime_type][0](data, store_bytes) if mime_type in _FORMATS else None


def _png(data: bytes, store_bytes: int) -> Gap | None:
    """Right behind the header: ``caBX`` has to come before the pixels."""
    if not data.startswith(_PNG_HEAD) or not data.endswith(_PNG_END) or b"caBX" in data:
        return None
    at = _PNG_AFTER_HEADER
    return Gap("image/png", data[:at], memoryview(data)[at:], store_bytes + 12)


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
    return Gap("image/jpeg", data[:at], memoryview(data)[at:], excluded_bytes)


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
    return Gap("image/webp", b"RIFF" + grown.to_bytes(4, "little") + data[8:], padding, 8 + store_bytes)


def _webp_chunk(store: bytes) -> bytes:
    return b"C2PA" + len(store).to_bytes(4, "little") + store


_FORMATS: dict[MimeType, tuple[Callable[[bytes, int], Gap | None], Callable[[bytes], bytes]]] = {
    "image/png": (_png, _png_chunk),
    "image/jpeg": (_jpeg, _jpeg_segments),
    "image/webp": (_webp, _webp_chunk),
}
