"""Things drawn with Skia and placed in scenes: houses, churches, trees, boats, birds, people, smoke."""

import numpy as np
import skia

from safelight.providers.builtin.canvas import Canvas, fill, glow, line, polygon, shaded
from safelight.providers.builtin.palette import Palette, mix, scale
from safelight.providers.builtin.reading import Rgb

WINDOW: Rgb = (1.0, 0.80, 0.42)


def house(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, wall: Rgb, roof: Rgb) -> None:
    """A gabled house whose ground line is at ``y``; its lit front and shaded side meet at a corner."""
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    w, h = size * rng.uniform(0.85, 1.25), size * rng.uniform(0.55, 0.8)
    side = w * rng.uniform(0.45, 0.7)
    flip = 1 if p.sun_x > 0.5 else -1
    peak = h + size * rng.uniform(0.42, 0.62)

    def at(dx: float, dy: float) -> tuple[float, float]:
        return x + flip * (dx - w / 2), y - dy

    dark = mix(wall, p.shade, 0.5)
    skia_canvas.drawPath(polygon([at(-side, 0), at(-side, h), at(0, h), at(0, 0)]), fill(dark))
    skia_canvas.drawPath(polygon([at(0, 0), at(0, h), at(w / 2, peak), at(w, h), at(w, 0)]), fill(wall))
    eave = size * 0.06
    slope = polygon([at(-side - eave, h - eave), at(w / 2 - side, peak + eave), at(w / 2, peak + eave), at(-eave, h)])
    skia_canvas.drawPath(slope, fill(mix(roof, p.shade, 0.25)))
    skia_canvas.drawPath(
        polygon([at(w / 2, peak + eave), at(w + eave, h - eave), at(w, h + eave * 0.2), at(w / 2, peak - eave)]),
        fill(mix(roof, p.light, 0.25)),
    )
    skia_canvas.drawPath(polygon([at(-side, 0), at(-side, h * 0.12), at(w, h * 0.12), at(w, 0)]), fill(p.shade, 0.22))
    lit = 0.75 if p.night > 0.1 or p.name in ("dawn", "golden") else 0.25
    pane = size * 0.13
    for dx, dy in (
        (w * 0.28, h * 0.45),
        (w * 0.66, h * 0.45),
        (w * 0.47, h * 0.98),
        (-side * 0.55, h * 0.45),
    ):
        cx, cy = at(dx, dy)
        if rng.random() < lit:
            skia_canvas.drawCircle(cx, cy, pane * 3.4, glow(cx, cy, pane * 3.4, WINDOW, 0.30 + 0.25 * p.night))
            skia_canvas.drawRect(_box(cx, cy, pane, pane * 1.25), fill(WINDOW))
        else:
            skia_canvas.drawRect(_box(cx, cy, pane, pane * 1.25), fill(mix(p.shade, (0.1, 0.1, 0.2), 0.4)))
    if rng.random() < 0.6:
        cx, cy = at(w / 2 - side * 0.5, peak)
        skia_canvas.drawRect(_box(cx, cy - eave * 2, size * 0.13, size * 0.26), fill(mix(roof, p.shade, 0.5)))


def _box(x: float, y: float, w: float, h: float) -> skia.Rect:
    return skia.Rect(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def church(canvas: Canvas, x: float, y: float, size: float, wall: Rgb, roof: Rgb) -> None:
    """A nave and a tower with a tall spire, a lit belfry and a cross."""
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    flip = 1 if p.sun_x > 0.5 else -1
    rng = canvas.brief.rng("church")
    house(canvas, rng, x - flip * size * 0.85, y, size * 1.15, wall, roof)
    w, h = size * 0.62, size * 2.1
    skia_canvas.drawRect(skia.Rect(x - w / 2, y - h, x + w / 2, y), fill(wall))
    half = skia.Rect(x - w / 2, y - h, x, y) if flip > 0 else skia.Rect(x, y - h, x + w / 2, y)
    skia_canvas.drawRect(half, fill(mix(wall, p.shade, 0.5)))
    tip = (x, y - h - size * 1.55)
    skia_canvas.drawPath(polygon([(x - w * 0.62, y - h), tip, (x + w * 0.62, y - h)]), fill(mix(roof, p.light, 0.18)))
    skia_canvas.drawPath(polygon([(x - flip * w * 0.62, y - h), tip, (x, y - h)]), fill(mix(roof, p.shade, 0.45)))
    pen = line(mix(p.shade, (0, 0, 0), 0.2), max(1.0, size * 0.035))
    skia_canvas.drawLine(x, tip[1], x, tip[1] - size * 0.28, pen)
    skia_canvas.drawLine(x - size * 0.08, tip[1] - size * 0.18, x + size * 0.08, tip[1] - size * 0.18, pen)
    for dy in (0.86, 0.5):
        cy = y - h * dy
        skia_canvas.drawCircle(x, cy, size * 0.5, glow(x, cy, size * 0.5, WINDOW, 0.4))
        skia_canvas.drawRoundRect(_box(x, cy, w * 0.26, size * 0.3), w * 0.13, w * 0.13, fill(WINDOW))


def fir(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, colour: Rgb) -> None:
    """A conifer of ragged tiers."""
    tiers = 10
    left, right = [], []
    for i in range(tiers):
        t = i / tiers
        top = y - size + size * t * 0.9
        reach = size * 0.21 * (0.18 + t) * rng.uniform(0.8, 1.2)
        left += [(x - reach * 0.42, top), (x - reach, top + size * 0.115)]
        right += [(x + reach * 0.42, top), (x + reach, top + size * 0.115)]
    skirt = y - size * 0.05
    trunk = [(x + size * 0.022, skirt), (x + size * 0.022, y), (x - size * 0.022, y), (x - size * 0.022, skirt)]
    outline = [(x, y - size * 1.04), *right, *trunk, *left[::-1]]
    canvas.skia_canvas.drawPath(polygon(outline), fill(colour))


def broadleaf(canvas: Canvas, rng: np.random.Generator, x: float, y: float, size: float, colour: Rgb) -> None:
    """A round crown of leaf clusters, lighter towards the sun."""
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    trunk = mix(colour, (0.16, 0.10, 0.08), 0.7)
    skia_canvas.drawLine(x, y, x, y - size * 0.5, line(trunk, size * 0.07))
    side = 1 if p.sun_x > 0.5 else -1
    for i in range(46):
        angle, r = rng.uniform(0, 6.283), np.sqrt(rng.random()) * size * 0.34
        cx, cy = x + np.cos(angle) * r, y - size * 0.64 + np.sin(angle) * r * 0.85
        lit = np.clip(0.5 + side * (cx - x) / size - (cy - y + size * 0.64) / size + i / 120 - 0.2, 0, 1)
        tone = mix(scale(colour, 0.62), mix(colour, p.light, 0.45), float(lit))
        skia_canvas.drawCircle(float(cx), float(cy), float(size * rng.uniform(0.05, 0.12)), fill(tone, 0.85))


def sailboat(canvas: Canvas, x: float, y: float, size: float, hull: Rgb, sail: Rgb) -> None:
    """A small boat under sail, with its broken reflection."""
    skia_canvas = canvas.skia_canvas
    for i in range(9):
        w = size * (0.55 - 0.045 * i)
        dy = size * 0.09 * (i + 0.6)
        shift = np.sin(i * 2.1 + x) * size * 0.05
        tone = hull if i < 2 else sail
        skia_canvas.drawLine(
            x - w / 2 + shift, y + dy, x + w / 2 + shift, y + dy, line(tone, size * 0.03, 0.45 - 0.04 * i)
        )
    body = skia.Path()
    body.moveTo(x - size * 0.5, y - size * 0.14)
    body.quadTo(x - size * 0.4, y + size * 0.06, x - size * 0.2, y + size * 0.05)
    body.lineTo(x + size * 0.3, y + size * 0.05)
    body.quadTo(x + size * 0.48, y, x + size * 0.56, y - size * 0.18)
    body.close()
    skia_canvas.drawPath(body, fill(hull))
    skia_canvas.drawLine(x, y - size * 0.1, x, y - size * 1.35, line(scale(hull, 0.6), size * 0.025))
    main = skia.Path()
    main.moveTo(x + size * 0.03, y - size * 1.32)
    main.quadTo(x + size * 0.42, y - size * 0.6, x + size * 0.46, y - size * 0.24)
    main.lineTo(x + size * 0.03, y - size * 0.22)
    main.close()
    skia_canvas.drawPath(main, fill(sail))
    skia_canvas.drawPath(
        polygon(
            [
                (x - size * 0.03, y - size * 1.2),
                (x - size * 0.42, y - size * 0.24),
                (x - size * 0.03, y - size * 0.22),
            ]
        ),
        fill(mix(sail, canvas.palette.shade, 0.3)),
    )


def bird_colour(palette: Palette) -> Rgb:
    return mix(palette.shade, (0.05, 0.05, 0.08), 0.5)


def birds(canvas: Canvas, seconds: float, *, count: int, top: float, bottom: float) -> None:
    """A loose flock far off, beating as it crosses."""
    rng = canvas.brief.rng("birds")
    cx, cy = rng.uniform(0.3, 0.7), rng.uniform(top, bottom)
    colour = bird_colour(canvas.palette)
    for i in range(count):
        x = (cx + rng.normal(0, 0.09) + 0.006 * seconds) * canvas.width
        y = (cy + rng.normal(0, 0.03)) * canvas.height
        size = rng.uniform(8, 15) * canvas.unit
        beat = np.sin(rng.uniform(0, 6.28) + seconds * rng.uniform(7, 9)) * 0.5 + 0.3
        wing = skia.Path()
        wing.moveTo(x - size, y - size * beat)
        wing.quadTo(x - size * 0.4, y - size * beat * 0.9, x, y)
        wing.quadTo(x + size * 0.4, y - size * beat * 0.9, x + size, y - size * beat)
        canvas.skia_canvas.drawPath(wing, line(colour, max(0.8, size * (0.08 + 0.02 * (i % 3))), 0.85))


def smoke_colour(palette: Palette) -> Rgb:
    return mix(palette.haze, (1, 1, 1), 0.3)


def smoke(canvas: Canvas, seconds: float, *, x: float, y: float, size: float, seed: int) -> None:
    """A thread of smoke that widens, bends with the wind and thins out."""
    rng = canvas.brief.rng(f"smoke{seed}")
    bend, phase = rng.uniform(0.5, 1.1), rng.uniform(0, 6.28)
    colour = smoke_colour(canvas.palette)
    for i in range(22):
        t = (i / 22 + seconds * 0.035) % 1.0
        px = x + size * (bend * t * t * 1.6 + 0.13 * np.sin(t * 8 + phase - seconds * 0.5) * t)
        py = y - size * 2.1 * t
        radius = size * (0.05 + 0.26 * t)
        fade = 0.40 * (1 - t) ** 1.3 * min(1.0, t * 8)
        canvas.skia_canvas.drawCircle(px, py, radius, glow(px, py, radius, colour, fade, add=False))


def figure(canvas: Canvas, x: float, y: float, size: float, colour: Rgb) -> None:
    """A person standing far off, seen from behind, with a long shadow."""
    skia_canvas = canvas.skia_canvas
    side = -1 if canvas.palette.sun_x > 0.5 else 1
    shadow = polygon([(x - size * 0.12, y), (x + size * 0.12, y), (x + side * size * 1.7, y + size * 0.35)])
    skia_canvas.drawPath(shadow, fill(canvas.palette.shade, 0.4))
    coat = [
        (x - size * 0.1, y - size * 0.78),
        (x + size * 0.1, y - size * 0.78),
        (x + size * 0.17, y - size * 0.3),
    ]
    coat += [(x + size * 0.07, y - size * 0.3), (x + size * 0.1, y), (x + size * 0.04, y), (x, y - size * 0.3)]
    coat += [
        (x - size * 0.07, y),
        (x - size * 0.13, y),
        (x - size * 0.07, y - size * 0.3),
        (x - size * 0.17, y - size * 0.3),
    ]
    skia_canvas.drawPath(polygon(coat), fill(colour))
    skia_canvas.drawCircle(x, y - size * 0.88, size * 0.095, fill(scale(colour, 0.7)))


def lighthouse(canvas: Canvas, x: float, y: float, size: float) -> None:
    """A banded tower with its lamp lit."""
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    white, band = mix((0.95, 0.94, 0.9), p.haze, 0.2), mix(p.accent, p.shade, 0.1)
    for i in range(6):
        low, high = i / 6, (i + 1) / 6
        w0, w1 = size * (0.16 - 0.06 * low), size * (0.16 - 0.06 * high)
        points = [
            (x - w0, y - size * low),
            (x + w0, y - size * low),
            (x + w1, y - size * high),
            (x - w1, y - size * high),
        ]
        skia_canvas.drawPath(polygon(points), fill(band if i % 2 else white))
    side = 1 if p.sun_x < 0.5 else -1
    dark = [(x, y), (x + side * size * 0.16, y), (x + side * size * 0.1, y - size), (x, y - size)]
    skia_canvas.drawPath(polygon(dark), fill(p.shade, 0.4))
    top = y - size * 1.06
    skia_canvas.drawRect(_box(x, top, size * 0.14, size * 0.13), fill(WINDOW))
    roof = polygon([(x - size * 0.11, top - size * 0.06), (x, top - size * 0.2), (x + size * 0.11, top - size * 0.06)])
    skia_canvas.drawPath(roof, fill(scale(band, 0.8)))
    skia_canvas.drawCircle(x, top, size * 0.9, glow(x, top, size * 0.9, WINDOW, 0.5))
    for direction in (-1, 1):
        beam = polygon(
            [
                (x, top),
                (x + direction * size * 7, top - size * 0.55),
                (x + direction * size * 7, top + size * 0.35),
            ]
        )
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(x, top), skia.Point(x + direction * size * 5, top)], [0x50FFE9B0, 0x00FFE9B0]
        )
        skia_canvas.drawPath(beam, skia.Paint(Shader=shader, AntiAlias=True))


def mist_band(canvas: Canvas, top: float, bottom: float, colour: Rgb, alpha: float) -> None:
    """A level veil of mist, thickest in the middle."""
    paint = shaded(top, bottom, [(colour, 0), (colour, alpha), (colour, 0)])
    canvas.skia_canvas.drawRect(skia.Rect(-canvas.margin, top, canvas.width + canvas.margin, bottom), paint)
