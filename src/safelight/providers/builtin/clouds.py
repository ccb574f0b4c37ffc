"""Clouds that roll: banks of billowing vapour that pass before a landscape, lit from the sun, with their shadows."""

import numpy as np

from safelight.providers.builtin.canvas import Canvas, Element
from safelight.providers.builtin.noise import Field, blend_lit, sample, smoothstep, texture
from safelight.providers.builtin.palette import Palette, mix
from safelight.providers.builtin.planes import shrink
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes
from safelight.providers.builtin.terrain import Ground, View, draw_terrain


class Banks:
    """Two banks of cloud in front of a landscape that climb where a summit stands in their way.

    ``summit`` is the frame position (shares) of the peak they pass; ``speed`` is 1 for weather as it is.
    """

    def __init__(self, brief: Brief, view: View, ground: Ground, summit: tuple[float, float], speed: float) -> None:
        rng = brief.rng("banks")
        self.view, self.ground, self.summit = view, ground, summit
        self.shape = texture(rng, 512, roughness=2.25, coarsest=2)
        self.billow = texture(rng, 512, roughness=2.0, coarsest=5)
        self.wind = (1 if rng.random() < 0.5 else -1) * speed
        self.level = rng.uniform(-0.02, 0.05)
        self._land: dict[tuple[int, int], Field] = {}

    def element(self) -> Element:
        """The banks as one element of a scene."""
        return Element(depth=0.3, moves=True, draw=self.draw)

    def land(self, canvas: Canvas, rows: int, columns: int) -> Field:
        """How much of each cell is land, 0..1, so that shadows fall on the slopes and not on the sky."""
        key = (rows, columns)
        if key not in self._land:
            small = Canvas(canvas.brief, canvas.palette, max(96, columns), max(54, rows))
            draw_terrain(small, self.view, self.ground)
            self._land[key] = shrink(small.pixels, columns, rows)[..., 3].astype(np.float32) / 255
        return self._land[key]

    def draw(self, canvas: Canvas, seconds: float) -> None:
        """Lay shadow, far bank and near bank over the picture."""
        factor = max(2.0, canvas.span / 300)
        rows, columns = max(24, round(canvas.height / factor)), max(24, round(canvas.span / factor))
        x, y = field_axes(canvas, rows, columns, 1.0)
        pad = max(1, round(columns / 40))  # columns beyond the frame, so that light reaches its edges
        beside = np.arange(1, pad + 1, dtype=np.float32)[None, :] * (x[0, 1] - x[0, 0])
        x = np.concatenate([x[:, :1] - beside[:, ::-1], x, x[:, -1:] + beside], axis=1)
        x = (x - np.float32(self.summit[0])) * np.float32(canvas.width / canvas.height) + 0 * y
        y = y + 0 * x
        p, t = canvas.palette, float(seconds * self.wind)
        inner = slice(pad, pad + columns)
        cover = self.land(canvas, rows, columns) * self._shadow(x[:, inner], y[:, inner], t)
        colour = [np.full(cover.shape, part, np.float32) for part in mix(p.shade, (0, 0, 0), 0.35)]
        top = self.summit[1]
        for level, thick, scale, pace, weight in (
            (0.55 * top + 0.45 * self.view.horizon + self.level, 0.13, 0.50, 1.0, 0.9),
            (self.view.horizon + 0.19 + self.level, 0.19, 0.34, 1.7, 0.97),
        ):
            foot = level + (1.8 if pace < 1.5 else 9.0) * thick  # the near bank has none in the frame
            reached = slice(max(0, int((level - 0.1 - 1.8 * thick) * rows)), max(0, min(rows, int(foot * rows))))
            alpha, lit = self._bank(p, x[reached], y[reached], t, (level, thick, scale, pace))
            alpha, lit = alpha[:, inner] * np.float32(weight), lit[:, inner]
            total = alpha + cover[reached] * (1 - alpha)
            share = alpha / np.maximum(total, np.float32(1e-3))
            blend_lit([plane[reached] for plane in colour], _deep(p), p.cloud_light, lit, share)
            cover[reached] = total
        canvas.lay(0, canvas.height, (colour[0], colour[1], colour[2]), cover)

    def _shadow(self, x: Field, y: Field, t: float) -> Field:
        drift = sample(self.shape, x * 0.42 - np.float32(t * 0.020), y * 0.9 + 0.37)
        return smoothstep(-0.1, 1.2, drift) * np.float32(0.5)

    def _bank(
        self, p: Palette, x: Field, y: Field, t: float, form: tuple[float, float, float, float]
    ) -> tuple[Field, Field]:
        """Opacity and light of one bank: (level, thickness, scale, pace) in picture heights."""
        level, thick, scale, pace = form
        climb = np.exp(-((x / np.float32(0.34)) ** 2)) * np.float32(0.085 if pace < 1.5 else 0.03)
        height = (np.float32(level) - climb - y) / np.float32(thick)  # 0 in the middle, 1 at the top, -1 at the foot
        move = np.float32(t * 0.016 * pace)
        u, v = x * np.float32(scale) - move, (y + climb) * np.float32(scale * 1.25)
        bend = sample(self.shape, u * 0.5 + np.float32(0.1), v * 0.5 + np.float32(t * 0.006)) * np.float32(0.022)
        boil = np.float32(t * 0.009)
        coarse = sample(self.shape, u + bend, v + bend + boil)
        puff = np.abs(sample(self.billow, u * 1.25 - move * 0.4 + bend, v * 1.25 + boil * 2))
        puff = puff + 0.5 * np.abs(sample(self.billow, u * 2.9 - move * 0.7 - bend, v * 2.9 + boil * 3))
        near = pace > 1.5  # the near bank fills the valley below it
        fall = np.where(
            height < 0,
            height * height * np.float32(0.04 if near else 0.9),
            height * height * np.float32(0.95),
        )
        density = 0.50 * coarse + 0.42 * puff + np.float32(0.36 if near else 0.02) - fall
        reach = max(1, round(x.shape[1] / 44))
        side = reach if p.sun_x > 0.5 else -reach
        toward = np.roll(density, (reach, -side), axis=(0, 1))
        toward[:reach] = density[:reach]
        body = np.clip(density, 0, 1.5)
        light = 0.38 + 0.46 * (body - np.clip(toward, 0, 1.5)) + 0.17 * np.clip(height, -1.6, 1.2) + 0.13 * puff
        return smoothstep(0.0, 0.75, density), smoothstep(-0.15, 1.15, light)


def _deep(p: Palette) -> Rgb:
    """The shaded side of a bank, a little bluer than of clouds in the sky."""
    return mix(p.cloud_shade, p.shade, 0.22)
