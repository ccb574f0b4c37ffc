"""A landscape in perspective: heights over a plane, seen column by column, shaded by the sun and the air between."""

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.easel import Easel
from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.planes import each_band
from safelight.providers.builtin.reading import Rgb

Bytes = NDArray[np.uint8]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Where the eye stands: ``eye`` above the plane, looking level at ``horizon`` (share of the height); ``focal`` is
    in picture heights. Lengths are in the world's own unit, with z ahead and x to the right."""

    horizon: float
    eye: float
    near: float
    far: float
    focal: float = 1.2

    def project(self, easel: Easel, x: float, z: float, height: float) -> tuple[float, float, float]:
        """Frame pixel of a point in the world, and pixels per unit of length there."""
        scale = self.focal * easel.height / z
        return easel.width / 2 + x * scale, self.horizon * easel.height + (self.eye - height) * scale, scale


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What the land is made of. ``height(x, z)`` and ``colour(x, z, height, slope)`` work on arrays; colour gives the
    unlit red, green and blue planes (0..1)."""

    height: Callable[[Field, Field], Field]
    colour: Callable[[Field, Field, Field, Field], list[Field]]
    light: tuple[float, float, float] = (0.6, 0.55, -0.35)  # towards the sun: right, up, ahead
    sunlit: Rgb = (1, 1, 1)
    shade: Rgb = (0.4, 0.45, 0.6)
    haze: Rgb = (0.8, 0.85, 0.9)
    haze_depth: float = 20.0
    mist: float = 0.0  # how much the air thickens towards the plane, 0..1
    tones: int = 0  # a painter's steps between shade and light; 0 for smooth


def _table(ground: Ground, x: Field, z: Field, step: float) -> tuple[Field, list[Field]]:
    """Heights and lit colours for the world points under some columns (rows) and distances (columns)."""
    height = ground.height(x, z)
    slope_x = np.empty_like(height)
    slope_x[1:-1] = (height[2:] - height[:-2]) / (2 * step * z[1:-1])
    slope_x[0], slope_x[-1] = slope_x[1], slope_x[-2]
    slope_z = np.empty_like(height)
    slope_z[:, 1:-1] = (height[:, 2:] - height[:, :-2]) / (z[:, 2:] - z[:, :-2])
    slope_z[:, 0], slope_z[:, -1] = slope_z[:, 1], slope_z[:, -2]
    lx, ly, lz = ground.light
    steep = np.sqrt(1 + slope_x * slope_x + slope_z * slope_z)
    lambert = (-slope_x * np.float32(lx) + np.float32(ly) - slope_z * np.float32(lz)) / steep
    lit = np.clip(lambert * 0.95 + 0.22, 0, 1)
    if ground.tones:
        lit = _stepped(lit, ground.tones)
    air = 1 - np.exp(-((z / np.float32(ground.haze_depth)) ** 1.3)) + 0 * height
    if ground.mist:
        low = np.exp(-np.maximum(height, 0) * np.float32(2.2)) * np.float32(ground.mist)
        air = np.clip(air + low * np.clip(z / np.float32(ground.haze_depth) * 1.6, 0, 1), 0, 1)
    planes = []
    for part, sun, shade, haze in zip(
        ground.colour(x, z, height, steep), ground.sunlit, ground.shade, ground.haze, strict=True
    ):
        part *= np.float32(shade) + lit * np.float32(sun * 1.06 - shade)
        part += (np.float32(haze) - part) * air
        planes.append(np.clip(part, 0, 1) * 255)
    return height, planes


def _distances(view: View, slices: int) -> Field:
    """Where the slices lie: close together in front of the eye, and on the slopes that face it further off."""
    low, high = view.near, view.far
    knots = (low, low + 0.14 * (high - low), low + 0.45 * (high - low), high)
    where = np.linspace(0, 1, slices)
    return np.exp(np.interp(where, (0, 0.28, 0.86, 1), np.log(knots))).astype(np.float32)


def _stepped(value: Field, steps: int) -> Field:
    """A few soft tones in place of a smooth scale."""
    scaled = value * np.float32(steps)
    whole = np.floor(scaled)
    rest = np.clip((scaled - whole - 0.5) * 5 + 0.5, 0, 1)
    return (whole + rest) / np.float32(steps)


def draw_terrain(easel: Easel, view: View, ground: Ground, slices: int = 0) -> None:
    """Paint the land over the picture; what the land does not reach stays as it was."""
    height, span = easel.height, easel.span
    slices = slices or int(np.clip(height * 0.42, 200, 700))
    distances = _distances(view, slices)
    focal = np.float32(view.focal * height)
    bearing = (np.arange(span, dtype=np.float32) + 0.5 - easel.margin - easel.width / 2) / focal
    rows = (np.arange(height, dtype=np.float32) + 0.5)[::-1]  # from the bottom of the picture up
    above = height - rows
    order = np.arange(slices, dtype=np.float32)

    def columns(start: int, stop: int) -> None:
        left, right = max(0, start - 1), min(span, stop + 1)
        z = np.broadcast_to(distances, (right - left, slices))
        x = bearing[left:right, None] * z
        levels, planes = _table(ground, x, z, float(1 / focal))
        inner = slice(start - left, stop - left)
        seen = (1 - view.horizon) * height + (levels[inner] - np.float32(view.eye)) / distances * focal
        crest = np.maximum.accumulate(seen, axis=1)
        _fill(easel.pixels, start, crest, [plane[inner] for plane in planes], above, order)

    each_band(columns, span, 96)


def _fill(target: Bytes, start: int, crest: Field, planes: list[Field], above: Field, order: Field) -> None:
    """Find for each pixel of some columns which slice is seen there, and lay its colour."""
    count, slices = crest.shape
    tallest = int(np.clip(np.ceil(crest[:, -1].max() + 0.5), 0, above.size))
    if tallest == 0:
        return
    at = above[:tallest]
    found = np.empty((count, tallest), np.float32)
    for i in range(count):
        found[i] = np.interp(at, crest[i], order)
    whole = np.minimum(found.astype(np.int32), slices - 2)
    rest = found - whole
    index = whole + (np.arange(count, dtype=np.int32) * slices)[:, None]
    cover = np.clip(crest[:, -1:] - at + 0.5, 0, 1)
    window = target[target.shape[0] - tallest :, start : start + count]
    for c, plane in enumerate(planes):
        flat = plane.ravel()
        low = np.take(flat, index)
        low += (np.take(flat, index + 1) - low) * rest
        below = window[::-1, :, c].T
        window[::-1, :, c] = (below + (low - below) * cover + 0.5).astype(np.uint8).T
    alpha = window[::-1, :, 3].T
    window[::-1, :, 3] = np.maximum(alpha, (cover * 255).astype(np.uint8)).T
