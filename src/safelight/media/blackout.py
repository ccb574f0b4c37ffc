"""Whether a file shows nothing at all, which is how some backends deliver what they refuse to show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips

from safelight.domain.errors import MediaError
from safelight.media.clips import open_clip, pixels_of
from safelight.media.pictures import open_picture
from safelight.media.sniff import sniff

_BLACK = 12
"""The highest level (of 255) in a picture that counts as black. Compression lifts black by a few levels."""
_FLAT = 10
"""How far apart a colour's levels may be in a picture that counts as flat. Lossy WebP strays by up to 10."""
_STRIP_ROWS = 64

Range = tuple[int, int]
"""The lowest and the highest level of a band, 0 to 255."""


def is_blacked_out(source: Path | bytes) -> bool:
    """Whether a picture, or every frame of a video, is black, of one flat colour, or transparent.

    A picture may come as its whole bytes. Every pixel of every frame counts: a night sky with one star is a picture. A
    file is read until it shows something, so that the usual one costs a few rows, or one frame. A prompt can ask for a
    flat colour: what to make of the answer is for the caller. Raises ``MediaError``.
    """
    mime_type = sniff(source)
    if mime_type is None:
        raise MediaError("The file is not a PNG, JPEG, WebP or MP4.")
    if mime_type == "video/mp4" and isinstance(source, Path):
        return _is_blank_clip(source)
    data = source.read_bytes() if isinstance(source, Path) else source
    try:
        return _is_blank_picture(open_picture(data, mime_type))
    except pyvips.Error as error:
        raise MediaError("The picture is damaged or cut off.") from error


def _is_blank_picture(image: Any) -> bool:
    image = image.colourspace("b-w" if image.interpretation in ("b-w", "grey16") else "srgb")
    alpha = bool(image.hasalpha())
    ranges: list[Range] = [(255, 0)] * image.bands
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop(0, top, image.width, min(_STRIP_ROWS, image.height - top))
        # Rows of the result: all bands together, then each; the first two columns are minimum and maximum.
        lowest_highest = strip.stats().numpy()[1:, :2]
        ranges = [
            (min(low, int(found[0])), max(high, int(found[1])))
            for (low, high), found in zip(ranges, lowest_highest, strict=True)
        ]
        if not _is_blank(ranges, alpha=alpha):
            return False
    return True


def _is_blank_clip(path: Path) -> bool:
    with open_clip(path) as (container, stream):
        for frame in container.decode(stream):
            pixels = pixels_of(frame, frame.width, frame.height)
            lows, highs = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
            ranges = [(int(low), int(high)) for low, high in zip(lows, highs, strict=True)]
            if not _is_blank(ranges, alpha=False):
                return False
    return True


def _is_blank(ranges: list[Range], *, alpha: bool) -> bool:
    if alpha:
        *ranges, (clearest, densest) = ranges
        if densest == 0:
            return True
        if densest - clearest > _FLAT:
            return False
    black = all(high <= _BLACK for _, high in ranges)
    return black or all(high - low <= _FLAT for low, high in ranges)
