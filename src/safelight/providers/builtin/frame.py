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
PIECE = 65_536  # pixels worked on at once, so that they stay in the processor's cache


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


def added(layer: Planes, cover: Bytes, half: Bytes) -> Planes:
    """What a premultiplied layer, of which planes hold ``ZERO`` where they are clear, adds to what is seen through it:
    it without that share of ``ZERO`` that lies below."""
    one = np.uint8(1)
    luma = layer.y - np.uint8(ZERO[0]) + (cover >> np.uint8(4)) + (cover >> np.uint8(3) & one)
    below = (half >> one) + (half & one) - np.uint8(ZERO[1])  # wraps around
    return Planes(luma, layer.u + below, layer.v + below)


def lay_plane(below: Bytes, layer: Bytes, cover: Bytes) -> None:
    """Take ``cover`` (0..255: nothing to all) away from one plane, and add to it what a layer adds."""
    count = max(2, PIECE // below.shape[1])
    for at in range(0, len(below), count):
        rows = below[at : at + count]
        hidden = np.multiply(rows, cover[at : at + count], dtype=np.uint16)
        hidden += 255  # so that a full cover leaves nothing and none leaves all
        hidden >>= 8
        rows -= hidden.astype(np.uint8)
        rows += layer[at : at + count]


def lay(below: Planes, layer: Planes, cover: Bytes, half: Bytes) -> None:
    """Lay a premultiplied layer over three planes; ``cover`` (0..255) is its opacity, ``half`` at the chromas' size."""
    for plane, more, share in zip(below, added(layer, cover, half), (cover, half, half), strict=True):
        lay_plane(plane, more, share)


def lay_tone(below: Bytes, tone: float, cover: Bytes) -> None:
    """Mix a tone into one plane, of which ``cover`` (0..128) says how much is where."""
    count, whole = max(2, PIECE // below.shape[1]), np.int16(round(tone))
    for at in range(0, len(below), count):
        rows = below[at : at + count]
        away = whole - rows
        away *= cover[at : at + count]  # within 16 bits: at most 255 * 128
        away += 64
        away >>= 7
        rows += away.astype(np.uint8)  # wraps around, and so subtracts too


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
    weight = np.uint8(round(share * 128))
    for plane, a, b in zip(target, first, second, strict=True):
        count = max(2, PIECE // plane.shape[1])
        for at in range(0, len(plane), count):
            mixed = np.multiply(a[at : at + count], np.uint8(128) - weight, dtype=np.uint16)
            mixed += np.multiply(b[at : at + count], weight, dtype=np.uint16)
            mixed += 64
            mixed >>= 7
            plane[at : at + count] = mixed
