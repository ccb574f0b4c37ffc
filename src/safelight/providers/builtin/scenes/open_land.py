"""Deserts, meadows and forests: wide ground with what grows on it."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import shapes, sky, weather
from safelight.providers.builtin.canvas import Canvas, Element, fill, glow, line, polygon, shaded
from safelight.providers.builtin.noise import Field, blend, sample, smoothstep, texture, wander
from safelight.providers.builtin.palette import Palette, mix, scale
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.terrain import Ground, View, draw_terrain


def _sun(palette: Palette, low: float) -> tuple[float, float, float]:
    return (0.85 if palette.sun_x > 0.5 else -0.85), low, -0.15


class Dunes:
    """Sand in long crests with a lee side, and the ripples of the wind."""

    def __init__(self, brief: Brief) -> None:
        rng = brief.rng("dunes")
        self.tile = texture(rng, 512, roughness=2.3, coarsest=1)
        self.shift = rng.uniform(0, 1, 2).astype(np.float32)
        self.turn = np.float32(rng.choice([-1, 1]) * rng.uniform(0.5, 1.0))
        sands: tuple[Rgb, ...] = (
            (0.90, 0.68, 0.44),
            (0.86, 0.58, 0.36),
            (0.93, 0.78, 0.56),
            (0.84, 0.50, 0.32),
        )
        self.sand = sands[int(rng.integers(len(sands)))]
        self.mesas = [
            (rng.uniform(-7, 7), rng.uniform(13, 22), rng.uniform(1.2, 2.6), rng.uniform(0.9, 2.2))
            for _ in range(int(rng.integers(0, 5)))
        ]

    def height(self, x: Field, z: Field) -> Field:
        bend = sample(self.tile, x * 0.03 + self.shift[0], z * 0.03 + self.shift[1])
        phase = z * np.float32(0.50) + x * self.turn * np.float32(0.5) + bend * np.float32(1.3)
        wave = phase - np.floor(phase)
        saw = np.where(wave < 0.72, wave / np.float32(0.72), (1 - wave) / np.float32(0.28))
        saw = saw * saw * (3 - 2 * saw)
        swell = 0.8 + 0.45 * sample(self.tile, x * 0.045 + self.shift[1], z * 0.045)
        level = np.maximum(saw * swell, 0) * np.clip(z * np.float32(0.13), 0.1, 1.25)
        for mx, mz, tall, wide in self.mesas:
            away = np.hypot(x - np.float32(mx), (z - np.float32(mz)) * np.float32(0.7)) / np.float32(wide) + 0.12 * bend
            level = np.maximum(level, smoothstep(1.0, 0.72, away) * np.float32(tall))
        result: Field = level
        return result

    def colour(self, x: Field, z: Field, height: Field, steep: Field) -> list[Field]:
        ripple = np.sin((z * 22 + x * 7 + 5 * sample(self.tile, x * 0.3, z * 0.3)).astype(np.float32)) * np.exp(
            -z * np.float32(0.35)
        )
        tone = 1 + np.float32(0.06) * ripple + np.float32(0.04) * sample(self.tile, x * 0.21, z * 0.21)
        rock = smoothstep(1.25, 1.7, steep) * smoothstep(1.0, 1.3, height)
        planes = [np.full(height.shape, part, np.float32) * tone for part in self.sand]
        strata = 0.9 + 0.12 * np.sin(height * np.float32(17))
        for i, part in enumerate((0.66, 0.36, 0.26)):
            planes[i] += (np.float32(part) * strata - planes[i]) * rock
        return planes


def desert(brief: Brief, palette: Palette) -> list[Element]:
    """Dunes to the horizon, sometimes with mesas, cacti or a lone walker."""
    rng = brief.rng("desert")
    horizon = rng.uniform(0.42, 0.54)
    dunes = Dunes(brief)
    view = View(horizon=horizon, eye=1.25, near=1.4, far=40)
    tones = 4 if brief.style in ("watercolor", "flat", "ink") else 0
    ground = Ground(
        height=dunes.height, colour=dunes.colour, light=_sun(palette, 0.28),
        sunlit=mix(palette.light, (1, 0.95, 0.85), 0.3),
        shade=mix(palette.shade, dunes.sand, 0.18), haze=palette.haze, haze_depth=30, tones=tones, relief=0.07,
    )  # fmt: skip
    elements = sky.sky_elements(brief, palette.night, horizon, rng.uniform(0.15, 0.4))
    elements.append(Element(depth=0.3, draw=lambda canvas, _: draw_terrain(canvas, view, ground)))
    if brief.has("figure") or rng.random() < 0.45:
        elements.append(Element(depth=0.4, draw=partial(_walker, view=view, dunes=dunes)))
    return elements + weather.elements(brief, horizon)


def _walker(canvas: Canvas, _: float, *, view: View, dunes: Dunes) -> None:
    rng, p = canvas.brief.rng("walker"), canvas.palette
    z, x = rng.uniform(3.2, 4.4), rng.uniform(-1.0, 1.0)
    level = float(dunes.height(np.array([[x]], np.float32), np.array([[z]], np.float32))[0, 0])
    px, py, pixels = view.project(canvas, x, z, level)
    shapes.figure(
        canvas,
        px,
        py,
        pixels * 0.24,
        mix(p.accent if canvas.brief.colours else (0.20, 0.16, 0.18), p.shade, 0.4),
    )


class Fields:
    """Rolling meadows with strips of flowers."""

    def __init__(self, brief: Brief, palette: Palette) -> None:
        rng = brief.rng("fields")
        self.tile = texture(rng, 512, roughness=2.1, coarsest=2)
        self.fine = texture(rng, 256, roughness=1.1, coarsest=8)
        self.green: Rgb = ((0.36, 0.52, 0.22), (0.44, 0.54, 0.24), (0.30, 0.48, 0.28))[int(rng.integers(3))]
        blooms: tuple[Rgb, ...] = (
            (0.86, 0.22, 0.18),
            (0.62, 0.46, 0.82),
            (0.96, 0.80, 0.24),
            (0.92, 0.52, 0.66),
            (0.95, 0.93, 0.9),
        )
        first = int(rng.integers(len(blooms)))
        named = brief.colours or (blooms[first], blooms[(first + 2) % len(blooms)])
        self.blooms = named if len(named) > 1 else (named[0], mix(named[0], (1, 1, 1), 0.4))
        self.rows = rng.random() < 0.5

    def height(self, x: Field, z: Field) -> Field:
        roll = sample(self.tile, x * np.float32(0.028), z * np.float32(0.028))
        result: Field = (0.55 + 0.5 * roll) * np.clip((z - 2) * np.float32(0.09), 0, 1.4)
        return result

    def colour(self, x: Field, z: Field, height: Field, steep: Field) -> list[Field]:
        patch = sample(self.tile, x * np.float32(0.11) + 0.4, z * np.float32(0.11))
        fine = sample(self.fine, x * np.float32(0.6), z * np.float32(0.6))
        tone = 1 + 0.10 * patch + 0.16 * fine * np.exp(-z * np.float32(0.08))
        planes = [np.full(height.shape, part, np.float32) * tone for part in self.green]
        where = np.sin((x * 2.6 if self.rows else z * 0.9 + patch * 2).astype(np.float32)) + 0.5 * fine
        for number, bloom in enumerate(self.blooms[:2]):
            share = smoothstep(0.1, 0.8, where if number == 0 else -where - 0.3) * smoothstep(0.3, -0.6, patch - 0.6)
            share = share * np.float32(0.85)
            blend(planes, bloom, share)
        wood = smoothstep(0.55, 0.9, patch) * smoothstep(5, 8, z)
        blend(planes, (0.14, 0.24, 0.16), wood)
        return planes


def meadow(brief: Brief, palette: Palette) -> list[Element]:
    """Flowers close by, fields behind, a tree or two."""
    rng = brief.rng("meadow")
    horizon = rng.uniform(0.44, 0.56)
    fields = Fields(brief, palette)
    view = View(horizon=horizon, eye=1.0, near=1.2, far=40)
    tones = 4 if brief.style in ("watercolor", "flat", "ink") else 0
    ground = Ground(
        height=fields.height, colour=fields.colour, light=_sun(palette, 0.6), sunlit=palette.light,
        shade=mix(palette.shade, fields.green, 0.3), haze=palette.haze, haze_depth=24, tones=tones, mist=0.2,
    )  # fmt: skip
    elements = sky.sky_elements(brief, palette.night, horizon, rng.uniform(0.35, 0.55))
    elements.append(Element(depth=0.25, draw=lambda canvas, _: draw_terrain(canvas, view, ground)))
    elements.append(Element(depth=0.35, draw=partial(_lone_tree, horizon=horizon, green=fields.green)))
    elements.append(Element(depth=0.8, draw=partial(_blossoms, fields=fields, front=False)))
    elements.append(Element(depth=0.9, moves=True, draw=partial(_blossoms, fields=fields, front=True)))
    return elements + weather.elements(brief, horizon)


def _lone_tree(canvas: Canvas, _: float, *, horizon: float, green: Rgb) -> None:
    rng = canvas.brief.rng("lonetree")
    colour = mix(scale(green, 0.75), canvas.palette.shade, 0.25)
    spots = sorted(
        ((rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.16)) for _ in range(int(rng.integers(1, 6)))),
        key=lambda s: s[1],
    )
    for x, near in spots:
        y = (horizon + 0.02 + near) * canvas.height
        size = canvas.height * (0.07 + 1.2 * near)
        canvas.skia_canvas.drawOval(
            skia.Rect(x * canvas.width - size * 0.5, y - size * 0.05, x * canvas.width + size * 0.5, y + size * 0.05),
            fill(canvas.palette.shade, 0.35),
        )
        shapes.broadleaf(canvas, rng, x * canvas.width, y, size, mix(colour, canvas.palette.haze, 0.3 * (1 - near * 6)))


def _blossoms(canvas: Canvas, seconds: float, *, fields: Fields, front: bool) -> None:
    """Grass and flower heads against the lower edge; those in front sway."""
    rng, p = canvas.brief.rng("blossoms"), canvas.palette
    count = 150
    spots = sorted((rng.uniform(-0.02, 1.02), rng.random() ** 1.6, rng.random()) for _ in range(count))
    for i, (x, rise, kind) in enumerate(sorted(spots, key=lambda s: -s[1])):
        near = 1 - rise
        foot = canvas.height * (1.02 - 0.02 * rise)
        size = canvas.height * (0.07 + 0.15 * near) * (0.6 + 0.6 * kind)
        sway = np.sin(seconds * 1.3 + x * 9 + i) * size * 0.06
        hx, hy = (
            x * canvas.width + sway + (kind - 0.5) * size * 0.3,
            foot - size * (0.5 + 0.9 * rng.random()) - rise * canvas.height * 0.12,
        )
        if front is not (rise < 0.35):
            continue
        stem = skia.Path()
        stem.moveTo(x * canvas.width, foot)
        stem.quadTo(x * canvas.width, (foot + hy) / 2, hx, hy)
        green = mix(scale(fields.green, 0.55 + 0.5 * rise), p.shade, 0.25)
        canvas.skia_canvas.drawPath(stem, line(green, max(1.0, size * 0.018)))
        if kind < 0.35:
            continue
        bloom = mix(fields.blooms[i % len(fields.blooms)], p.shade, 0.12 + 0.3 * p.night)
        r = size * 0.10
        for petal in range(5):
            angle = petal * 1.2566 + kind * 6
            cx, cy = hx + np.cos(angle) * r * 0.7, hy + np.sin(angle) * r * 0.5
            canvas.skia_canvas.drawCircle(cx, cy, r * 0.62, fill(mix(bloom, p.light, 0.10 * petal), 0.92))
        canvas.skia_canvas.drawCircle(hx, hy, r * 0.3, fill(mix((0.95, 0.78, 0.25), p.shade, 0.2)))


def forest(brief: Brief, palette: Palette) -> list[Element]:
    """Trunks in depth, light falling between them, fog among the far ones, ferns in front."""
    rng = brief.rng("forest")
    conifer = rng.random() < 0.6 or brief.has("snow")
    floor = rng.uniform(0.74, 0.82)
    elements = sky.sky_elements(brief, palette.night, 0.95, 0.5, sun=palette.night < 0.6)
    count = 5
    for row in range(count):
        elements.append(
            Element(
                depth=0.1 + 0.16 * row,
                draw=partial(_stand, row=row, rows=count, floor=floor, conifer=conifer),
            )
        )
        strength = (0.8 if brief.has("fog") else 0.48) * (1 - row / count)
        if row in (1, 3):
            elements.append(
                weather.fog(brief, top=0.18 + 0.1 * row, bottom=1.0, strength=strength, depth=0.15 + 0.16 * row)
            )
        if row == 2 and palette.night < 0.6:
            elements.append(Element(depth=0.3, moves=True, ink=lambda p: p.sun, soft=True, draw=_shafts))
    elements.append(Element(depth=1.0, draw=partial(_ferns)))
    return elements + [e for e in weather.elements(brief, 0.6) if not brief.has("fog") or e.depth != 0.4]


def _stand(canvas: Canvas, _: float, *, row: int, rows: int, floor: float, conifer: bool) -> None:
    """One row of trees on its strip of ground."""
    rng, p = canvas.brief.rng(f"stand{row}"), canvas.palette
    near = row / (rows - 1)
    ground = (floor - 0.10 + 0.22 * near) * canvas.height
    leaf = mix((0.13, 0.24, 0.16), (0.42, 0.30, 0.12), 0.6 if canvas.brief.light == "golden" else 0.0)
    tone = mix(mix(leaf, p.shade, 0.45), p.haze, 0.80 * (1 - near) ** 1.2)
    bark = mix(mix((0.24, 0.18, 0.15), p.shade, 0.4), p.haze, 0.75 * (1 - near) ** 1.2)
    count = 220
    x = np.linspace(-canvas.margin, canvas.width + canvas.margin, count)
    top = ground - wander(rng, count, roughness=1.4, coarsest=2) * canvas.height * 0.012
    outline = [(float(a), float(b)) for a, b in zip(x, top, strict=True)]
    trees = int((26, 17, 11, 7, 4)[row] * max(0.6, canvas.width / canvas.height / 1.6))
    white = canvas.brief.has("snow")
    for i in range(trees):
        tx = (i + rng.uniform(0.1, 0.9)) / trees * 1.1 * canvas.width - 0.05 * canvas.width
        if row == rows - 1:
            tx = canvas.width * (rng.uniform(-0.02, 0.2) if i % 2 else rng.uniform(0.8, 1.02))
        size = canvas.height * (0.42 + 0.75 * near) * rng.uniform(0.75, 1.2)
        if conifer and row < rows - 1:
            shapes.fir(canvas, rng, tx, ground + size * 0.02, size, mix(tone, (0.92, 0.95, 1.0), 0.3 if white else 0))
        else:
            _trunk(canvas, rng, tx, ground + size * 0.03, size * 1.5, bark, tone)
    path = polygon([*outline, (canvas.width + canvas.margin, canvas.height), (-canvas.margin, canvas.height)])
    earth = mix(tone, (0.9, 0.93, 1.0), 0.6) if white else tone
    canvas.skia_canvas.drawPath(
        path, shaded(ground, canvas.height, [(mix(earth, p.light, 0.14), 1), (mix(earth, p.shade, 0.3), 1)])
    )


def _trunk(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, bark: Rgb, leaf: Rgb) -> None:
    """A tall trunk that leaves the frame, lit on one side, with boughs and leaves."""
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    w, lean = size * rng.uniform(0.022, 0.04), rng.normal(0, 0.03) * size
    points = [
        (x - w * 1.5, y),
        (x - w * 0.8, y - size * 0.1),
        (x - w * 0.5 + lean, y - size),
        (x + w * 0.5 + lean, y - size),
        (x + w * 0.8, y - size * 0.1),
        (x + w * 1.5, y),
    ]
    skia_canvas.drawPath(polygon(points), fill(bark))
    side = 1 if p.sun_x > 0.5 else -1
    skia_canvas.drawLine(
        x + side * w * 0.55,
        y - size * 0.1,
        x + lean + side * w * 0.3,
        y - size,
        line(mix(bark, p.light, 0.4), w * 0.22, 0.8),
    )
    for _i in range(int(rng.integers(7, 13))):
        t, way = rng.uniform(0.25, 0.95), rng.choice([-1, 1])
        bx, by = x + lean * t, y - size * t
        ex, ey = bx + way * size * rng.uniform(0.06, 0.2), by - size * rng.uniform(0.01, 0.09)
        skia_canvas.drawLine(bx, by, ex, ey, line(bark, w * 0.25 * (1.1 - t)))
        for _j in range(26):
            cx, cy = ex + rng.normal(0, 0.05) * size, ey + rng.normal(0, 0.025) * size
            skia_canvas.drawCircle(
                cx, cy, size * rng.uniform(0.003, 0.009), fill(mix(leaf, p.light, 0.35 * rng.random()), 0.8)
            )


def _shafts(canvas: Canvas, seconds: float) -> None:
    """Slanting light between the trees."""
    rng, p = canvas.brief.rng("shafts"), canvas.palette
    sx = p.sun_x * canvas.width
    for i in range(9):
        spread, w = rng.uniform(-0.6, 0.6), rng.uniform(0.012, 0.05)
        alpha = 0.13 * (0.7 + 0.3 * np.sin(seconds * 0.5 + i * 1.9))
        bottom = sx + (spread + (0.5 - p.sun_x) * 0.9) * canvas.width
        points = [
            (sx + spread * 0.1 * canvas.width, 0),
            (bottom - w * canvas.width, canvas.height * 0.9),
            (bottom + w * canvas.width, canvas.height * 0.9),
        ]
        canvas.skia_canvas.drawPath(
            polygon(points), shaded(0, canvas.height * 0.9, [(p.sun, alpha * 1.6), (p.sun, alpha), (p.sun, 0)])
        )
    canvas.skia_canvas.drawCircle(sx, 0, canvas.height * 0.5, glow(sx, 0, canvas.height * 0.5, p.sun, 0.25))


def _ferns(canvas: Canvas, _: float) -> None:
    rng, p = canvas.brief.rng("ferns"), canvas.palette
    dark = mix((0.07, 0.13, 0.09), p.shade, 0.4)
    for _i in range(46):
        x, size = rng.uniform(-0.05, 1.05) * canvas.width, canvas.height * rng.uniform(0.06, 0.16)
        tone = mix(dark, (0.8, 0.85, 0.9) if canvas.brief.has("snow") else p.light, 0.18 * rng.random())
        for leaf in range(7):
            angle = -np.pi / 2 + (leaf / 6 - 0.5) * 2.2
            tip = (x + np.cos(angle) * size, canvas.height * 1.02 + np.sin(angle) * size)
            mid = (x + np.cos(angle) * size * 0.45, canvas.height * 1.02 + np.sin(angle) * size * 0.75)
            blade = skia.Path()
            blade.moveTo(x - size * 0.03, canvas.height * 1.03)
            blade.quadTo(mid[0], mid[1], tip[0], tip[1])
            blade.quadTo(mid[0] + size * 0.05, mid[1] + size * 0.06, x + size * 0.03, canvas.height * 1.03)
            canvas.skia_canvas.drawPath(blade, fill(tone))
