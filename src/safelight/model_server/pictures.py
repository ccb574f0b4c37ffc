"""A picture that came with an order, as a pipeline is given it."""

from __future__ import annotations

import io
import struct

from PIL import Image, ImageOps, UnidentifiedImageError

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "MPO")
"""No others: some of those that Pillow knows start programs, or are hardly ever read."""
_MOST_PIXELS = 64_000_000


class Unreadable(Exception):
    """It is no picture, or too large a one; the text says which."""


def opened(data: bytes) -> Image.Image:
    """Upright, in RGB. Raises ``Unreadable``."""
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
        if picture.width * picture.height > _MOST_PIXELS:
            raise Unreadable("the picture is too large")
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (
        UnidentifiedImageError,
        OSError,
        Image.DecompressionBombError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        struct.error,
    ):
        raise Unreadable("the picture cannot be read") from None
