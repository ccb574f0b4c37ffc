"""A city: rows of buildings that fade with distance, windows that light up, a wet street or a river below."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import sky, water, weather
from safelight.providers.builtin.canvas import Canvas, Element, fill, glow, line, polygon
from safelight.providers.builtin.palette import Palette, mix, scale
from safelight.providers.builtin.reading import Brief, Rgb

NEON: tuple[Rgb, ...] = (
    (1.0, 0.24, 0.60),
    (0.20, 0.90, 1.0),
    (1.0, 0.62, 0.20),
    (0.62, 0.36, 1.0),
    (0.34, 1.0, 0.62),
)


def city(brief: Brief, palette: Palette) -> list[Element]:
    """A skyline over water or over a street that mirrors its lights."""
    rng = brief.rng("city")
    ground = rng.uniform(0.74, 0.82)
    elements = sky.sky_elements(brief, palette.night, ground, rng.uniform(0.35, 0.6))
    for row in range(4):
        elements.append(Element(depth=0.08 + 0.16 * row, draw=partial(_row, row=row, ground=ground)))
        if row < 3:
            elements.append(Element(depth=0.08 + 0.16 * row, draw=partial(_haze, row=row, ground=ground)))
    if palette.night > 0.4:
        elements.append(Element(depth=0.08 + 0.16 * 3, draw=partial(_lit_signs, ground=ground)))
        flicker = partial(_flicker, ground=ground)
        elements.append(Element(depth=0.56, moves=True, ink=lambda p: mix(p.shade, (0, 0, 0), 0.5), draw=flicker))
    wet = brief.has("rain", "lake") or palette.name in ("neon", "night") or rng.random() < 0.6
    elements.append(water.surface(brief, top=ground, depth=0.6, rough=0.7 if wet else 0.4))
    elements.append(Element(depth=0.7, draw=partial(_embankment, ground=ground)))
    elements.append(Element(depth=0.7, moves=True, draw=partial(_traffic, ground=ground)))
    return elements + weather.elements(brief, ground)


def _row(canvas: Canvas, _: float, *, row: int, ground: float) -> None:
    """One row of buildings, far (0) to near (3)."""
    rng, p = canvas.brief.rng(f"row{row}"), canvas.palette
    far = (0.78, 0.55, 0.30, 0.08)[row]
    base = ground * canvas.height + 2
    centre, tall = canvas.brief.rng("downtown").uniform(0.3, 0.7), (0.50, 0.52, 0.44, 0.30)[row]
    x = -canvas.margin - 40 * canvas.unit
    while x < canvas.width + canvas.margin:
        w = rng.uniform(26, 66) * canvas.unit * (0.75 + 0.28 * row)
        focus = np.exp(-(((x / canvas.width - centre) / 0.28) ** 2))
        h = canvas.height * tall * (0.28 + 0.72 * focus * rng.uniform(0.5, 1.0) + 0.22 * rng.random() ** 2)
        stone = ((0.40, 0.42, 0.48), (0.50, 0.44, 0.40), (0.34, 0.38, 0.46), (0.56, 0.54, 0.52))[int(rng.integers(4))]
        wall = mix(mix(stone, p.shade, 0.45 + 0.45 * p.night), p.haze, far)
        _building(canvas, rng, (x, base, w, h), wall, far)
        x += w * rng.uniform(0.85, 1.12) + rng.uniform(0, 8) * canvas.unit


def _building(
    canvas: Canvas, rng: np.random.Generator, box: tuple[float, float, float, float], wall: Rgb, far: float
) -> None:
    x, base, w, h = box
    skia_canvas, p = canvas.skia_canvas, canvas.palette
    lit_side = mix(wall, p.light, 0.34 * (1 - 0.6 * p.night))
    side = w * rng.uniform(0.25, 0.4)
    sun_right = p.sun_x > 0.5
    top = base - h
    skia_canvas.drawRect(skia.Rect(x, top, x + w, base), fill(wall))
    strip = skia.Rect(x + w - side, top, x + w, base) if sun_right else skia.Rect(x, top, x + side, base)
    skia_canvas.drawRect(strip, fill(lit_side))
    crown = rng.random()
    if crown < 0.25:
        skia_canvas.drawRect(skia.Rect(x + w * 0.2, top - h * 0.09, x + w * 0.8, top), fill(wall))
        skia_canvas.drawLine(x + w / 2, top - h * 0.09, x + w / 2, top - h * 0.26, line(wall, max(1.0, w * 0.03)))
    elif crown < 0.4:
        skia_canvas.drawPath(
            polygon([(x, top), (x + w * 0.5, top - w * 0.7), (x + w, top)]), fill(mix(wall, p.shade, 0.2))
        )
    elif crown < 0.7:
        skia_canvas.drawRect(skia.Rect(x + w * 0.12, top - w * 0.16, x + w * 0.4, top), fill(mix(wall, p.shade, 0.2)))
    _windows(canvas, rng, (x, top, w, h), wall, far)


def _windows(
    canvas: Canvas, rng: np.random.Generator, box: tuple[float, float, float, float], wall: Rgb, far: float
) -> None:
    """A grid of windows in two batches: dark panes and lit ones."""
    x, top, w, h = box
    p, u = canvas.palette, canvas.unit
    step_x, step_y = max(3.2, rng.uniform(4.4, 6.8) * u), max(4.0, rng.uniform(6.0, 9.5) * u)
    columns, rows = int((w - step_x * 0.6) / step_x), int((h - step_y) / step_y)
    if columns < 1 or rows < 1:
        return
    chance = rng.random((rows, columns))
    lit = chance < (0.10 + 0.42 * p.night) * rng.uniform(0.5, 1.3)
    left = x + (w - columns * step_x) / 2 + step_x / 2
    pane = (step_x * rng.uniform(0.42, 0.7), step_y * rng.uniform(0.42, 0.66))
    warm = ((1.0, 0.84, 0.52), (1.0, 0.74, 0.40), (0.80, 0.92, 1.0))
    tone = (
        warm[int(rng.integers(3))] if p.name != "neon" else mix(NEON[int(rng.integers(len(NEON)))], (1, 0.9, 0.7), 0.35)
    )
    dark = mix(mix(wall, p.shade, 0.35), p.middle, 0.18)
    for state, colour, alpha in (
        (False, dark, 0.55),
        (True, mix(tone, p.haze, far * 0.6), 0.95 - 0.35 * far),
    ):
        rows_at, columns_at = np.nonzero(lit == state)
        path = skia.Path()
        for i, j in zip(rows_at.tolist(), columns_at.tolist(), strict=True):
            cx, cy = left + j * step_x, top + step_y * (i + 0.8)
            path.addRect(skia.Rect(cx - pane[0] / 2, cy - pane[1] / 2, cx + pane[0] / 2, cy + pane[1] / 2))
        paint = fill(colour, alpha)
        paint.setAntiAlias(pane[0] < 6)
        canvas.skia_canvas.drawPath(path, paint)


def _haze(canvas: Canvas, _: float, *, row: int, ground: float) -> None:
    p = canvas.palette
    top, bottom = (ground - 0.42 + 0.08 * row) * canvas.height, ground * canvas.height
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, top), skia.Point(0, bottom)],
        [_veil(p.haze, 0), _veil(mix(p.haze, p.horizon, 0.4), 0.5)],
    )
    rect = skia.Rect(-canvas.margin, top, canvas.width + canvas.margin, bottom)
    canvas.skia_canvas.drawRect(rect, skia.Paint(Shader=shader))


def _veil(colour: Rgb, alpha: float) -> int:
    red, green, blue = (round(255 * part) for part in colour)
    return round(255 * alpha) << 24 | red << 16 | green << 8 | blue


Sign = tuple[float, float, float, float, Rgb]  # x, y, width, height, colour


def _signs(canvas: Canvas, ground: float) -> list[Sign]:
    """Where signs hang on the nearer fronts."""
    rng, p, u = canvas.brief.rng("signs"), canvas.palette, canvas.unit
    found: list[Sign] = []
    for _ in range(26 if p.name == "neon" else 9):
        x, y = rng.random() * canvas.width, (ground - rng.uniform(0.02, 0.34)) * canvas.height
        w, h = rng.uniform(5, 11) * u, rng.uniform(18, 74) * u
        if rng.random() < 0.35:
            w, h = h * 0.8, w * 1.3
        colour = NEON[int(rng.integers(len(NEON)))]
        if canvas.brief.colours and rng.random() < 0.5:
            colour = mix(p.accent, (1, 1, 1), 0.2)
        found.append((x, y, w, h, colour))
    return found


def _sign_box(x: float, y: float, w: float, h: float) -> skia.Rect:
    return skia.Rect(x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def _lit_signs(canvas: Canvas, _: float, *, ground: float) -> None:
    """Signs with their glow and their rows of bright marks."""
    for x, y, w, h, colour in _signs(canvas, ground):
        reach = max(w, h) * 1.5
        canvas.skia_canvas.drawCircle(x, y, reach, glow(x, y, reach, colour, 0.42))
        canvas.skia_canvas.drawRoundRect(_sign_box(x, y, w, h), w * 0.2, w * 0.2, fill(scale(colour, 0.4)))
        marks = max(2, int(max(w, h) / (9 * canvas.unit)))
        for k in range(marks):
            t = (k + 0.5) / marks - 0.5
            cx, cy = (x, y + t * h) if h > w else (x + t * w, y)
            s = min(w, h) * 0.6
            canvas.skia_canvas.drawRect(_sign_box(cx, cy, s, s * 0.8), fill(mix(colour, (1, 1, 1), 0.6)))


def _flicker(canvas: Canvas, seconds: float, *, ground: float) -> None:
    """A shade over the signs that are out for a moment."""
    for i, (x, y, w, h, _) in enumerate(_signs(canvas, ground)):
        if np.sin(seconds * 7 + i * 3.1) > 0.96:
            canvas.skia_canvas.drawRoundRect(_sign_box(x, y, w, h), w * 0.2, w * 0.2, fill((0, 0, 0), 0.5))


def _embankment(canvas: Canvas, _: float, *, ground: float) -> None:
    y, u = ground * canvas.height, canvas.unit
    canvas.skia_canvas.drawRect(
        skia.Rect(-canvas.margin, y - 3 * u, canvas.width + canvas.margin, y + 4 * u),
        fill(mix(canvas.palette.shade, (0, 0, 0), 0.4)),
    )


def _traffic(canvas: Canvas, seconds: float, *, ground: float) -> None:
    """Lights along the embankment, warm one way and red the other."""
    chance, u = canvas.brief.rng("traffic").random((56, 2)), canvas.unit
    strength = 0.25 + 0.6 * canvas.palette.night
    lane = np.arange(len(chance)) % 2
    x = (chance[:, 0] + np.where(lane, 0.02, -0.03) * seconds) % 1.0 * canvas.width
    y = np.full(len(chance), ground * canvas.height)
    colours = np.array([(1.0, 0.90, 0.66), (1.0, 0.30, 0.22)])[lane]
    canvas.glows(x, y, (5 + 5 * chance[:, 1]) * u, colours, strength)
    canvas.discs(x, y, np.full(len(x), 1.3 * u), (colours + 1) / 2, np.full(len(x), strength))
