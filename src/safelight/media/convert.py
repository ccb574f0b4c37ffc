"""A picture in the format that was asked for, whatever the backend returned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MIME_OF_FORMAT, ImageFormat
from safelight.media.pictures import SMALL_PNG_BYTES, is_upright, open_picture
from safelight.media.sniff import sniff

_WHITE = [255, 255, 255]
_PNG_COMPRESSION = 6
_WEBP_EFFORT = 4


def convert_image(source: Path, target: Path, output_format: ImageFormat, *, quality: int = 90) -> bool:
    """Write ``source`` as PNG, JPEG or WebP to ``target``; False, with nothing written, if it fits already.

    A file fits that has the format and is upright: its bytes are then best left alone. Else the EXIF
    orientation is applied, colours become sRGB, transparency turns white in a JPEG, and no metadata but the
    colour profile is kept.
    ``quality`` is 1 to 100, for JPEG and WebP. Raises ``MediaError``, leaving no ``target``.
    """
    mime_type = sniff(source)
    if mime_type is None or mime_type == "video/mp4":
        raise MediaError("The file is not a PNG, JPEG or WebP.")
    if mime_type == "image/png" == MIME_OF_FORMAT[output_format] and _has_no_exif(source):
        return False
    image = open_picture(source, mime_type)
    upright = is_upright(image)
    if mime_type == MIME_OF_FORMAT[output_format] and upright:
        return False
    if not upright:
        # Turning a picture needs its pixels in any order.
        image = open_picture(source, mime_type, sequential=False).autorot()
    try:
        _save(_as_srgb(image), target, output_format, quality)
    except pyvips.Error as error:
        target.unlink(missing_ok=True)
        raise MediaError(f"The picture cannot be written as {output_format}.") from error
    return True


def _has_no_exif(source: Path) -> bool:
    """Whether a PNG file is plainly upright. Only small ones are looked at: they pay for the way through libvips."""
    return source.stat().st_size <= SMALL_PNG_BYTES and b"eXIf" not in source.read_bytes()


def _as_srgb(image: Any) -> Any:
    """Eight bits a band in sRGB or grey. A colour profile other than sRGB is applied; none means sRGB."""
    if image.get_typeof("icc-profile-data") != 0 and not _is_srgb_profile(image.get("icc-profile-data")):
        return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
    if image.interpretation in ("b-w", "grey16"):
        return image.colourspace("b-w")
    return image.colourspace("srgb")


def _is_srgb_profile(profile: bytes) -> bool:
    """Whether an ICC profile describes sRGB by its name, in ASCII (version 2) or UTF-16 (version 4)."""
    return b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile


def _save(image: Any, target: Path, output_format: ImageFormat, quality: int) -> None:
    name = str(target)
    if output_format == "png":
        image.pngsave(name, compression=_PNG_COMPRESSION, keep="icc")
    elif output_format == "webp":
        image.webpsave(name, Q=quality, effort=_WEBP_EFFORT, keep="icc")
    else:
        if image.hasalpha():
            image = image.flatten(background=_WHITE if image.bands > 2 else _WHITE[:1])
        image.jpegsave(name, Q=quality, optimize_coding=True, keep="icc")
