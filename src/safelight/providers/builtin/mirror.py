"""A mirrored picture, pixel by pixel: what water shows of the rows above it, in interleaved or in planar frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.planes import each_band, stretch
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
LIMIT = 16.0  # ripples lie within half of this on both sides of 0
SHIFT = 6
LEVELS = 65536 >> SHIFT  # leans that are told apart: a row's mirror image moves by half a pixel at most between two


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


def _doubled(field: Field, pair: int) -> NDArray[Any]:
    """Whole numbers of a field, each ``pair`` times in a word."""
    return field.astype(np.uint16) if pair == 1 else field.astype(np.uint32) * np.uint32(0x10001)


class PlanesMirror:
    """Water in planes of one size of a frame, the same at every time but for how its surface leans.

    What a pixel, or a pair of neighbours, mirrors and how it is tinted depends on its row and its lean alone: both are
    looked up in tables of ``LEVELS`` leans a row. ``tones`` are the dark and the bright value in each plane.
    """

    def __init__(
        self, shape: tuple[int, int], top: int, rough: float, columns: int, tones: list[tuple[float, float]]
    ) -> None:
        (height, width), self.top = shape, top
        self.pair = pair = width // columns
        lean = leaning((np.arange(LEVELS, dtype=np.uint16) << np.uint16(SHIFT))[None, :] + np.uint16(1 << (SHIFT - 1)))
        count = height - top
        near = (np.arange(count, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(count)
        swing = lean * (np.float32(count * 0.055 * rough) * (np.float32(0.25) + near))
        row = np.clip(top - 1 - near * np.float32(count * 0.92) - swing, 0, top - 1).astype(np.intp)
        aside = np.floor(swing * np.float32(0.35 / pair)).astype(np.intp)
        self._edge = min(int(np.abs(aside).max()), columns)  # pixels beyond the frame's sides
        np.clip(aside, -self._edge, self._edge, out=aside)
        self._source = np.empty((len(tones), top, columns + 2 * self._edge), (np.uint8, np.uint16)[pair - 1])
        self._places = (row * self._source.shape[2] + aside + self._edge).astype(np.int32)
        share, spark = _shares(lean, near)
        share -= share * spark
        self._keep = _doubled(256 - 256 * (share + spark), pair)  # (1 - share) * (1 - spark) is what both leave
        self._tints = [
            _doubled(share * np.float32(dark * 256) + (spark * np.float32(bright * 256) + np.float32(128)), pair)
            for dark, bright in tones
        ]
        self._columns = np.arange(columns, dtype=np.int32)
        self._first = (np.arange(count, dtype=np.intp) * LEVELS)[:, None]

    def draw(self, planes: tuple[Bytes, ...], words: Words) -> None:
        """Fill the rows below ``top``; ``words`` says how the surface leans there."""
        for source, plane in zip(self._source, planes, strict=True):
            seen = plane[: self.top].view(source.dtype)
            source[:, self._edge : self._edge + seen.shape[1]] = seen
            source[:, : self._edge], source[:, self._edge + seen.shape[1] :] = seen[:, :1], seen[:, -1:]
        for start in range(0, len(words), 32):
            rows = slice(start, start + 32)
            level = (words[rows] >> np.uint16(SHIFT)) + self._first[rows]
            at = self._places.take(level, mode="clip")
            at += self._columns
            keep = self._keep.take(level, mode="clip").view(np.uint16)
            for source, plane, tint in zip(self._source, planes, self._tints, strict=True):
                value = source.take(at, mode="clip").view(np.uint8) * keep
                value += tint.take(level, mode="clip").view(np.uint16)
                value >>= 8  # at most 255 * 256 + 128 in all
                plane[self.top + start : self.top + start + len(level)] = value
