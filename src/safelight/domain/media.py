"""What is known of a media file, measured on the file itself."""

from __future__ import annotations

import base64
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
_TYPES: dict[str, MimeType] = {known: known for known in EXTENSION_OF_MIME} | {
    "image/jpg": "image/jpeg",
    "image/jpe": "image/jpeg",
    "image/jfif": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-jpeg": "image/jpeg",
    "image/x-jpg": "image/jpeg",
    "image/x-citrix-jpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-citrix-png": "image/png",
    "image/x-webp": "image/webp",
    "video/x-mp4": "video/mp4",
    "video/x-m4v": "video/mp4",
    "video/m4v": "video/mp4",
    "application/mp4": "video/mp4",
}


def read_mime_type(text: str) -> MimeType | None:
    """The type that a media type from outside means, in any letter case, by a usual alias, with or without parameters.

    None for any other.
    """
    return _TYPES.get(text.partition(";")[0].strip().lower())


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

    def data_url(self) -> str:
        """The image itself as an address (RFC 2397)."""
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode()}"
