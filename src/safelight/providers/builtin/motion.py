"""The scene over time: layers that stand still are painted once and shifted, the rest is painted for every frame."""

from collections.abc import Iterator

import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin import manner
from safelight.providers.builtin.easel import Easel, Element
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.reading import Brief

Bytes = NDArray[np.uint8]
PHASES = 4  # positions between two pixels at which a still layer is kept


class Plate:
    """Elements that stand still at one depth, painted once, wider than the frame by ``margin`` on both sides."""

    def __init__(self, elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int], margin: int) -> None:
        self.depth, self.margin = elements[0].depth, margin
        easel = Easel(brief, palette, *size, margin)
        for element in elements:
            element.draw(easel, 0.0)
        used = np.flatnonzero(easel.pixels[..., 3].any(axis=1))
        self.top = int(used[0]) if used.size else 0
        pixels = easel.pixels[self.top :]
        self._arrays = [np.ascontiguousarray(_shifted(pixels, i / PHASES)) for i in range(PHASES)]
        self._images = [skia.Image.fromarray(array, copy=False) for array in self._arrays]

    def draw(self, easel: Easel, pan: float) -> None:
        """Lay the plate over the picture, moved left by ``pan`` pixels (times its depth)."""
        offset = self.margin + pan * self.depth
        steps = round(offset * PHASES)
        easel.canvas.drawImage(self._images[steps % PHASES], -(steps // PHASES), self.top)


def _shifted(pixels: Bytes, share: float) -> Bytes:
    """The pixels moved left by a share of one pixel."""
    if share == 0:
        return pixels
    moved = pixels.astype(np.uint16) * round(256 * (1 - share))
    moved[:, :-1] += pixels[:, 1:].astype(np.uint16) * round(256 * share)
    moved[:, -1] += pixels[:, -1].astype(np.uint16) * round(256 * share)
    return (moved >> 8).astype(np.uint8)


def frames(
    elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int], count: int, fps: int
) -> Iterator[Bytes]:
    """The (h, w, 4) pictures of a clip, one at a time; each is valid until the next is asked for."""
    width, height = size
    margin = round(width * 0.03) + 2
    parts: list[Plate | Element] = []
    still: list[Element] = []
    for element in [*elements, None]:
        if still and (element is None or element.moves or element.depth != still[0].depth):
            parts.append(Plate(still, brief, palette, size, margin))
            still = []
        if element is not None:
            parts.append(element) if element.moves else still.append(element)
    direction = 1 if brief.rng("camera").random() < 0.5 else -1
    easel = Easel(brief, palette, width, height)
    for number in range(count):
        share = number / max(1, count - 1)
        pan = direction * (margin - 2) * (share * 2 - 1)
        for part in parts:
            if isinstance(part, Plate):
                part.draw(easel, pan)
            else:
                part.draw(easel, number / fps)
        manner.finish(easel)
        yield easel.pixels
