"""Open water: sea under a wide sky, islands, boats, a lighthouse, breaking waves; and the world below the surface."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import shapes, sky, water, weather
from safelight.providers.builtin.canvas import Canvas, Element, fill, line, polygon, shaded
from safelight.providers.builtin.noise import sample, texture, wander
from safelight.providers.builtin.palette import Palette, mix, scale
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes, field_size


def sea(brief: Brief, palette: Palette) -> list[Element]:
    """A sea horizon with headlands; boats, a lighthouse or surf where they are named, else as chance has it."""
    rng = brief.rng("sea")
    horizon = rng.uniform(0.44, 0.60)
    rough = 2.0 if brief.light == "storm" or brief.has("waves") else 1.0
    cover = 0.78 if brief.light == "storm" else rng.uniform(0.35, 0.6)
    elements = sky.sky_elements(brief, palette.night, horizon, cover)
    for number in range(int(rng.integers(1, 4))):
        elements.append(Element(depth=0.08 + 0.05 * number, draw=partial(_headland, number=number, level=horizon)))
    if brief.has("lighthouse"):
        elements.append(Element(depth=0.2, draw=partial(_lamp, level=horizon)))
    elements.append(water.surface(brief, top=horizon, depth=0.3, rough=rough))
    if brief.has("boats") or (rough == 1 and rng.random() < 0.6):
        elements.append(Element(depth=0.35, moves=True, draw=partial(_fleet, level=horizon)))
    if rough > 1 or rng.random() < 0.4:
        elements.append(Element(depth=0.6, moves=True, ink=_foam, draw=partial(_surf, level=horizon, rough=rough)))
    return elements + weather.elements(brief, horizon)


def _headland(canvas: Canvas, _: float, *, number: int, level: float) -> None:
    rng, p = canvas.brief.rng(f"headland{number}"), canvas.palette
    count = max(200, canvas.span // 3)
    x = np.linspace(-canvas.margin, canvas.width + canvas.margin, count)
    s = x / canvas.width
    side, reach = rng.choice([-1, 1]), rng.uniform(0.25, 0.5)
    edge = reach if side < 0 else 1 - reach
    body = np.clip((edge - s) * side * -1, 0, 1) ** 0.7 if side > 0 else np.clip(edge - s, 0, 1) ** 0.7
    ridge = body * (0.20 - 0.04 * number) * (1 + 0.45 * wander(rng, count, coarsest=2)) + 0.004 * wander(
        rng, count, roughness=0.9, coarsest=20
    ) * (body > 0)
    base = (level + 0.004) * canvas.height
    top = base - np.maximum(ridge, 0) * canvas.height
    far = 0.72 - 0.22 * number
    colour = mix(mix((0.22, 0.26, 0.24), p.shade, 0.55), p.haze, far)
    outline = [(float(a), float(b)) for a, b in zip(x, top, strict=True)]
    path = polygon([*outline, (canvas.width + canvas.margin, base), (-canvas.margin, base)])
    peak = float(top.min())
    canvas.skia_canvas.drawPath(
        path,
        shaded(peak, base, [(mix(colour, p.light, 0.18), 1), (colour, 1), (mix(colour, p.haze, 0.4), 1)]),
    )


def _lamp(canvas: Canvas, _: float, *, level: float) -> None:
    rng, p = canvas.brief.rng("lighthouse"), canvas.palette
    x = canvas.width * (0.24 if p.sun_x > 0.5 else 0.76)
    base, size = (level + 0.01) * canvas.height, canvas.height * rng.uniform(0.26, 0.34)
    count = 60
    t = np.linspace(-1, 1, count)
    rocks = base - size * 0.32 * np.sqrt(np.maximum(0, 1 - t * t)) * (
        1 + 0.14 * wander(rng, count, roughness=1, coarsest=8)
    )
    points = [(x + float(a) * size * 1.1, float(b)) for a, b in zip(t, rocks, strict=True)]
    canvas.skia_canvas.drawPath(polygon(points), fill(mix(mix((0.25, 0.23, 0.23), p.shade, 0.5), p.haze, 0.15)))
    shapes.lighthouse(canvas, x, base - size * 0.28, size)


def _fleet(canvas: Canvas, seconds: float, *, level: float) -> None:
    rng, p = canvas.brief.rng("fleet"), canvas.palette
    boats = [(rng.uniform(0.12, 0.88), rng.random() ** 1.6) for _ in range(int(rng.integers(2, 6)))]
    for i, (x, near) in enumerate(sorted(boats, key=lambda boat: boat[1])):
        y = (level + 0.018 + near * (0.72 - level)) * canvas.height + np.sin(seconds * 1.6 + i * 2) * canvas.unit * 2
        size = (0.035 + 0.13 * near) * canvas.height
        hull = mix(mix(p.accent if i % 2 else (0.30, 0.22, 0.20), p.shade, 0.35), p.haze, 0.4 * (1 - near))
        sail = mix(mix((0.97, 0.95, 0.90), p.light, 0.35), p.shade, 0.55 * p.night)
        shapes.sailboat(canvas, x * canvas.width + seconds * (2 + 5 * near) * canvas.unit, y, size, hull, sail)


def _foam(p: Palette) -> Rgb:
    return mix(mix((1, 1, 1), p.light, 0.3), p.shade, 0.35 * p.night)


def _surf(canvas: Canvas, seconds: float, *, level: float, rough: float) -> None:
    """Lines of foam that roll in, wider apart and heavier near the viewer."""
    p, u = canvas.palette, canvas.unit
    foam = _foam(p)
    for i in range(9):
        rng = canvas.brief.rng(f"surf{i}")
        t = (i / 9 + seconds * 0.02) % 1.0
        y = (level + 0.04 + (1.04 - level) * t**1.7) * canvas.height
        count = 160
        x = np.linspace(-0.05, 1.05, count) * canvas.width
        crest = (
            y + wander(rng, count, roughness=1.2) * 16 * u * t * rough + np.sin(x / canvas.width * 9 + i) * 8 * u * t
        )
        breaks = wander(rng, count, roughness=1.0, coarsest=2)
        weight = (0.6 + 7 * t) * u * np.minimum(1.6, np.maximum(breaks, 0.15)) * (0.25 + 0.15 * rough)
        alpha = min(0.85, 0.25 + 0.5 * t) * (0.45 if rough < 1.5 else 1.0) * min(1.0, (1 - t) * 8)
        for run in np.split(np.arange(count), np.flatnonzero(np.diff(breaks > 0.15)) + 1):
            if breaks[run[0]] > 0.15 and run.size > 1:
                upper = np.stack([x[run], (crest - weight)[run]], axis=1)
                lower = np.stack([x[run], (crest + weight)[run]], axis=1)
                canvas.skia_canvas.drawPath(polygon(np.concatenate([upper, lower[::-1]])), fill(foam, alpha))


class Deep:
    """Light from above through blue water, with caustics and shafts that sway."""

    def __init__(self, brief: Brief, palette: Palette) -> None:
        rng = brief.rng("deep")
        hues = ((0.02, 0.20, 0.34), (0.02, 0.26, 0.34), (0.05, 0.14, 0.36), (0.03, 0.28, 0.30))
        self.low = mix(
            scale(hues[int(rng.integers(4))], 1 - 0.5 * palette.night),
            palette.accent,
            0.06 if brief.colours else 0,
        )
        self.high = mix((0.50, 0.86, 0.88), palette.horizon, 0.25 + 0.3 * palette.night)
        self.tile = texture(rng, 256, roughness=1.7, coarsest=2)
        self.sun = rng.uniform(0.25, 0.75)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        rows, columns = field_size(canvas)
        x, y = field_axes(canvas, rows, columns, 1.0)
        t = np.float32(seconds * 0.02)
        depth = y + 0.05 * sample(self.tile, x * 0.3 + t, y * 0.3)
        share = np.exp(-np.maximum(depth, 0) * np.float32(2.3))
        angle = (x - np.float32(self.sun)) / (y + np.float32(0.35))
        rays = sample(self.tile, angle * 0.55 + t, 0 * y + t * 0.5) + 0.5 * sample(
            self.tile, angle * 1.7 - t, 0 * y + 0.4
        )
        share = share * (1 + 0.26 * rays * np.exp(-y * np.float32(1.6))) + 0.32 * np.exp(
            -((x - self.sun) ** 2) * 10 - y * 5
        )
        net = np.abs(sample(self.tile, x * 1.5 + t, y * 2.5 - t) - sample(self.tile, x * 1.5 - t, y * 2.5 + 0.3))
        share = np.clip(share + np.exp(-net * 7) * 0.22 * np.exp(-y * 4), 0, 1)
        planes = [np.float32(a) + np.float32(b - a) * share for a, b in zip(self.low, self.high, strict=True)]
        canvas.lay(0, canvas.height, (planes[0], planes[1], planes[2]))


def underwater(brief: Brief, palette: Palette) -> list[Element]:
    """A reef: sand, layers of rock and coral, weeds, a shoal, bubbles."""
    deep = Deep(brief, palette)
    elements = [Element(depth=0, moves=True, slow=True, draw=deep.draw)]
    for number in range(3):
        elements.append(Element(depth=0.15 + 0.25 * number, draw=partial(_reef, number=number, deep=deep)))
        elements.append(Element(depth=0.2 + 0.2 * number, moves=True, draw=partial(_shoal, number=number, deep=deep)))
    elements.append(Element(depth=0.9, moves=True, ink=lambda _: (0.88, 0.98, 1.0), draw=_bubbles))
    return elements


def _reef(canvas: Canvas, _: float, *, number: int, deep: Deep) -> None:
    rng = canvas.brief.rng(f"reef{number}")
    count = 240
    x = np.linspace(-canvas.margin, canvas.width + canvas.margin, count)
    dip = (x / canvas.width - rng.uniform(0.35, 0.65)) ** 2 * rng.uniform(0.5, 1.3)
    top = (0.78 + 0.08 * number - dip - 0.04 * wander(rng, count, roughness=1.3, coarsest=2)) * canvas.height
    far = (0.72, 0.42, 0.12)[number]
    water_tone = mix(deep.low, deep.high, 0.28)
    rock = mix(mix((0.16, 0.17, 0.22), deep.low, 0.35), water_tone, far)
    corals = (
        (0.92, 0.42, 0.36),
        (0.95, 0.66, 0.34),
        (0.80, 0.40, 0.62),
        (0.62, 0.46, 0.80),
        (0.36, 0.70, 0.56),
        canvas.palette.accent,
    )
    for _i in range(34):
        j = int(rng.integers(0, count))
        size = canvas.height * rng.uniform(0.03, 0.12) * (0.6 + 0.35 * number)
        tone = mix(scale(corals[int(rng.integers(len(corals)))], 0.85), water_tone, far)
        _coral(canvas, rng, float(x[j]), float(top[j]) + size * 0.15, size, tone)
    outline = [(float(a), float(b)) for a, b in zip(x, top, strict=True)]
    path = polygon([*outline, (canvas.width + canvas.margin, canvas.height), (-canvas.margin, canvas.height)])
    canvas.skia_canvas.drawPath(
        path,
        shaded(
            float(top.min()),
            canvas.height,
            [(mix(rock, deep.high, 0.14), 1), (rock, 1), (mix(rock, deep.low, 0.6), 1)],
        ),
    )


def _coral(
    canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, tone: tuple[float, float, float]
) -> None:
    """A fan, a brain or a branching coral."""
    kind, skia_canvas = rng.integers(3), canvas.skia_canvas
    if kind == 0:
        for i in range(13):
            angle = -np.pi / 2 + (i / 12 - 0.5) * 1.9
            reach = size * rng.uniform(0.75, 1.05)
            bend = skia.Path()
            bend.moveTo(x, y)
            bend.quadTo(
                x + np.cos(angle) * reach * 0.3,
                y - reach * 0.5,
                x + np.cos(angle) * reach,
                y + np.sin(angle) * reach,
            )
            skia_canvas.drawPath(bend, line(mix(tone, (1, 1, 1), 0.1 * (i % 3)), size * 0.055))
    elif kind == 1:
        for i in range(5):
            skia_canvas.drawCircle(x, y, size * 0.5 * (1 - i * 0.17), fill(mix(scale(tone, 0.75), (1, 1, 1), 0.07 * i)))
    else:
        stack = [(x, y, -np.pi / 2, size * 0.4, 0)]
        while stack:
            px, py, angle, reach, level = stack.pop()
            qx, qy = px + np.cos(angle) * reach, py + np.sin(angle) * reach
            skia_canvas.drawLine(
                px, py, qx, qy, line(mix(tone, (1, 1, 1), 0.06 * level), max(1.0, size * 0.09 * 0.75**level))
            )
            if level < 4:
                stack += [
                    (qx, qy, angle + turn, reach * 0.76, level + 1)
                    for turn in (-rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.6))
                ]


def _shoal(canvas: Canvas, seconds: float, *, number: int, deep: Deep) -> None:
    rng = canvas.brief.rng(f"shoal{number}")
    tones = (
        (0.95, 0.62, 0.22),
        (0.98, 0.86, 0.40),
        (0.86, 0.92, 0.96),
        (0.40, 0.62, 0.92),
        canvas.palette.accent,
    )
    tone = mix(tones[int(rng.integers(len(tones)))], mix(deep.low, deep.high, 0.4), (0.65, 0.35, 0.05)[number])
    way = rng.choice([-1, 1])
    cx, cy = rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.62)
    size = canvas.height * (0.012, 0.02, 0.034)[number]
    for i in range((34, 22, 7)[number]):
        px = (cx + rng.normal(0, 0.12) + way * seconds * 0.018) * canvas.width
        py = (cy + rng.normal(0, 0.055)) * canvas.height + np.sin(seconds * 1.4 + i) * size * 0.5
        s = size * rng.uniform(0.7, 1.2)
        tail = np.sin(seconds * 9 + i * 1.7) * s * 0.25
        body = skia.Path()
        body.moveTo(px + way * s, py)
        body.quadTo(px, py - s * 0.62, px - way * s * 0.8, py)
        body.quadTo(px, py + s * 0.62, px + way * s, py)
        canvas.skia_canvas.drawPath(body, fill(tone))
        canvas.skia_canvas.drawPath(
            polygon(
                [
                    (px - way * s * 0.65, py),
                    (px - way * s * 1.35, py - s * 0.42 + tail),
                    (px - way * s * 1.35, py + s * 0.42 + tail),
                ]
            ),
            fill(scale(tone, 0.85)),
        )
        canvas.skia_canvas.drawCircle(px + way * s * 0.6, py - s * 0.08, max(0.7, s * 0.08), fill((0.05, 0.06, 0.1)))


def _bubbles(canvas: Canvas, seconds: float) -> None:
    rng = canvas.brief.rng("bubbles")
    for _i in range(60):
        x, y, r = rng.random(), (rng.random() - seconds * rng.uniform(0.03, 0.08)) % 1.0, rng.uniform(1.5, 7)
        px, radius = (x + 0.006 * np.sin(y * 30)) * canvas.width, r * canvas.unit
        canvas.skia_canvas.drawCircle(
            px, y * canvas.height, radius, line((0.85, 0.97, 1.0), max(0.8, radius * 0.18), 0.45)
        )
        canvas.skia_canvas.drawCircle(
            px - radius * 0.3, y * canvas.height - radius * 0.3, radius * 0.22, fill((1, 1, 1), 0.6)
        )
