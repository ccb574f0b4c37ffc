"""What is known of a media file, measured on the file itself."""

from __future__ import annotations

from typing import Literal

import msgspec

ImageFormat = Literal["png", "jpeg", "webp"]
MimeType = Literal["image/png", "image/jpeg", "image/webp", "video/mp4"]
ReferenceRole = Literal["reference_image", "first_frame", "last_frame"]

MIME_OF_FORMAT: dict[ImageFormat, MimeType] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
}
EXTENSION_OF_MIME: dict[MimeType, str] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/webp": "webp",
    "video/mp4": "mp4",
}


class MediaFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one file. ``width`` and ``height`` are in pixels as displayed; the last three are of videos."""

    mime_type: MimeType
    width: int
    height: int
    duration_seconds: float | None = None
    fps: float | None = None
    has_sound: bool | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A reference image that has been checked and stripped: ``data`` is a clean PNG, JPEG or WebP file."""

    role: ReferenceRole
    mime_type: MimeType
    data: bytes
