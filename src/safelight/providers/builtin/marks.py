"""Many small marks of a clip's frame, such as drops and flakes: worked out all at once, pixel by pixel."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.frame import ZERO, Planes, matrix
from safelight.providers.builtin.noise import Field

Bytes = NDArray[np.uint8]


class Marks(NamedTuple):
    """Pixels of n marks, each of shape (height, width, n) or one that stretches to it: which row, which column, and
    how much (0..1) of it is covered. The marks come last, as numpy is fast along the last axis."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    cover: Field


def discs(x: Field, y: Field, radius: Field, alpha: Field) -> Marks:
    """Filled circles."""
    reach = int(np.ceil(radius.max() + 0.5))
    around = np.arange(-reach, reach + 1)
    rows = np.floor(y).astype(np.intp) + around[:, None, None]
    columns = np.floor(x).astype(np.intp) + around[:, None]
    down, across = rows - (y - 0.5).astype(np.float32), columns - (x - 0.5).astype(np.float32)
    cover = (radius + 0.5).astype(np.float32) - np.sqrt(down * down + across * across)
    np.clip(cover, 0, 1, out=cover)
    cover *= alpha.astype(np.float32)
    return Marks(rows, columns, cover)


def streaks(x: Field, y: Field, span: tuple[float, float], width: float, alpha: float) -> Marks:
    """Lines of one shape that begin at points and reach further by ``span`` (right, down)."""
    right, down = span
    rows = np.floor(y).astype(np.intp) + np.arange(int(np.ceil(down)) + 1)[:, None, None]
    along = rows - (y - 0.5).astype(np.float32)
    middle = along * np.float32(right / down) + x.astype(np.float32)
    left = np.floor(middle - np.float32(width / 2)).astype(np.intp)
    columns = left + np.arange(int(np.ceil(width)) + 1)[:, None]
    middle -= np.float32(0.5)
    cover = np.float32(width / 2 + 0.5) - np.abs(columns - middle)
    np.clip(cover, 0, 1, out=cover)
    cover *= np.clip(np.minimum(along, np.float32(down) - along) + np.float32(0.5), 0, 1) * np.float32(alpha)
    return Marks(rows, columns, cover)


def lay_marks(below: Planes, marks: Marks, colour: Field) -> None:
    """Mix a (3) colour, or one of (n, 3) to each mark, into three planes where the marks are. Where marks cross, the
    last is seen."""
    (height, width), count = below.y.shape, marks.cover.shape[2]
    rows, columns = marks[:2]
    share = (marks.cover * np.float32(128)).astype(np.uint8)
    used = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (share > 0)
    first = used & ((rows | columns) & 1 == 0)  # of each four pixels one speaks for the chromas
    tones = matrix((colour[..., 0], colour[..., 1], colour[..., 2]))
    for plane, tone, zero in zip(below, tones, ZERO, strict=True):
        step, where = (0, used) if plane is below.y else (1, first)
        at = np.flatnonzero(where)
        place = ((rows >> step) * (width >> step) + (columns >> step)).ravel()[at]
        _mix(plane, place, share.ravel()[at], (tone if colour.ndim == 1 else tone[at % count]) + np.float32(zero))


def _mix(plane: Bytes, place: NDArray[np.intp], share: Bytes, tone: Field) -> None:
    """Mix a ``share`` (0..128) of a tone into some places of a plane."""
    flat = plane.reshape(-1)
    under = np.take(flat, place)
    away = tone.astype(np.int16) - under
    away *= share  # within 16 bits: at most 255 * 128
    away >>= 7
    under += away.astype(np.uint8)  # wraps around, and so subtracts too
    flat[place] = under
