"""Chance with a shape: seamless fractal tiles, and how they are sampled, stretched and dithered."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]  # float32 wherever speed matters


PIECE = 16_384  # values looked up at once, so that they stay in the processor's cache


def fractal(rng: np.random.Generator, size: int, *, roughness: float, coarsest: float = 1.0) -> Field:
    """A seamless (size, size) tile of zero mean and unit deviation.

    It is white noise shaped in frequency: the amplitude falls as ``frequency ** -roughness`` (1 is grainy, 2 is
    rolling) and nothing is coarser than ``coarsest`` cycles across the tile.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    fy = np.fft.fftfreq(size, 1 / size).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(size, 1 / size).astype(np.float32)[None, :]
    frequency = np.maximum(np.sqrt(fx * fx + fy * fy), 1e-3)
    gain = frequency**-roughness
    gain[frequency < coarsest] = 0
    tile = np.fft.irfft2(np.fft.rfft2(white) * gain, s=(size, size)).astype(np.float32)
    return tile / np.float32(tile.std())


def corners(tile: Field) -> Field:
    """A square tile as ``sample`` takes it: (size, size, 4), each value with what leads to its right neighbour, and the
    same of the row below. One look-up then fetches all four corners."""
    right = np.roll(tile, -1, axis=1) - tile
    return np.stack([tile, right, np.roll(tile, -1, axis=0), np.roll(right, -1, axis=0)], axis=-1)


def texture(rng: np.random.Generator, size: int, *, roughness: float, coarsest: float = 1.0) -> Field:
    """A ``fractal`` tile ready for ``sample``."""
    return corners(fractal(rng, size, roughness=roughness, coarsest=coarsest))


def sample(tile: Field, u: Field, v: Field) -> Field:
    """Bilinear look-up of ``corners`` of a power-of-two tile at ``u``, ``v`` (1 = one tile), wrapping around."""
    u, v = np.broadcast_arrays(u, v)
    result = np.empty(u.shape, np.result_type(tile, u, v))
    count = max(1, PIECE // max(1, u[0].size))
    for start in range(0, len(u), count):
        rows = slice(start, start + count)
        result[rows] = _sampled(tile, u[rows], v[rows])
    return result


def _sampled(tile: Field, u: Field, v: Field) -> Field:
    size = tile.shape[0]
    x, y = u * np.float32(size), v * np.float32(size)
    x0, y0 = np.floor(x), np.floor(y)
    x -= x0
    y -= y0
    at = (y0.astype(np.int32) & (size - 1)) * size + (x0.astype(np.int32) & (size - 1))
    found = np.take(tile.reshape(-1, 4), at, axis=0)
    high = found[..., 1] * x
    high += found[..., 0]
    low = found[..., 3] * x
    low += found[..., 2]
    low -= high
    low *= y
    high += low
    result: Field = high
    return result


class Keyed:
    """A field that changes slowly, worked out every ``step_seconds`` and mixed between."""

    def __init__(self, at: Callable[[float], Field], step_seconds: float = 0.25) -> None:
        self._work, self._step_seconds = at, step_seconds
        self._known: dict[int, Field] = {}

    def at(self, seconds: float) -> Field:
        """The field at a time."""
        step = int(seconds / self._step_seconds + 1e-6)
        share = np.float32(seconds / self._step_seconds - step)
        field = self._key(step)
        return field if share < 1e-3 else field + (self._key(step + 1) - field) * share

    def _key(self, step: int) -> Field:
        if step not in self._known:
            self._known.pop(step - 2, None)
            self._known[step] = self._work(step * self._step_seconds)
        return self._known[step]


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below ``low``, 1 above ``high``, an S between; ``low`` may be the greater."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    result: Field = t * t * (3 - 2 * t)
    return result


def blend(planes: list[Field], colour: tuple[float, float, float], share: Field) -> None:
    """Mix a colour into three planes, in place."""
    for i, part in enumerate(colour):
        planes[i] += (np.float32(part) - planes[i]) * share


def blend_lit(
    planes: list[Field],
    shade: tuple[float, float, float],
    light: tuple[float, float, float],
    lit: Field,
    share: Field,
) -> None:
    """Mix a colour that runs from ``shade`` to ``light`` into three planes, in place."""
    for i, (low, high) in enumerate(zip(shade, light, strict=True)):
        planes[i] += (np.float32(low) + lit * np.float32(high - low) - planes[i]) * share


def wander(rng: np.random.Generator, count: int, *, roughness: float = 1.4, coarsest: float = 1.0) -> Field:
    """A closed line of ``count`` values of zero mean and unit deviation, for ridges and outlines."""
    white = np.fft.rfft(rng.standard_normal(2048))
    frequency = np.arange(white.size, dtype=np.float64)
    gain = np.where(frequency >= coarsest, np.maximum(frequency, 1e-3) ** -roughness, 0)
    line = np.fft.irfft(white * gain, n=2048)
    line /= line.std()
    at = np.linspace(0, 2047, count)
    return np.interp(at, np.arange(2048), line).astype(np.float32)


@lru_cache(maxsize=4)
def grain(width: int, kind: str = "white") -> NDArray[np.int16]:
    """A (256, width) strip of noise that repeats down the picture: "white" is 0..255 for dither and film grain,
    "soft" is stony and about 0, with a deviation of 128."""
    rng = np.random.Generator(np.random.PCG64(20240229))
    if kind == "white":
        tile = rng.integers(0, 256, (256, 256), dtype=np.int16)
    else:
        tile = np.clip(fractal(rng, 256, roughness=0.7, coarsest=16) * 128, -400, 400).astype(np.int16)
    return np.ascontiguousarray(np.tile(tile, (1, width // 256 + 1))[:, :width])


@lru_cache(maxsize=1)
def _paper_tile() -> Field:
    rng = np.random.Generator(np.random.PCG64(77))
    tooth = fractal(rng, 512, roughness=0.9, coarsest=24)
    fibre = fractal(rng, 512, roughness=1.6, coarsest=6)
    return (0.85 * tooth + 0.35 * fibre).astype(np.float32)


@lru_cache(maxsize=1)
def paper(width: int) -> Field:
    """A (512, width) strip of paper tooth that repeats down the picture, zero mean and about unit deviation."""
    return np.ascontiguousarray(np.tile(_paper_tile(), (1, width // 512 + 1))[:, :width])
