"""A request checked against its model, with the defaults filled in: what is priced, kept and sent to a backend."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from safelight.domain.media import ImageFormat, Reference


class GenerationType(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend is asked to make. ``width`` and ``height`` are pixels; a video has a duration, an image none."""

    id: str
    type: GenerationType
    model: str
    prompt: str
    aspect_ratio: str
    resolution: str
    width: int
    height: int
    output_format: ImageFormat | None = None
    duration_seconds: int | None = None
    sound: bool | None = None
    references: tuple[Reference, ...] = ()
