"""The still layers of a clip, ready to be laid on its frames at any shift: planar, and as RGBA."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.canvas import Canvas, as_image
from safelight.providers.builtin.frame import added, halved, lay_plane, planes_of
from safelight.providers.builtin.frame_canvas import FrameCanvas
from safelight.providers.builtin.planes import rgba_to_yuv

Bytes = NDArray[np.uint8]
PLANAR_PHASES, RGBA_PHASES = 4, 2  # positions between two pixels at which a layer is kept
BLOCK = (64, 128)  # rows and columns of the blocks that a planar layer is divided into
REACH = 4  # pixels that a shift and the halving of chroma draw on beyond a block


class Run(NamedTuple):
    """Neighbouring blocks of one kind: all ``solid``, or partly clear. Blocks that are all clear are in no run."""

    top: int
    bottom: int
    left: int
    right: int
    solid: bool


class PlanarLayer:
    """A still layer as three planes, wider than the frame by ``margin`` on both sides."""

    def __init__(self, painted: Bytes, depth: float, margin: int) -> None:
        self.depth, self.margin = depth, margin
        used = np.flatnonzero(painted[..., 3].any(axis=1))
        self.top, bottom = (int(used[0]) & ~1, (int(used[-1]) + 2) & ~1) if used.size else (0, 2)
        clear = np.flatnonzero(painted[..., 3].min(axis=1) < 255)
        self.hides = (int(clear[-1]) + 2) & ~1 if clear.size else 0  # from this row on nothing shows through
        pixels = np.ascontiguousarray(painted[self.top : bottom])
        self.runs = _runs(pixels[..., 3])
        cover = np.ascontiguousarray(pixels[..., 3])
        half = halved(cover)
        self._planes = [_phases(plane) for plane in added(planes_of(rgba_to_yuv(pixels)), cover, half)]
        self._cover, self._half = _phases(cover), _phases(half)

    def draw(self, canvas: FrameCanvas, _: float, pan: float) -> None:
        """Lay the layer over the frame, moved left by ``pan`` pixels (times its depth)."""
        canvas.merge()
        offset = self.margin + pan * self.depth
        for i, below in enumerate(canvas.planes):
            part = 2 if i else 1
            shift, phase = divmod(round(offset / part * PLANAR_PHASES), PLANAR_PHASES)
            layer, cover = self._planes[i][phase], (self._half if i else self._cover)[phase]
            for run in self.runs:
                left, right = max(shift, run.left // part), min(shift + below.shape[1], run.right // part)
                if left >= right:
                    continue
                seen = below[
                    (self.top + run.top) // part : (self.top + run.bottom) // part, left - shift : right - shift
                ]
                at = np.s_[run.top // part : run.bottom // part, left:right]
                if run.solid:
                    seen[...] = layer[at]
                else:
                    lay_plane(seen, layer[at], cover[at])


def _runs(alpha: Bytes) -> list[Run]:
    """What is solid and what is partly clear, from top left to bottom right."""
    found: list[Run] = []
    height, width = alpha.shape
    for top in range(0, height, BLOCK[0]):
        bottom = min(height, top + BLOCK[0])
        band = alpha[max(0, top - REACH) : bottom + REACH]
        low, high = band.min(axis=0), band.max(axis=0)
        for left in range(0, width, BLOCK[1]):
            around = slice(max(0, left - REACH), left + BLOCK[1] + REACH)
            if not high[around].any():
                continue
            run = Run(top, bottom, left, min(width, left + BLOCK[1]), bool(low[around].min() == 255))
            if found and found[-1][:2] == run[:2] and found[-1].right == left and found[-1].solid == run.solid:
                run = found.pop()._replace(right=run.right)
            found.append(run)
    return found


def _phases(plane: Bytes) -> list[Bytes]:
    """The plane moved left by each share of a pixel."""
    wide = plane.astype(np.uint16)
    after = np.concatenate([wide[:, 1:], wide[:, -1:]], axis=1)
    steps = [
        (wide * (PLANAR_PHASES - i) + after * i + PLANAR_PHASES // 2) // PLANAR_PHASES for i in range(1, PLANAR_PHASES)
    ]
    return [np.ascontiguousarray(plane), *(step.astype(np.uint8) for step in steps)]


class RgbaLayer:
    """A still layer for styles that are finished as a whole: interleaved, and wider than the frame by ``margin``."""

    def __init__(self, painted: Bytes, depth: float, margin: int) -> None:
        self.depth, self.margin = depth, margin
        used = np.flatnonzero(painted[..., 3].any(axis=1))
        self.top = int(used[0]) if used.size else 0
        pixels = painted[self.top :]
        clear = np.flatnonzero(pixels[..., 3].min(axis=1) < 255)
        self.solid = int(clear[-1]) + 1 if clear.size else 0  # from this row on nothing shows through
        self._arrays = [np.ascontiguousarray(_shifted(pixels, i / RGBA_PHASES)) for i in range(RGBA_PHASES)]
        self._images = [as_image(array[: self.solid]) for array in self._arrays] if self.solid else []

    def draw(self, canvas: Canvas, _: float, pan: float) -> None:
        """Lay the layer over the picture, moved left by ``pan`` pixels (times its depth)."""
        offset = self.margin + pan * self.depth
        steps = round(offset * RGBA_PHASES)
        left, phase = steps // RGBA_PHASES, steps % RGBA_PHASES
        if self._images:
            canvas.skia_canvas.drawImage(self._images[phase], -left, self.top)
        below = self._arrays[phase][self.solid :, left : left + canvas.width]
        canvas.pixels[self.top + self.solid :, : below.shape[1]] = below


def _shifted(pixels: Bytes, share: float) -> Bytes:
    """The pixels moved left by a share of one pixel."""
    if share == 0:
        return pixels
    moved = pixels.astype(np.uint16) * round(256 * (1 - share))
    moved[:, :-1] += pixels[:, 1:].astype(np.uint16) * round(256 * share)
    moved[:, -1] += pixels[:, -1].astype(np.uint16) * round(256 * share)
    return (moved >> 8).astype(np.uint8)
