"""The canvas of clips: what scenes draw on it goes to a planar frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from math import gcd

import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin.canvas import Canvas
from safelight.providers.builtin.frame import ZERO, Planes, halved, lay, lay_tone, matrix, planes_of, tones_of
from safelight.providers.builtin.ink_mask import InkMask
from safelight.providers.builtin.marks import add_marks, discs, glows, lay_marks, streaks
from safelight.providers.builtin.mirror import lean_words, leaning, mirror_planes
from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.planes import rgba_to_yuv, stretch_dithered
from safelight.providers.builtin.reading import Brief, Rgb

Bytes = NDArray[np.uint8]
SOFT = 4  # soft drawings are made at the frame's size divided by this
ROWS, COLUMNS, STRIP = 16, 64, 256  # steps in which the overlay is taken, and the most rows at once; even


class FrameCanvas(Canvas):
    """A canvas whose ``picture`` is an (h * 3 / 2, w) frame. ``pixels`` is a clear overlay on which Skia draws;
    ``merge`` lays what was drawn there onto the picture and clears the overlay."""

    def __init__(self, brief: Brief, palette: Palette, width: int, height: int) -> None:
        super().__init__(brief, palette, width, height)
        self.picture: Bytes = np.empty((height * 3 // 2, width), np.uint8)
        self.planes = planes_of(self.picture)
        for plane, zero in zip(self.planes, ZERO, strict=True):
            plane[...] = zero
        self._drawn, self._soft = False, False
        self._ink: Rgb | None = None
        self._distance = 0.0

    @property
    def skia_canvas(self) -> skia.Canvas:
        if self._ink is not None:
            return self._ink_masks[self._soft].skia_canvas
        self._drawn = True
        return self._pixels_canvas

    @contextmanager
    def element(self, distance: float, ink: Rgb | None = None, *, soft: bool = False) -> Iterator[None]:
        self._ink, self._soft, self._distance = ink, soft, distance
        skia_canvas = self._pixels_canvas if ink is None else self._ink_masks[soft].skia_canvas
        skia_canvas.save()
        skia_canvas.translate(distance, 0)
        yield
        skia_canvas.restore()
        self.merge()

    @cached_property
    def _ink_masks(self) -> tuple[InkMask, InkMask]:
        return InkMask(self.width, self.height, 1), InkMask(self.width, self.height, SOFT)

    def lay(self, first: int, last: int, colour: tuple[Field, Field, Field], cover: Field | None = None) -> None:
        self.merge()
        first, last = first & ~1, min(self.height, (last + 1) & ~1)
        below, parts = self.planes.window(first, last), matrix(colour)
        if cover is not None:
            parts = (parts[0] * cover, parts[1] * cover, parts[2] * cover)
        sizes = ((self.width, last - first), *((self.width // 2, (last - first) // 2),) * 2)
        layer = Planes(*(
            stretch_dithered((part + np.float32(zero)) * np.float32(1 / 255), *size)
            for part, zero, size in zip(parts, ZERO, sizes, strict=True)
        ))  # fmt: skip
        if cover is None:
            for plane, new in zip(below, layer, strict=True):
                plane[...] = new
            return
        used = np.flatnonzero(cover.max(axis=1) > 1 / 512)  # rows that stay bare need no work
        if not used.size:
            return
        share = (last - first) / cover.shape[0]
        top = int(max(0, used[0] - 2) * share) & ~1
        bottom = min(last - first, int((used[-1] + 3) * share) & ~1)
        whole, half = (stretch_dithered(cover, *size) for size in sizes[:2])
        lay(below.window(top, bottom), layer.window(top, bottom), whole[top:bottom], half[top // 2 : bottom // 2])

    def veil(self, first: int, last: int, colour: Rgb, cover: Field) -> None:
        self.merge()
        below = self.planes.window(first & ~1, min(self.height, (last + 1) & ~1))
        seen, half = cover * np.float32(128 / 255), below.u.shape[1::-1]
        covers = stretch_dithered(seen, self.width, len(below.y)), stretch_dithered(seen, *half)
        for plane, tone, share in zip(below, tones_of(colour), (covers[0], covers[1], covers[1]), strict=True):
            lay_tone(plane, tone, share)

    def discs(self, x: Field, y: Field, radius: Field, colour: Field, alpha: Field) -> None:
        self.merge()
        lay_marks(self.planes, discs(x + self._distance, y, radius, alpha), colour)

    def glows(self, x: Field, y: Field, radius: Field, colour: Field, alpha: float) -> None:
        self.merge()
        add_marks(self.planes, glows(x + self._distance, y, radius, alpha), colour)

    def streaks(self, x: Field, y: Field, span: tuple[float, float], width: float, colour: Rgb, alpha: float) -> None:
        self.merge()
        lay_marks(self.planes, streaks(x + self._distance, y, span, width, alpha), np.array(colour, np.float32))

    def mirror(self, top: int, lean: Field, rough: float, dark: Rgb, bright: Rgb) -> None:
        self.merge()
        top = (top + 1) & ~1
        columns = self.width // gcd(self.width, 4)
        if lean.shape != (self.height - top, columns):
            lean = leaning(lean_words(lean, columns, self.height - top))
        mirror_planes(self.planes, top, lean, rough, list(zip(tones_of(dark), tones_of(bright), strict=True)))

    def merge(self) -> None:
        if self._ink is not None:
            self._ink_masks[self._soft].lay(self.planes, self._ink)
            self._ink = None
        if not self._drawn:
            return
        self._drawn = False
        rows = np.bitwise_or.reduce(self.pixels.reshape(self.height, -1).view(np.uint64), axis=1)
        for top, bottom in _spans(rows, ROWS, self.height):
            for start in range(top, bottom, STRIP):
                self._merge_rows(start, min(bottom, start + STRIP))

    def _merge_rows(self, top: int, bottom: int) -> None:
        overlay = self.pixels[top:bottom]
        pairs = np.bitwise_or.reduce(overlay.reshape(len(overlay), -1).view(np.uint64), axis=0)
        for left, right in _spans(pairs, COLUMNS // 2, self.width // 2):
            part = overlay[:, 2 * left : 2 * right]
            below, cover = self.planes.window(top, bottom, 2 * left, 2 * right), np.ascontiguousarray(part[..., 3])
            lay(below, planes_of(rgba_to_yuv(part)), cover, halved(cover))
            part[...] = 0


def _spans(used: NDArray[np.uint64], step: int, end: int) -> list[tuple[int, int]]:
    """From where to where values are not 0, in whole steps so that few sizes occur."""
    steps = np.flatnonzero(np.bitwise_or.reduceat(used, np.arange(0, used.size, step)))
    parts = np.split(steps, np.flatnonzero(np.diff(steps) > 1) + 1) if steps.size else []
    return [(int(part[0]) * step, min(end, (int(part[-1]) + 1) * step)) for part in parts]
