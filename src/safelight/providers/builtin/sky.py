"""Skies: a gradient with clouds seen in perspective, sun or moon with its glow, stars and aurora."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin.canvas import Canvas, Element, fill
from safelight.providers.builtin.noise import Field, blend, blend_lit, sample, smoothstep, texture
from safelight.providers.builtin.palette import mix
from safelight.providers.builtin.reading import Brief


def field_size(canvas: Canvas, share: float = 1.0) -> tuple[int, int]:
    """Rows and columns of a low-resolution field for a part of the picture ``share`` of its height."""
    factor = max(2.0, min(4.5, canvas.span / 480))
    return max(16, round(canvas.height * share / factor)), max(16, round(canvas.span / factor))


def field_axes(canvas: Canvas, rows: int, columns: int, bottom: float) -> tuple[Field, Field]:
    """Frame coordinates of a field's cells: x as a share of the frame's width, y as a share of its height."""
    x = (np.arange(columns, dtype=np.float32) + 0.5) / columns * canvas.span - canvas.margin
    y = (np.arange(rows, dtype=np.float32) + 0.5) / rows * bottom
    return (x / np.float32(canvas.width))[None, :], y[:, None]


class Sky:
    """A sky down to ``horizon`` (share of the height); ``cover`` is how much of it the clouds take, 0..1."""

    def __init__(self, brief: Brief, horizon: float, cover: float, *, sun: bool = True, speed: float = 1.0) -> None:
        rng = brief.rng("sky")
        self.horizon, self.cover, self.sun, self.speed = horizon, cover, sun, speed
        self.shape = texture(rng, 512, roughness=1.75, coarsest=2)
        self.detail = texture(rng, 256, roughness=1.35, coarsest=3)
        self.offset = rng.uniform(0, 1, 2).astype(np.float32)
        self.wind = np.float32(rng.choice([-1, 1]) * 0.006 * speed)

    def gradient(self, canvas: Canvas, x: Field, y: Field) -> list[Field]:
        """The clear sky, brighter and warmer towards the sun."""
        p = canvas.palette
        h = np.clip(1 - y / np.float32(self.horizon), 0, 1) + 0 * x
        low, high = smoothstep(0, 0.45, h), smoothstep(0.25, 1.0, h)
        planes = [np.full(h.shape, part, np.float32) for part in p.horizon]
        blend(planes, p.middle, low)
        blend(planes, p.zenith, high)
        if self.sun:
            aspect = canvas.width / canvas.height
            far = ((x - p.sun_x) * aspect) ** 2 + (y - self.horizon * (1 - p.sun_y)) ** 2
            power = np.float32(0.5 if p.night < 0.6 else 0.2)
            far = np.sqrt(far + np.float32(1e-4))
            strength = power * np.exp(-far * np.float32(4.5))
            strength += np.float32(0.3) * np.exp(-far * far * np.float32(60))
            blend(planes, p.sun, strength)
        return planes

    def clouds(self, canvas: Canvas, planes: list[Field], x: Field, y: Field, seconds: float) -> None:
        """Lay clouds over the gradient; they shrink towards the horizon as a flat deck does."""
        p = canvas.palette
        distance = 1 / (np.maximum(self.horizon - y, 0) / self.horizon + 0.16)
        aspect = np.float32(canvas.width / canvas.height)
        u = (x - 0.5) * distance * aspect * 0.085 + self.offset[0] + self.wind * np.float32(seconds)
        v = distance * 0.17 + self.offset[1] + 0 * x
        fine = sample(self.detail, u * 5 + self.wind * np.float32(seconds), v * 5)
        toward = np.float32(0.012 if p.sun_x > 0.5 else -0.012)
        density = sample(self.shape, u, v) + 0.28 * fine
        ahead = sample(self.shape, u + toward, v - np.float32(0.012)) + 0.2 * fine
        edge = np.float32(1.35 - 2.3 * self.cover)
        alpha = smoothstep(0, 1.15, density - edge) * smoothstep(0.0, 0.22, (self.horizon - y) / self.horizon)
        lit = np.clip(0.62 + 0.55 * (density - ahead) - 0.22 * np.maximum(density - edge - 0.5, 0), 0, 1)
        blend_lit(planes, p.cloud_shade, p.cloud_light, lit, alpha * np.float32(0.93))

    def draw(self, canvas: Canvas, seconds: float) -> None:
        """Paint the sky over the rows above the horizon (and a little below, where the ground hides it)."""
        bottom = min(1.0, self.horizon + 0.06)
        rows, columns = field_size(canvas, bottom)
        x, y = field_axes(canvas, rows, columns, bottom)
        planes = self.gradient(canvas, x, y)
        if self.cover > 0:
            self.clouds(canvas, planes, x, y, seconds)
        red, green, blue = planes
        canvas.lay(0, round(canvas.height * bottom), (red, green, blue))


def disc(canvas: Canvas, seconds: float, *, horizon: float) -> None:
    """The sun, or the moon at night."""
    p, u = canvas.palette, canvas.unit
    x, y = p.sun_x * canvas.width, horizon * (1 - p.sun_y) * canvas.height
    night = p.night >= 0.6
    radius = (26 if night else 30) * u
    canvas.glows(np.array([x]), np.array([y]), np.array([radius * 3]), np.array(p.sun), 0.35)
    skia_canvas = canvas.skia_canvas
    skia_canvas.drawCircle(x, y, radius, fill(mix(p.sun, (1, 1, 1), 0.5)))
    if night:
        rng = canvas.brief.rng("moon")
        skia_canvas.save()
        skia_canvas.clipPath(skia.Path().addCircle(x, y, radius), True)
        for _ in range(14):
            dx, dy, size = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.08, 0.42)
            skia_canvas.drawCircle(x + dx * radius, y + dy * radius, size * radius, fill(p.haze, 0.16))
        skia_canvas.restore()


def stars(canvas: Canvas, seconds: float, *, horizon: float, density: float = 1.0) -> None:
    """Stars that thin out towards the horizon and twinkle."""
    rng = canvas.brief.rng("stars")
    count = int(900 * density)
    x = rng.uniform(-0.1, 1.1, count) * canvas.width
    y = rng.beta(1, 1.5, count) * horizon * canvas.height
    size = rng.pareto(3.2, count) + 0.45
    phase, rate = rng.uniform(0, 6.28, count), rng.uniform(0.5, 2.5, count)
    bright = np.clip(0.3 + 0.5 * size, 0, 0.95) * (0.8 + 0.2 * np.sin(phase + rate * seconds))
    cool, warm = np.array((0.72, 0.82, 1.0)), np.array((1.0, 0.9, 0.76))
    colours = cool + (warm - cool) * rng.random(count)[:, None]
    canvas.discs(x, y, np.minimum(1.7, size) * 0.85 * canvas.unit, colours, bright)


def aurora(canvas: Canvas, seconds: float, *, horizon: float) -> None:
    """Curtains of green and violet light."""
    rng = canvas.brief.rng("aurora")
    rows, columns = field_size(canvas, horizon)
    x, y = field_axes(canvas, rows, columns, horizon)
    tile = texture(rng, 256, roughness=1.9, coarsest=1)
    t = np.float32(seconds * 0.012)
    curve = sample(tile, x * 0.35 + t, 0 * x + t) * 0.11 + horizon * 0.62
    rays = 0.65 + 0.35 * sample(tile, x * 2.2 - t, 0 * x + 0.3)
    above = (curve - y) / np.float32(horizon)
    strength = np.exp(-np.maximum(above, 0) * 4.2) * smoothstep(-0.05, 0.03, above) * np.clip(rays, 0, 1.3)
    violet = smoothstep(0.05, 0.5, above)
    colour = (0.16 + 0.42 * violet, 0.92 - 0.62 * violet, 0.56 + 0.24 * violet)
    canvas.lay(0, round(canvas.height * horizon), colour, np.clip(strength * 0.7, 0, 0.85))


def sky_elements(brief: Brief, night: float, horizon: float, cover: float, *, sun: bool = True) -> list[Element]:
    """The sky with what hangs in it, ready to be listed first in a scene."""
    moving = Sky(brief, horizon, cover, sun=sun, speed=3.0 if brief.has("timelapse") else 1.0)
    elements = [Element(depth=0, draw=moving.draw, moves=True, slow=True)]
    if night > 0.45 or brief.has("stars"):
        density = 1.0 if night > 0.8 or brief.has("stars") else 0.35
        elements.append(Element(depth=0, draw=partial(stars, horizon=horizon, density=density), moves=True, slow=True))
    if brief.has("aurora"):
        elements.append(Element(depth=0, draw=partial(aurora, horizon=horizon), moves=True, slow=True))
    if sun:
        elements.append(Element(depth=0, draw=partial(disc, horizon=horizon), moves=True, slow=True))
    return elements
