"""Things close to the eye: a portrait in profile, a still life on a table."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin.canvas import Canvas, Element, fill, glow, line, polygon
from safelight.providers.builtin.noise import sample, texture
from safelight.providers.builtin.palette import Palette, argb, mix, scale, turn
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes, field_size


class Backdrop:
    """A painted cloth: two colours, a pool of light, broad strokes."""

    def __init__(self, brief: Brief, dark: Rgb, light: Rgb, spot: tuple[float, float]) -> None:
        self.tile = texture(brief.rng("backdrop"), 512, roughness=1.5, coarsest=2)
        self.dark, self.light, self.spot = dark, light, spot

    def draw(self, canvas: Canvas, seconds: float) -> None:
        rows, columns = field_size(canvas)
        x, y = field_axes(canvas, rows, columns, 1.0)
        aspect = np.float32(canvas.width / canvas.height)
        t = np.float32(seconds * 0.006)
        n = sample(self.tile, x * aspect * 0.32 + t, y * 0.32 + 0 * x) + 0.4 * sample(
            self.tile, x * aspect * 1.1, y * 0.9 - t
        )
        away = ((x - self.spot[0]) * aspect) ** 2 + (y - self.spot[1]) ** 2
        share = np.clip(np.exp(-away * 2.2) * 0.95 + 0.11 * n, 0, 1)
        planes = [np.float32(a) + np.float32(b - a) * share for a, b in zip(self.dark, self.light, strict=True)]
        canvas.lay(0, canvas.height, (planes[0], planes[1], planes[2]))


def portrait(brief: Brief, palette: Palette) -> list[Element]:
    """Head and shoulders in profile against a lit backdrop: planes of light and shadow, hair, a coat; no likeness."""
    rng = brief.rng("portrait")
    dark = mix(mix(palette.zenith, palette.shade, 0.5), (0.05, 0.05, 0.08), 0.25)
    light = mix(palette.middle, palette.horizon, 0.4)
    left = rng.random() < 0.5
    backdrop = Backdrop(brief, dark, light, (0.36 if left else 0.64, 0.38))
    return [
        Element(depth=0.1, moves=True, slow=True, draw=backdrop.draw),
        Element(depth=0.2, draw=_disc_behind),
        Element(depth=0.5, draw=partial(_sitter, left=left)),
        Element(depth=0.8, moves=True, draw=_motes),
    ]


def _disc_behind(canvas: Canvas, _: float) -> None:
    """A large pale disc, as in an icon or a poster, that holds the head."""
    p = canvas.palette
    size = min(canvas.width, canvas.height)
    x, y, r = canvas.width / 2, canvas.height * 0.42, size * 0.37
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(x, y - r), skia.Point(x, y + r)],
        [argb(mix(p.sun, p.accent, 0.28), 0.9), argb(mix(p.horizon, p.accent, 0.55), 0.55)],
    )
    canvas.skia_canvas.drawCircle(x, y, r * 1.6, glow(x, y, r * 1.6, p.sun, 0.25))
    canvas.skia_canvas.drawCircle(x, y, r, skia.Paint(Shader=shader, AntiAlias=True))


_PROFILE = (  # a face looking right, in head heights: from the crown over brow, nose, lips and chin to the throat
    (-0.02, -0.52), (0.14, -0.50), (0.25, -0.42), (0.305, -0.30), (0.325, -0.20), (0.318, -0.135), (0.325, -0.10),
    (0.372, 0.0), (0.405, 0.055), (0.395, 0.085), (0.340, 0.105), (0.348, 0.145), (0.366, 0.170), (0.345, 0.195),
    (0.358, 0.225), (0.340, 0.258), (0.318, 0.290), (0.330, 0.340), (0.300, 0.400), (0.230, 0.425), (0.130, 0.400),
    (0.075, 0.440), (0.075, 0.56),
)  # fmt: skip


def _smooth(points: list[tuple[float, float]]) -> skia.Path:
    """A closed curve through the middles of the given points' edges."""
    path = skia.Path()
    count = len(points)
    middle = [
        ((points[i][0] + points[(i + 1) % count][0]) / 2, (points[i][1] + points[(i + 1) % count][1]) / 2)
        for i in range(count)
    ]
    path.moveTo(*middle[-1])
    for point, after in zip(points, middle, strict=True):
        path.quadTo(point[0], point[1], after[0], after[1])
    path.close()
    return path


def _sitter(canvas: Canvas, _: float, *, left: bool) -> None:
    rng, p, skia_canvas = canvas.brief.rng("sitter"), canvas.palette, canvas.skia_canvas
    size = min(canvas.width * 1.05, canvas.height) * 0.52
    cx, cy = canvas.width / 2 + (0.02 if left else -0.02) * size, canvas.height * 0.43
    skia_canvas.save()
    skia_canvas.translate(cx, cy)
    skia_canvas.scale(-1 if left else 1, 1)
    skins: tuple[Rgb, ...] = ((0.93, 0.74, 0.62), (0.78, 0.56, 0.42), (0.52, 0.35, 0.26), (0.36, 0.24, 0.19))
    skin = mix(skins[int(rng.integers(4))], p.light, 0.15)
    shadow = mix(scale(skin, 0.55), p.shade, 0.45)
    hairs: tuple[Rgb, ...] = (
        (0.12, 0.09, 0.09),
        (0.30, 0.18, 0.11),
        (0.52, 0.24, 0.12),
        (0.78, 0.62, 0.38),
        (0.62, 0.62, 0.64),
    )
    hair = mix(hairs[int(rng.integers(5))], p.shade, 0.15)
    coat = mix(p.accent, p.shade, 0.25)

    def at(points: object) -> list[tuple[float, float]]:
        return [(float(x) * size, float(y) * size) for x, y in points]  # type: ignore[attr-defined]

    shoulders = at(
        [
            (-0.16, 0.42),
            (0.10, 0.46),
            (0.22, 0.62),
            (0.52, 0.74),
            (0.66, 1.3),
            (-0.95, 1.3),
            (-0.80, 0.80),
            (-0.40, 0.66),
        ]
    )
    skia_canvas.drawPath(
        polygon(at([(-0.22, 0.2), (0.09, 0.36), (0.11, 0.68), (-0.28, 0.68)])), fill(mix(skin, shadow, 0.6))
    )
    skia_canvas.drawPath(_smooth(shoulders), fill(coat))
    _folds(skia_canvas, rng, size, coat, p)
    back = [(-0.16, 0.46), (-0.26, 0.30), (-0.36, 0.10), (-0.40, -0.12), (-0.36, -0.34), (-0.22, -0.48)]
    head = _smooth(at([*_PROFILE[:-1], (-0.02, 0.46), *back]))
    skia_canvas.drawPath(head, fill(skin))
    skia_canvas.save()
    skia_canvas.clipPath(head, True)
    _planes_of_face(skia_canvas, size, skin, shadow, p)
    skia_canvas.restore()
    _hair(skia_canvas, rng, size, hair, p)
    skia_canvas.restore()


def _planes_of_face(skia_canvas: skia.Canvas, size: float, skin: Rgb, shadow: Rgb, p: Palette) -> None:
    """Soft shadow at the back, under brow and jaw; warm cheek; a rim of light along the profile; a closed eye."""
    blur = skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, size * 0.035)

    def soft(points: list[tuple[float, float]], colour: Rgb, alpha: float) -> None:
        paint = fill(colour, alpha)
        paint.setMaskFilter(blur)
        skia_canvas.drawPath(_smooth([(x * size, y * size) for x, y in points]), paint)

    soft(
        [
            (-0.5, -0.6),
            (-0.02, -0.6),
            (0.02, -0.2),
            (-0.02, 0.1),
            (0.06, 0.30),
            (0.20, 0.40),
            (0.1, 0.7),
            (-0.5, 0.7),
        ],
        shadow,
        0.75,
    )
    soft([(0.15, -0.13), (0.33, -0.16), (0.33, -0.06), (0.26, -0.02), (0.16, -0.05)], shadow, 0.5)
    soft([(0.30, 0.07), (0.40, 0.08), (0.35, 0.13), (0.28, 0.12)], shadow, 0.55)
    soft([(0.20, 0.30), (0.33, 0.27), (0.32, 0.31), (0.24, 0.34)], shadow, 0.45)
    soft([(0.06, 0.36), (0.30, 0.41), (0.22, 0.6), (0.0, 0.6)], shadow, 0.7)
    soft([(0.12, 0.02), (0.24, 0.04), (0.22, 0.16), (0.12, 0.16)], mix(skin, (0.95, 0.42, 0.36), 0.5), 0.4)
    soft([(0.29, -0.45), (0.42, -0.3), (0.42, 0.1), (0.33, 0.0), (0.30, -0.2)], mix(skin, p.sun, 0.75), 0.7)
    lips = [
        (0.30, 0.168),
        (0.35, 0.150),
        (0.38, 0.172),
        (0.345, 0.196),
        (0.375, 0.222),
        (0.34, 0.250),
        (0.30, 0.215),
    ]
    skia_canvas.drawPath(
        _smooth([(x * size, y * size) for x, y in lips]), fill(mix(skin, (0.72, 0.20, 0.22), 0.55), 0.85)
    )
    lid = skia.Path()
    lid.moveTo(0.165 * size, -0.055 * size)
    lid.quadTo(0.225 * size, -0.015 * size, 0.285 * size, -0.062 * size)
    skia_canvas.drawPath(lid, line(scale(shadow, 0.45), size * 0.011))
    brow = skia.Path()
    brow.moveTo(0.14 * size, -0.145 * size)
    brow.quadTo(0.22 * size, -0.195 * size, 0.305 * size, -0.165 * size)
    skia_canvas.drawPath(brow, line(scale(shadow, 0.5), size * 0.017, 0.8))


def _folds(skia_canvas: skia.Canvas, rng: np.random.Generator, size: float, coat: Rgb, p: Palette) -> None:
    for i in range(26):
        x = rng.uniform(-0.8, 0.55) * size
        fold = skia.Path()
        fold.moveTo(x * 0.75, (0.70 + 0.12 * abs(x / size)) * size)
        fold.cubicTo(
            x,
            0.85 * size,
            x * 1.1 + rng.normal(0, 0.05) * size,
            size,
            x * 1.2 + rng.normal(0, 0.1) * size,
            1.3 * size,
        )
        tone = mix(coat, p.shade, 0.5) if i % 2 else mix(coat, p.light, 0.35)
        skia_canvas.drawPath(fold, line(tone, size * rng.uniform(0.006, 0.03), 0.4))


def _hair(skia_canvas: skia.Canvas, rng: np.random.Generator, size: float, hair: Rgb, p: Palette) -> None:
    """A mass of hair swept back, then several hundred strands."""
    long = rng.random() < 0.6
    low = 0.75 if long else 0.34
    mass = [(0.24, -0.43), (0.10, -0.56), (-0.12, -0.60), (-0.34, -0.50), (-0.46, -0.25), (-0.46, 0.05),
            (-0.40, low * 0.7), (-0.30, low), (-0.14, low * 0.85),
            (-0.08, 0.25), (0.0, 0.02), (0.05, -0.14), (0.16, -0.28)]  # fmt: skip
    skia_canvas.drawPath(_smooth([(x * size, y * size) for x, y in mass]), fill(scale(hair, 0.8)))
    for i in range(340):
        t = rng.random()
        start = (
            0.24 - 0.30 * t + rng.normal(0, 0.012),
            -0.44 - 0.14 * np.sin(t * 2.4) + rng.normal(0, 0.012),
        )
        end = (-0.12 - 0.30 * rng.random(), low * rng.uniform(0.35, 1.08))
        bulge = (-0.40 - 0.14 * (1 - t) + rng.normal(0, 0.04), -0.50 + 0.35 * t)
        strand = skia.Path()
        strand.moveTo(start[0] * size, start[1] * size)
        strand.cubicTo(
            (start[0] - 0.2) * size,
            (start[1] - 0.06) * size,
            bulge[0] * size,
            bulge[1] * size,
            end[0] * size,
            end[1] * size,
        )
        tone = mix(hair, p.sun, rng.uniform(0, 0.5)) if i % 3 == 0 else scale(hair, rng.uniform(0.5, 1.3))
        skia_canvas.drawPath(strand, line(tone, size * rng.uniform(0.002, 0.008), 0.6))


def _motes(canvas: Canvas, seconds: float) -> None:
    chance, number = canvas.brief.rng("motes").random((44, 3)), np.arange(44)
    x = (chance[:, 0] + 0.01 * np.sin(seconds * 0.6 + number)) * canvas.width
    y = (chance[:, 1] - seconds * 0.008) % 1.0 * canvas.height
    canvas.glows(x, y, (2 + 12 * chance[:, 2]) * canvas.unit, np.array(canvas.palette.sun), 0.22)


def stilllife(brief: Brief, palette: Palette) -> list[Element]:
    """Fruit, a jug and a bottle on a table, lit from a window at one side."""
    rng = brief.rng("stilllife")
    left = palette.sun_x < 0.5
    dark = mix(mix(palette.shade, (0.10, 0.08, 0.07), 0.6), palette.zenith, 0.15)
    light = mix(palette.haze, (0.55, 0.45, 0.36), 0.5)
    backdrop = Backdrop(brief, dark, light, (0.2 if left else 0.8, 0.25))
    edge = rng.uniform(0.60, 0.68)
    return [
        Element(depth=0.1, moves=True, slow=True, draw=backdrop.draw),
        Element(depth=0.3, draw=partial(_table, edge=edge)),
        Element(depth=0.45, draw=partial(_things, edge=edge)),
        Element(depth=0.8, moves=True, draw=_motes),
    ]


def _table(canvas: Canvas, _: float, *, edge: float) -> None:
    rng, p = canvas.brief.rng("table"), canvas.palette
    woods: tuple[Rgb, ...] = ((0.46, 0.30, 0.19), (0.34, 0.22, 0.16), (0.58, 0.44, 0.31))
    wood = mix(woods[int(rng.integers(3))], p.shade, 0.15 + 0.3 * p.night)
    top, bottom = edge * canvas.height, canvas.height
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, top), skia.Point(0, bottom)],
        [argb(mix(wood, p.light, 0.35)), argb(wood), argb(scale(wood, 0.6))],
    )
    canvas.skia_canvas.drawRect(
        skia.Rect(-canvas.margin, top, canvas.width + canvas.margin, bottom), skia.Paint(Shader=shader)
    )
    for i in range(150):
        t = rng.random() ** 0.7
        y = top + t * (bottom - top)
        x, w = rng.uniform(-0.1, 1) * canvas.width, canvas.width * rng.uniform(0.1, 0.5)
        tone = scale(wood, 0.55) if i % 2 else mix(wood, p.light, 0.4)
        canvas.skia_canvas.drawLine(
            x, y, x + w, y + rng.normal(0, 2) * canvas.unit, line(tone, (0.5 + 2.4 * t) * canvas.unit, 0.16)
        )


def _things(canvas: Canvas, _: float, *, edge: float) -> None:
    rng, p = canvas.brief.rng("things"), canvas.palette
    unit = min(canvas.height, canvas.width * 0.8)
    centre = canvas.width * rng.uniform(0.44, 0.56)
    base = edge * canvas.height
    glaze: tuple[Rgb, ...] = ((0.86, 0.84, 0.78), (0.28, 0.42, 0.50), (0.60, 0.34, 0.24), (0.24, 0.34, 0.28))
    jugs = [
        (rng.uniform(-0.34, -0.12), 0.42, 0.105),
        (rng.uniform(0.10, 0.34), rng.uniform(0.26, 0.5), rng.uniform(0.07, 0.12)),
    ]
    for x, tall, wide in jugs:
        colour = mix(glaze[int(rng.integers(4))], p.accent, 0.55 if canvas.brief.colours and x > 0 else 0.05)
        _jug(canvas, rng, centre + x * unit, base + 0.07 * unit, tall * unit, wide * unit, colour)
    fruits: tuple[Rgb, ...] = (
        p.accent,
        (0.90, 0.55, 0.14),
        (0.80, 0.16, 0.14),
        (0.72, 0.74, 0.24),
        (0.52, 0.16, 0.26),
        (0.93, 0.78, 0.28),
    )
    spots = [
        (rng.uniform(-0.42, 0.42), rng.uniform(0.09, 0.24), rng.uniform(0.045, 0.075))
        for _i in range(int(rng.integers(6, 12)))
    ]
    kept: list[tuple[float, float, float]] = []
    for spot in spots:
        if all(np.hypot(spot[0] - k[0], (spot[1] - k[1]) * 2.2) > (spot[2] + k[2]) * 0.9 for k in kept):
            kept.append(spot)
    for i, (x, y, r) in enumerate(sorted(kept, key=lambda k: k[1])):
        _fruit(
            canvas,
            rng,
            centre + x * unit,
            base + y * unit - r * unit * 0.5,
            r * unit,
            fruits[(i + int(rng.integers(2))) % len(fruits)],
        )


def _shadow(canvas: Canvas, x: float, y: float, w: float, h: float) -> None:
    side = 1 if canvas.palette.sun_x < 0.5 else -1
    paint = fill(mix(canvas.palette.shade, (0, 0, 0), 0.5), 0.55)
    paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, max(0.5, h * 0.35)))
    canvas.skia_canvas.drawOval(skia.Rect(x - w + side * w * 0.7, y - h, x + w + side * w * 0.9, y + h), paint)


def _round(canvas: Canvas, x: float, y: float, r: float, colour: Rgb) -> skia.Paint:
    """Light that turns around a form: highlight, body, core shadow, reflected light."""
    p = canvas.palette
    side = -1 if p.sun_x < 0.5 else 1
    lit = mix(mix(colour, p.light, 0.5), (1, 1, 1), 0.12)
    core = mix(scale(colour, 0.35), p.shade, 0.35)
    tones = [argb(lit), argb(colour), argb(core), argb(mix(core, colour, 0.35))]
    shader = skia.GradientShader.MakeRadial(
        skia.Point(x + side * r * 0.42, y - r * 0.42), r * 1.65, tones, [0, 0.38, 0.85, 1]
    )
    return skia.Paint(Shader=shader, AntiAlias=True)


def _fruit(canvas: Canvas, rng: np.random.Generator, x: float, y: float, r: float, colour: Rgb) -> None:
    skia_canvas = canvas.skia_canvas
    _shadow(canvas, x, y + r * 0.88, r * 0.95, r * 0.24)
    colour = turn(mix(colour, canvas.palette.shade, 0.3 * canvas.palette.night), rng.uniform(-0.015, 0.015))
    pear = rng.random() < 0.3
    form = skia.Path().addCircle(x, y, r)
    if pear:
        form = _smooth([(x - r, y + r * 0.2), (x - r * 0.75, y + r), (x + r * 0.75, y + r), (x + r, y + r * 0.2),
                        (x + r * 0.42, y - r * 0.7), (x + r * 0.2, y - r * 1.55),
                        (x - r * 0.2, y - r * 1.55), (x - r * 0.42, y - r * 0.7)])  # fmt: skip
    skia_canvas.drawPath(form, _round(canvas, x, y, r, colour))
    skia_canvas.save()
    skia_canvas.clipPath(form, True)
    for _i in range(70):
        dx, dy = rng.normal(0, 0.5, 2)
        skia_canvas.drawCircle(
            x + dx * r, y + dy * r, r * rng.uniform(0.01, 0.035), fill(mix(colour, (1, 0.95, 0.8), 0.4), 0.25)
        )
    skia_canvas.restore()
    top = y - r * (1.3 if pear else 0.9)
    skia_canvas.drawLine(x, top, x + r * 0.14, top - r * 0.36, line((0.24, 0.16, 0.10), r * 0.09))
    side = -1 if canvas.palette.sun_x < 0.5 else 1
    gx, gy = x + side * r * 0.36, y - r * 0.42
    skia_canvas.drawCircle(gx, gy, r * 0.26, glow(gx, gy, r * 0.26, (1, 1, 1), 0.75))


def _jug(canvas: Canvas, rng: np.random.Generator, x: float, y: float, tall: float, wide: float, colour: Rgb) -> None:
    """A turned vessel: a curve of widths, shaded across."""
    p, skia_canvas = canvas.palette, canvas.skia_canvas
    _shadow(canvas, x, y, wide * 1.1, wide * 0.22)
    belly, neck = rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.6)
    steps = np.linspace(0, 1, 24)
    widths = wide * (
        neck + (1 - neck) * np.exp(-(((steps - belly) / 0.3) ** 2)) + 0.25 * np.clip(steps - 0.88, 0, 1) * 4
    )
    right = [(x + float(w), y - float(t) * tall) for t, w in zip(steps, widths, strict=True)]
    left = [(x - float(w), y - float(t) * tall) for t, w in zip(steps, widths, strict=True)]
    form = skia.Path()
    form.addPoly([skia.Point(a, b) for a, b in [*right, *left[::-1]]], True)
    foot = float(widths[0])
    form.addArc(skia.Rect(x - foot, y - wide * 0.16, x + foot, y + wide * 0.16), 0, 180)
    sun_left = p.sun_x < 0.5
    tones = [
        mix(colour, p.light, 0.25),
        mix(mix(colour, p.light, 0.5), (1, 1, 1), 0.15),
        colour,
        mix(scale(colour, 0.35), p.shade, 0.3),
        mix(scale(colour, 0.55), p.haze, 0.1),
    ]
    tones = tones if sun_left else tones[::-1]
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(x - wide, 0), skia.Point(x + wide, 0)],
        [argb(tone) for tone in tones],
        [0, 0.22, 0.5, 0.85, 1] if sun_left else [0, 0.15, 0.5, 0.78, 1],
    )
    skia_canvas.drawPath(form, skia.Paint(Shader=shader, AntiAlias=True))
    rim = float(widths[-1])
    skia_canvas.drawOval(
        skia.Rect(x - rim, y - tall - rim * 0.22, x + rim, y - tall + rim * 0.22),
        fill(scale(mix(colour, p.shade, 0.4), 0.5)),
    )
    skia_canvas.drawOval(
        skia.Rect(x - rim, y - tall - rim * 0.22, x + rim, y - tall + rim * 0.22),
        line(mix(colour, p.light, 0.4), max(1.0, wide * 0.03)),
    )
    gx = x + (-1 if sun_left else 1) * wide * 0.42
    gy = y - belly * tall - tall * 0.1
    skia_canvas.save()
    skia_canvas.clipPath(form, True)
    skia_canvas.drawCircle(gx, gy, wide * 0.4, glow(gx, gy, wide * 0.4, (1, 1, 1), 0.5))
    skia_canvas.restore()
