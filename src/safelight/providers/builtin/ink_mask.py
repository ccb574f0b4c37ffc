"""What is drawn on a clip's frame with one ink: a mask of where the ink is."""

from math import gcd
from typing import Any

import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin.frame import Planes, tones_of
from safelight.providers.builtin.planes import stretch_bytes
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]
BLOCKS = 2048  # worked on at once, so that they stay in the processor's cache


class InkMask:
    """A plane that holds how much of an ink is where, at the frame's size divided by ``factor``."""

    def __init__(self, width: int, height: int, factor: int) -> None:
        self.size, self.factor = (width, height), factor
        self.cover: Bytes = np.zeros((-(-height // factor), -(-width // factor)), np.uint8)
        info = skia.ImageInfo.MakeA8(self.cover.shape[1], self.cover.shape[0])
        self._surface = skia.Surface.MakeRasterDirect(info, self.cover)
        self.skia_canvas = self._surface.getCanvas()
        self.skia_canvas.scale(self.cover.shape[1] / width, self.cover.shape[0] / height)

    def lay(self, below: Planes, ink: Rgb) -> None:
        """Lay the ink over a frame, and clear the plane."""
        if not self.cover.max(axis=1).any():
            return
        cover = self.cover if self.factor == 1 else stretch_bytes(self.cover, *self.size)
        rows = np.flatnonzero(cover.max(axis=1))
        first, last = int(rows[0]) & ~1, int(rows[-1]) + 2 & ~1
        lay_ink(below.window(first, last), cover[first:last], ink)
        self.cover[...] = 0


def lay_ink(below: Planes, cover: Bytes, ink: Rgb) -> None:
    """Mix a colour into three planes, of which ``cover`` (0..255) says how much is where.

    Only blocks of two rows and some columns that have any of it are worked on. They are taken up and put back as words,
    one to a chroma and four to the luma.
    """
    height, width = cover.shape
    size = gcd(width // 2, 8)
    shape = height // 2, 2, width // 2 // size, 2
    covers, lumas = cover.view(f"u{size}").reshape(shape), below.y.view(f"u{size}").reshape(shape)
    used = np.flatnonzero(covers[:, 0, :, 0] | covers[:, 0, :, 1] | covers[:, 1, :, 0] | covers[:, 1, :, 1])
    luma, *chromas = (np.int16(round(tone)) for tone in tones_of(ink))
    for start in range(0, used.size, BLOCKS):
        y, x = np.divmod(used[start : start + BLOCKS], shape[2])
        share: Bytes = covers[y, :, x].view(np.uint8) >> np.uint8(1)
        lumas[y, :, x] = _mixed(lumas[y, :, x], luma, share)
        half: Bytes = (share[:, 0, 0::2] + share[:, 1, 1::2]) >> np.uint8(1)
        for plane, tone in zip(below[1:], chromas, strict=True):
            words = plane.view(f"u{size}")
            words[y, x] = _mixed(words[y, x, None], tone, half)[:, 0]


def _mixed(words: NDArray[Any], tone: np.int16, share: Bytes) -> NDArray[Any]:
    """Words of bytes with a ``share`` (0..127) of a tone."""
    away = tone - words.view(np.uint8)
    away *= share  # within 16 bits: at most 255 * 127
    away >>= 7
    mixed = words.view(np.uint8) + away.astype(np.uint8)  # wraps around, and so subtracts too
    return mixed.view(words.dtype)
