import os
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from safelight.providers.builtin import references
from safelight.providers.builtin.render import render_video
from safelight.providers.builtin.spec import VideoSpec

from .conftest import psnr, reference


def _frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def _boxes(data: bytes) -> list[str]:
    found, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8].decode("latin-1"))
        at += max(size, 8)
    return found


@pytest.mark.parametrize("sound", [True, False])
def test_the_file_is_what_was_asked_for(clip, sound):
    path = clip("the sea at dusk", sound=sound, seconds=2)
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, video.average_rate, video.frames) == (256, 144, 12, 24)
        assert video.codec_context.colorspace == 1
        assert float(video.duration * video.time_base) == 2.0
        assert [stream.codec_context.name for stream in file.streams.audio] == (["aac"] if sound else [])
        for stream in file.streams.audio:
            assert (stream.rate, stream.channels) == (48_000, 2)
            assert abs(float(stream.duration * stream.time_base) - 2.0) < 0.05
    boxes = _boxes(path.read_bytes())
    assert boxes.index("moov") < boxes.index("mdat")
    assert len(_frames(path)) == 24


def test_sound_is_a_soft_ambience_in_both_ears(clip):
    with av.open(str(clip("waves on a beach", sound=True, seconds=2))) as file:
        samples = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    level = float(np.sqrt((samples**2).mean()))
    assert 0.01 < level < 0.3
    assert float(np.abs(samples).max()) < 1.0
    assert abs(float(np.corrcoef(samples)[0, 1])) < 0.98
    spectrum = np.abs(np.fft.rfft(samples[0])) ** 2
    assert float(spectrum.max() / spectrum.sum()) < 0.3, "a beep"


@pytest.mark.parametrize("prompt", ["clouds over a mountain peak, timelapse", "watercolor village at dawn"])
def test_the_same_spec_gives_the_same_bytes(clip, prompt):
    assert clip(prompt, sound=True, name="a").read_bytes() == clip(prompt, sound=True, name="b").read_bytes()


@pytest.mark.parametrize(
    "prompt",
    ["clouds over a mountain peak", "the sea", "a neon city", "a snowy forest",
     "desert", "space", "a reef", "a portrait",
     "a still life", "a meadow", "quiet thoughts", "ink village", "pixel art sea", "oil painting of a city"],
)  # fmt: skip
def test_everything_moves_but_nothing_jumps(clip, prompt):
    frames = [frame.astype(np.float32) for frame in _frames(clip(prompt, fps=6))]
    steps = [float(np.abs(a - b).mean()) for a, b in pairwise(frames)]
    assert min(steps) > 0.02
    assert max(steps) < 26


@pytest.mark.parametrize("prompt", ["mountains at dawn", "watercolor sea"])
def test_given_frames_begin_and_end_the_clip(clip, prompt):
    given = [reference("first_frame"), reference("last_frame", "bars")]
    frames = _frames(clip(prompt, references=given))
    for index, one in ((0, given[0]), (-1, given[1])):
        assert psnr(frames[index], references.cover(one.data, 256, 144)[..., :3]) > 30
    middle = frames[len(frames) // 2]
    assert all(psnr(middle, references.cover(one.data, 256, 144)[..., :3]) < 20 for one in given)


def test_a_reference_shapes_the_clip(clip):
    given = reference("reference_image")
    target = references.cover(given.data, 256, 144)[..., :3].astype(np.float32).mean(axis=2)
    middle = _frames(clip("mountains", references=[given]))[6].astype(np.float32).mean(axis=2)
    assert float(np.corrcoef(middle.ravel(), target.ravel())[0, 1]) > 0.35


def test_progress_is_told_and_odd_sizes_are_refused(tmp_path):
    told: list[float] = []
    spec = VideoSpec(prompt="sea", seed=1, width=64, height=64, duration_seconds=1, fps=8, sound=False)
    render_video(spec, tmp_path / "x.mp4", told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(ValueError, match="even width and height"):
        render_video(
            VideoSpec(prompt="sea", seed=1, width=65, height=64, duration_seconds=1, sound=False),
            tmp_path / "y.mp4",
        )


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_does_not_grow_with_the_clip(clip):
    clip("the sea", seconds=1)
    before = _resident_bytes()
    clip("the sea", seconds=8)
    assert _resident_bytes() - before < 256 * 144 * 4 * 12 * 8 / 2
