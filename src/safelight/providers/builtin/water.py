"""Water: it mirrors what is painted above it, broken by ripples that grow towards the viewer."""

from functools import partial

import numpy as np

from safelight.providers.builtin.easel import Easel, Element
from safelight.providers.builtin.noise import fractal, sample
from safelight.providers.builtin.palette import mix
from safelight.providers.builtin.planes import each_band
from safelight.providers.builtin.reading import Brief


def surface(brief: Brief, *, top: float, depth: float = 0.5, rough: float = 1.0) -> Element:
    """Water from ``top`` (share of the height) to the bottom of the picture."""
    tile = fractal(brief.rng("water"), 256, roughness=1.3, coarsest=2)
    return Element(depth=depth, moves=True, draw=partial(_draw, top=top, tile=tile, rough=rough))


def _draw(easel: Easel, seconds: float, *, top: float, tile: np.ndarray, rough: float) -> None:
    pixels, p = easel.pixels, easel.palette
    height, span = pixels.shape[:2]
    start = round(top * height)
    count = height - start
    if count < 4:
        return
    packed = pixels.view(np.uint32)[..., 0]
    near = (np.arange(count, dtype=np.float32) + 0.5) / count
    columns = np.arange(span, dtype=np.float32)
    deep = mix(p.zenith, p.shade, 0.6)
    t = np.float32(seconds * 0.05)
    aspect = np.float32(span / height)
    scale_x = (columns / span - 0.5)[None, :] * aspect

    def band(a: int, b: int) -> None:
        n = near[a:b, None]
        away = 1 / (n + 0.06)
        ripple = sample(tile, scale_x * away * 0.9 + t, away * 2.6 - t * 2 + 0 * scale_x)
        ripple += 0.5 * sample(tile, scale_x * away * 2.3 - t, away * 6.1 + t + 0 * scale_x)
        reach = np.float32(count * 0.055 * rough) * (0.25 + n)
        row = np.clip(start - 1 - (n * count * 0.92 + ripple * reach), 0, start - 1).astype(np.int32)
        column = np.clip(columns + ripple * reach * 0.35, 0, span - 1).astype(np.int32)
        mirrored = np.take(packed.ravel(), row * span + column).view(np.uint8).reshape(b - a, span, 4)
        share = np.clip(0.16 + 0.30 * n - 0.16 * ripple * n, 0.05, 0.75)
        spark = np.clip(ripple - 1.5, 0, 1) * (0.5 + 0.5 * n)
        for c, (dark, bright) in enumerate(zip(deep, p.sun, strict=True)):
            value = mirrored[..., c] * (1 - share) + np.float32(dark * 255) * share
            value += (np.float32(bright * 255) - value) * spark * np.float32(0.5)
            pixels[start + a : start + b, :, c] = value.astype(np.uint8)
        pixels[start + a : start + b, :, 3] = 255

    each_band(band, count, 48)
