"""Real files for the media tests, made by the libraries themselves."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyvips

from safelight.domain.media import ImageFormat, MimeType
from safelight.media import convert, strip

Draw = Callable[[int, int, int], np.ndarray]


def picture(width: int = 64, height: int = 48, *, alpha: bool = False, seed: int = 1) -> Any:
    """A picture with something in every part of it, so that it does not compress to nothing."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 4 if alpha else 3), dtype=np.uint8)
    return pyvips.Image.new_from_array(noise, interpretation="srgb")


def save(image: Any, path: Path, **options: Any) -> Path:
    image.write_to_file(str(path), **options)
    return path


def convert_image(source: Path, target: Path, wanted: ImageFormat, *, quality: int = 90) -> bool:
    """Of files. False, with nothing written, if the source fits already."""
    converted = convert.convert_image(source.read_bytes(), wanted, quality=quality)
    if converted is not None:
        target.write_bytes(converted)
    return converted is not None


def strip_picture(source: Path, target: Path, mime_type: MimeType) -> bool:
    """Of files. False, with nothing written, if the picture is all that the source holds."""
    data = source.read_bytes()
    bare = strip.strip_picture(data, mime_type)
    if bare != data:
        target.write_bytes(bare)
    return bare is not data


def moving(index: int, width: int, height: int) -> np.ndarray:
    """A frame of coloured squares that move."""
    cells = np.random.default_rng(3).integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return np.roll(cells.repeat(16, 0).repeat(16, 1)[:height, :width], index * 2, axis=1)


def write_clip(
    path: Path,
    *,
    size: tuple[int, int] = (96, 64),
    frames: int = 24,
    rate: Fraction | int = 24,
    draw: Draw = moving,
    sound: bool = False,
    empty_sound: bool = False,
    gop: int = 12,
    rotation: int = 0,
    aspect: Fraction | None = None,
    movflags: str = "faststart",
) -> Path:
    """An H.264 MP4 file, with a tone in AAC if ``sound``, or with an audio track without packets."""
    options = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "2"})
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.gop_size = gop
        if aspect is not None:
            video.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream("aac", rate=48_000) if sound or empty_sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(draw(index, *size)))
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound:
            _add_tone(container, audio, seconds=float(frames / Fraction(rate)))
    return path


def write_sound(path: Path) -> Path:
    """An MP4 file of sound alone."""
    with av.open(str(path), "w", format="mp4") as container:
        _add_tone(container, container.add_stream("aac", rate=48_000), seconds=0.2)
    return path


def _add_tone(container: Any, audio: Any, *, seconds: float) -> None:
    times = np.arange(int(48_000 * seconds), dtype=np.float32) / 48_000
    wave = (0.3 * np.sin(2 * np.pi * 440 * times))[None].astype(np.float32)
    for at in range(0, wave.shape[1], 1024):
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, at : at + 1024]), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = 48_000, at, Fraction(1, 48_000)
        container.mux(audio.encode(block))
    container.mux(audio.encode(None))
