"""The scene over time: layers that stand still are painted once and shifted, the rest is painted for every frame."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin import manner
from safelight.providers.builtin.easel import Easel, Element, as_image
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.planes import blur, each_band, stretch_bytes
from safelight.providers.builtin.reading import Brief

Bytes = NDArray[np.uint8]
PHASES = 2  # positions between two pixels at which a still layer is kept


class Plate:
    """Elements that stand still at one depth, painted once, wider than the frame by ``margin`` on both sides."""

    def __init__(
        self, elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int], margin: int
    ) -> None:
        self.depth, self.margin = elements[0].depth, margin
        easel = Easel(brief, palette, *size, margin)
        for element in elements:
            element.draw(easel, 0.0)
        used = np.flatnonzero(easel.pixels[..., 3].any(axis=1))
        self.top = int(used[0]) if used.size else 0
        pixels = easel.pixels[self.top :]
        clear = np.flatnonzero(pixels[..., 3].min(axis=1) < 255)
        self.solid = int(clear[-1]) + 1 if clear.size else 0  # from this row on nothing shows through
        self._arrays = [np.ascontiguousarray(_shifted(pixels, i / PHASES)) for i in range(PHASES)]
        self._images = [as_image(array[: self.solid]) for array in self._arrays] if self.solid else []

    def draw(self, easel: Easel, pan: float) -> None:
        """Lay the plate over the picture, moved left by ``pan`` pixels (times its depth)."""
        offset = self.margin + pan * self.depth
        steps = round(offset * PHASES)
        left, phase = steps // PHASES, steps % PHASES
        if self._images:
            easel.canvas.drawImage(self._images[phase], -left, self.top)
        below = self._arrays[phase][self.solid :, left : left + easel.width]
        easel.pixels[self.top + self.solid :, : below.shape[1]] = below


def _shifted(pixels: Bytes, share: float) -> Bytes:
    """The pixels moved left by a share of one pixel."""
    if share == 0:
        return pixels
    moved = pixels.astype(np.uint16) * round(256 * (1 - share))
    moved[:, :-1] += pixels[:, 1:].astype(np.uint16) * round(256 * share)
    moved[:, -1] += pixels[:, -1].astype(np.uint16) * round(256 * share)
    return (moved >> 8).astype(np.uint8)


PAINTED_PIXELS = 250_000  # a frame is finished at this size in manners that work the whole picture over


class Film:
    """A scene in motion at ``size`` (width, height); its frames may be smaller than that in painterly manners."""

    def __init__(self, elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int]) -> None:
        self.painted = brief.manner not in ("photo", "film")
        width, height = size
        if self.painted:
            factor = max(1.0, float(np.sqrt(width * height / PAINTED_PIXELS)))
            width, height = round(width / factor), round(height / factor)
        self.margin = round(width * 0.03) + 2
        self.direction = 1 if brief.rng("camera").random() < 0.5 else -1
        self.easel = Easel(brief, palette, width, height)
        self.parts: list[Plate | Element] = []
        still: list[Element] = []
        for element in elements:
            if still and (element.moves or element.depth != still[0].depth):
                self._add_plate(still)
                still = []
            if element.moves:
                self.parts.append(element)
            else:
                still.append(element)
        if still:
            self._add_plate(still)

    def _add_plate(self, still: list[Element]) -> None:
        easel = self.easel
        self.parts.append(Plate(still, easel.brief, easel.palette, (easel.width, easel.height), self.margin))

    def frame(self, share: float, seconds: float) -> Bytes:
        """The (h, w, 4) picture at a ``share`` of the clip; valid until the next one is drawn."""
        pan = self.direction * (self.margin - 2) * (share * 2 - 1)
        for part in self.parts:
            if isinstance(part, Plate):
                part.draw(self.easel, pan)
                continue
            self.easel.canvas.save()
            self.easel.canvas.translate(-pan * part.depth, 0)
            part.draw(self.easel, seconds)
            self.easel.canvas.restore()
        if self.painted:
            manner.finish(self.easel)
        return self.easel.pixels


class Given:
    """A given first or last frame, and how it gives way to the film: its light parts first, as paper takes up water."""

    def __init__(self, picture: Bytes) -> None:
        self.picture = picture
        tone = blur(np.ascontiguousarray(picture[..., 1]), picture.shape[0] / 60).astype(np.float32) / 255
        self.order = (tone - tone.min()) / max(1e-3, float(tone.max() - tone.min()))

    def over(self, film: Bytes, share: float) -> Bytes:
        """The picture laid over a frame of the film with a ``share`` of 1 (all) to 0 (nothing)."""
        height, width = self.picture.shape[:2]
        if share >= 1:
            return self.picture
        if share <= 0:
            return film
        if film.shape != self.picture.shape:
            film = np.stack([stretch_bytes(film[..., c], width, height) for c in range(4)], axis=-1)
        mixed = np.empty_like(self.picture)

        def band(start: int, stop: int) -> None:
            alpha = np.clip(np.float32(share * 1.7 - 0.7) * 1 + (1 - self.order[start:stop]) * np.float32(0.7), 0, 1)
            alpha = alpha * alpha * (3 - 2 * alpha)
            for c in range(3):
                low = film[start:stop, :, c].astype(np.float32)
                mixed[start:stop, :, c] = low + (self.picture[start:stop, :, c] - low) * alpha

        each_band(band, height, 32)
        mixed[..., 3] = 255
        return mixed


def frames(film: Film, first: Given | None, last: Given | None, count: int, fps: int) -> Iterator[Bytes]:
    """The pictures of a clip, one at a time; each is valid until the next is asked for.

    A given first frame is there alone at first and gone after two fifths of the clip; a last one likewise.
    """
    for number in range(count):
        share = number / max(1, count - 1)
        before = 1 - share / 0.4 if first is not None else 0.0
        after = 1 - (1 - share) / 0.4 if last is not None else 0.0
        if first is not None and number == 0:
            yield first.picture
        elif last is not None and number == count - 1:
            yield last.picture
        else:
            pixels = film.frame(share, number / fps)
            if first is not None:
                pixels = first.over(pixels, before)
            yield last.over(pixels, after) if last is not None else pixels
