"""The way in: one picture or one clip to one file. Plain functions, to be called in a process of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from safelight.providers.builtin import encode, manner, motion, references, scenes, sound
from safelight.providers.builtin.easel import Easel
from safelight.providers.builtin.palette import choose
from safelight.providers.builtin.reading import read
from safelight.providers.builtin.spec import ImageSpec, VideoSpec

SMALLEST = 16


def render_image(spec: ImageSpec, path: Path, output_format: Literal["png", "jpeg", "webp"]) -> None:
    """Draw the picture and write it to ``path``. The same spec gives the same bytes.

    Raises ``ValueError`` for sizes too small to draw, unknown formats and references that cannot be decoded.
    """
    if min(spec.width, spec.height) < SMALLEST:
        raise ValueError(f"a picture is at least {SMALLEST} pixels on a side, not {spec.width}x{spec.height}")
    brief = read(spec.prompt, spec.seed)
    given = [references.cover(one.data, spec.width, spec.height) for one in spec.references]
    palette = choose(brief, references.leading_colours(given) if given else ())
    easel = Easel(brief, palette, spec.width, spec.height)
    for element in scenes.compose(brief, palette):
        element.draw(easel, 0.0)
    manner.finish(easel)
    encode.write_image(easel.pixels, path, output_format)


def render_video(spec: VideoSpec, path: Path, progress: Callable[[float], None] | None = None) -> None:
    """Draw the clip and write an MP4 to ``path``; ``progress`` is called with the share that is done, 0..1.

    Raises ``ValueError`` for odd sizes (4:2:0 video has none) and references that cannot be decoded.
    """
    if spec.width % 2 or spec.height % 2:
        raise ValueError(f"a video needs an even width and height, not {spec.width}x{spec.height}")
    if min(spec.width, spec.height) < SMALLEST or spec.duration_seconds < 1 or spec.fps < 1:
        raise ValueError("a video is at least 16 pixels on a side, one second long and one frame a second")
    brief = read(spec.prompt, spec.seed)
    palette = choose(brief)
    size, count = (spec.width, spec.height), spec.duration_seconds * spec.fps
    with encode.Clip(path, *size, spec.fps, sound=spec.sound) as clip:
        samples = sound.ambience(brief, spec.duration_seconds) if spec.sound else None
        elements = scenes.compose(brief, palette)
        for number, pixels in enumerate(motion.frames(elements, brief, palette, size, count, spec.fps)):
            clip.add_frame(pixels)
            if samples is not None:
                start = number * encode.SAMPLE_RATE // spec.fps
                stop = (number + 1) * encode.SAMPLE_RATE // spec.fps
                clip.add_sound(samples[:, start:stop], start)
            if progress is not None:
                progress((number + 1) / count)
