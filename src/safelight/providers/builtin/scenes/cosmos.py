"""Deep space: nebulae, star fields, planets with shaded limbs and rings."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin import shapes, sky
from safelight.providers.builtin.canvas import Canvas, Element, fill, glow
from safelight.providers.builtin.noise import sample, smoothstep, texture
from safelight.providers.builtin.palette import Palette, mix, scale, turn
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes, field_size


class Nebula:
    """Glowing gas with dark lanes, drifting slowly."""

    def __init__(self, brief: Brief) -> None:
        rng = brief.rng("nebula")
        self.shape = texture(rng, 512, roughness=1.85, coarsest=1)
        self.dust = texture(rng, 512, roughness=1.5, coarsest=3)
        base: Rgb = (
            brief.colours[0]
            if brief.colours
            else ((0.80, 0.24, 0.46), (0.20, 0.46, 0.86), (0.92, 0.46, 0.20), (0.26, 0.66, 0.62))[int(rng.integers(4))]
        )
        self.inner, self.outer = mix(base, (1, 0.92, 0.86), 0.2), turn(base, rng.uniform(0.3, 0.55), 1.0)
        self.core = (rng.uniform(0.25, 0.75), rng.uniform(0.25, 0.75))
        self.tilt = rng.uniform(-0.9, 0.9)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        rows, columns = field_size(canvas)
        x, y = field_axes(canvas, rows, columns, 1.0)
        aspect = np.float32(canvas.width / canvas.height)
        px, py = (x - self.core[0]) * aspect, y - self.core[1]
        t = np.float32(seconds * 0.004)
        warp = sample(self.shape, px * 0.22 + t, py * 0.22 + 0 * px)
        gas = sample(self.shape, px * 0.34 + warp * 0.05 + 0.3, py * 0.34 + warp * 0.04 - t)
        dust = sample(self.dust, px * 0.30 + warp * 0.06, py * 0.30 + 0.5 + t)
        c, s = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        across = (px * s - py * c) / np.float32(0.34)
        along = (px * c + py * s) / np.float32(0.85)
        band = np.exp(-across * across - along * along * 0.6)
        glow_ = np.clip(band * (0.75 + 0.42 * gas), 0, 1.4)
        lanes = smoothstep(0.1, 1.3, dust) * np.exp(-across * across * 0.7) * np.float32(0.8)
        heart = np.exp(-(across * across * 2.5 + along * along * 4))
        planes = []
        for inner, outer, low in zip(self.inner, self.outer, (0.012, 0.014, 0.04), strict=True):
            share = np.clip(0.5 + 0.5 * warp, 0, 1)
            value = np.float32(low) + glow_ * (np.float32(outer) + (np.float32(inner - outer)) * share) * np.float32(
                0.72
            )
            value = value + heart * np.float32(0.5) * (0.6 + 0.4 * np.float32(inner))
            planes.append(np.clip(value * (1 - lanes) + 0.02 * np.clip(gas, 0, 2), 0, 1).astype(np.float32))
        canvas.lay(0, canvas.height, (planes[0], planes[1], planes[2]))


def space(brief: Brief, palette: Palette) -> list[Element]:
    """A nebula, stars, and worlds in front of it."""
    rng = brief.rng("space")
    nebula = Nebula(brief)
    elements = [
        Element(depth=0, moves=True, slow=True, draw=nebula.draw),
        Element(depth=0, moves=True, slow=True, draw=partial(sky.stars, horizon=1.15, density=1.4)),
        Element(depth=0.05, draw=_bright_stars),
    ]
    for number in range(int(rng.integers(1, 4))):
        elements.append(Element(depth=0.2 + 0.25 * number, draw=partial(_planet, number=number)))
    if brief.has("figure"):
        elements.append(Element(depth=0.9, draw=_outcrop))
    return elements


def _bright_stars(canvas: Canvas, _: float) -> None:
    rng = canvas.brief.rng("brightstars")
    for _i in range(16):
        x, y, r = rng.random() * canvas.width, rng.random() * canvas.height, rng.uniform(7, 30) * canvas.unit
        colour = mix((0.7, 0.85, 1.0), (1.0, 0.86, 0.7), rng.random())
        canvas.skia_canvas.drawCircle(x, y, r, glow(x, y, r, colour, 0.6))
        for dx, dy in ((1, 0), (0, 1)):
            canvas.skia_canvas.drawOval(
                skia.Rect(
                    x - r * (0.06 + dx * 1.2),
                    y - r * (0.06 + dy * 1.2),
                    x + r * (0.06 + dx * 1.2),
                    y + r * (0.06 + dy * 1.2),
                ),
                fill(mix(colour, (1, 1, 1), 0.6), 0.5),
            )


def _planet(canvas: Canvas, _: float, *, number: int) -> None:
    """A banded or cratered world, lit from one side, with a halo of air and now and then a ring."""
    rng, skia_canvas = canvas.brief.rng(f"planet{number}"), canvas.skia_canvas
    r = (0.30, 0.075, 0.032)[number] * canvas.height * rng.uniform(0.75, 1.35)
    x, y = rng.uniform(0.12, 0.88) * canvas.width, rng.uniform(0.15, 0.85) * canvas.height
    tones: tuple[Rgb, ...] = (
        (0.82, 0.62, 0.42),
        (0.42, 0.56, 0.78),
        (0.74, 0.42, 0.36),
        (0.60, 0.62, 0.66),
        (0.40, 0.62, 0.54),
    )
    base = canvas.palette.accent if canvas.brief.colours and number == 0 else tones[int(rng.integers(len(tones)))]
    ring = number == 0 and rng.random() < 0.6
    tilt = rng.uniform(-28, 28)
    skia_canvas.drawCircle(x, y, r * 1.25, glow(x, y, r * 1.25, mix(base, (0.6, 0.8, 1), 0.4), 0.30))
    skia_canvas.save()
    skia_canvas.rotate(tilt, x, y)
    if ring:
        _ring(skia_canvas, rng, x, y, r, base, behind=True)
    skia_canvas.save()
    skia_canvas.clipPath(skia.Path().addCircle(x, y, r), True)
    skia_canvas.drawCircle(x, y, r, fill(base))
    at = y - r
    while at < y + r:
        h = r * rng.uniform(0.02, 0.16)
        tone = turn(scale(base, rng.uniform(0.72, 1.25)), rng.uniform(-0.02, 0.02))
        sag = r * 0.08
        stripe = skia.Path()
        stripe.moveTo(x - r, at)
        stripe.quadTo(x, at + sag, x + r, at)
        stripe.lineTo(x + r, at + h)
        stripe.quadTo(x, at + h + sag, x - r, at + h)
        stripe.close()
        skia_canvas.drawPath(stripe, fill(tone, 0.6))
        at += h * rng.uniform(0.7, 1.3)
    for _i in range(90):
        cx, cy, w = x + rng.normal(0, 0.5) * r, y + rng.normal(0, 0.5) * r, rng.uniform(0.02, 0.2) * r
        skia_canvas.drawOval(
            skia.Rect(cx - w, cy - w * 0.16, cx + w, cy + w * 0.16),
            fill(scale(base, rng.uniform(0.6, 1.3)), 0.22),
        )
    skia_canvas.restore()
    skia_canvas.rotate(-tilt, x, y)
    side = 1 if canvas.palette.sun_x > 0.5 else -1
    shader = skia.GradientShader.MakeRadial(
        skia.Point(x + side * r * 0.55, y - r * 0.45),
        r * 1.75,
        [0x00000000, 0x30000008, 0xE8010208, 0xF8000004],
        [0, 0.42, 0.86, 1],
    )
    skia_canvas.drawCircle(x, y, r * 1.003, skia.Paint(Shader=shader, AntiAlias=True))
    skia_canvas.rotate(tilt, x, y)
    if ring:
        _ring(skia_canvas, rng, x, y, r, base, behind=False)
    skia_canvas.restore()


def _ring(
    skia_canvas: skia.Canvas, rng: np.random.Generator, x: float, y: float, r: float, base: Rgb, *, behind: bool
) -> None:
    skia_canvas.save()
    half = skia.Rect(x - r * 3, y - r, x + r * 3, y) if behind else skia.Rect(x - r * 3, y, x + r * 3, y + r)
    skia_canvas.clipRect(half)
    widths = np.random.Generator(np.random.PCG64(int(base[0] * 1000))).uniform(0.1, 0.75, 44)
    for i, alpha in enumerate(widths):
        reach = r * (1.35 + 0.95 * i / 44)
        paint = skia.Paint(
            Color=fill(mix(base, (1, 0.95, 0.88), 0.55), float(alpha) * 0.6).getColor(), AntiAlias=True,
            Style=skia.Paint.kStroke_Style, StrokeWidth=r * 0.95 / 44 * 0.8,
        )  # fmt: skip
        skia_canvas.drawOval(skia.Rect(x - reach, y - reach * 0.22, x + reach, y + reach * 0.22), paint)
    skia_canvas.restore()


def _outcrop(canvas: Canvas, _: float) -> None:
    """A dark rise of rock with someone standing on it."""
    rng = canvas.brief.rng("outcrop")
    x = rng.uniform(0.3, 0.7) * canvas.width
    w, h = canvas.width * 0.6, canvas.height * 0.2
    path = skia.Path()
    path.moveTo(x - w, canvas.height)
    path.cubicTo(x - w * 0.4, canvas.height - h * 0.2, x - w * 0.2, canvas.height - h, x, canvas.height - h)
    path.cubicTo(x + w * 0.2, canvas.height - h, x + w * 0.5, canvas.height - h * 0.3, x + w, canvas.height)
    path.close()
    canvas.skia_canvas.drawPath(path, fill((0.02, 0.025, 0.05)))
    shapes.figure(canvas, x, canvas.height - h + 3 * canvas.unit, canvas.height * 0.12, (0.85, 0.86, 0.9))
