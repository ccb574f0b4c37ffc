"""The scene over time: layers that stand still are painted once and shifted, slow ones are painted a few times a second
and cross-faded, the rest is painted for every frame."""

from collections.abc import Callable
from functools import partial
from itertools import groupby, takewhile

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin import finishes
from safelight.providers.builtin.canvas import Canvas, Element
from safelight.providers.builtin.frame import Planes, blend, planes_of
from safelight.providers.builtin.frame_canvas import FrameCanvas
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.planes import blur, rgba_to_yuv
from safelight.providers.builtin.reading import Brief
from safelight.providers.builtin.still_layers import PlanarLayer, RgbaLayer

Bytes = NDArray[np.uint8]
PAINTED_PIXELS = 250_000  # a frame is finished at this size in styles that work the whole picture over
_PAINTED_SECONDS = {"oil": 0.25}  # between two such frames: painters' films are shot on threes, and here cross-faded
_DISTANT_SECONDS, _DISTANT_PIXELS = 1 / 12, 6  # still layers are distant that move less than so far in a second, and
# are drawn only so often: less than half a pixel lies between
_SLOW_SECONDS = (0.25, 0.17)  # between two paintings of what moves slowly; in a timelapse, nothing is very slow

Step = Callable[[float, float], None]  # draws a part of the frame at some seconds, the camera moved by some pixels


class Keyframes:
    """Pictures made every ``step_seconds`` and cross-faded between, or shown until the next when ``held``."""

    def __init__(self, paint: Callable[[float], Planes], step_seconds: float, *, held: bool = False) -> None:
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
            self._pictures[step] = self.paint(step * self.step_seconds)
        return self._pictures[step]


class Animation:
    """A scene in motion at ``size`` (width, height), over ``seconds`` from end to end."""

    def __init__(
        self, elements: list[Element], brief: Brief, palette: Palette, size: tuple[int, int], seconds: float
    ) -> None:
        self.frame_canvas, self.seconds = FrameCanvas(brief, palette, *size), seconds
        self.canvas: Canvas = self.frame_canvas
        painted = brief.style not in ("photo", "film")
        if painted:
            factor = max(1.0, float(np.sqrt(size[0] * size[1] / PAINTED_PIXELS)))
            self.canvas = Canvas(brief, palette, round(size[0] / factor), round(size[1] / factor))
            self.tooth = finishes.luma_tooth(*size)
        self.margin = round(self.canvas.width * 0.03) + 2
        self.direction = 1 if brief.rng("camera").random() < 0.5 else -1
        lowest = min((element.hides for element in elements), default=1.0)
        self._seen_rows = min(size[1], 2 * round(lowest * size[1] / 2) + 2)  # of what is behind all else
        slow = [] if painted else list(takewhile(lambda element: element.slow, elements))
        self.distant: list[Step] = []
        self.steps: list[Step] = []
        for (moves, depth), group in groupby(elements[len(slow) :], lambda element: (element.moves, element.depth)):
            alike = list(group)
            if moves or self.steps or painted or 2 * (self.margin - 2) * depth > _DISTANT_PIXELS * seconds:
                self.steps += [partial(self._play, element) for element in alike] if moves else [self._still(alike)]
            else:
                self.distant.append(self._still(alike))
        self.keyframes: Keyframes | None = None
        self._backdrop, self._backdrop_step = np.empty_like(self.frame_canvas.picture), -1
        if painted:
            step_seconds = _PAINTED_SECONDS.get(brief.style, 0.125)
            self.keyframes = Keyframes(self._painting, step_seconds, held=brief.style == "pixel")
        elif slow:
            behind = partial(self._behind, slow, FrameCanvas(brief, palette, *size))
            self.keyframes = Keyframes(behind, _SLOW_SECONDS[brief.has("timelapse")])

    def frame(self, seconds: float) -> Bytes:
        """The (h * 3 / 2, w) picture; valid until the next is drawn."""
        if self.canvas is not self.frame_canvas:
            self._draw_behind(seconds)
            return self.frame_canvas.picture
        step = int(seconds / _DISTANT_SECONDS + 1e-6)
        if step != self._backdrop_step:
            self._draw_behind(seconds)
            self._draw(self.distant, seconds)
            self._backdrop_step, self._backdrop[...] = step, self.frame_canvas.picture
        else:
            self.frame_canvas.picture[...] = self._backdrop
        self._draw(self.steps, seconds)
        return self.frame_canvas.picture

    def _draw_behind(self, seconds: float) -> None:
        if self.keyframes is not None:
            self.keyframes.draw(self.frame_canvas.planes, seconds)

    def _draw(self, steps: list[Step], seconds: float) -> None:
        pan = self.direction * (self.margin - 2) * (min(1.0, seconds / self.seconds) * 2 - 1)
        for step in steps:
            step(seconds, pan)

    def _painting(self, seconds: float) -> Planes:
        """The whole scene in its style, stretched, on paper."""
        self._draw(self.steps, seconds)
        finishes.finish(self.canvas)
        size = self.frame_canvas.width, self.frame_canvas.height
        planes = planes_of(rgba_to_yuv(self.canvas.pixels, size))
        finishes.roughen(planes.y, self.tooth)
        return planes

    def _behind(self, elements: list[Element], canvas: FrameCanvas, seconds: float) -> Planes:
        for element in elements:
            element.draw(canvas, seconds)
        canvas.merge()
        seen = canvas.planes.window(0, self._seen_rows)
        return Planes(*(plane.copy() for plane in seen))

    def _play(self, element: Element, seconds: float, pan: float) -> None:
        ink = None if element.ink is None else element.ink(self.canvas.palette)
        with self.canvas.element(-pan * element.depth, ink, soft=element.soft):
            element.draw(self.canvas, seconds)

    def _still(self, elements: list[Element]) -> Step:
        canvas = Canvas(self.canvas.brief, self.canvas.palette, self.canvas.width, self.canvas.height, self.margin)
        for element in elements:
            element.draw(canvas, 0.0)
        if self.canvas is not self.frame_canvas:
            return partial(RgbaLayer(canvas.pixels, elements[0].depth, self.margin).draw, self.canvas)
        layer = PlanarLayer(canvas.pixels, elements[0].depth, self.margin)
        self._seen_rows = max(2, min(self._seen_rows, layer.hides))
        return partial(layer.draw, self.frame_canvas)


class GivenFrame:
    """A given first or last frame, and how it gives way to the clip: its light parts first, as paper takes up water."""

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

    first: GivenFrame | None
    last: GivenFrame | None

    def lay(self, picture: Bytes, share: float) -> None:
        """Lay what is seen of them at a ``share`` of the clip over an (h * 3 / 2, w) picture."""
        if self.first is not None:
            self.first.lay(planes_of(picture), 1 - share / 0.4)
        if self.last is not None:
            self.last.lay(planes_of(picture), 1 - (1 - share) / 0.4)
