"""A landscape in perspective: heights over a plane, seen column by column, shaded by the sun and the air between."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from safelight.providers.builtin.canvas import Canvas
from safelight.providers.builtin.noise import Field, corners, fractal, sample
from safelight.providers.builtin.planes import each_band, lay_picture
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

    def project(self, canvas: Canvas, x: float, z: float, height: float) -> tuple[float, float, float]:
        """Frame pixel of a point in the world, and pixels per unit of length there."""
        scale = self.focal * canvas.height / z
        return canvas.width / 2 + x * scale, self.horizon * canvas.height + (self.eye - height) * scale, scale


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
    relief: float = 0.16  # how strongly the surface itself is broken, as a share of its brightness


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
    lit: Field = np.clip(lambert * 0.95 + 0.22, 0, 1)
    if ground.tones:
        lit = _stepped(lit, ground.tones)
    air = 1 - np.exp(-((z / np.float32(ground.haze_depth)) ** 1.3)) + 0 * height
    if ground.mist:
        low = np.exp(-np.maximum(height, 0) * np.float32(2.2)) * np.float32(ground.mist)
        air = np.clip(air + low * np.clip(z / np.float32(ground.haze_depth) * 1.6, 0, 1), 0, 1)
    planes = ground.colour(x, z, height, steep)
    for i, (sun, shade, haze) in enumerate(zip(ground.sunlit, ground.shade, ground.haze, strict=True)):
        planes[i] *= np.float32(shade) + lit * np.float32(sun * 1.06 - shade)
        planes[i] += (np.float32(haze) - planes[i]) * air
        planes[i] = np.clip(planes[i], 0, 1) * 255
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
    result: Field = (whole + rest) / np.float32(steps)
    return result


@lru_cache(maxsize=1)
def _surface() -> Field:
    """A seamless tile of stony relief, as if lit from one side."""
    rng = np.random.Generator(np.random.PCG64(4711))
    bumps = fractal(rng, 512, roughness=1.75, coarsest=3)
    lit = bumps - np.roll(bumps, (2, 1), axis=(0, 1))
    return corners((lit / lit.std()).astype(np.float32))


BUDGET = 1_000_000  # pixels that are looked up one by one; a larger picture stretches them and adds its own tooth


def draw_terrain(canvas: Canvas, view: View, ground: Ground, *, exact: bool = False) -> None:
    """Paint the land over the picture; what the land does not reach stays as it was.

    A picture above the budget of pixels is looked up at a smaller size and stretched, unless ``exact``.
    """
    factor = float(np.sqrt(canvas.height * canvas.span / BUDGET))
    if factor <= 1 or exact:
        _look_up(canvas.pixels, canvas.width / canvas.span, view, ground)
        return
    small = np.zeros((round(canvas.height / factor), round(canvas.span / factor), 4), np.uint8)
    _look_up(small, canvas.width / canvas.span, view, ground)
    lay_picture(canvas.pixels, small, rough=ground.relief * 0.55)


def _look_up(target: Bytes, share: float, view: View, ground: Ground) -> None:
    """Paint the land on ``target``, whose middle ``share`` of the width is the frame."""
    height, span = target.shape[:2]
    step = 1 if span <= 800 else 2
    slices = int(np.clip(height * 0.42, 200, 360))
    distances = _distances(view, slices)
    focal = np.float32(view.focal * height)
    bearing = (np.arange(span, dtype=np.float32) + 0.5 - span / 2) / focal
    above = np.arange(height, dtype=np.float32) + 0.5  # pixels from the bottom of the picture up

    def columns(start: int, stop: int) -> None:
        at = np.arange(start - step, stop + 2 * step, step, dtype=np.float32)  # one more on both sides, for slopes
        z = np.broadcast_to(distances, (at.size, slices))
        x = (at + np.float32(0.5 - span / 2))[:, None] / focal * z
        levels, planes = _table(ground, x, z, float(step / focal))
        seen = (1 - view.horizon) * height + (levels - np.float32(view.eye)) / distances * focal
        crest = np.maximum.accumulate(seen, axis=1)
        strip = _Strip(start=start, step=step, crest=crest, planes=planes, bearing=bearing[start:stop])
        _fill(target, strip, view, ground, distances, above)

    each_band(columns, span, 96)


class _Strip(NamedTuple):
    """Some columns of the picture, and what is known at every ``step``-th of them (with one before the first)."""

    start: int
    step: int
    crest: Field
    planes: list[Field]
    bearing: Field


def _fill(target: Bytes, strip: _Strip, view: View, ground: Ground, distances: Field, above: Field) -> None:
    """Find for each pixel of the strip which slice is seen there, and lay its colour."""
    count, slices = strip.bearing.size, distances.size
    tallest = int(np.clip(np.ceil(strip.crest[:, -1].max() + 0.5), 0, above.size))
    if tallest == 0:
        return
    at, order = above[:tallest], np.arange(slices, dtype=np.float32)
    found = np.empty((count, tallest), np.float32)
    tops = np.empty((count, 1), np.float32)
    home = 1 + np.arange(count) // strip.step
    for i in range(count):
        share = np.float32(i % strip.step / strip.step)
        crest = (
            strip.crest[home[i]]
            if share == 0
            else strip.crest[home[i]] * (1 - share) + strip.crest[home[i] + 1] * share
        )
        found[i] = np.interp(at, crest, order)
        tops[i] = crest[-1]
    whole = np.minimum(found.astype(np.int32), slices - 2)
    found -= whole
    index = whole + (home.astype(np.int32) * slices)[:, None]
    z = np.take(distances, whole)
    level = (at - np.float32((1 - view.horizon) * target.shape[0])) * z
    fineness = np.float32(0.17 * target.shape[0] / 1000)
    broken = sample(
        _surface(),
        strip.bearing[:, None] * z * fineness,
        level * (fineness / np.float32(view.focal * target.shape[0])) + z * np.float32(0.05),
    )
    broken *= np.float32(ground.relief) * np.exp(z * np.float32(-1 / ground.haze_depth))
    broken += 1
    cover = np.clip(tops - at + 0.5, 0, 1)
    window = target[target.shape[0] - tallest :, strip.start : strip.start + count]
    for c, plane in enumerate(strip.planes):
        flat = plane.ravel()
        low = np.take(flat, index)
        low += (np.take(flat, index + 1) - low) * found
        low *= broken
        np.minimum(low, 255, out=low)
        below = window[::-1, :, c].T
        window[::-1, :, c] = (below + (low - below) * cover + 0.5).astype(np.uint8).T
    alpha = window[::-1, :, 3].T
    window[::-1, :, 3] = np.maximum(alpha, (cover * 255).astype(np.uint8)).T
