"""How a PNG, JPEG or WebP file is opened: by its own loader, under a pixel cap, every fault an error."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec
import pyvips
from isal import isal_zlib

from safelight.domain.errors import MediaError
from safelight.domain.media import MimeType

MAX_PIXELS = 64_000_000
"""A picture of more pixels is refused before any is decoded."""

SMALL_PNG_BYTES = 256 * 1024
"""Up to this size it is quicker to look at the file, and to inflate its pixels, than to start a libvips pipeline."""

# Loaders that libvips marks as unfit for untrusted input stay shut for the whole process. Its cache of
# operations is keyed by file name and would answer for a file that has been replaced since.
pyvips.block_untrusted_set(True)
pyvips.cache_set_max(0)

_LOADERS = {"image/png": "pngload_buffer", "image/jpeg": "jpegload_buffer", "image/webp": "webpload_buffer"}
_PNG_SIGNATURE_BYTES = 8
_PNG_HEADER_BYTES = 25
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""The passes of an interlaced PNG file: where each begins, and how far apart its pixels and rows are."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNG_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Bits a channel that there are of a colour type."""
_PNG_PALETTE = 3
_PNG_PLAIN = {(bits, colours) for bits in (8, 16) for colours in (0, 2, 4, 6)}
"""Bits a channel and colour types that are their own colours."""
_LAST_FILTER = 4
_AT_ONCE = 64 * 1024
_LARGEST_WINDOW = b"\x78"
"""How a zlib stream begins whose window is the largest (RFC 1950, section 2.2)."""
_INFLATING_ERRORS: tuple[type[Exception], ...] = (zlib.error, isal_zlib.error)  # type: ignore[assignment]


def open_picture(data: bytes, mime_type: MimeType, *, sequential: bool = True) -> Any:
    """The ``pyvips.Image`` of a whole file whose type is known; pixels are decoded later, from top to bottom.

    Raises ``MediaError`` where the header is damaged or announces more than ``MAX_PIXELS``. Errors in the
    pixels come as ``pyvips.Error`` when they are read.
    """
    access = "sequential" if sequential else "random"
    try:
        image = getattr(pyvips.Image, _LOADERS[mime_type])(data, access=access, fail_on="error")
    except pyvips.Error as error:
        raise MediaError(f"The {mime_type} file cannot be opened.") from error
    check_pixels(image.width, image.height)
    return image


def check_pixels(width: int, height: int) -> None:
    """Raise ``MediaError`` for a picture of no pixels or of more than ``MAX_PIXELS``."""
    if not 0 < width * height <= MAX_PIXELS:
        raise MediaError(f"A picture of {width}x{height} is outside the limit of {MAX_PIXELS // 1_000_000} megapixels.")


def is_upright(image: Any) -> bool:
    """Whether a picture is stored as it is displayed, as far as its EXIF orientation (1 to 8) says."""
    return bool(image.get_typeof("orientation") == 0 or image.get("orientation") in (0, 1))


def is_animated(image: Any) -> bool:
    """Whether a picture lies in the frames of an animation, if only in one, as a WebP can."""
    return bool(image.get_typeof("n-pages") != 0)


def displayed_size(image: Any) -> tuple[int, int]:
    """Width and height in pixels as displayed. EXIF orientations 5 to 8 turn a picture by a quarter."""
    turned = image.get_typeof("orientation") != 0 and 5 <= image.get("orientation") <= 8
    return (image.height, image.width) if turned else (image.width, image.height)


def decode_all(image: Any) -> None:
    """Decode every row of a picture that was opened sequentially, keeping none. Raises ``MediaError``."""
    try:
        image.crop(0, image.height - 1, 1, 1).copy_memory()
    except pyvips.Error as error:
        raise MediaError("The picture is damaged or cut off.") from error


def png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG file up to its end, each as its type and its whole bytes (length to checksum).

    Raises ``MediaError`` where a chunk is cut off or its checksum is wrong.
    Source: PNG specification (W3C, third edition), section 5.3.
    """
    view = memoryview(data)
    at, name = _PNG_SIGNATURE_BYTES, b""
    while name != b"IEND":
        body_end = at + 8 + int.from_bytes(view[at : at + 4])
        checksum = view[body_end : body_end + 4]
        if len(checksum) != 4 or isal_zlib.crc32(view[at + 4 : body_end]) != int.from_bytes(checksum):
            raise MediaError("The PNG file is damaged or cut off.")
        name = bytes(view[at + 4 : at + 8])
        yield name, view[at : body_end + 4]
        at = body_end + 4


class Inflated(msgspec.Struct, frozen=True):
    """How many of a PNG file's compressed bytes are the pixels', and whether these are as many as they should be."""

    end: int
    is_whole: bool


class PngFacts:
    """What a PNG file tells without decoding a pixel; every checksum has been compared.

    ``width`` and ``height`` are in pixels as stored; ``chunks`` are in order, and ``names`` their types.
    Source: PNG specification (W3C, third edition), section 11.2.
    """

    def __init__(self, data: bytes) -> None:
        """Walk the chunks of a whole file. Raises ``MediaError`` where they are damaged or cut off."""
        self.data = data
        self.chunks = list(png_chunks(data))
        self.names = [name for name, _ in self.chunks]
        self.compressed = [chunk[8:-4] for name, chunk in self.chunks if name == b"IDAT"]
        if self.names[0] != b"IHDR" or len(self.chunks[0][1]) != _PNG_HEADER_BYTES:
            raise MediaError("The PNG file has no header.")
        self.width, self.height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        self._bits_per_pixel = data[24] * _PNG_CHANNELS.get(data[25], 0)
        self.interlaced = data[28] != 0

    @property
    def is_well_formed(self) -> bool:
        """Whether what a decoder needs is there, once and in its order. If not, libvips is to say what it is worth.

        Source: PNG specification (W3C, third edition), sections 5.6 and 11.2.
        """
        bits, colours, compression, filtering = self.data[24:28]
        if bits not in _PNG_DEPTHS.get(colours, ()) or compression or filtering:
            return False
        if not all(map(bytes.isalpha, self.names)):
            return False
        palettes = [len(chunk) - 12 for name, chunk in self.chunks if name == b"PLTE"]
        pixels = [b"IDAT"] * len(self.compressed)
        critical = [name for name in self.names if name[:1].isupper()]
        if critical != [b"IHDR", *[b"PLTE"] * len(palettes), *pixels, b"IEND"]:
            return False
        first = self.names.index(b"IDAT") if pixels else 0
        if not pixels or self.names[first : first + len(pixels)] != pixels:
            return False
        if colours == _PNG_PALETTE:
            return len(palettes) == 1 and palettes[0] in range(3, 3 * 2**bits + 1, 3)
        return not palettes

    @property
    def is_plain(self) -> bool:
        """Whether the file shows its pixels as they lie in it: in full colours or grey, in one pass, not turned."""
        return not self.interlaced and b"eXIf" not in self.names and (self.data[24], self.data[25]) in _PNG_PLAIN

    @property
    def size_raw_bytes(self) -> int:
        """How many bytes the pixels and their filter bytes take when inflated."""
        passes = _ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = ((-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in passes)
        return sum(
            height * (1 + (width * self._bits_per_pixel + 7) // 8) for width, height in sizes if width > 0 < height
        )

    @cached_property
    def inflated(self) -> Inflated:
        """What inflating the pixels shows: done once, none is kept. Raises ``MediaError`` where they are damaged."""
        expected, row_bytes = self.size_raw_bytes, 1 + (self.width * self._bits_per_pixel + 7) // 8
        inflater, found, taken = _inflater(self.compressed), 0, 0
        try:
            for piece in self._slices():
                taken += len(piece)
                for raw in _inflating(inflater, piece):
                    filters = raw[-found % row_bytes : max(expected - found, 0) : row_bytes]
                    if not self.interlaced and max(filters, default=0) > _LAST_FILTER:
                        raise MediaError("The PNG file is damaged.")
                    found += len(raw)
                    if found > expected:
                        return Inflated(taken, False)
                if inflater.eof:
                    break
        except _INFLATING_ERRORS as error:
            raise MediaError("The PNG file is damaged.") from error
        return Inflated(taken - len(inflater.unused_data), inflater.eof and found == expected)

    def _slices(self) -> Iterator[memoryview]:
        return (part[at : at + _AT_ONCE] for part in self.compressed for at in range(0, len(part), _AT_ONCE))


def _inflater(compressed: list[memoryview]) -> Any:
    """ISA-L's inflater takes a third of zlib's time, and heeds no window but the largest: others are left to zlib."""
    is_largest_window = bool(compressed) and bytes(compressed[0][:1]) == _LARGEST_WINDOW
    return isal_zlib.decompressobj() if is_largest_window else zlib.decompressobj()


def _inflating(inflater: Any, piece: bytes | memoryview) -> Iterator[bytes]:
    """What a piece inflates to, in pieces that memory is at hand for."""
    while raw := inflater.decompress(piece, _AT_ONCE):
        yield raw
        piece = inflater.unconsumed_tail
