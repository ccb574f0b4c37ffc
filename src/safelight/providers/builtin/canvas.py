"""What a scene is painted on: a premultiplied RGBA picture that numpy and Skia share, and the elements laid upon it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import skia
from numpy.typing import NDArray

from safelight.providers.builtin.mirror import lean_words, mirror_pixels
from safelight.providers.builtin.noise import Field
from safelight.providers.builtin.palette import Palette, argb
from safelight.providers.builtin.planes import lay_field
from safelight.providers.builtin.reading import Brief, Rgb

Bytes = NDArray[np.uint8]


class Canvas:
    """A picture of ``height`` by ``span`` pixels, whose frame is the ``width`` pixels that begin at ``margin``.

    Stills have no margin. In a video a near layer is painted wider than the frame, so that the camera can drift.
    Scenes speak in frame coordinates: x may run from ``-margin`` to ``width + margin``.
    """

    def __init__(self, brief: Brief, palette: Palette, width: int, height: int, margin: int = 0) -> None:
        self.brief, self.palette = brief, palette
        self.width, self.height, self.margin = width, height, margin
        self.span = width + 2 * margin
        self.pixels: Bytes = np.zeros((height, self.span, 4), np.uint8)

    @property
    def unit(self) -> float:
        """A thousandth of the frame's geometric size, in pixels: what scenes measure lengths in."""
        return float(np.sqrt(self.width * self.height)) / 1000

    def lay(self, first: int, last: int, colour: tuple[Field, Field, Field], cover: Field | None = None) -> None:
        """Stretch three low-resolution fields (0..1) over some rows; ``cover`` is their opacity."""
        lay_field(self.pixels[first:last], colour, cover)

    def veil(self, first: int, last: int, colour: Rgb, cover: Field) -> None:
        """Stretch an opacity (0..1) of one colour over some rows."""
        red, green, blue = (np.full_like(cover, part) for part in colour)
        self.lay(first, last, (red, green, blue), cover)

    def mirror(self, top: int, lean: Field, rough: float, dark: Rgb, bright: Rgb) -> None:
        """Turn the rows below ``top`` into water that mirrors what is above; ``lean``, of low resolution, says how its
        surface leans there."""
        words = lean_words(lean, self.span, self.height - top)
        mirror_pixels(self.pixels, top, words, rough, (dark, bright))

    def discs(self, x: Field, y: Field, radius: Field, colour: Field, alpha: Field) -> None:
        """Fill n circles with a colour (3), or with one each (n, 3)."""
        for x0, y0, r, ink, share in _each(x, y, radius, np.broadcast_to(colour, (x.size, 3)), alpha):
            self.skia_canvas.drawCircle(x0, y0, r, fill(ink, share))

    def glows(self, x: Field, y: Field, radius: Field, colour: Field, alpha: float) -> None:
        """Light n soft round lights of a colour (3), or of one each (n, 3)."""
        for x0, y0, r, ink in _each(x, y, radius, np.broadcast_to(colour, (x.size, 3))):
            self.skia_canvas.drawCircle(x0, y0, r, glow(x0, y0, r, ink, alpha))

    def streaks(self, x: Field, y: Field, span: tuple[float, float], width: float, colour: Rgb, alpha: float) -> None:
        """Draw n lines that reach further by ``span`` (right, down) from where they begin."""
        pen = line(colour, width, alpha)
        pen.setStrokeCap(skia.Paint.kButt_Cap)
        for x0, y0 in _each(x, y):
            self.skia_canvas.drawLine(x0, y0, x0 + span[0], y0 + span[1], pen)

    @property
    def skia_canvas(self) -> skia.Canvas:
        """Skia's view of the same pixels, moved so that x = 0 is the frame's left edge."""
        return self._pixels_canvas

    @contextmanager
    def element(self, distance: float, ink: Rgb | None = None, *, soft: bool = False) -> Iterator[None]:
        """Draw an element moved to the right; ``ink`` is its only colour, where it has but one, and ``soft`` says that
        it has no sharp edges."""
        self._pixels_canvas.save()
        self._pixels_canvas.translate(distance, 0)
        yield
        self._pixels_canvas.restore()

    @cached_property
    def _pixels_canvas(self) -> skia.Canvas:
        self._surface = skia.Surface.MakeRasterDirect(_info(self.pixels), self.pixels)
        skia_canvas = self._surface.getCanvas()
        skia_canvas.translate(self.margin, 0)
        return skia_canvas


def _each(*parts: Field) -> Iterator[tuple[Any, ...]]:
    return zip(*(part.tolist() for part in parts), strict=True)


def _info(pixels: Bytes) -> skia.ImageInfo:
    height, width = pixels.shape[:2]
    return skia.ImageInfo.Make(width, height, skia.kRGBA_8888_ColorType, skia.kPremul_AlphaType)


def as_image(pixels: Bytes) -> skia.Image:
    """Skia's view of a premultiplied (h, w, 4) picture; the array must outlive it."""
    return skia.Image.MakeRasterData(_info(pixels), skia.Data.MakeWithoutCopy(pixels), pixels.strides[0])


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in a scene, painted back to front. ``depth`` is 0 at infinity and 1 at the nearest, and says how far
    it shifts as the camera drifts; ``moves`` says whether it must be painted anew for each frame, and ``slow`` that a
    few times a second will do where nothing else lies behind it."""

    depth: float
    draw: Callable[[Canvas, float], None]
    moves: bool = False
    slow: bool = False
    ink: Callable[[Palette], Rgb] | None = None  # the one colour it draws with, where there is but one
    soft: bool = False  # of an element with one ink: it has no sharp edges
    hides: float = 1.0  # from this share of the height on, nothing shows through it


def fill(colour: Rgb, alpha: float = 1.0) -> skia.Paint:
    """A filled, anti-aliased paint."""
    return skia.Paint(Color=argb(colour, alpha), AntiAlias=True)


def line(colour: Rgb, width: float, alpha: float = 1.0) -> skia.Paint:
    """A round-capped stroke."""
    return skia.Paint(
        Color=argb(colour, alpha), AntiAlias=True, Style=skia.Paint.kStroke_Style, StrokeWidth=width,
        StrokeCap=skia.Paint.kRound_Cap, StrokeJoin=skia.Paint.kRound_Join,
    )  # fmt: skip


def polygon(points: object) -> skia.Path:
    """A closed path through an (n, 2) array of points."""
    path = skia.Path()
    path.addPoly([skia.Point(float(x), float(y)) for x, y in np.asarray(points)], True)
    return path


def shaded(top: float, bottom: float, colours: list[tuple[Rgb, float]]) -> skia.Paint:
    """A paint that runs from ``top`` to ``bottom`` (pixels) through the given colours and opacities."""
    shader = skia.GradientShader.MakeLinear(
        [skia.Point(0, top), skia.Point(0, bottom)], [argb(colour, alpha) for colour, alpha in colours]
    )
    return skia.Paint(Shader=shader, AntiAlias=True, Dither=True)


def glow(x: float, y: float, radius: float, colour: Rgb, alpha: float, *, add: bool = True) -> skia.Paint:
    """A soft round light, added to what is below (or laid over it)."""
    shader = skia.GradientShader.MakeRadial(
        skia.Point(x, y),
        radius,
        [argb(colour, alpha), argb(colour, alpha * 0.28), argb(colour, 0)],
        [0, 0.3, 1],
    )
    return skia.Paint(Shader=shader, BlendMode=skia.BlendMode.kPlus if add else skia.BlendMode.kSrcOver)
