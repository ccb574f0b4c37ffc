"""The way in: one picture or one clip to one file. Plain functions, to be called in a process of their own."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from safelight.providers.builtin import encode, finishes, motion, references, scenes, sound
from safelight.providers.builtin.canvas import Bytes, Canvas, Element
from safelight.providers.builtin.palette import Palette, choose
from safelight.providers.builtin.reading import Brief, read
from safelight.providers.builtin.spec import ImageSpec, VideoSpec

SMALLEST = 16


@contextmanager
def _eager_threads() -> Iterator[None]:
    """Let threads change hands quickly: painting and encoding take turns many times in a frame."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@_eager_threads()
def render_image(spec: ImageSpec, path: Path, output_format: Literal["png", "jpeg", "webp"]) -> None:
    """Draw the picture and write it to ``path``. The same spec gives the same bytes.

    Raises ``ValueError`` for sizes too small to draw, unknown formats and references that cannot be decoded.
    """
    if min(spec.width, spec.height) < SMALLEST:
        raise ValueError(f"a picture is at least {SMALLEST} pixels on a side, not {spec.width}x{spec.height}")
    brief, palette, elements = _prepare(spec)
    canvas = Canvas(brief, palette, spec.width, spec.height)
    for element in elements:
        element.draw(canvas, 0.0)
    finishes.finish(canvas)
    encode.write_image(canvas.pixels, path, output_format)


def _prepare(spec: ImageSpec | VideoSpec) -> tuple[Brief, Palette, list[Element]]:
    """What the prompt and the references ask for: a brief, its colours and the elements of the scene."""
    brief = read(spec.prompt, spec.seed)
    lent = [references.cover(one.data, 96, 96) for one in spec.references]
    palette = choose(brief, references.leading_colours(lent) if lent else ())
    elements = scenes.compose(brief, palette)
    layers = [one.data for one in spec.references if one.role == "reference_image"]
    if layers:
        elements.append(references.exposure(brief, layers))
    return brief, palette, elements


def _given(spec: VideoSpec, role: str) -> motion.GivenFrame | None:
    """The picture given for a role, cropped to the frame."""
    data = next((one.data for one in spec.references if one.role == role), None)
    return None if data is None else motion.GivenFrame(references.cover(data, spec.width, spec.height))


@_eager_threads()
def render_video(spec: VideoSpec, path: Path, progress: Callable[[float], None] | None = None) -> None:
    """Draw the clip and write an MP4 to ``path``; ``progress`` is called with the share that is done, 0..1.

    Raises ``ValueError`` for odd sizes (4:2:0 video has none) and references that cannot be decoded.
    """
    if spec.width % 2 or spec.height % 2:
        raise ValueError(f"a video needs an even width and height, not {spec.width}x{spec.height}")
    if min(spec.width, spec.height) < SMALLEST or spec.duration_seconds < 1 or spec.fps < 1:
        raise ValueError("a video is at least 16 pixels on a side, one second long and one frame a second")
    brief, count = read(spec.prompt, spec.seed), spec.duration_seconds * spec.fps
    with encode.Clip(path, spec.width, spec.height, spec.fps, sound=spec.sound) as clip:
        samples = sound.ambience(brief, spec.duration_seconds) if spec.sound else None
        for number, picture in enumerate(draw_frames(spec)):
            clip.add_frame(picture)
            if samples is not None and (number + 1) % spec.fps == 0:
                second = number // spec.fps * encode.SAMPLE_RATE
                clip.add_sound(samples[:, second : second + encode.SAMPLE_RATE], second)
            if progress is not None:
                progress((number + 1) / count)


def draw_frames(spec: VideoSpec) -> Iterator[Bytes]:
    """The (h * 3 / 2, w) frames of a clip; each is valid until the next is drawn."""
    brief, palette, elements = _prepare(spec)
    size, count = (spec.width, spec.height), spec.duration_seconds * spec.fps
    animation = motion.Animation(elements, brief, palette, size, max(1, count - 1) / spec.fps)
    ends = motion.Ends(_given(spec, "first_frame"), _given(spec, "last_frame"))
    for number in range(count):
        picture = animation.frame(number / spec.fps)
        ends.lay(picture, number / max(1, count - 1))
        yield picture
