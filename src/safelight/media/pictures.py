"""How a PNG, JPEG or WebP file is opened: by its own loader, under a pixel cap, every fault an error."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MimeType

MAX_PIXELS = 64_000_000
"""A picture of more pixels is refused before any is decoded."""

# Loaders that libvips marks as unfit for untrusted input stay shut for the whole process. Its cache of
# operations is keyed by file name and would answer for a file that has been replaced since.
pyvips.block_untrusted_set(True)
pyvips.cache_set_max(0)

_LOADERS = {"image/png": "pngload", "image/jpeg": "jpegload", "image/webp": "webpload"}
_PNG_SIGNATURE_BYTES = 8
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def open_picture(path: Path, mime_type: MimeType, *, sequential: bool = True) -> Any:
    """The ``pyvips.Image`` of a file whose type is known; pixels are decoded later, from top to bottom.

    Raises ``MediaError`` where the header is damaged or announces more than ``MAX_PIXELS``. Errors in the
    pixels come as ``pyvips.Error`` when they are read.
    """
    access = "sequential" if sequential else "random"
    try:
        image = getattr(pyvips.Image, _LOADERS[mime_type])(str(path), access=access, fail_on="error")
    except pyvips.Error as error:
        raise MediaError(f"The {mime_type} file cannot be opened.") from error
    check_pixels(image.width, image.height)
    return image


def check_pixels(width: int, height: int) -> None:
    """Raise ``MediaError`` for a picture of no pixels or of more than ``MAX_PIXELS``."""
    if not 0 < width * height <= MAX_PIXELS:
        raise MediaError(
            f"A picture of {width}x{height} is outside the limit of {MAX_PIXELS // 1_000_000} megapixels."
        )


def is_upright(image: Any) -> bool:
    """Whether a picture is stored as it is displayed, as far as its EXIF orientation (1 to 8) says."""
    return bool(image.get_typeof("orientation") == 0 or image.get("orientation") in (0, 1))


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


class PngFacts:
    """What the chunks of a PNG file tell without decoding a pixel; every checksum has been compared.

    ``width`` and ``height`` are in pixels as stored; ``names`` are the chunk types in order.
    Source: PNG specification (W3C, third edition), sections 5.3 and 11.2.
    """

    def __init__(self, file_bytes: bytes) -> None:
        """Walk the chunks of a whole file. Raises ``MediaError`` where one is cut off or damaged."""
        data = memoryview(file_bytes)
        self.names: list[bytes] = []
        self._compressed: list[memoryview] = []
        at = _PNG_SIGNATURE_BYTES
        while not self.names or self.names[-1] != b"IEND":
            length = int.from_bytes(data[at : at + 4])
            body = data[at + 4 : at + 8 + length]
            checksum = data[at + 8 + length : at + 12 + length]
            if len(checksum) != 4 or zlib.crc32(body) != int.from_bytes(checksum):
                raise MediaError("The PNG file is damaged or cut off.")
            self.names.append(bytes(body[:4]))
            if self.names[-1] == b"IDAT":
                self._compressed.append(body[4:])
            at += 12 + length
        if self.names[0] != b"IHDR" or int.from_bytes(data[8:12]) != 13:
            raise MediaError("The PNG file has no header.")
        self.width, self.height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        self._bits_per_pixel = data[24] * _PNG_CHANNELS.get(data[25], 0)
        self.interlaced = data[28] != 0

    @property
    def size_raw_bytes(self) -> int:
        """How many bytes the pixels and their filter bytes take when inflated, if they are not interlaced."""
        return self.height * (1 + (self.width * self._bits_per_pixel + 7) // 8)

    def inflate_all(self) -> None:
        """Inflate the pixels and compare their number. Raises ``MediaError``."""
        expected = self.size_raw_bytes
        inflater = zlib.decompressobj()
        try:
            found = len(inflater.decompress(b"".join(self._compressed), expected + 1))
        except zlib.error as error:
            raise MediaError("The PNG file is damaged.") from error
        if found != expected or not inflater.eof:
            raise MediaError("The PNG file does not hold the pixels that it announces.")
