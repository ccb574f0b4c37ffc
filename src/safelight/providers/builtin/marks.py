"""Many small marks of a clip's frame, such as drops and flakes: worked out all at once, pixel by pixel."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.frame import ZERO, Planes, matrix
from safelight.providers.builtin.noise import Field

Bytes = NDArray[np.uint8]


class Marks(NamedTuple):
    """Pixels of n marks, each of shape (height, width, n), or with 1 for what all have in common: which row, which
    column, and how much (0..1) of it is covered. The marks come last, as numpy is fast along the last axis."""

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    cover: Field


def discs(x: Field, y: Field, radius: Field, alpha: Field) -> Marks:
    """Filled circles."""
    rows, columns, away = _around(x, y, float(radius.max()))
    cover = np.clip((radius + 0.5).astype(np.float32) - away, 0, 1)
    cover *= alpha.astype(np.float32)
    return Marks(rows, columns, cover)


def glows(x: Field, y: Field, radius: Field, alpha: float) -> Marks:
    """Soft round lights that fall off as those that ``canvas.glow`` paints."""
    rows, columns, away = _around(x, y, float(radius.max()))
    away *= (-1 / radius).astype(np.float32)
    away += 1  # how near the middle is
    cover = np.maximum(np.float32(2.4) * away - np.float32(1.4), np.float32(0.4) * away)
    np.maximum(cover, 0, out=cover)
    cover *= np.float32(alpha)
    return Marks(rows, columns, cover)


def _around(x: Field, y: Field, radius: float) -> tuple[NDArray[np.int32], NDArray[np.int32], Field]:
    """The pixels within a radius of some points: rows, columns, and how far away their middles are."""
    around = np.arange(-int(np.ceil(radius + 0.5)), int(np.ceil(radius + 0.5)) + 1, dtype=np.int32)
    rows = np.floor(y).astype(np.int32) + around[:, None, None]
    columns = np.floor(x).astype(np.int32) + around[:, None]
    down, across = rows - (y - 0.5).astype(np.float32), columns - (x - 0.5).astype(np.float32)
    return rows, columns, np.sqrt(down * down + across * across, dtype=np.float32)


def streaks(x: Field, y: Field, span: tuple[float, float], width: float, alpha: float) -> Marks:
    """Lines of one shape that begin at the pixels of some points and reach further by ``span`` (right, down)."""
    right, down = span
    along = np.arange(int(np.ceil(down)), dtype=np.int32)[:, None, None]
    middle = (along + np.float32(0.5)) * np.float32(right / down)
    across = np.floor(middle - np.float32(width / 2)).astype(np.int32)
    across = across + np.arange(int(np.ceil(width)) + 1, dtype=np.int32)[:, None]
    cover = np.clip(np.float32(width / 2) - np.abs(across + np.float32(0.5) - middle) + np.float32(0.5), 0, 1)
    return Marks(np.rint(y).astype(np.int32) + along, np.rint(x).astype(np.int32) + across, cover * np.float32(alpha))


def lay_marks(below: Planes, marks: Marks, colour: Field) -> None:
    """Mix a (3) colour, or one of (n, 3) to each mark, into three planes where the marks are. Where marks cross, any
    is seen."""
    for plane, place, cover, tone, zero in _pixels(below, marks, colour):
        share = (cover * np.float32(128)).astype(np.int16)
        flat = plane.reshape(-1)
        under = np.take(flat, place)
        away = (tone + np.float32(zero)).astype(np.int16) - under
        away *= share  # within 16 bits: at most 255 * 128
        away >>= 7
        under += away.astype(np.uint8)  # wraps around, and so subtracts too
        flat[place] = under


def add_marks(below: Planes, marks: Marks, colour: Field) -> None:
    """Add the light of a colour to three planes. Where marks cross, the brightest is seen."""
    for plane, place, cover, tone, _ in _pixels(below, marks, colour):
        order = np.argsort((cover * np.float32(255)).astype(np.uint8), kind="stable")
        lit = np.take(plane, place) + (tone * cover + np.float32(0.5))
        plane.reshape(-1)[place[order]] = np.clip(lit, 16, 240)[order]


def _pixels(below: Planes, marks: Marks, colour: Field) -> Iterator[tuple[Bytes, NDArray[np.intp], Field, Field, int]]:
    """For each plane, which of its pixels are covered, how much, the tone of each (or of all), and the plane's zero."""
    height, width = below.y.shape
    rows, columns = marks[:2]
    used = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width) & (marks.cover >= np.float32(1 / 256))
    first = used & ((rows | columns) & 1 == 0)  # of each four pixels one speaks for the chromas
    cover = np.broadcast_to(marks.cover, used.shape).ravel()
    tones = matrix((colour[..., 0], colour[..., 1], colour[..., 2]))
    for plane, tone, zero in zip(below, tones, ZERO, strict=True):
        step, where = (0, used) if plane is below.y else (1, first)
        at = np.flatnonzero(where)
        place = ((rows >> step) * (width >> step) + (columns >> step)).ravel()[at].astype(np.intp)
        yield plane, place, cover[at], tone if colour.ndim == 1 else tone[at % used.shape[2]], zero
