"""What falls and drifts in front of a scene: rain, snow, mist, lightning, birds."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import shapes
from safelight.providers.builtin.easel import Easel, Element, fill, glow, line
from safelight.providers.builtin.noise import Field, fractal, sample, smoothstep
from safelight.providers.builtin.palette import mix
from safelight.providers.builtin.planes import lay_field
from safelight.providers.builtin.reading import Brief
from safelight.providers.builtin.sky import field_axes, field_size


def elements(brief: Brief, horizon: float) -> list[Element]:
    """Whatever weather the brief asks for, nearest last."""
    found: list[Element] = []
    if brief.has("birds"):
        draw = partial(shapes.birds, count=13, top=horizon * 0.3, bottom=horizon * 0.75)
        found.append(Element(depth=0.1, moves=True, draw=draw))
    if brief.has("fog"):
        found.append(fog(brief, top=horizon * 0.7, bottom=1.0, strength=0.55))
    if brief.has("lightning"):
        found.append(Element(depth=0.05, moves=True, draw=partial(lightning, horizon=horizon)))
    if brief.has("rain"):
        found.append(Element(depth=0.0, moves=True, draw=rain))
    if brief.has("snow"):
        found.append(Element(depth=0.0, moves=True, draw=snow))
    return found


def fog(brief: Brief, *, top: float, bottom: float, strength: float, depth: float = 0.4) -> Element:
    """Drifting fog between two heights (shares of the picture)."""
    tile = fractal(brief.rng(f"fog{top}"), 256, roughness=1.7, coarsest=1)
    draw = partial(_fog, tile=tile, top=top, bottom=bottom, strength=strength)
    return Element(depth=depth, moves=True, draw=draw)


def _fog(easel: Easel, seconds: float, *, tile: Field, top: float, bottom: float, strength: float) -> None:
    first, last = round(top * easel.height), round(bottom * easel.height)
    rows, columns = field_size(easel, bottom - top)
    x, y = field_axes(easel, rows, columns, 1.0)
    t = np.float32(seconds * 0.008)
    n = sample(tile, x * 0.5 + t, y * 0.7 + 0 * x) + 0.6 * sample(tile, x * 1.1 - t, y * 1.9 + t)
    body = np.minimum(smoothstep(0, 0.35, y + 0 * x), smoothstep(1.0, 0.6, y + 0 * x) * 0.5 + 0.5)
    cover = smoothstep(-1.6, 2.0, n) * body * np.float32(strength * 1.5)
    colour = tuple(
        np.full(cover.shape, part, np.float32) for part in mix(easel.palette.haze, easel.palette.horizon, 0.3)
    )
    lay_field(easel.pixels[first:last], (colour[0], colour[1], colour[2]), np.clip(cover, 0, 0.92))


def rain(easel: Easel, seconds: float) -> None:
    """Slanting streaks at three distances."""
    rng, u = easel.brief.rng("rain"), easel.unit
    colour = mix(easel.palette.horizon, (1, 1, 1), 0.4)
    for size, alpha, speed, count in ((0.6, 0.16, 0.9, 420), (1.0, 0.22, 1.3, 260), (1.8, 0.26, 1.9, 90)):
        x, y = rng.uniform(-0.1, 1.2, count), (rng.random(count) + seconds * speed) % 1.15
        points = []
        for i in range(count):
            length = 34 * u * size
            px, py = float(x[i]) * easel.width - float(y[i]) * 90 * u, float(y[i]) * easel.height
            points += [skia.Point(px, py), skia.Point(px - length * 0.14, py + length)]
        easel.canvas.drawPoints(skia.Canvas.kLines_PointMode, points, line(colour, max(1.0, 1.1 * u * size), alpha))


def snow(easel: Easel, seconds: float) -> None:
    """Flakes that sway as they fall; the nearest are large and out of focus."""
    rng, u = easel.brief.rng("snow"), easel.unit
    for size, alpha, speed, count in ((1.3, 0.8, 0.05, 420), (2.4, 0.85, 0.085, 190), (5.2, 0.34, 0.15, 34)):
        x, y = rng.random(count), (rng.random(count) + seconds * speed) % 1.05
        phase = rng.uniform(0, 6.28, count)
        px = (x + 0.012 * np.sin(phase + seconds * 1.3)) * 1.1 * easel.width - 0.05 * easel.width
        grow = rng.uniform(0.6, 1.3, count) * size * u
        for i in range(count):
            easel.canvas.drawCircle(float(px[i]), float(y[i]) * easel.height, float(grow[i]), fill((1, 1, 1), alpha))


def lightning(easel: Easel, seconds: float, *, horizon: float) -> None:
    """A forked bolt that flashes now and then; a still picture always catches one."""
    beat = (seconds * 0.37) % 1.0
    strength = max(0.0, 1 - beat * 6)
    if strength <= 0:
        return
    rng = easel.brief.rng(f"bolt{int(seconds * 0.37)}")
    x, y, u = rng.uniform(0.25, 0.75) * easel.width, 0.0, easel.unit
    bottom = horizon * easel.height
    easel.canvas.drawPaint(glow(x, bottom * 0.3, easel.width * 0.5, (0.8, 0.84, 1.0), 0.45 * strength))
    bolt = skia.Path()
    bolt.moveTo(x, y)
    while y < bottom:
        x, y = x + rng.normal(0, 20) * u, y + rng.uniform(10, 34) * u
        bolt.lineTo(x, y)
        if rng.random() < 0.16:
            bx, by = x, y
            for _ in range(int(rng.integers(3, 8))):
                bx, by = bx + rng.normal(8, 18) * u, by + rng.uniform(8, 24) * u
                bolt.lineTo(bx, by)
            bolt.moveTo(x, y)
    for width, alpha in ((14, 0.12), (6, 0.25), (2.2, 0.95)):
        easel.canvas.drawPath(bolt, line((0.92, 0.94, 1.0), width * u, alpha * strength))
