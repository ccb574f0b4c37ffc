"""Pictures of nothing in particular: folded silk, and over it discs, threads or arcs."""

from functools import partial

import numpy as np
import skia

from safelight.providers.builtin.canvas import Canvas, Element, line
from safelight.providers.builtin.noise import Field, sample, smoothstep, texture
from safelight.providers.builtin.palette import Palette, argb, mix, scale, turn
from safelight.providers.builtin.reading import Brief, Rgb
from safelight.providers.builtin.sky import field_axes, field_size


class Silk:
    """Folded bands of colour that flow like cloth: noise bent by noise, cut into ribbons with their own light."""

    def __init__(self, brief: Brief, palette: Palette) -> None:
        rng = brief.rng("silk")
        self.tile = texture(rng, 512, roughness=3.3, coarsest=1)
        self.fine = texture(rng, 512, roughness=1.6, coarsest=4)
        start = rng.random()
        base: Rgb = brief.colours[0] if brief.colours else turn((0.82, 0.30, 0.24), start)
        others = brief.colours[1:] or (
            turn(base, rng.uniform(0.08, 0.16), 0.9),
            turn(base, rng.uniform(0.42, 0.6), 0.8),
        )
        deep = mix(scale(turn(base, 0.55), 0.25), (0.05, 0.06, 0.12), 0.4)
        pale = mix(others[0], (1, 0.97, 0.92), 0.75)
        self.colours: list[Rgb] = [deep, base, others[0], pale, others[-1], deep]
        self.turn, self.folds = rng.uniform(0, 6.28), rng.uniform(1.3, 2.6)
        self.scale = rng.uniform(0.28, 0.5)

    def draw(self, canvas: Canvas, seconds: float) -> None:
        rows, columns = field_size(canvas)
        x, y = field_axes(canvas, rows, columns, 1.0)
        px = (x - 0.5) * np.float32(canvas.width / canvas.height)
        py = y - np.float32(0.5)
        t = np.float32(seconds * 0.012)
        c, s = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        u, v = (px * c - py * s) * self.scale, (px * s + py * c) * self.scale
        first = sample(self.tile, u + t, v + 0.1)
        second = sample(self.tile, v * 0.8 + 0.12 * first + 0.5, u * 0.8 + 0.12 * first - t)
        height = self.folds * (0.55 * second + 0.5 * first) + 1.2 * u * 2
        phase = height - np.floor(height)
        gy, gx = np.gradient(height)
        steep = (gx * 0.8 - gy * 0.6) * np.float32(columns / 6)
        light = np.clip(0.78 + 0.30 * np.tanh(steep) + 0.05 * sample(self.fine, u * 3, v * 3), 0.25, 1.25)
        edge = 0.72 + 0.28 * smoothstep(0, 0.09, phase) - 0.12 * smoothstep(0.9, 1.0, phase)
        at = np.clip((0.5 + 0.21 * height) % 1.0, 0, 1) * (len(self.colours) - 1)
        planes: list[Field] = []
        for channel in range(3):
            stops = np.array([colour[channel] for colour in self.colours], np.float32)
            planes.append(
                (np.interp(at, np.arange(len(stops)), stops).astype(np.float32) * light * edge).astype(np.float32)
            )
        canvas.lay(0, canvas.height, (planes[0], planes[1], planes[2]))


def abstract(brief: Brief, palette: Palette) -> list[Element]:
    """A composed abstract: silk, over it discs and arcs of paper or threads of light, by chance."""
    rng = brief.rng("abstract")
    silk = Silk(brief, palette)
    elements = [Element(depth=0.1, moves=True, slow=True, draw=silk.draw)]
    overlay = (_discs, _threads, _arcs)[int(rng.integers(3))]
    elements.append(
        Element(depth=0.4, moves=True, slow=overlay is not _arcs, draw=partial(overlay, colours=silk.colours))
    )
    return elements


def _discs(canvas: Canvas, seconds: float, *, colours: list[Rgb]) -> None:
    """A few discs that stand before and behind one another, with soft shadows."""
    rng = canvas.brief.rng("discs")
    size = min(canvas.width, canvas.height)
    for i in range(int(rng.integers(3, 7))):
        angle, reach = rng.uniform(0, 6.28), rng.uniform(0.05, 0.42)
        x = canvas.width * (0.5 + 0.9 * reach * np.cos(angle + seconds * 0.02))
        y = canvas.height * (0.5 + 0.8 * reach * np.sin(angle + seconds * 0.02))
        r = size * rng.uniform(0.04, 0.22)
        colour = colours[int(rng.integers(1, 5))]
        shadow = skia.Paint(
            Color=argb((0, 0, 0.04), 0.5),
            AntiAlias=True,
            MaskFilter=skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, r * 0.12),
        )
        canvas.skia_canvas.drawCircle(x + r * 0.10, y + r * 0.14, r, shadow)
        shader = skia.GradientShader.MakeLinear(
            [skia.Point(x - r, y - r), skia.Point(x + r, y + r)],
            [argb(mix(colour, (1, 1, 1), 0.35)), argb(colour), argb(scale(colour, 0.6))],
        )
        canvas.skia_canvas.drawCircle(x, y, r, skia.Paint(Shader=shader, AntiAlias=True))
        if i % 2:
            canvas.skia_canvas.drawCircle(x, y, r * 1.12, line(mix(colour, (1, 1, 1), 0.5), max(1.0, r * 0.012), 0.8))


def _threads(canvas: Canvas, seconds: float, *, colours: list[Rgb]) -> None:
    """Bundles of fine bright lines that swell and cross."""
    rng = canvas.brief.rng("threads")
    for _bundle in range(3):
        y0, y1 = rng.uniform(0.1, 0.9, 2) * canvas.height
        bend0, bend1 = rng.uniform(-0.5, 1.5, 2) * canvas.height
        spread = rng.uniform(0.1, 0.5) * canvas.height
        colour = mix(colours[int(rng.integers(1, 5))], (1, 1, 1), 0.35)
        for i in range(46):
            t = i / 45 - 0.5
            sway = np.sin(seconds * 0.4 + t * 5) * 0.03 * canvas.height
            path = skia.Path()
            path.moveTo(-10, y0 + t * spread * 0.2)
            path.cubicTo(
                canvas.width * 0.33,
                bend0 + t * spread + sway,
                canvas.width * 0.66,
                bend1 - t * spread * 1.6 - sway,
                canvas.width + 10,
                y1 + t * spread * 0.4,
            )
            canvas.skia_canvas.drawPath(path, line(colour, (0.6 + 0.9 * (i % 3)) * canvas.unit, 0.38))


def _arcs(canvas: Canvas, seconds: float, *, colours: list[Rgb]) -> None:
    """Concentric arcs about two or three centres, in dashes of different weight."""
    rng = canvas.brief.rng("arcs")
    size = min(canvas.width, canvas.height)
    for centre in range(int(rng.integers(2, 4))):
        x, y = rng.uniform(0.1, 0.9) * canvas.width, rng.uniform(0.1, 0.9) * canvas.height
        for i in range(int(rng.integers(9, 18))):
            r = size * (0.04 + 0.026 * i * (1 + 0.4 * centre))
            start, sweep = rng.uniform(0, 360), rng.uniform(30, 240)
            paint = line(mix(colours[(i + centre) % 5], (1, 1, 1), 0.25), size * rng.choice([0.002, 0.004, 0.011]), 0.8)
            canvas.skia_canvas.drawArc(
                skia.Rect(x - r, y - r, x + r, y + r),
                start + seconds * (2 + i % 3) * (1 if i % 2 else -1),
                sweep,
                False,
                paint,
            )
