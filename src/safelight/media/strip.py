"""A picture's file without whatever is in it besides the picture; no pixel is coded anew.

A backend writes into its files what it was asked, and more: text and comment chunks, EXIF, XMP, another's manifest, a
preview, bytes after the end. Only what a decoder needs to show the picture is copied, by its name and in the length
that it may have; everything else stays behind, whatever it is called. See docs/decisions/0015.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MimeType
from safelight.media.pictures import PngFacts, open_picture

Piece = bytes | memoryview

# The PNG chunks that change how pixels look, each with the lengths that its content may have.
_PNG_COLOURS: dict[bytes, Sequence[int]] = {b"gAMA": (4,), b"cHRM": (32,), b"sRGB": (1,), b"cICP": (4,)}
_PNG_CLEAR: dict[int, Sequence[int]] = {0: (2,), 2: (6,), 3: range(1, 257)}
"""The same of what tells which colours are clear, by colour type. Others have a channel for that."""
_PNG_PALETTE, _PNG_PALETTE_BYTES = 3, range(3, 769, 3)
_PNG_OF_A_PROFILE = (b"gAMA", b"cHRM", b"sRGB")

# ITU-T T.81, table B.1. Kept: frames, tables, arithmetic conditioning, restart intervals.
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDD}) - {0xC8}
_JPEG_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_JPEG_END, _JPEG_SCAN, _JPEG_JFIF, _JPEG_ADOBE = 0xD9, 0xDA, 0xE0, 0xEE
_JPEG_AFTER_SCAN = re.compile(rb"\xff+[\x01-\xcf\xd8-\xfe]")
_JFIF = b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0"
_ADOBE_BYTES = 16

_WEBP_ALPHA = 0x10
_WEBP_PIXELS = (b"ALPH", b"VP8 ", b"VP8L")


def strip_picture(data: bytes, mime_type: MimeType, png: PngFacts | None = None) -> bytes:
    """A picture's whole file with the picture alone: ``data`` itself if that is all it holds.

    ``png``: what was read of a PNG file, if it was. The picture has to be upright and without a colour profile that
    matters: what would tell of either is left behind (``convert_image`` sees to both). Raises ``MediaError``.
    """
    pieces = list(_png(png or PngFacts(data)) if mime_type == "image/png" else _STRIPPERS[mime_type](data))
    if not pieces:  # more pixels than it shows: written anew, none changed
        return _written_anew(data)
    bare = b"".join(pieces)
    return data if bare == data else bare


def _written_anew(data: bytes) -> bytes:
    try:
        return bytes(open_picture(data, "image/png").pngsave_buffer(keep="none"))
    except pyvips.Error as error:
        raise MediaError("The PNG file is damaged.") from error


def _png(facts: PngFacts) -> Iterator[Piece]:
    """Source: PNG specification (W3C, third edition), section 11. Nothing comes where the pixels are too many."""
    data = facts.data
    unseen = {**_PNG_COLOURS, b"tRNS": _PNG_CLEAR.get(data[25], ())}
    if data[25] == _PNG_PALETTE:  # of other colour types it is a mere suggestion
        unseen[b"PLTE"] = _PNG_PALETTE_BYTES
    if b"iCCP" in facts.names:  # it went before these, and they need not agree with sRGB
        unseen = {name: lengths for name, lengths in unseen.items() if name not in _PNG_OF_A_PROFILE}
    if not facts.inflated.is_whole:
        return
    end = facts.inflated.end
    yield data[:8]
    for name, chunk in facts.chunks:
        if name == b"IDAT":
            size_bytes, kept = len(chunk) - 12, min(end, len(chunk) - 12)
            end -= kept
            if kept == size_bytes > 0:
                yield chunk
            elif kept:
                yield _chunk(name, chunk[8 : 8 + kept])
        elif name in (b"IHDR", b"IEND"):
            yield chunk if len(chunk) == (25 if name == b"IHDR" else 12) else _chunk(name, b"")
        elif len(chunk) - 12 in unseen.pop(name, ()):
            yield chunk


def _chunk(name: bytes, content: bytes | memoryview) -> bytes:
    body = name + content
    return len(content).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)


def _jpeg(data: bytes) -> Iterator[Piece]:
    """Source: ITU-T T.81, annex B; JFIF 1.02 and Adobe's TN 5116 for the two application segments that say how colours
    are coded. Both are written anew, for a JFIF one can hold a preview."""
    view = memoryview(data)
    yield view[:2]
    at, seen = 2, set()
    while True:
        at = data.find(b"\xff", at)
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if not 0 < at < len(data):
            raise MediaError("The JPEG file is cut off.")
        code, at = data[at], at + 1
        if code == _JPEG_END:
            yield b"\xff\xd9"
            return
        if code in _JPEG_ALONE:
            continue
        end = at + max(int.from_bytes(view[at : at + 2]), 2)
        content = view[at + 2 : end]
        if code == _JPEG_JFIF and bytes(content[:5]) == b"JFIF\0" and code not in seen:
            yield _JFIF
        elif code == _JPEG_ADOBE and bytes(content[:5]) == b"Adobe" and len(content) >= 12 and code not in seen:
            yield b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + content[11:12]
        elif code in _JPEG_KEPT:
            yield view[at - 2 : end]
        elif code == _JPEG_SCAN:
            following = _JPEG_AFTER_SCAN.search(data, end)
            if following is None:
                raise MediaError("The JPEG file is cut off.")
            end = following.start()
            yield view[at - 2 : end]
        seen.add(code)
        at = end


def _webp(data: bytes) -> Iterator[Piece]:
    """Source: RFC 9649, section 2. One that is animated is none of these: ``convert_image`` takes its first frame."""
    chunks = {name: chunk for name, chunk in reversed(list(_riff_chunks(data))) if name in _WEBP_PIXELS}
    if b"VP8L" in chunks:
        kept = [chunks[b"VP8L"]]
    elif b"VP8 " in chunks:
        kept = [chunks[name] for name in (b"ALPH", b"VP8 ") if name in chunks]
    else:
        raise MediaError("The WebP file has no picture.")
    if len(kept) > 1:
        extended = bytes([_WEBP_ALPHA, 0, 0, 0]) + _webp_size(kept[-1])
        kept.insert(0, memoryview(b"VP8X" + len(extended).to_bytes(4, "little") + extended))
    size_bytes = 4 + sum(map(len, kept))
    yield b"RIFF" + size_bytes.to_bytes(4, "little") + b"WEBP"
    yield from kept


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a WebP file, each as its name and its bytes, padded with zero to an even number."""
    view = memoryview(data)
    at, end = 12, 8 + int.from_bytes(data[4:8], "little")
    while at + 8 <= min(end, len(data)):
        size_bytes = int.from_bytes(view[at + 4 : at + 8], "little")
        chunk = view[at : at + 8 + size_bytes]
        if len(chunk) != 8 + size_bytes:
            raise MediaError("The WebP file is damaged or cut off.")
        yield bytes(chunk[:4]), memoryview(bytes(chunk) + b"\0") if size_bytes % 2 else chunk
        at += 8 + size_bytes + size_bytes % 2


def _webp_size(chunk: memoryview) -> bytes:
    """Width and height of a lossy picture, each less one and in three bytes, as ``VP8X`` has them (RFC 6386, 9.1)."""
    width, height = (int.from_bytes(chunk[at : at + 2], "little") & 0x3FFF for at in (14, 16))
    return (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


_STRIPPERS = {"image/jpeg": _jpeg, "image/webp": _webp}
