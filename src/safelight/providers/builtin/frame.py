"""A clip's frame: planar YUV 4:2:0, and how premultiplied layers are laid on it.

Compositing in the encoder's own format spares the conversion of every frame, and whole planes of bytes are laid several
times faster than interleaved pixels. Where layers are clear, their planes hold ``ZERO``.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
ZERO = (16, 128, 128)
BAND = 32  # rows worked on at once, so that they stay in the processor's cache; even


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


def halved(plane: Bytes) -> Bytes:
    """Each four neighbours averaged."""
    rows = plane[0::2].astype(np.uint16) + plane[1::2]
    result: Bytes = ((rows[:, 0::2] + rows[:, 1::2] + 2) >> 2).astype(np.uint8)
    return result


def matrix(colour: tuple[Field, Field, Field]) -> tuple[Field, Field, Field]:
    """BT.709 luma and chromas of a colour (0..1), in steps of a byte above ``ZERO``."""
    red, green, blue = colour
    luma = red * np.float32(0.2126) + green * np.float32(0.7152) + blue * np.float32(0.0722)
    return luma * np.float32(219), (blue - luma) * np.float32(224 / 1.8556), (red - luma) * np.float32(224 / 1.5748)


def tones_of(colour: Rgb) -> list[float]:
    """The bytes of one colour."""
    red, green, blue = (np.full(1, part, np.float32) for part in colour)
    return [zero + float(part[0]) for zero, part in zip(ZERO, matrix((red, green, blue)), strict=True)]


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
