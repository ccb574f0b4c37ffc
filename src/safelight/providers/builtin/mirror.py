"""A mirrored picture, pixel by pixel: what water shows of the rows above it, in interleaved or in planar frames."""

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.planes import each_band
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
LIMIT = 16.0  # ripples lie within half of this on both sides of 0


def leaning(words: Words) -> Field:
    """How the surface leans, about 0, from what was stretched."""
    ripple = words.astype(np.float32)
    ripple -= 32640
    ripple *= np.float32(LIMIT / 65280)
    return ripple


def _places(
    shape: tuple[int, ...], top: int, ripple: Field, rough: float, start: int
) -> tuple[NDArray[np.int32], Field]:
    """Which pixel some rows of water mirror, and how near (0..1) each row is."""
    count, span = shape[0] - top, shape[1]
    near = (np.arange(start, start + len(ripple), dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(count)
    reach = np.float32(count * 0.055 * rough) * (np.float32(0.25) + near)
    swing = ripple * reach
    row = np.clip(top - 1 - near * np.float32(count * 0.92) - swing, 0, top - 1).astype(np.int32)
    swing *= np.float32(0.35)
    swing += np.arange(span, dtype=np.float32)
    np.clip(swing, 0, span - 1, out=swing)
    row *= span
    row += swing.astype(np.int32)
    return row, near


def _shares(ripple: Field, near: Field) -> tuple[Field, Field]:
    """How much of the water's own colour is seen, and how much of the light that glints on it."""
    share = np.clip(np.float32(0.16) + np.float32(0.30) * near - ripple * (near * np.float32(0.16)), 0.05, 0.75)
    spark = np.clip(ripple - np.float32(1.5), 0, 1) * (np.float32(0.25) + np.float32(0.25) * near)
    return share, spark


def mirror_pixels(pixels: Bytes, top: int, words: Words, rough: float, tones: tuple[Rgb, Rgb]) -> None:
    """Mirror an (h, w, 4) picture in its rows below ``top``, with a dark and a bright colour of the water."""
    height, span = pixels.shape[:2]
    packed = pixels.view(np.uint32)[..., 0].ravel()

    def band(start: int, stop: int) -> None:
        lean = leaning(words[start:stop])
        at, near = _places(pixels.shape, top, lean, rough, start)
        seen = np.take(packed, at).view(np.uint8).reshape(stop - start, span, 4)
        share, spark = _shares(lean, near)
        for c, (dark, bright) in enumerate(zip(*tones, strict=True)):
            value = seen[..., c].astype(np.float32)
            value += (np.float32(dark * 255) - value) * share
            value += (np.float32(bright * 255) - value) * spark
            pixels[top + start : top + stop, :, c] = value.astype(np.uint8)
        pixels[top + start : top + stop, :, 3] = 255

    each_band(band, height - top, 48)


def mirror_planes(
    planes: tuple[Bytes, ...], top: int, words: Words, rough: float, tones: list[tuple[float, float]]
) -> None:
    """The same for planes of one size of a frame; ``tones`` are the dark and the bright value in each."""
    flats, span = [plane.ravel() for plane in planes], planes[0].shape[1]
    for start in range(0, planes[0].shape[0] - top, 24):
        lean = leaning(words[start : start + 24])
        at, near = _places(planes[0].shape, top, lean, rough, start)
        share, spark = _shares(lean, near)
        keep = (1 - share) * (1 - spark)
        share *= 1 - spark
        rows = slice(top + start, top + start + len(lean))
        for plane, flat, (dark, bright) in zip(planes, flats, tones, strict=True):
            value = np.take(flat, at) * keep
            value += share * np.float32(dark)
            value += spark * np.float32(bright)
            value += np.float32(0.5)
            plane[rows, :span] = value
