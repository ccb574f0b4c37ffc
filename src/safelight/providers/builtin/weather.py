"""What falls and drifts in front of a scene: rain, snow, mist, lightning, birds."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import shapes
from safelight.providers.builtin.canvas import Canvas, Element, glow, line
from safelight.providers.builtin.noise import Field, Keyed, sample, smoothstep, texture
from safelight.providers.builtin.palette import Palette, mix
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes, field_size


def elements(brief: Brief, horizon: float) -> list[Element]:
    """Whatever weather the brief asks for, nearest last."""
    found: list[Element] = []
    if brief.has("birds"):
        draw = partial(shapes.birds, count=13, top=horizon * 0.3, bottom=horizon * 0.75)
        found.append(Element(depth=0.1, moves=True, ink=shapes.bird_colour, draw=draw))
    if brief.has("fog"):
        found.append(fog(brief, top=horizon * 0.7, bottom=1.0, strength=0.55))
    if brief.has("lightning"):
        found.append(Element(depth=0.05, moves=True, ink=_bolt_colour, draw=partial(lightning, horizon=horizon)))
    if brief.has("rain"):
        found.append(Element(depth=0.0, moves=True, draw=rain))
    if brief.has("snow"):
        found.append(Element(depth=0.0, moves=True, draw=snow))
    return found


def fog(brief: Brief, *, top: float, bottom: float, strength: float, depth: float = 0.4) -> Element:
    """Drifting fog between two heights (shares of the picture)."""
    return Element(depth=depth, moves=True, draw=_Fog(brief, top, bottom, strength).draw)


class _Fog:
    def __init__(self, brief: Brief, top: float, bottom: float, strength: float) -> None:
        self.top, self.bottom, self.strength = top, bottom, strength
        self.tile = texture(brief.rng(f"fog{top}"), 256, roughness=1.7, coarsest=1)
        self._cover: Keyed | None = None

    def draw(self, canvas: Canvas, seconds: float) -> None:
        if self._cover is None:
            rows, columns = field_size(canvas, (self.bottom - self.top) / 2)  # fog is softer than other fields
            x, y = field_axes(canvas, rows, columns // 2, 1.0)
            self._cover = Keyed(lambda at: self._thickness(x, y, at))
        first, last = round(self.top * canvas.height), round(self.bottom * canvas.height)
        colour = mix(canvas.palette.haze, canvas.palette.horizon, 0.3)
        canvas.veil(first, last, colour, self._cover.at(seconds))

    def _thickness(self, x: Field, y: Field, seconds: float) -> Field:
        t = np.float32(seconds * 0.008)
        n = sample(self.tile, x * 0.5 + t, y * 0.7 + 0 * x) + 0.6 * sample(self.tile, x * 1.1 - t, y * 1.9 + t)
        body = np.minimum(smoothstep(0, 0.35, y), smoothstep(1.0, 0.6, y) * 0.5 + 0.5)
        result: Field = np.clip(smoothstep(-1.6, 2.0, n) * body * np.float32(self.strength * 1.5), 0, 0.92)
        return result


def rain(canvas: Canvas, seconds: float) -> None:
    """Slanting streaks at three distances."""
    rng, u = canvas.brief.rng("rain"), canvas.unit
    colour = mix(canvas.palette.horizon, (1, 1, 1), 0.4)
    for size, alpha, speed, count in ((0.6, 0.16, 0.9, 420), (1.0, 0.22, 1.3, 260), (1.8, 0.26, 1.9, 90)):
        x, y = rng.uniform(-0.1, 1.2, count), (rng.random(count) + seconds * speed) % 1.15
        px, py, length = x * canvas.width - y * 90 * u, y * canvas.height, 34 * u * size
        canvas.streaks(px, py, (-length * 0.14, length), max(1.0, 1.1 * u * size), colour, alpha)


def snow(canvas: Canvas, seconds: float) -> None:
    """Flakes that sway as they fall; the nearest are large and out of focus."""
    rng, u = canvas.brief.rng("snow"), canvas.unit
    white = np.ones(3, np.float32)
    for size, alpha, speed, count in ((1.3, 0.8, 0.05, 420), (2.4, 0.85, 0.085, 190), (5.2, 0.34, 0.15, 34)):
        x, y = rng.random(count), (rng.random(count) + seconds * speed) % 1.05
        phase = rng.uniform(0, 6.28, count)
        px = (x + 0.012 * np.sin(phase + seconds * 1.3)) * 1.1 * canvas.width - 0.05 * canvas.width
        grow = rng.uniform(0.6, 1.3, count) * size * u
        canvas.discs(px, y * canvas.height, grow, white, np.full(count, alpha))


def _bolt_colour(_: Palette) -> Rgb:
    return 0.9, 0.92, 1.0


def lightning(canvas: Canvas, seconds: float, *, horizon: float) -> None:
    """A forked bolt that flashes now and then; a still picture always catches one."""
    beat = (seconds * 0.37) % 1.0
    strength = max(0.0, 1 - beat * 6)
    if strength <= 0:
        return
    rng = canvas.brief.rng(f"bolt{int(seconds * 0.37)}")
    x, y, u = rng.uniform(0.25, 0.75) * canvas.width, 0.0, canvas.unit
    bottom = horizon * canvas.height
    canvas.skia_canvas.drawPaint(
        glow(x, bottom * 0.3, canvas.width * 0.5, _bolt_colour(canvas.palette), 0.45 * strength)
    )
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
        canvas.skia_canvas.drawPath(bolt, line(_bolt_colour(canvas.palette), width * u, alpha * strength))
