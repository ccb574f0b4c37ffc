"""A clip's frame: planar YUV 4:2:0, on which scenes draw as on an easel, and the plates that are laid on it.

Compositing in the encoder's own format spares the conversion of every frame, and whole planes of bytes are laid several
times faster than interleaved pixels. Layers are premultiplied: where they are clear, their planes hold ``ZERO``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple

import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin.easel import Easel
from safelight.providers.builtin.mirror import mirror_planes
from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.palette import Palette
from safelight.providers.builtin.planes import rgba_to_yuv, stretch_bytes, stretch_dithered
from safelight.providers.builtin.reading import Brief, Rgb

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]
ZERO = (16, 128, 128)
BAND = 64  # rows worked on at once, so that they stay in the processor's cache; even
SOFT = 4  # soft drawings are made at the frame's size divided by this
PHASES = 4  # positions between two pixels at which a plate is kept


class Planes(NamedTuple):
    """Luma, and both chromas at half the size."""

    y: Bytes
    u: Bytes
    v: Bytes

    def window(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> "Planes":
        """The same planes between even rows and columns of the luma."""
        end = self.y.shape[1] if right is None else right
        half = np.s_[top // 2 : bottom // 2, left // 2 : end // 2]
        return Planes(self.y[top:bottom, left:end], self.u[half], self.v[half])


def planes_of(picture: Bytes) -> Planes:
    """The three planes of an (h * 3 / 2, w) picture, as views."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    flat, luma = picture.reshape(-1), height * width
    half = (height // 2, width // 2)
    chroma = flat[luma:].reshape(2, *half)
    return Planes(flat[:luma].reshape(height, width), chroma[0], chroma[1])


def lay_luma(below: Bytes, layer: Bytes, through: Bytes) -> None:
    """Lay premultiplied luma over ``below``, of which ``through`` (0..255) is seen."""
    for at in range(0, below.shape[0], BAND):
        rows, share = below[at : at + BAND], through[at : at + BAND].astype(np.uint16)
        share += share >> 7  # 0..256, so that clear places change nothing
        share *= rows - np.uint8(16)
        share += 128
        share >>= 8
        share += layer[at : at + BAND]
        rows[...] = share


def lay_chroma(below: Bytes, layer: Bytes, through: Bytes) -> None:
    """Lay one premultiplied chroma over ``below``, of which ``through`` (0..255) is seen."""
    for at in range(0, below.shape[0], BAND):
        rows, share = below[at : at + BAND], through[at : at + BAND].astype(np.int16)
        share += share >> 7
        share *= rows.astype(np.int16) - np.int16(128)  # within -32768..32512
        share += 128
        share >>= 8
        share += layer[at : at + BAND]
        rows[...] = share


def lay(below: Planes, layer: Planes, through: Bytes, half: Bytes) -> None:
    """Lay a premultiplied layer over three planes; ``half`` is ``through`` at the size of the chromas."""
    lay_luma(below.y, layer.y, through)
    lay_chroma(below.u, layer.u, half)
    lay_chroma(below.v, layer.v, half)


def _halved(plane: Bytes) -> Bytes:
    """Each four neighbours averaged."""
    rows = plane[0::2].astype(np.uint16) + plane[1::2]
    result: Bytes = ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)
    return result


def _matrix(colour: tuple[Field, Field, Field]) -> tuple[Field, Field, Field]:
    """BT.709 luma and chromas of a colour (0..1), in steps of a byte above ``ZERO``."""
    red, green, blue = colour
    luma = red * np.float32(0.2126) + green * np.float32(0.7152) + blue * np.float32(0.0722)
    return luma * np.float32(219), (blue - luma) * np.float32(224 / 1.8556), (red - luma) * np.float32(224 / 1.5748)


def _tones(colour: Rgb) -> list[float]:
    """The bytes of one colour."""
    red, green, blue = (np.full(1, part, np.float32) for part in colour)
    return [zero + float(part[0]) for zero, part in zip(ZERO, _matrix((red, green, blue)), strict=True)]


class Sheet(Easel):
    """An easel whose ``picture`` is an (h * 3 / 2, w) frame. ``pixels`` is a clear film before it, on which Skia draws;
    ``merge`` lays what was drawn there onto the picture and clears the film."""

    def __init__(self, brief: Brief, palette: Palette, width: int, height: int) -> None:
        super().__init__(brief, palette, width, height)
        self.picture: Bytes = np.empty((height * 3 // 2, width), np.uint8)
        self.planes = planes_of(self.picture)
        for plane, zero in zip(self.planes, ZERO, strict=True):
            plane[...] = zero
        self._drawn, self._soft = False, False
        self._ink: Rgb | None = None

    @property
    def canvas(self) -> skia.Canvas:
        if self._ink is not None:
            return self._washes[self._soft].canvas
        self._drawn = True
        return self._skia

    @contextmanager
    def element(self, distance: float, ink: Rgb | None = None, *, soft: bool = False) -> Iterator[None]:
        self._ink, self._soft = ink, soft
        canvas = self.canvas
        canvas.save()
        canvas.translate(distance, 0)
        yield
        canvas.restore()
        self.merge()

    @cached_property
    def _washes(self) -> tuple["Wash", "Wash"]:
        return Wash(self.width, self.height, 1), Wash(self.width, self.height, SOFT)

    def lay(self, first: int, last: int, colour: tuple[Field, Field, Field], cover: Field | None = None) -> None:
        self.merge()
        first, last = first & ~1, min(self.height, (last + 1) & ~1)
        below, parts = self.planes.window(first, last), _matrix(colour)
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
        through, half = (stretch_dithered(1 - cover, *size) for size in sizes[:2])
        lay(below.window(top, bottom), layer.window(top, bottom), through[top:bottom], half[top // 2 : bottom // 2])

    def mirror(self, top: int, words: Words, rough: float, dark: Rgb, bright: Rgb) -> None:
        self.merge()
        top = (top + 1) & ~1
        tones = list(zip(_tones(dark), _tones(bright), strict=True))
        mirror_planes((self.planes.y,), top, words, rough, tones[:1])
        mirror_planes(self.planes[1:], top // 2, words[::2, ::2], rough, tones[1:])

    def merge(self) -> None:
        if self._ink is not None:
            self._washes[self._soft].lay(self.planes, self._ink)
            self._ink = None
        if not self._drawn:
            return
        self._drawn = False
        for start in range(0, self.height, BAND):
            film = self.pixels[start : start + BAND]
            used = np.flatnonzero(film.view(np.uint32)[..., 0].any(axis=0))
            if not used.size:
                continue
            left, right = int(used[0]) & ~127, min(self.width, (int(used[-1]) + 128) & ~127)
            part = film[:, left:right]
            layer = planes_of(rgba_to_yuv(part))
            through = 255 - part[..., 3]
            lay(self.planes.window(start, start + len(part), left, right), layer, through, _halved(through))
            part[...] = 0


class Wash:
    """A plane that holds what is drawn with one ink: how much of it, at the frame's size divided by ``factor``."""

    def __init__(self, width: int, height: int, factor: int) -> None:
        self.size, self.factor = (width, height), factor
        self.cover: Bytes = np.zeros((-(-height // factor), -(-width // factor)), np.uint8)
        info = skia.ImageInfo.MakeA8(self.cover.shape[1], self.cover.shape[0])
        self._surface = skia.Surface.MakeRasterDirect(info, self.cover)
        self.canvas = self._surface.getCanvas()
        self.canvas.scale(self.cover.shape[1] / width, self.cover.shape[0] / height)

    def lay(self, below: Planes, ink: Rgb) -> None:
        """Lay the ink over a frame, and clear the plane."""
        tones = [np.int16(round(tone)) for tone in _tones(ink)]
        used = np.flatnonzero(self.cover.any(axis=1))
        if not used.size:
            return
        cover = self.cover if self.factor == 1 else stretch_bytes(self.cover, *self.size)
        last = min(self.size[1], (int(used[-1]) + 3) * self.factor)
        for start in range(max(0, int(used[0]) - 2) * self.factor & ~1, last, BAND):
            rows = cover[start : start + BAND]
            _stain(below.window(start, start + len(rows)), rows, tones)
        self.cover[used[0] : used[-1] + 1] = 0


def _stain(below: Planes, cover: Bytes, tones: list[np.int16]) -> None:
    """Mix a colour into three planes: everywhere, or only where it is, when that is little."""
    few = np.flatnonzero(cover)
    if few.size > cover.size // 8:
        half = (cover[::2, ::2] >> 2) + (cover[1::2, 1::2] >> 2)
        for plane, tone, share in zip(below, tones, (cover >> 1, half, half), strict=True):
            away = tone - plane
            away *= share  # within 16 bits: at most 255 * 127
            away >>= 7
            plane[...] += away.astype(np.uint8)  # wraps around, and so subtracts too
        return
    y, x = few // cover.shape[1], few % cover.shape[1]
    share = cover.reshape(-1)[few] >> 1
    for i, (plane, tone) in enumerate(zip(below, tones, strict=True)):
        at = (y >> 1, x >> 1) if i else (y, x)
        seen = plane[at]
        plane[at] = seen + (((tone - seen) * share) >> 7).astype(np.uint8)


class Plate:
    """A still layer that is wider than the frame by ``margin`` on both sides, ready to be laid at any shift."""

    def __init__(self, painted: Bytes, depth: float, margin: int) -> None:
        self.depth, self.margin = depth, margin
        used = np.flatnonzero(painted[..., 3].any(axis=1))
        self.top = int(used[0]) & ~1 if used.size else 0
        pixels = painted[self.top :]
        clear = np.flatnonzero(pixels[..., 3].min(axis=1) < 255)
        self.solid = (int(clear[-1]) + 2) & ~1 if clear.size else 0  # from this row on nothing shows through
        planes, through = planes_of(rgba_to_yuv(pixels)), 255 - pixels[: self.solid, :, 3]
        self._planes = [_phases(plane) for plane in planes]
        self._through, self._half = _phases(through), _phases(_halved(through))

    def draw(self, sheet: Sheet, _: float, pan: float) -> None:
        """Lay the plate over the frame, moved left by ``pan`` pixels (times its depth)."""
        sheet.merge()
        offset = self.margin + pan * self.depth
        for i, below in enumerate(sheet.planes):
            part = 1 if i == 0 else 2
            left, phase = divmod(round(offset / part * PHASES), PHASES)
            across = slice(left, left + below.shape[1])
            layer, through = self._planes[i][phase][:, across], (self._half if i else self._through)[phase][:, across]
            rows, solid = below[self.top // part :], self.solid // part
            (lay_chroma if i else lay_luma)(rows[:solid], layer[:solid], through)
            rows[solid:] = layer[solid:]


def _phases(plane: Bytes) -> list[Bytes]:
    """The plane moved left by each share of a pixel."""
    wide = plane.astype(np.uint16)
    after = np.concatenate([wide[:, 1:], wide[:, -1:]], axis=1)
    steps = [(wide * (PHASES - i) + after * i + PHASES // 2) // PHASES for i in range(1, PHASES)]
    return [np.ascontiguousarray(plane), *(step.astype(np.uint8) for step in steps)]


def blend(target: Planes, first: Planes, second: Planes, share: float) -> None:
    """Write ``first`` with a ``share`` of ``second`` to ``target``."""
    weight = np.uint16(round(share * 256))
    for plane, a, b in zip(target, first, second, strict=True):
        for at in range(0, len(plane), BAND):
            mixed = a[at : at + BAND] * (np.uint16(256) - weight)
            mixed += b[at : at + BAND] * weight
            mixed += 128
            mixed >>= 8
            plane[at : at + BAND] = mixed
