"""The scene over time: layers that stand still are painted once and shifted, slow ones are painted a few times a second
and cross-faded, the rest is painted for every frame."""

from collections.abc import Callable
from functools import partial
from itertools import groupby, takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin import manner
from safelight.providers.builtin.easel import Easel, Element, as_image
from safelight.providers.builtin.frame import Planes, blend, planes_of
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.planes import blur, rgba_to_yuv
from safelight.providers.builtin.plate import Plate
from safelight.providers.builtin.reading import Brief
from safelight.providers.builtin.sheet import Sheet

Bytes = NDArray[np.uint8]
PHASES = 2  # positions between two pixels at which a still layer is kept


class Cel:
    """A still layer for manners that are finished as a whole: interleaved, and wider than the frame by ``margin``."""

    def __init__(self, painted: Bytes, depth: float, margin: int) -> None:
        self.depth, self.margin = depth, margin
        used = np.flatnonzero(painted[..., 3].any(axis=1))
        self.top = int(used[0]) if used.size else 0
        pixels = painted[self.top :]
        clear = np.flatnonzero(pixels[..., 3].min(axis=1) < 255)
        self.solid = int(clear[-1]) + 1 if clear.size else 0  # from this row on nothing shows through
        self._arrays = [np.ascontiguousarray(_shifted(pixels, i / PHASES)) for i in range(PHASES)]
        self._images = [as_image(array[: self.solid]) for array in self._arrays] if self.solid else []

    def draw(self, easel: Easel, _: float, pan: float) -> None:
        """Lay the layer over the picture, moved left by ``pan`` pixels (times its depth)."""
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
_PAINTED_SECONDS = {"oil": 0.25}  # between two such frames: painters' films are shot on threes, and here cross-faded
_SLOW_SECONDS = (0.25, 0.17)  # between two paintings of what moves slowly; in a timelapse, nothing is very slow

Step = Callable[[float, float], None]  # draws a part of the frame at some seconds, the camera moved by some pixels


class Keyframes:
    """Pictures made every ``step_seconds`` and cross-faded between, or shown until the next when ``held``."""

    def __init__(self, paint: Callable[[float], Bytes], step_seconds: float, *, held: bool = False) -> None:
        self.paint, self.step_seconds, self.held = paint, step_seconds, held
        self._pictures: dict[int, Planes] = {}

    def draw(self, frame: Planes, seconds: float) -> None:
        """Fill the frame, as far as the pictures reach, with what is seen at ``seconds``."""
        at = seconds / self.step_seconds
        before = int(at + 1e-6)
        first = self._at(before)
        below = frame.window(0, len(first.y))
        if self.held or at - before < 1e-3:
            for plane, now in zip(below, first, strict=True):
                plane[...] = now
        else:
            blend(below, first, self._at(before + 1), at - before)

    def _at(self, step: int) -> Planes:
        if step not in self._pictures:
            self._pictures.pop(step - 2, None)
            self._pictures[step] = planes_of(self.paint(step * self.step_seconds))
        return self._pictures[step]


class Film:
    """A scene in motion at ``size`` (width, height), over ``seconds`` from end to end."""

    def __init__(
        self, elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int], seconds: float
    ) -> None:
        self.sheet, self.seconds = Sheet(brief, palette, *size), seconds
        self.easel: Easel = self.sheet
        painted = brief.manner not in ("photo", "film")
        if painted:
            factor = max(1.0, float(np.sqrt(size[0] * size[1] / PAINTED_PIXELS)))
            self.easel = Easel(brief, palette, round(size[0] / factor), round(size[1] / factor))
            self.tooth = manner.luma_tooth(*size)
        self.margin = round(self.easel.width * 0.03) + 2
        self.direction = 1 if brief.rng("camera").random() < 0.5 else -1
        lowest = min((element.hides for element in elements), default=1.0)
        self._seen_rows = min(size[1], 2 * round(lowest * size[1] / 2) + 2)  # of what is behind all else
        slow = [] if painted else list(takewhile(lambda element: element.slow, elements))
        self.steps: list[Step] = []
        for (moves, _), group in groupby(elements[len(slow) :], lambda element: (element.moves, element.depth)):
            alike = list(group)
            self.steps += [partial(self._play, element) for element in alike] if moves else [self._still(alike)]
        self.keyframes: Keyframes | None = None
        if painted:
            step_seconds = _PAINTED_SECONDS.get(brief.manner, 0.125)
            self.keyframes = Keyframes(self._painting, step_seconds, held=brief.manner == "pixel")
        elif slow:
            behind = partial(self._behind, slow, Easel(brief, palette, *size))
            self.keyframes = Keyframes(behind, _SLOW_SECONDS[brief.has("timelapse")])

    def frame(self, seconds: float) -> Bytes:
        """The (h * 3 / 2, w) picture; valid until the next is drawn."""
        if self.keyframes is not None:
            self.keyframes.draw(self.sheet.planes, seconds)
        if self.easel is self.sheet:
            self._draw(seconds)
        return self.sheet.picture

    def _draw(self, seconds: float) -> None:
        pan = self.direction * (self.margin - 2) * (min(1.0, seconds / self.seconds) * 2 - 1)
        for step in self.steps:
            step(seconds, pan)

    def _painting(self, seconds: float) -> Bytes:
        """The whole scene in its manner, stretched, on paper."""
        self._draw(seconds)
        manner.finish(self.easel)
        picture = rgba_to_yuv(self.easel.pixels, (self.sheet.width, self.sheet.height))
        manner.roughen(planes_of(picture).y, self.tooth)
        return picture

    def _behind(self, elements: list[Element], easel: Easel, seconds: float) -> Bytes:
        for element in elements:
            element.draw(easel, seconds)
        return rgba_to_yuv(easel.pixels[: self._seen_rows])

    def _play(self, element: Element, seconds: float, pan: float) -> None:
        ink = None if element.ink is None else element.ink(self.easel.palette)
        with self.easel.element(-pan * element.depth, ink, soft=element.soft):
            element.draw(self.easel, seconds)

    def _still(self, elements: list[Element]) -> Step:
        easel = Easel(self.easel.brief, self.easel.palette, self.easel.width, self.easel.height, self.margin)
        for element in elements:
            element.draw(easel, 0.0)
        if self.easel is not self.sheet:
            return partial(Cel(easel.pixels, elements[0].depth, self.margin).draw, self.easel)
        plate = Plate(easel.pixels, elements[0].depth, self.margin)
        self._seen_rows = max(2, min(self._seen_rows, plate.hides))
        return partial(plate.draw, self.sheet)


class Given:
    """A given first or last frame, and how it gives way to the film: its light parts first, as paper takes up water."""

    def __init__(self, picture: Bytes) -> None:
        self.planes = planes_of(rgba_to_yuv(picture))
        tone = blur(np.ascontiguousarray(picture[..., 1]), picture.shape[0] / 60).astype(np.float32) / 255
        self.order = (tone - tone.min()) / max(1e-3, float(tone.max() - tone.min()))

    def lay(self, frame: Planes, share: float) -> None:
        """Lay the picture over a frame, with a ``share`` of 1 (all) to 0 (nothing)."""
        for i, (below, given) in enumerate(zip(frame, self.planes, strict=True)):
            order = self.order[::2, ::2] if i else self.order
            for at in range(0, len(below), 64) if share > 0 else ():
                rows = slice(at, at + 64)
                alpha = np.clip(np.float32(share * 1.7 - 0.7) + (1 - order[rows]) * np.float32(0.7), 0, 1)
                alpha *= alpha * (3 - 2 * alpha)
                low = below[rows].astype(np.float32)
                below[rows] = low + (given[rows] - low) * alpha + np.float32(0.5)


class Ends(msgspec.Struct, frozen=True):
    """The pictures that were given for the ends of a clip. A first one is there alone at first and gone after two
    fifths of the clip; a last one likewise."""

    first: Given | None
    last: Given | None

    def lay(self, picture: Bytes, share: float) -> None:
        """Lay what is seen of them at a ``share`` of the clip over an (h * 3 / 2, w) picture."""
        if self.first is not None:
            self.first.lay(planes_of(picture), 1 - share / 0.4)
        if self.last is not None:
            self.last.lay(planes_of(picture), 1 - (1 - share) / 0.4)
