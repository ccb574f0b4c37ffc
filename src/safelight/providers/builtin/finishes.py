"""Finishes: how a painted scene becomes a watercolour, an ink wash, an oil, a print, pixels or a photograph."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin.canvas import Canvas
from safelight.providers.builtin.noise import Field, grain, paper, sample, smoothstep, texture
from safelight.providers.builtin.planes import blur, each_band, lay_picture, shrink, stretch, stretch_bytes
from safelight.providers.builtin.reading import Brief

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


def finish(canvas: Canvas) -> None:
    """Apply the finish of the brief's style to the whole picture, in place."""
    FINISHES[canvas.brief.style](canvas)


def _soft(field: Field, width: int, height: int) -> Words:
    """A field around 0 (deviation 1) as words around 32768, 8192 to a deviation."""
    return stretch(np.clip(field / 8 + 0.5, 0, 1), width, height)


def _rows(words: Words, start: int, stop: int) -> Field:
    return (words[start:stop].astype(np.float32) - 32640) * np.float32(8 / 65280)


def _tooth(width: int, start: int, stop: int) -> Field:
    """Rows of the paper's tooth, repeated down the picture."""
    strip = paper(width)
    first = start % strip.shape[0]
    if first + stop - start <= strip.shape[0]:
        return strip[first : first + stop - start]
    result: Field = np.take(strip, np.arange(start, stop) % strip.shape[0], axis=0)
    return result


def vignette(width: int, height: int, start: int, stop: int, strength: float) -> Field:
    """How much light reaches some rows of a picture: 1 in the middle, 1 - strength in the corners."""
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    y = (np.arange(start, stop, dtype=np.float32) + 0.5) / height * 2 - 1
    square = (x * x)[None, :] * np.float32(0.55) + (y * y)[:, None] * np.float32(0.45)
    return 1 - np.float32(strength) * square * square


def photo(canvas: Canvas, *, grain_amount: float = 5.0, bloom: float = 0.22, fade: float = 0.0) -> None:
    """Bloom around the lights, a soft shoulder, darker corners and fine grain."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    small = shrink(pixels[..., :3], max(16, width // 8), max(16, height // 8))
    soft = [blur(np.ascontiguousarray(small[..., c]), width / 8 * 0.02) for c in range(3)]
    halo = [stretch_bytes(plane, width, height) for plane in soft]
    noise = grain(width)

    def band(start: int, stop: int) -> None:
        speck = noise[start % 256 : start % 256 + stop - start].astype(np.float32)
        speck -= np.float32(127.5)
        speck *= np.float32(grain_amount / 128)
        corner = vignette(width, height, start, stop, 0.28)
        for c in range(3):
            value = pixels[start:stop, :, c].astype(np.float32)
            light = halo[c][start:stop].astype(np.float32)
            light *= light
            light *= np.float32(bloom / 255)
            value += light * (1 - value * np.float32(1 / 255))
            value *= corner
            if fade:
                value += (np.float32((26, 22, 30)[c]) - value) * np.float32(fade) * (1 - value * np.float32(1 / 255))
            value += speck
            pixels[start:stop, :, c] = np.clip(value, 0, 255).astype(np.uint8)

    each_band(band, height, 32)


def film(canvas: Canvas) -> None:
    """Lifted blacks, strong grain and halation."""
    photo(canvas, grain_amount=13.0, bloom=0.4, fade=0.8)


def _densities(canvas: Canvas, radius: float) -> tuple[Bytes, Bytes]:
    """Luminance, and the same spread over ``radius`` pixels."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    tone = np.empty((height, width), np.uint8)

    def band(start: int, stop: int) -> None:
        rows = pixels[start:stop].astype(np.uint16)
        tone[start:stop] = (rows[..., 0] * 54 + rows[..., 1] * 183 + rows[..., 2] * 19) >> 8

    each_band(band, height, 32)
    return tone, blur(tone, radius)


@lru_cache(maxsize=1)
def _pigment(brief: Brief, width: int, height: int) -> tuple[Words, Words, Words]:
    """How the pigment varies, where the paper was wet, and how far inside the painted area each place is."""
    x, y = _grid(width, height)
    pool = texture(brief.rng("watercolor"), 512, roughness=1.5, coarsest=2)
    flow = sample(pool, x * 0.55, y * 0.55)
    blooms = sample(pool, x * 0.4 + 0.05 * flow + 0.3, y * 0.4)
    rim = np.exp(-((np.abs(blooms - 0.7) / 0.05) ** 2)) * 0.9  # the line a backrun leaves where it dries
    variation = _soft(0.16 * flow + 0.12 * rim + 0.10 * sample(pool, x * 2.2, y * 2.2), width, height)
    wetness = _soft(sample(pool, x * 0.8 + 0.6, y * 0.8 + 0.2), width, height)
    border = _soft(_paper_edge(x, y, width / height, pool), width, height)
    return variation, wetness, border


def _grid(width: int, height: int) -> tuple[Field, Field]:
    """Coordinates of a coarse grid over the picture, in picture heights."""
    rows, columns = max(64, height // 9), max(64, width // 9)
    x = np.linspace(0, width / height, columns, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    return x + np.zeros_like(y), y + np.zeros_like(x)


def watercolor(canvas: Canvas) -> None:
    """Transparent pigment on toothed paper: washes pool, edges darken, some outlines stay wet, and the paper shows
    at a ragged border."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    unit = canvas.unit
    tone, near = _densities(canvas, max(0.8, 2.2 * unit))
    wide = blur(tone, max(2.0, 13 * unit))
    wet = [blur(np.ascontiguousarray(pixels[..., c]), max(1.0, 6 * unit)) for c in range(3)]
    variation, wetness, border = _pigment(canvas.brief, width, height)
    white = (251.0, 248.0, 240.0)  # of the paper

    def band(start: int, stop: int) -> None:
        tooth = _tooth(width, start, stop)
        local = tone[start:stop].astype(np.float32)
        edge = np.clip(near[start:stop].astype(np.float32) - local, 0, 60) * np.float32(0.0085)
        edge += np.clip(wide[start:stop].astype(np.float32) - local, 0, 70) * np.float32(0.0042)
        dark = 1 - local * np.float32(1 / 255)
        amount = np.float32(0.72) + _rows(variation, start, stop) + edge
        amount += tooth * (np.float32(0.03) + dark * np.float32(0.055))
        damp = smoothstep(0.1, 1.3, _rows(wetness, start, stop)) * np.float32(0.85)
        inside = smoothstep(-0.12, 0.06, _rows(border, start, stop) + tooth * np.float32(0.035))
        amount *= inside
        shine = 1 + tooth * np.float32(0.011)
        for c in range(3):
            value = pixels[start:stop, :, c].astype(np.float32)
            value += (wet[c][start:stop] - value) * damp
            value += np.float32(6)
            np.minimum(value, 255, out=value)
            value *= np.float32(1 / 255)
            np.power(value, amount, out=value)  # Beer's law: density times amount
            value *= shine
            value *= np.float32(white[c])
            pixels[start:stop, :, c] = np.clip(value, 0, 255).astype(np.uint8)

    each_band(band, height, 24)


def _paper_edge(x: Field, y: Field, aspect: float, pool: Field) -> Field:
    """Positive inside the painted area, negative on the bare margin; the boundary is a brush's."""
    inset = np.float32(0.030)
    away = np.minimum(np.minimum(x, np.float32(aspect) - x), np.minimum(y, 1 - y)) - inset
    ragged = 0.010 * sample(pool, x * 1.3, y * 1.3) + 0.006 * sample(pool, x * 5, y * 5)
    result: Field = np.clip((away + ragged) * 14, -3.5, 3.5).astype(np.float32)
    return result


@lru_cache(maxsize=1)
def _flow(brief: Brief, width: int, height: int) -> Words:
    """How the ink varies within a tone."""
    x, y = _grid(width, height)
    pool = texture(brief.rng("ink"), 512, roughness=1.5, coarsest=2)
    return _soft(0.5 * sample(pool, x * 0.7, y * 0.7) + 0.4 * sample(pool, x * 3.1, y * 3.1), width, height)


def ink(canvas: Canvas) -> None:
    """Ink wash: a few tones of grey that pool at their edges, drawn outlines, warm paper, and one seal of colour."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    unit = canvas.unit
    tone, near = _densities(canvas, max(0.8, 1.7 * unit))
    wide = blur(tone, max(2.0, 9 * unit))
    low, high = np.percentile(tone[::8, ::8], (3, 94))
    flow = _flow(canvas.brief, width, height)
    white, black = (244.0, 239.0, 226.0), (26.0, 27.0, 33.0)
    keep = 0.55 if canvas.brief.colours else 0.10

    def band(start: int, stop: int) -> None:
        tooth = _tooth(width, start, stop)
        local = tone[start:stop].astype(np.float32)
        level = np.clip((local - np.float32(low)) / np.float32(max(30.0, high - low)), 0, 1)
        level += _rows(flow, start, stop) * np.float32(0.06) + tooth * np.float32(0.02)
        scaled = np.clip(level, 0, 1) * 4
        whole = np.floor(scaled)
        level = (whole + smoothstep(0.32, 0.68, scaled - whole)) * np.float32(0.25)
        level = np.sqrt(level * np.float32(0.92) + np.float32(0.03))
        edge = np.clip(near[start:stop].astype(np.float32) - local - 3, 0, 40) * np.float32(0.03)
        edge += np.clip(wide[start:stop].astype(np.float32) - local, 0, 60) * np.float32(0.004)
        level *= np.clip(1 - edge * (np.float32(0.8) + tooth * np.float32(0.25)), 0.08, 1)
        level = np.clip(level + tooth * np.float32(0.028) * (1 - level), 0, 1)
        for c in range(3):
            value = np.float32(black[c]) + level * np.float32(white[c] - black[c])
            tint = (pixels[start:stop, :, c].astype(np.float32) - local) * np.float32(keep)
            value += tint + tooth * np.float32(1.6)
            pixels[start:stop, :, c] = np.clip(value, 0, 255).astype(np.uint8)

    each_band(band, height, 24)


def _leading_colours(pixels: Bytes, count: int) -> NDArray[np.float32]:
    """The leading colours of a picture: k-means on a thumbnail, started along its range of luminance."""
    thumb = shrink(pixels[..., :3], 64, 48).reshape(-1, 3).astype(np.float32)
    thumb = thumb[np.argsort(thumb @ np.array([0.3, 0.6, 0.1], np.float32), kind="stable")]
    centres = thumb[np.linspace(0, len(thumb) - 1, count).astype(int)].copy()
    for _ in range(8):
        nearest = np.argmin(((thumb[:, None] - centres[None]) ** 2).sum(axis=2), axis=1)
        for i in range(count):
            members = thumb[nearest == i]
            if len(members):
                centres[i] = members.mean(axis=0)
    result: NDArray[np.float32] = centres
    return result


def _lookup(centres: NDArray[np.float32]) -> Bytes:
    """The nearest centre for each 5-bit colour, as a (32768, 3) table."""
    axis = np.arange(32, dtype=np.float32) * 8 + 4
    cube = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    best = np.full(len(cube), np.inf, np.float32)
    index = np.zeros(len(cube), np.int32)
    for i, centre in enumerate(centres):
        away = ((cube - centre) ** 2).sum(axis=1)
        closer = away < best
        best[closer], index[closer] = away[closer], i
    return centres[index].astype(np.uint8)


def flat(canvas: Canvas) -> None:
    """A screen print: a dozen inks in clean shapes, with the speckle of the press."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    centres = _leading_colours(pixels, 11)
    middle = centres.mean(axis=1, keepdims=True)
    centres = np.clip(middle + (centres - middle) * 1.22, 0, 255)
    table = _lookup(centres.astype(np.float32))
    soft = [blur(np.ascontiguousarray(pixels[..., c]), max(0.8, 2.4 * canvas.unit)) for c in range(3)]

    def band(start: int, stop: int) -> None:
        red, green, blue = (plane[start:stop].astype(np.int32) >> 3 for plane in soft)
        inks = table[(red << 10) | (green << 5) | blue].astype(np.float32)
        tooth = _tooth(width, start, stop)
        speck = tooth * np.float32(3.4) + smoothstep(2.1, 3.0, tooth) * np.float32(24)
        for c in range(3):
            original = pixels[start:stop, :, c].astype(np.float32)
            value = inks[..., c] * np.float32(0.86) + original * np.float32(0.14) + speck
            pixels[start:stop, :, c] = np.clip(value, 0, 255).astype(np.uint8)

    each_band(band, height, 32)


_BAYER = (
    np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - np.float32(0.47)
)  # fmt: skip


def pixel(canvas: Canvas) -> None:
    """Large pixels in two dozen colours with an ordered dither, seen through the faint grid of a screen."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    size = max(2, round(min(width, height) / 190))
    rows, columns = -(-height // size), -(-width // size)
    small = shrink(pixels, columns, rows)[..., :3].astype(np.float32)
    middle = small.mean(axis=2, keepdims=True)
    small = np.clip((middle + (small - middle) * 1.25 - 128) * 1.12 + 128, 0, 255)
    pattern = np.tile(_BAYER, (rows // 4 + 1, columns // 4 + 1))[:rows, :columns, None] * 26
    table = _lookup(_leading_colours(small.astype(np.uint8), 24))
    index = np.clip(small + pattern, 0, 255).astype(np.int32) >> 3
    chosen = table[(index[..., 0] << 10) | (index[..., 1] << 5) | index[..., 2]]
    across = np.minimum(np.arange(width) // size, columns - 1)
    line = np.where(np.arange(width) % size == size - 1, 0.90, 1.0).astype(np.float32)
    tint = grain(width)

    def band(start: int, stop: int) -> None:
        at = np.arange(start, stop)
        block = chosen[np.minimum(at // size, rows - 1)][:, across].astype(np.float32)
        across_lines = np.where(at % size == size - 1, 0.90, 1.0).astype(np.float32)[:, None] * line[None, :]
        speck = (tint[start % 256 : start % 256 + stop - start].astype(np.float32) - 128) * np.float32(0.025)
        block *= across_lines[..., None]
        block += speck[..., None]
        pixels[start:stop, :, :3] = np.clip(block, 0, 255).astype(np.uint8)

    each_band(band, height, 32)


def oil(canvas: Canvas) -> None:
    """Strokes of a loaded brush, broad ones first, that follow the forms; the ridges of the paint catch light."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    rng = canvas.brief.rng("oil")
    rows, columns = (
        max(64, round(300 * np.sqrt(height / width))),
        max(64, round(300 * np.sqrt(width / height))),
    )
    small = shrink(pixels, columns, rows)
    tone = small[..., :3].astype(np.float32).mean(axis=2)
    swirl = texture(rng, 256, roughness=1.8, coarsest=1)
    yy, xx = np.mgrid[0:rows, 0:columns].astype(np.float32) / np.float32(300)
    angle = sample(swirl, xx * 0.8, yy * 0.8) * 0.8
    gy, gx = np.gradient(blur(tone.astype(np.uint8), 2.0).astype(np.float32))
    strong = np.hypot(gx, gy) > 3.0
    angle = np.where(strong, np.arctan2(gx, -gy), angle)
    strokes = _stroke_canvas(canvas)
    for length, thick, count, jitter in ((34, 13, 2600, 16), (19, 6.5, 6000, 14), (10, 3.2, 8000, 12)):
        brush = (length * strokes.unit, thick * strokes.unit, count, jitter)
        _paint_strokes(strokes, rng, small, angle, strong if thick < 5 else None, brush)
    if strokes is not canvas:
        lay_picture(canvas.pixels, strokes.pixels)
    _impasto(canvas)


STROKED_PIXELS = 1_500_000  # strokes are drawn on no more than this and stretched; the relief is of full size


def _stroke_canvas(canvas: Canvas) -> Canvas:
    """The picture itself, or a smaller copy to paint strokes on."""
    height, width = canvas.pixels.shape[:2]
    factor = float(np.sqrt(height * width / STROKED_PIXELS))
    if factor <= 1:
        return canvas
    small = Canvas(canvas.brief, canvas.palette, round(width / factor), round(height / factor))
    small.pixels[...] = shrink(canvas.pixels, small.width, small.height)
    return small


def _paint_strokes(
    canvas: Canvas, rng: np.random.Generator, small: Bytes, angle: Field, where: NDArray[np.bool_] | None,
    brush: tuple[float, float, int, int],
) -> None:  # fmt: skip
    rows, columns = small.shape[:2]
    length, thick, count, jitter = brush
    ys, xs = rng.random(count), rng.random(count)
    iy, ix = (ys * rows).astype(int), (xs * columns).astype(int)
    if where is not None:
        kept = where[iy, ix]
        ys, xs, iy, ix = ys[kept], xs[kept], iy[kept], ix[kept]
    turn = angle[iy, ix] + rng.normal(0, 0.22, len(xs))
    reach = length * rng.uniform(0.6, 1.3, len(xs))
    dx, dy = np.cos(turn) * reach / 2, np.sin(turn) * reach / 2
    colours = np.clip(small[iy, ix, :3].astype(int) + rng.normal(0, jitter / 2, (len(xs), 3)).astype(int)
                      + rng.normal(0, jitter / 2, (len(xs), 1)).astype(int), 0, 255)  # fmt: skip
    packed = (0xF0 << 24) | (colours[:, 0] << 16) | (colours[:, 1] << 8) | colours[:, 2]
    px, py = xs * canvas.width, ys * canvas.height
    pen = skia.Paint(AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=thick, StrokeCap=skia.Paint.kRound_Cap)
    skia_canvas = canvas.skia_canvas
    ends = np.stack([px - dx, py - dy, px + dx, py + dy], axis=1).tolist()
    for colour, (x0, y0, x1, y1) in zip(packed.tolist(), ends, strict=True):
        pen.setColor(colour)
        skia_canvas.drawLine(x0, y0, x1, y1, pen)


def _impasto(canvas: Canvas) -> None:
    """Light the paint from the upper left, by its own differences of tone, over a weave of canvas."""
    pixels = canvas.pixels
    height, width = pixels.shape[:2]
    tone, _ = _densities(canvas, 1.0)
    reach = max(1, round(1.4 * canvas.unit))

    def band(start: int, stop: int) -> None:
        above = np.maximum(np.arange(start, stop) - reach, 0)
        relief = tone[start:stop].astype(np.float32)
        relief[:, reach:] -= tone[above][:, :-reach]
        relief[:, :reach] = 0
        light = np.clip(relief, -40, 40) * np.float32(0.36) + _tooth(width, start, stop) * np.float32(3.0)
        for c in range(3):
            value = pixels[start:stop, :, c] + light
            pixels[start:stop, :, c] = np.clip(value, 0, 255).astype(np.uint8)

    each_band(band, height, 32)


def luma_tooth(width: int, height: int) -> NDArray[np.int16]:
    """The paper's tooth as an (h, w) plane to add to the luma of a clip's frames."""
    result: NDArray[np.int16] = np.rint(_tooth(width, 0, height) * np.float32(2.6)).astype(np.int16)
    return result


def roughen(luma: Bytes, tooth: NDArray[np.int16]) -> None:
    """Add the paper's tooth to the luma of a frame, in place."""
    for at in range(0, len(luma), 64):
        rows = luma[at : at + 64] + tooth[at : at + 64]
        luma[at : at + 64] = np.clip(rows, 16, 235, out=rows)


FINISHES: dict[str, Callable[[Canvas], None]] = {
    "photo": photo, "film": film, "watercolor": watercolor, "ink": ink, "flat": flat, "pixel": pixel, "oil": oil,
}  # fmt: skip
