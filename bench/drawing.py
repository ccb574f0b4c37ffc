"""The built-in renderer in a process of its own: ``python -m bench.drawing IMAGES VIDEOS SECONDS``.

Prints one line of JSON for each drawing: what, wall seconds, processor seconds, frames. After each clip of 1080p its
frames, drawn beforehand and kept in memory, are encoded alone, with the same settings and sound: "x264".
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

_STARTED = time.perf_counter()

from bench.servers import folder  # noqa: E402 - the clock starts before the imports, which a first image waits for
from safelight.providers.builtin import encode, sound  # noqa: E402
from safelight.providers.builtin.reading import read  # noqa: E402
from safelight.providers.builtin.render import draw_frames, render_image, render_video  # noqa: E402
from safelight.providers.builtin.spec import ImageSpec, VideoSpec  # noqa: E402

_PROMPTS = (
    "A watercolor painting of a mountain village at dawn",
    "A city street at night with neon lights in the rain",
    "A calm sea under a clear sky, photographic haze",
    "A dense forest at dusk, ink drawing",
    "A still life of pears and a jug on a wooden table",
)
_IMAGES = {"1K": (1360, 768), "2K": (2736, 1536), "4K": (5456, 3072)}
_VIDEOS = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


def main() -> None:
    images, videos, seconds = map(int, sys.argv[1:])
    with folder() as base:
        path = base / "drawing"
        _note("imports", _STARTED, 0.0)
        for name, (width, height) in _IMAGES.items():
            for format_ in ("png", "jpeg"):
                for prompt in _PROMPTS[:images]:
                    started, used = time.perf_counter(), time.process_time()
                    render_image(ImageSpec(prompt=prompt, seed=1, width=width, height=height), path, format_)
                    _note(f"{name} {format_}", started, used)
        for name, (width, height) in _VIDEOS.items():
            for prompt in _PROMPTS[:videos]:
                clip = VideoSpec(
                    prompt=prompt, seed=1, width=width, height=height, duration_seconds=seconds, sound=True
                )
                started, used = time.perf_counter(), time.process_time()
                render_video(clip, path, lambda _: None)
                _note(name, started, used, seconds * clip.fps)
                if name == "1080p":
                    _encode_alone(clip, path)


def _encode_alone(clip: VideoSpec, path: Path) -> None:
    pictures = [picture.copy() for picture in draw_frames(clip)]
    samples = sound.ambience(read(clip.prompt, clip.seed), clip.duration_seconds)
    started, used = time.perf_counter(), time.process_time()
    with encode.Clip(path, clip.width, clip.height, clip.fps, sound=True) as file:
        for number, picture in enumerate(pictures, 1):
            file.add_frame(picture)
            if number % clip.fps == 0:
                second = (number // clip.fps - 1) * encode.SAMPLE_RATE
                file.add_sound(samples[:, second : second + encode.SAMPLE_RATE], second)
    _note("x264", started, used, len(pictures))


def _note(what: str, started: float, used: float, frames: int = 0) -> None:
    wall, processor = time.perf_counter() - started, time.process_time() - used
    print(json.dumps({"what": what, "wall": wall, "processor": processor, "frames": frames}), flush=True)


if __name__ == "__main__":
    main()
