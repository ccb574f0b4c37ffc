"""A picture in the format that was asked for, whatever the backend returned."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MIME_OF_FORMAT, ImageFormat
from safelight.media.pictures import SMALL_PNG_BYTES, is_animated, is_upright, open_picture
from safelight.media.sniff import sniff

_WHITE = [255, 255, 255]
_PNG_COMPRESSION = 6
_WEBP_EFFORT = 4
_PROFILE = "icc-profile-data"
_UNSEEN = 2
"""By how many levels (of 255) a colour profile may move a colour, and still go. Rounding alone moves it by one."""


def convert_image(data: bytes, output_format: ImageFormat, *, quality: int = 90) -> bytes | None:
    """A picture's whole file as one that is PNG, JPEG or WebP; None if it fits already.

    A file fits that has the format, is upright, of one frame, and needs no colour profile to look as it should: its
    pixels are then best left alone. Else the EXIF orientation is applied, colours become sRGB, transparency turns white
    in a JPEG, and no metadata is kept.
    ``quality`` is 1 to 100, for JPEG and WebP. Raises ``MediaError``.
    """
    mime_type = sniff(data)
    if mime_type is None or mime_type == "video/mp4":
        raise MediaError("The file is not a PNG, JPEG or WebP.")
    if mime_type == "image/png" == MIME_OF_FORMAT[output_format] and _is_plain(data):
        return None
    image = open_picture(data, mime_type)
    upright = is_upright(image)
    if mime_type == MIME_OF_FORMAT[output_format] and upright and not is_animated(image) and not _is_coloured(image):
        return None
    if not upright:
        # Turning a picture needs its pixels in any order.
        image = open_picture(data, mime_type, sequential=False).autorot()
    try:
        return _saved(_as_srgb(image), output_format, quality)
    except pyvips.Error as error:
        raise MediaError(f"The picture cannot be written as {output_format}.") from error


def _is_plain(data: bytes) -> bool:
    """Whether a PNG file plainly fits. Only small ones are looked at: they pay for the way through libvips."""
    return len(data) <= SMALL_PNG_BYTES and b"eXIf" not in data and b"iCCP" not in data


def _as_srgb(image: Any) -> Any:
    """Eight bits a band in sRGB or grey. A colour profile that matters is applied; none means sRGB."""
    if _is_coloured(image):
        return image.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
    if image.interpretation in ("b-w", "grey16"):
        return image.colourspace("b-w")
    return image.colourspace("srgb")


def _is_coloured(image: Any) -> bool:
    """Whether a picture has a colour profile without which it would look otherwise."""
    if image.get_typeof(_PROFILE) == 0:
        return False
    bands = image.bands - int(image.hasalpha())
    return bands == 4 or _changes_colours(image.get(_PROFILE), bands)


@lru_cache(maxsize=16)
def _changes_colours(profile: bytes, bands: int) -> bool:
    """Whether a profile shows any colour otherwise than sRGB would; not so one that cannot be used. It is asked of
    colours all over the range, not of its name, which anybody can write into it."""
    steps = pyvips.Image.identity().copy(interpretation="b-w")
    colours = steps if bands == 1 else _colours()
    try:
        coloured = colours.copy()
        coloured.set_type(pyvips.GValue.blob_type, _PROFILE, profile)
        shown = coloured.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True)
        return bool((shown - colours).abs().max() > _UNSEEN)
    except pyvips.Error:
        return False


def _colours() -> Any:
    """Each of 4,096 colours, in a picture of 64 by 64."""
    place = pyvips.Image.xyz(64, 64)
    number = place[1] * 64 + place[0]
    levels = [(number / 16**band).floor() % 16 * 17 for band in range(3)]
    return levels[0].bandjoin(levels[1:]).cast("uchar").copy(interpretation="srgb")


def _saved(image: Any, output_format: ImageFormat, quality: int) -> bytes:
    if output_format == "png":
        return bytes(image.pngsave_buffer(compression=_PNG_COMPRESSION, keep="none"))
    if output_format == "webp":
        return bytes(image.webpsave_buffer(Q=quality, effort=_WEBP_EFFORT, keep="none"))
    if image.hasalpha():
        image = image.flatten(background=_WHITE if image.bands > 2 else _WHITE[:1])
    return bytes(image.jpegsave_buffer(Q=quality, optimize_coding=True, keep="none"))
