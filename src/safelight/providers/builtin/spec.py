"""What the renderer is asked for: plain values that travel to a pool process."""

import msgspec


class ReferenceImage(msgspec.Struct, frozen=True):
    """A picture the caller gave; ``data`` is an encoded PNG, JPEG or WebP that was validated before."""

    role: str  # "reference_image" | "first_frame" | "last_frame"
    data: bytes


class ImageSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One still picture; ``width`` and ``height`` in pixels."""

    prompt: str
    seed: int
    width: int
    height: int
    references: tuple[ReferenceImage, ...] = ()


class VideoSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One clip of ``duration_seconds * fps`` frames; ``width`` and ``height`` are even pixels."""

    prompt: str
    seed: int
    width: int
    height: int
    duration_seconds: int
    sound: bool
    fps: int = 24
    references: tuple[ReferenceImage, ...] = ()
