"""A mirrored picture, pixel by pixel: what water shows of the rows above it, in interleaved or in planar frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.frame import Planes
from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.planes import each_band, stretch
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
BAND = 48  # rows worked on at once, so that they stay in the processor's cache; even
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
    ripple: Field, across: Field, unit: int, rows: tuple[int, int, int], rough: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], Field]:
    """Which row, and where in it, some rows of water mirror, and how near (0..1) each row is.

    ``across`` is where the water's columns lie, in a ``unit`` of some pixels; ``rows`` are the first of the water, how
    many it has, and where in it these begin.
    """
    top, count, start = rows
    near = (np.arange(start, start + len(ripple), dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(count)
    swing = ripple * (np.float32(count * 0.055 * rough) * (np.float32(0.25) + near))
    row = np.float32(top - 1) - near * np.float32(count * 0.92) - swing
    np.clip(row, 0, top - 1, out=row)
    swing *= np.float32(0.35 / unit)
    swing += across
    np.clip(swing, 0, across[-1], out=swing)
    return row.astype(np.int32), swing.astype(np.int32), near


def _shares(ripple: Field, near: Field) -> tuple[Field, Field]:
    """How much of the water's own colour is seen, and how much of the light that glints on it."""
    share = np.clip(np.float32(0.16) + np.float32(0.30) * near - ripple * (near * np.float32(0.16)), 0.05, 0.75)
    spark = np.clip(ripple - np.float32(1.5), 0, 1) * (np.float32(0.25) + np.float32(0.25) * near)
    return share, spark


def mirror_pixels(pixels: Bytes, top: int, words: Words, rough: float, tones: tuple[Rgb, Rgb]) -> None:
    """Mirror an (h, w, 4) picture in its rows below ``top``, with a dark and a bright colour of the water."""
    height, span = pixels.shape[:2]
    packed, across = pixels.view(np.uint32)[..., 0].ravel(), np.arange(span, dtype=np.float32)

    def band(start: int, stop: int) -> None:
        lean = leaning(words[start:stop])
        row, column, near = _places(lean, across, 1, (top, height - top, start), rough)
        seen = np.take(packed, row * np.int32(span) + column).view(np.uint8).reshape(stop - start, span, 4)
        share, spark = _shares(lean, near)
        for c, (dark, bright) in enumerate(zip(*tones, strict=True)):
            value = seen[..., c].astype(np.float32)
            value += (np.float32(dark * 255) - value) * share
            value += (np.float32(bright * 255) - value) * spark
            pixels[top + start : top + stop, :, c] = value.astype(np.uint8)
        pixels[top + start : top + stop, :, 3] = 255

    each_band(band, height - top, BAND)


def _repeated(field: Field, times: int) -> Words:
    """Whole numbers of a field, each so many times (1, 2 or 4) in its row."""
    whole = field.astype(np.uint16)
    return whole if times == 1 else (whole.astype(f"u{2 * times}") * _REPEATED[times]).view(np.uint16)


_REPEATED = {2: np.uint32(0x10001), 4: np.uint64(0x0001000100010001)}


def _looked_up(flat: NDArray[Any], at: NDArray[np.intp], count: int) -> NDArray[Any]:
    """The values at some places, each alone or with the one that follows, as words."""
    found = np.take(flat, at)
    if count == 1:
        return found
    words = np.take(flat, at + 1).astype(f"u{2 * flat.itemsize}")
    words <<= 8 * flat.itemsize
    words |= found
    return words


def mirror_planes(planes: Planes, top: int, lean: Field, rough: float, tones: list[tuple[float, float]]) -> None:
    """The same for a frame; ``tones`` are the dark and the bright value of each plane. ``lean`` has the water's rows
    and a column for each two or four of the frame's: so much is looked up at once, from where two pixels begin."""
    height, width = planes.y.shape
    chroma, cell = width // 2, width // 2 // lean.shape[1]
    across = np.arange(0, chroma, cell, dtype=np.float32)
    for start in range(0, height - top, BAND):
        ripple = lean[start : start + BAND]
        row, column, near = _places(ripple, across, 2, (top, height - top, start), rough)
        share, spark = _shares(ripple, near)
        share -= share * spark
        keep = 256 - 256 * (share + spark)  # (1 - share) * (1 - spark) is what both leave
        for step, some in ((1, slice(0, 1)), (2, slice(1, 3))):  # luma, and chromas of half its rows
            at = ((row[::step] >> (step - 1)) * np.int32(chroma) + column[::step]).astype(np.intp)
            kept, first = _repeated(keep[::step], 2 * cell // step), (top + start) // step
            for plane, (dark, bright) in zip(planes[some], tones[some], strict=True):
                words = _looked_up(plane.reshape(-1).view(f"u{2 // step}"), at, cell)
                value = words.view(np.uint8).astype(np.uint16)
                value *= kept
                light = spark[::step] * np.float32(bright * 256)
                light += share[::step] * np.float32(dark * 256)
                light += np.float32(128)
                value += _repeated(light, 2 * cell // step)
                value >>= 8  # at most 255 * 256 + 128 in all
                plane[first : first + len(value)] = value
