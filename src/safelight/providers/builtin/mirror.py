"""A mirrored picture, pixel by pixel: what water shows of the rows above it, in interleaved or in planar frames."""

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.planes import each_band, stretch
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
LIMIT = 16.0  # ripples lie within half of this on both sides of 0


def lean_words(lean: Field, width: int, height: int) -> Words:
    """How the surface leans, about 0, stretched to (height, width)."""
    return stretch(lean / np.float32(LIMIT) + np.float32(0.5), width, height)


def leaning(words: Words) -> Field:
    """How the surface leans, about 0, from what was stretched."""
    ripple = words.astype(np.float32)
    ripple -= 32640
    ripple *= np.float32(LIMIT / 65280)
    return ripple


def _places(
    shape: tuple[int, ...], top: int, ripple: Field, rough: float, start: int, pair: int = 1
) -> tuple[NDArray[np.int32], Field]:
    """Which pixel, or pair of them, some rows of water mirror, and how near (0..1) each row is."""
    count, span = shape[0] - top, shape[1]
    near = (np.arange(start, start + len(ripple), dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(count)
    reach = np.float32(count * 0.055 * rough) * (np.float32(0.25) + near)
    swing = ripple * reach
    row = np.clip(top - 1 - near * np.float32(count * 0.92) - swing, 0, top - 1).astype(np.int32)
    swing *= np.float32(0.35 / pair)
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


def _doubled(field: Field, pair: int) -> Words:
    """Whole numbers of a field, each ``pair`` times in its row."""
    return field.astype(np.uint16) if pair == 1 else (field.astype(np.uint32) * np.uint32(0x10001)).view(np.uint16)


def mirror_planes(
    planes: tuple[Bytes, ...], top: int, words: Words, rough: float, tones: list[tuple[float, float]]
) -> None:
    """The same for planes of one size of a frame; ``tones`` are the dark and the bright value in each. Where ``words``
    has half the columns of the planes, neighbours are looked up and tinted in pairs."""
    height, width = planes[0].shape
    pair = width // words.shape[1]
    packed = [plane.reshape(-1).view((np.uint8, np.uint16)[pair - 1]) for plane in planes]
    for start in range(0, height - top, 24):
        lean = leaning(words[start : start + 24])
        at, near = _places((height, width // pair), top, lean, rough, start, pair)
        share, spark = _shares(lean, near)
        share -= share * spark
        keep = _doubled(256 - 256 * (share + spark), pair)  # (1 - share) * (1 - spark) is what both leave
        for plane, flat, (dark, bright) in zip(planes, packed, tones, strict=True):
            value = np.take(flat, at).view(np.uint8).astype(np.uint16)
            value *= keep
            value += _doubled(
                share * np.float32(dark * 256) + (spark * np.float32(bright * 256) + np.float32(128)), pair
            )
            value >>= 8  # at most 255 * 256 + 128 in all
            plane[top + start : top + start + len(lean)] = value
