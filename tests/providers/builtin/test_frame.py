"""Short cuts in the drawing of clips change no pixel."""

import msgspec
import numpy as np
import pytest
import skia

from safelight.providers.builtin import scenes
from safelight.providers.builtin.canvas import fill
from safelight.providers.builtin.frame import halved, lay, planes_of, tones_of
from safelight.providers.builtin.frame_canvas import FrameCanvas
from safelight.providers.builtin.ink_mask import lay_ink
from safelight.providers.builtin.motion import Animation
from safelight.providers.builtin.palette import choose
from safelight.providers.builtin.planes import rgba_to_yuv
from safelight.providers.builtin.reading import read
from safelight.providers.builtin.still_layers import PlanarLayer

SIZES = [(256, 144), (854, 480), (20, 16), (18, 66)]


def _noisy(width: int, height: int) -> FrameCanvas:
    """A canvas with a picture of noise on it."""
    brief = read("the sea", 1)
    canvas = FrameCanvas(brief, choose(brief), width, height)
    canvas.picture[...] = np.random.default_rng(1).integers(16, 236, canvas.picture.shape, dtype=np.uint8)
    return canvas


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_ink_is_mixed_in_where_it_is_and_nowhere_else(width, height):
    rng = np.random.default_rng(2)
    cover = rng.integers(0, 256, (height, width), dtype=np.uint8) * (rng.random((height, width)) < 0.1)
    planes, ink = _noisy(width, height).planes, (0.7, 0.2, 0.9)
    share = cover.astype(int) >> 1
    half = (share[::2, ::2] + share[1::2, 1::2]) >> 1
    tones = [round(tone) for tone in tones_of(ink)]
    expected = [
        plane + ((tone - plane.astype(int)) * part >> 7)
        for plane, tone, part in zip(planes, tones, (share, half, half), strict=True)
    ]
    lay_ink(planes, cover.astype(np.uint8), ink)
    for plane, right in zip(planes, expected, strict=True):
        np.testing.assert_array_equal(plane, right)


@pytest.mark.parametrize("pan", [-14, -2, 0, 12])  # a chroma's whole pixels
def test_a_still_layer_is_laid_as_if_whole(pan):
    width, height, margin = 512, 288, 14
    painted = np.zeros((height, width + 2 * margin, 4), np.uint8)
    painted[150:, 60:420] = (90, 120, 60, 255)
    painted[100:170, 300:340] = (20, 40, 60, 120)
    layer, canvas = PlanarLayer(painted, 1.0, margin), _noisy(width, height)
    assert {run.solid for run in layer.runs} == {True, False}
    expected = planes_of(canvas.picture.copy())
    seen = slice(margin + pan, margin + pan + width)
    cover = painted[:, seen, 3]
    lay(expected, planes_of(rgba_to_yuv(painted)).window(0, height, seen.start, seen.stop), cover, halved(cover))
    layer.draw(canvas, 0.0, pan)
    for plane, right in zip(canvas.planes, expected, strict=True):
        np.testing.assert_array_equal(plane, right)


def test_a_still_layer_hides_what_it_covers_down_to_the_bottom():
    painted = np.zeros((64, 96, 4), np.uint8)
    assert PlanarLayer(painted, 1.0, 8).hides == 64
    painted[40:50, :, 3] = 255
    assert PlanarLayer(painted, 1.0, 8).hides == 64
    painted[41:, :, 3] = 255
    assert PlanarLayer(painted, 1.0, 8).hides == 40
    painted[40, 3, 3] = 254
    assert PlanarLayer(painted, 1.0, 8).hides == 42


def test_what_is_drawn_goes_to_the_frame_and_the_overlay_is_clear_again():
    canvas = _noisy(1024, 144)
    before = canvas.picture.copy()
    with canvas.element(0.0):
        for x in (40, 980):
            canvas.skia_canvas.drawRect(skia.Rect(x - 20, 50, x + 20, 100), fill((1, 1, 1)))
    assert not canvas.pixels.any()
    for x in (40, 980):
        assert (canvas.planes.y[60:90, x - 10 : x + 10] >= 234).all()
    np.testing.assert_array_equal(canvas.planes.y[:, 300:800], planes_of(before).y[:, 300:800])


@pytest.mark.parametrize("prompt", ["the sea", "a city at night", "a mountain lake"])
def test_what_is_hidden_need_not_be_drawn(prompt):
    brief = read(prompt, 3)
    palette = choose(brief)
    elements = scenes.compose(brief, palette)
    assert min(element.hides for element in elements) < 1
    sparing = Animation(elements, brief, palette, (256, 144), 1.0)
    whole = Animation([msgspec.structs.replace(one, hides=1.0) for one in elements], brief, palette, (256, 144), 1.0)
    for seconds in (0.0, 0.4, 1.0):
        np.testing.assert_array_equal(sparing.frame(seconds), whole.frame(seconds))
