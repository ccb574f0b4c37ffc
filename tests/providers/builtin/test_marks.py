"""What a clip's frame takes pixel by pixel looks as what Skia and the picture's canvas draw."""

import numpy as np
import pytest

from safelight.providers.builtin.canvas import Canvas
from safelight.providers.builtin.frame import Planes, planes_of
from safelight.providers.builtin.frame_canvas import FrameCanvas
from safelight.providers.builtin.palette import choose
from safelight.providers.builtin.planes import rgba_to_yuv
from safelight.providers.builtin.reading import read

WHITE, COUNT = np.ones(3, np.float32), 40


def _canvases(width: int, height: int) -> tuple[Canvas, FrameCanvas]:
    """A black picture and a black frame."""
    brief = read("rain", 1)
    palette = choose(brief)
    picture, frame = Canvas(brief, palette, width, height), FrameCanvas(brief, palette, width, height)
    picture.pixels[..., 3] = 255
    return picture, frame


def _discs(canvas: Canvas, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
    canvas.discs(x, y, rng.uniform(1.5, 6, x.size), WHITE, rng.uniform(0.4, 0.9, x.size))


def _glows(canvas: Canvas, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> None:
    canvas.glows(x, y, rng.uniform(4, 12, x.size), np.array((1.0, 0.3, 0.2)), 0.6)


def _streaks(canvas: Canvas, x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> None:
    canvas.streaks(x, y, (-7.0, 50.0), 1.6, (0.8, 0.8, 1.0), 0.5)


DRAWINGS = [_discs, _glows, _streaks]


@pytest.mark.parametrize("draw", DRAWINGS)
def test_a_frame_shows_the_marks_of_a_picture(draw):
    picture, frame = _canvases(512, 384)
    for canvas in (picture, frame):
        rng = np.random.default_rng(3)
        draw(canvas, rng.integers(-20, 532, COUNT) * 1.0, rng.integers(-20, 404, COUNT) * 1.0, rng)
    right, found = planes_of(rgba_to_yuv(picture.pixels)), frame.planes
    seen, away = right.y - 16.0, found.y - right.y.astype(float)
    assert float(np.sqrt((away**2).mean() / (seen**2).mean())) < 0.15
    for plane, other in zip(found, right, strict=True):
        assert abs(float(plane.mean() - other.mean())) < 0.06


@pytest.mark.parametrize("draw", DRAWINGS)
def test_marks_end_where_the_frame_does(draw):
    small, large = _canvases(96, 64)[1], _canvases(288, 256)[1]
    rng = np.random.default_rng(4)
    x, y = rng.integers(-320, 1088, COUNT) / 8, rng.integers(-480, 832, COUNT) / 8
    draw(small, x, y, np.random.default_rng(5))
    draw(large, x + 96, y + 96, np.random.default_rng(5))
    for plane, right in zip(small.planes, large.planes.window(96, 160, 96, 192), strict=True):
        np.testing.assert_array_equal(plane, right)
    assert small.planes.y.max() > 30


@pytest.mark.parametrize("width", [64, 66])  # columns of four pixels, and of two
def test_still_water_mirrors_what_stands_above_it(width):
    _, frame = _canvases(width, 64)
    frame.planes.y[:32] = np.where(np.arange(width) < width // 2, 60, 200)
    frame.planes.u[:16], frame.planes.v[:16] = 100, 150
    frame.mirror(32, np.zeros((32, width // 4), np.float32), 1.0, (0, 0, 0), (1, 1, 1))
    water = Planes(frame.planes.y[32:], frame.planes.u[16:], frame.planes.v[16:])
    assert (water.y[:, 2 : width // 2 - 2] < 61).all()
    assert (water.y[:, width // 2 + 2 : -2] > 100).all()
    for plane, tone in ((water.u, 100), (water.v, 150)):
        assert (np.abs(plane.astype(int) - 128) <= abs(tone - 128)).all()
        assert (np.abs(plane.astype(int) - 128) >= abs(tone - 128) // 2).all()
