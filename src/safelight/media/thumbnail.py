"""A small WebP of an image, or of a frame that stands for a video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyvips
from av.video.frame import VideoFrame

from safelight.domain.errors import MediaError
from safelight.media.clips import displayed_frame_size, frame_at, open_clip, pixels_of
from safelight.media.pictures import open_picture
from safelight.media.sniff import sniff

_QUALITY = 80
_FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.0)
"""Where to look for a frame, in order. Many videos fade in from black, and some end in it."""
_DARK = 24
"""A frame whose mean level (of 255) is below this is passed over for a brighter one."""


def write_thumbnail(source: Path, target: Path, *, size: int = 512) -> None:
    """Write a WebP to ``target`` whose longest side is at most ``size`` pixels; nothing is enlarged.

    EXIF orientation and colour profile are applied. Of a video it is the frame at a tenth of its length, or
    the first that is not dark. Raises ``MediaError``, leaving no ``target``.
    """
    mime_type = sniff(source)
    if mime_type is None:
        raise MediaError("The file is not a PNG, JPEG, WebP or MP4.")
    try:
        if mime_type == "video/mp4":
            image = _of_clip(source, size)
        else:
            open_picture(source.read_bytes(), mime_type)
            image = pyvips.Image.thumbnail(
                str(source), size, height=size, size="down", export_profile="srgb", fail_on="error"
            )
        image.webpsave(str(target), Q=_QUALITY, keep="none")
    except pyvips.Error as error:
        target.unlink(missing_ok=True)
        raise MediaError("No thumbnail can be made of the file.") from error


def _of_clip(source: Path, size: int) -> Any:
    with open_clip(source) as (container, stream):
        best: tuple[float, VideoFrame] | None = None
        for fraction in _FRACTIONS:
            frame = frame_at(container, stream, fraction)
            level = float(pixels_of(frame, 64, 64).mean())
            if best is None or level > best[0]:
                best = level, frame
            if level >= _DARK:
                break
        assert best is not None
        frame = best[1]
        width, height = displayed_frame_size(stream, frame)
    scale = min(1.0, size / max(width, height))
    box = max(1, round(width * scale)), max(1, round(height * scale))
    # FFmpeg tells how far to turn counterclockwise, libvips turns clockwise.
    turn = round(-frame.rotation / 90) % 4 * 90
    if turn % 180:
        box = box[1], box[0]
    return pyvips.Image.new_from_array(pixels_of(frame, *box), interpretation="srgb").rot(f"d{turn}")
