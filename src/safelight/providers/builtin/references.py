"""Pictures that were given: read, cropped to the frame, and lent to the scene as colours and composition."""

from functools import partial

import numpy as np
import pyvips
from numpy.typing import NDArray

from safelight.providers.builtin.canvas import Canvas, Element
from safelight.providers.builtin.noise import Field, sample, smoothstep, texture
from safelight.providers.builtin.planes import blur, each_band, stretch
from safelight.providers.builtin.reading import Brief, Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


def cover(data: bytes, width: int, height: int) -> Bytes:
    """Decode a picture and crop it, from its middle, to cover (height, width, 4); opaque.

    Raises ``ValueError`` when the data cannot be decoded.
    """
    try:
        image = pyvips.Image.thumbnail_buffer(data, width, height=height, crop="centre", size="both")
        if image.hasalpha():
            image = image.flatten(background=[255, 255, 255])
        image = image.colourspace("srgb").cast("uchar")
        rgb = image.numpy()
    except pyvips.Error as error:
        raise ValueError("a reference image could not be decoded") from error
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., :3] = rgb[:height, :width, :3]
    return pixels


def leading_colours(pictures: list[Bytes]) -> tuple[Rgb, ...]:
    """Five colours of some pictures together, dark to light."""
    parts = [picture[:: max(1, picture.shape[0] // 48), :: max(1, picture.shape[1] // 48), :3] for picture in pictures]
    colours = np.concatenate([part.reshape(-1, 3) for part in parts]).astype(np.float32) / 255
    order = np.argsort(colours @ np.array([0.3, 0.59, 0.11], np.float32), kind="stable")
    groups = np.array_split(colours[order], 5)
    found = []
    for group in groups:
        red, green, blue = (float(part) for part in group.mean(axis=0))
        found.append((red, green, blue))
    return tuple(found)


def exposure(brief: Brief, datas: list[bytes]) -> Element:
    """The given pictures as one layer of the scene, like a double exposure: strongest in the middle of the frame,
    giving way to the scene along a wandering edge. Several share the frame from left to right."""
    return Element(depth=0.15, draw=partial(_expose, brief=brief, datas=datas))


def _expose(canvas: Canvas, _: float, *, brief: Brief, datas: list[bytes]) -> None:
    pixels = canvas.pixels
    height, span = pixels.shape[:2]
    rng = brief.rng("exposure")
    tile = texture(rng, 256, roughness=1.7, coarsest=1)
    rows, columns = max(32, height // 6), max(32, span // 6)
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    wander = sample(tile, x * 0.3 + 0 * y, y * 0.3 + 0 * x)
    away = np.sqrt((x * 0.95) ** 2 + (y * 1.0) ** 2) + 0.07 * wander
    strength = 0.34 + 0.54 * smoothstep(1.15, 0.55, away)
    for i, data in enumerate(datas):
        share = _portion(x + 0.1 * wander, i, len(datas)) * strength
        alpha = stretch(share, span, height)
        picture = cover(data, span, height)
        soft = [blur(np.ascontiguousarray(picture[..., c]), max(0.6, 0.9 * canvas.unit)) for c in range(3)]

        def band(start: int, stop: int, alpha: Words = alpha, soft: list[Bytes] = soft) -> None:
            weight = (alpha[start:stop] >> 1).astype(np.int32)
            for c in range(3):
                below = pixels[start:stop, :, c].astype(np.int32)
                pixels[start:stop, :, c] = below + (((soft[c][start:stop] - below) * weight) >> 15)
            under = pixels[start:stop, :, 3].astype(np.int32)
            pixels[start:stop, :, 3] = under + (((255 - under) * weight) >> 15)

        each_band(band, height, 32)


def _portion(x: Field, index: int, count: int) -> Field:
    """Where one of several pictures lies, from left (-1) to right (1); each covers its left neighbours."""
    low = -1 + 2 * index / count
    if index == 0:
        return np.ones_like(x)
    return smoothstep(low - 0.3, low + 0.3, x)
