"""Mountains, valleys and villages: a sky, a landscape in perspective, mist, water, houses and trees."""

from functools import partial

import numpy as np

from safelight.providers.builtin import clouds, shapes, sky, water, weather
from safelight.providers.builtin.canvas import Canvas, Element
from safelight.providers.builtin.noise import Field, blend, sample, smoothstep, texture
from safelight.providers.builtin.palette import Palette, mix
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.terrain import Ground, View, draw_terrain


class Range:
    """A mountain country: a few placed summits, ridges between them, and a valley the eye looks along."""

    def __init__(self, brief: Brief, palette: Palette, *, valley: float = 1.0, snowline: float = 1.9) -> None:
        rng = brief.rng("range")
        self.palette = palette
        self.tile = texture(rng, 512, roughness=2.05, coarsest=2)
        self.fine = texture(rng, 256, roughness=1.7, coarsest=4)
        side = rng.choice([-1.0, 1.0])
        count = int(rng.integers(3, 6))
        self.peaks = [
            (
                side * rng.uniform(0.5, 2.4),
                rng.uniform(10.5, 13),
                rng.uniform(3.6, 4.6),
                rng.uniform(3.3, 4.2),
            )
        ]
        for _ in range(count):
            self.peaks.append((rng.uniform(-12, 12), rng.uniform(12, 22), rng.uniform(2.6, 4.6), rng.uniform(2.2, 3.6)))
        self.shift = rng.uniform(0, 1, 2).astype(np.float32)
        self.bend, self.phase = rng.uniform(0.3, 0.7), rng.uniform(0, 6.28)
        self.valley = valley
        self.snowline = -0.2 if brief.has("snow") else snowline + rng.uniform(-0.3, 0.4)
        greens = ((0.34, 0.42, 0.22), (0.28, 0.40, 0.26), (0.46, 0.44, 0.24), (0.40, 0.36, 0.24))
        grass = greens[int(rng.integers(len(greens)))]
        fresh = 0.7 if brief.style == "watercolor" else 0.0  # watercolours are brighter than what they stand for
        self.grass: Rgb = mix(grass, (0.47, 0.66, 0.33), fresh)
        self.dry: Rgb = mix(mix(grass, (0.62, 0.56, 0.30), 0.5), (0.66, 0.72, 0.42), fresh)
        self.rock: Rgb = mix((0.46, 0.42, 0.40), palette.shade, 0.15)

    def summit(self, view: View) -> tuple[float, float]:
        """Where the hero summit stands in a wide frame, as shares of its width and height."""
        x, z, tall, _ = self.peaks[0]
        return 0.5 + x * view.focal / z * 9 / 16, view.horizon - (0.8 * tall - view.eye) * view.focal / z

    def height(self, x: Field, z: Field) -> Field:
        """Metres do not matter: the hero summit is about 4 high and 11 away."""
        u, v = x * np.float32(0.045) + self.shift[0], z * np.float32(0.045) + self.shift[1]
        n = sample(self.tile, u, v)
        ridged = 1.1 - np.abs(n) * np.float32(0.9)
        rough = sample(self.tile, u * 3.1, v * 3.1)
        far = smoothstep(3.0, 11.0, z)
        level = ridged * (0.25 + 0.75 * far) * np.float32(0.75)
        for px, pz, tall, wide in self.peaks:
            dx, dz = (x - np.float32(px)) / np.float32(wide), (z - np.float32(pz)) / np.float32(wide)
            bump = np.exp(-np.sqrt(dx * dx + dz * dz + 0.02) * np.float32(1.25))
            level = level + bump * np.float32(tall) * (0.82 + 0.2 * ridged)
        course = np.float32(self.bend) * np.sin(z * np.float32(0.42) + np.float32(self.phase)) * z * np.float32(0.16)
        away = np.abs(x - course) / (0.55 + 0.11 * z)
        floor = 1 - smoothstep(0.25, 2.3 * self.valley, away) * 0.94
        level *= 1 - floor * (1 - smoothstep(7.0, 11.0, z) * 0.9)
        crag = level * np.float32(0.085) + np.float32(0.02)
        fine = sample(self.fine, u * 7.3, v * 7.3)
        return level + rough * crag + fine * (np.float32(0.004) + level * np.float32(0.011))

    def colour(self, x: Field, z: Field, height: Field, steep: Field) -> list[Field]:
        """Meadow below, rock where it is steep, forest between, snow above."""
        patch = sample(self.tile, x * np.float32(0.31), z * np.float32(0.31))
        fine = sample(self.fine, x * np.float32(0.9), z * np.float32(0.9))
        tone = np.float32(1) + 0.10 * patch + 0.09 * fine
        planes = [np.full(height.shape, part, np.float32) for part in self.grass]
        blend(planes, self.dry, smoothstep(0.0, 1.6, patch))
        wood = smoothstep(0.1, 0.5, patch + 0.3 * fine) * smoothstep(0.12, 0.4, height) * smoothstep(1.9, 1.2, height)
        blend(planes, mix(self.grass, (0.10, 0.17, 0.14), 0.75), wood * 0.9)
        blend(planes, self.rock, smoothstep(1.25, 1.75, steep + 0.12 * fine + 0.18 * height))
        snow = smoothstep(-0.25, 0.35, height - np.float32(self.snowline) + 0.4 * patch + 0.2 * fine)
        snow = snow * smoothstep(3.1, 2.0, steep + 0.2 * fine)
        planes = [plane * tone for plane in planes]
        blend(planes, (0.97, 0.98, 1.0), snow)
        return planes


def ground_for(palette: Palette, country: Range, *, tones: int, mist: float) -> Ground:
    """The country lit by the palette's sun and seen through its air."""
    side = 0.75 if palette.sun_x > 0.5 else -0.75
    return Ground(
        height=country.height, colour=country.colour, light=(side, 0.42 + 0.25 * max(0.0, palette.sun_y - 0.2), -0.12),
        sunlit=palette.light, shade=mix(palette.shade, palette.middle, 0.25),
        haze=mix(palette.haze, palette.horizon, 0.25),
        haze_depth=22.0, mist=mist, tones=tones,
        relief=0.09 if tones else 0.16,
    )  # fmt: skip


def mountains(brief: Brief, palette: Palette) -> list[Element]:
    """Summits over a valley, with a lake where one is asked for or chance gives one."""
    rng = brief.rng("mountains")
    wet = brief.has("lake", "boats") or rng.random() < 0.3
    horizon = rng.uniform(0.58, 0.66)
    cover = 0.62 if brief.light in ("storm", "overcast") else rng.uniform(0.3, 0.52)
    country = Range(brief, palette, snowline=1.25 if brief.has("clouds") else 1.9)
    view = View(horizon=horizon, eye=1.15, near=1.6, far=34, focal=1.15)
    tones = 4 if brief.style in ("watercolor", "flat", "ink") else 0
    ground = ground_for(palette, country, tones=tones, mist=0.75 if brief.has("fog") else 0.35)
    elements = sky.sky_elements(brief, palette.night, horizon, cover)
    elements.append(Element(depth=0.3, draw=lambda canvas, _: draw_terrain(canvas, view, ground)))
    if brief.has("clouds"):
        speed = 5.0 if brief.has("timelapse") else 1.0
        elements.append(clouds.Banks(brief, view, ground, country.summit(view), speed).element())
        return elements + weather.elements(brief, horizon)
    if wet:
        elements.append(water.surface(brief, top=min(0.97, horizon + 0.15)))
    else:
        elements.append(Element(depth=0.3, draw=partial(_trees, view=view, country=country, count=90)))
    elements += weather.elements(brief, horizon)
    return elements


def village(brief: Brief, palette: Palette) -> list[Element]:
    """Houses around a church in a valley, under summits."""
    rng = brief.rng("village")
    horizon = rng.uniform(0.53, 0.58)
    country = Range(brief, palette, valley=1.25)
    view = View(horizon=horizon, eye=0.95, near=1.25, far=34, focal=1.15)
    tones = 4 if brief.style in ("watercolor", "flat", "ink") else 0
    ground = ground_for(palette, country, tones=tones, mist=0.55)
    elements = sky.sky_elements(brief, palette.night, horizon, rng.uniform(0.32, 0.5))
    elements.append(Element(depth=0.3, draw=lambda canvas, _: draw_terrain(canvas, view, ground)))
    homes = settle(brief, country)
    chimneys = partial(_chimneys, view=view, country=country, homes=homes)
    elements.append(Element(depth=0.3, draw=partial(_homes, view=view, country=country, homes=homes)))
    elements.append(Element(depth=0.3, moves=True, ink=shapes.smoke_colour, soft=True, draw=chimneys))
    elements.append(Element(depth=0.8, draw=partial(_near_trees, view=view)))
    elements += weather.elements(brief, horizon)
    return elements


def settle(brief: Brief, country: Range) -> list[tuple[float, float, float]]:
    """Where the houses stand (x, z, size), far to near, not on one another."""
    rng = brief.rng("settle")
    centre = rng.uniform(-0.35, 0.35)
    homes: list[tuple[float, float, float]] = []
    for _ in range(400):
        z = 3.0 + 3.4 * rng.random() ** 1.4
        x = centre + rng.normal(0, 0.34) * z * 0.55
        if all(abs(x - a) > 0.26 or abs(z - b) > 0.30 for a, b, _ in homes):
            homes.append((x, z, rng.uniform(0.17, 0.24)))
        if len(homes) == 30:
            break
    return sorted(homes, key=lambda home: -home[1])


def _level(country: Range, x: float, z: float) -> float:
    return float(country.height(np.array([[x]], np.float32), np.array([[z]], np.float32))[0, 0])


def _homes(canvas: Canvas, _: float, *, view: View, country: Range, homes: list[tuple[float, float, float]]) -> None:
    p, rng = canvas.palette, canvas.brief.rng("homes")
    walls = ((0.97, 0.93, 0.86), (0.93, 0.86, 0.74), (0.86, 0.80, 0.74), (0.95, 0.88, 0.80))
    snowy = canvas.brief.has("snow")
    roofs: tuple[Rgb, ...] = (
        (0.62, 0.27, 0.20),
        (0.50, 0.30, 0.26),
        (0.40, 0.36, 0.42),
        mix((0.6, 0.3, 0.2), p.accent, 0.5),
    )
    if snowy:
        roofs = ((0.93, 0.95, 1.0), (0.86, 0.90, 0.97))
    dark = mix(p.light, p.shade, 0.35 + 0.5 * p.night)
    middle = len(homes) // 2
    for i, (x, z, size) in enumerate(homes):
        px, py, pixels = view.project(canvas, x, z, _level(country, x, z))
        air = 1 - np.exp(-((z / 22) ** 1.3))
        wall = mix(walls[int(rng.integers(len(walls)))], p.haze, float(air))
        wall = tuple(a * (0.35 + 0.65 * b) for a, b in zip(wall, dark, strict=True))  # type: ignore[assignment]
        roof = mix(roofs[int(rng.integers(len(roofs)))], p.haze, float(air) + 0.08)
        roof = tuple(a * (0.35 + 0.65 * b) for a, b in zip(roof, dark, strict=True))  # type: ignore[assignment]
        if i == middle:
            shapes.church(canvas, px, py, size * pixels * 0.95, wall, mix(roof, p.shade, 0.3))
        shapes.house(canvas, rng, px, py + 0.02 * pixels, size * pixels, wall, roof)
        if rng.random() < 0.75:
            tree = mix(mix(country.grass, (0.10, 0.18, 0.15), 0.6), p.shade, 0.3)
            side = rng.choice([-1, 1]) * size * 1.1
            shapes.fir(
                canvas,
                rng,
                px + side * pixels,
                py + 0.03 * pixels,
                size * pixels * rng.uniform(0.9, 1.7),
                tree,
            )


def _chimneys(
    canvas: Canvas, seconds: float, *, view: View, country: Range, homes: list[tuple[float, float, float]]
) -> None:
    for i, (x, z, size) in enumerate(homes[:: max(1, len(homes) // 5)]):
        px, py, pixels = view.project(canvas, x, z, _level(country, x, z))
        shapes.smoke(canvas, seconds, x=px, y=py - size * pixels * 1.25, size=size * pixels * 1.2, seed=i)


def _trees(canvas: Canvas, _: float, *, view: View, country: Range, count: int) -> None:
    """Firs on the near slopes, in groups."""
    rng, p = canvas.brief.rng("trees"), canvas.palette
    spots = []
    for _group in range(max(1, count // 9)):
        z, x = rng.uniform(2.6, 8), rng.normal(0, 0.42)
        spots += [(x * z + rng.normal(0, 0.35), max(2.0, z + rng.normal(0, 0.5))) for _ in range(9)]
    for x, z in sorted(spots, key=lambda spot: -spot[1]):
        px, py, pixels = view.project(canvas, x, z, _level(country, x, z))
        colour = mix(mix(country.grass, (0.07, 0.13, 0.12), 0.75), p.shade, 0.35)
        colour = mix(colour, p.haze, float(1 - np.exp(-((z / 20) ** 1.3))))
        if canvas.brief.has("snow"):
            colour = mix(colour, (0.9, 0.93, 1.0), 0.25)
        shapes.fir(canvas, rng, px, py + 2, pixels * rng.uniform(0.16, 0.34), colour)


def _near_trees(canvas: Canvas, _: float, *, view: View) -> None:
    """Dark firs at both sides of the foreground, that frame the view."""
    rng, p = canvas.brief.rng("neartrees"), canvas.palette
    for side in (-1, 1):
        for i in range(int(rng.integers(4, 8))):
            x = canvas.width * (0.5 + side * (0.36 + 0.19 * rng.random())) + side * i * 6 * canvas.unit
            size = canvas.height * rng.uniform(0.2, 0.5)
            colour = mix((0.10, 0.16, 0.16), p.shade, 0.5 + 0.3 * rng.random())
            shapes.fir(canvas, rng, x, canvas.height * 1.02 + rng.uniform(0, 30) * canvas.unit, size, colour)
