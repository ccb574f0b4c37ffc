"""A clip's length is that of presentation, whatever the order of its packets, and beside what ffprobe says."""

from __future__ import annotations

import json
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest

from safelight.domain.media import MediaFacts
from safelight.media.measure import measure
from safelight.media.remux import strip_clip
from tests.media import plants
from tests.media.media_files import write_clip

FRAME = 1 / 24


def ffmpeg(folder: Path, *arguments: str) -> Path:
    command = ["ffmpeg", "-v", "error", "-y", *arguments, "out.mp4"]
    subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL)
    return folder / "out.mp4"


def shown_by_ffprobe(path: Path) -> tuple[float, float, int]:
    """The times of the first and the last frame in the order in which they are shown, and their number."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time", "-of", "json"]
    found = json.loads(subprocess.run([*command, str(path)], capture_output=True, check=True).stdout)
    times = [float(frame["pts_time"]) for frame in found["frames"]]
    return min(times), max(times), len(times)


def check(path: Path, seconds: float, frames: int) -> MediaFacts:
    """Its length is this; ffprobe sees as much but for the last frame; and it is the same once it is stripped."""
    facts = measure(path)
    assert facts.duration_seconds == pytest.approx(seconds, abs=0.002)
    assert facts.fps == pytest.approx(frames / seconds, abs=0.02)
    first, last, count = shown_by_ffprobe(path)
    assert count == frames
    assert last - first < seconds <= last - first + 0.26
    strip_clip(path, path.with_name("bare.mp4"))
    assert measure(path.with_name("bare.mp4")) == facts
    return facts


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Three seconds with B-frames, and sound."""
    path = write_clip(tmp_path / "plain.mp4", frames=72, sound=True)
    order = [packet.pts for packet in av.open(str(path)).demux(video=0) if packet.pts is not None]
    assert order != sorted(order)
    return path


def test_frames_that_are_not_in_order(plain: Path) -> None:
    check(plain, 3.0, 72)


def test_a_clip_that_begins_late(tmp_path: Path, plain: Path) -> None:
    """An empty edit: nothing is shown for half a second, and the sound is on."""
    late = ffmpeg(tmp_path, "-itsoffset", "0.5", "-i", plain.name, "-i", plain.name, "-map", "0:v", "-map", "1:a",
                  "-c", "copy")  # fmt: skip
    assert shown_by_ffprobe(late)[0] == pytest.approx(0.5, abs=0.001)
    check(late, 3.0, 72)


def test_a_clip_whose_start_is_cut_off_by_its_edit_list(tmp_path: Path, plain: Path) -> None:
    cut = ffmpeg(tmp_path, "-ss", "0.7", "-i", plain.name, "-c", "copy")
    frames = shown_by_ffprobe(cut)[2]
    assert frames < 60
    check(cut, frames * FRAME, frames)


def test_a_clip_whose_end_is_cut_off_by_its_edit_list(tmp_path: Path, plain: Path) -> None:
    data = bytearray(plain.read_bytes())
    at = data.index(b"elst") + 12
    assert struct.unpack_from(">I", data, at) == (3000,)
    struct.pack_into(">I", data, at, 1500)
    (tmp_path / "cut.mp4").write_bytes(data)
    assert measure(tmp_path / "cut.mp4").duration_seconds == pytest.approx(1.5, abs=0.002)
    # Frames that those before need stay in the stripped file: what is announced is what is there.
    strip_clip(tmp_path / "cut.mp4", tmp_path / "bare.mp4")
    first, last, frames = shown_by_ffprobe(tmp_path / "bare.mp4")
    assert 36 <= frames <= 38
    assert measure(tmp_path / "bare.mp4").duration_seconds == pytest.approx(last - first + FRAME, abs=0.002)


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_frames_of_different_lengths(tmp_path: Path, plain: Path, b_frames: str) -> None:
    """Every frame at first, then each third: the last is shown at 2.875 s, for one frame's time."""
    varied = ffmpeg(tmp_path, "-i", plain.name, "-vf", "select='not(mod(n,3))+lt(n,20)'", "-fps_mode", "vfr",
                    "-c:v", "libx264", "-bf", b_frames)  # fmt: skip
    frames = shown_by_ffprobe(varied)[2]
    check(varied, 2.875 + FRAME, frames)


@pytest.mark.parametrize("gap", [1, 2, 5])
def test_one_frame_that_is_shown_long(tmp_path: Path, gap: int) -> None:
    """A pause before the last frames: the one that is decoded first of them would seem to last as long."""
    path = tmp_path / "pause.mp4"
    times = [*range(4), *(3 + 24 * gap + step for step in range(3))]
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"bf": "3", "preset": "medium", "b-pyramid": "none"})
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 64, "yuv420p", Fraction(1, 24)
        for time in times:
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts, frame.time_base = time, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    check(path, (times[-1] + 1) * FRAME, len(times))


@pytest.mark.parametrize("seconds", ["5", "0.5"])
def test_sound_of_another_length_does_not_count(tmp_path: Path, plain: Path, seconds: str) -> None:
    mixed = ffmpeg(tmp_path, "-i", plain.name, "-f", "lavfi", "-i", f"sine=440:d={seconds}", "-map", "0:v",
                   "-map", "1:a", "-c:v", "copy")  # fmt: skip
    assert check(mixed, 3.0, 72).has_sound


def test_a_clip_in_fragments(tmp_path: Path, plain: Path) -> None:
    check(ffmpeg(tmp_path, "-i", plain.name, "-c", "copy", "-movflags", "frag_keyframe+empty_moov"), 3.0, 72)


@pytest.mark.parametrize(
    ("parts", "seconds", "frames"),
    [
        ([(0, 1), (2, 1)], 2.0, 48),
        ([(0, 1), (0, 1)], 2.0, 48),
        ([(2, 1), (0, 1)], 2.0, 48),
    ],
    ids=["two parts", "one part twice", "the end first"],
)
def test_a_clip_of_several_parts(tmp_path: Path, parts: list[tuple[float, float]], seconds: float, frames: int) -> None:
    """An edit list that leads back, or over what is hidden, to a key frame."""
    write_clip(tmp_path / "plain.mp4", frames=72, sound=True, movflags="")
    check(plants.with_edits(tmp_path / "plain.mp4", tmp_path / "parts.mp4", *parts), seconds, frames)


@pytest.mark.parametrize(
    "parts", [[(0.3, 0.7), (1.7, 0.6), (0.2, 0.4)], [(0, 1), (-1, 0.5), (1.2, 1)]], ids=["three", "with a gap"]
)
def test_a_clip_of_parts_that_begin_anywhere(tmp_path: Path, parts: list[tuple[float, float]]) -> None:
    """Frames that are hidden, and that others need, are in the stripped file: what is announced is what is there."""
    write_clip(tmp_path / "plain.mp4", frames=72, sound=True, movflags="")
    source, bare = plants.with_edits(tmp_path / "plain.mp4", tmp_path / "parts.mp4", *parts), tmp_path / "bare.mp4"
    strip_clip(source, bare)
    first, last, _ = shown_by_ffprobe(bare)
    assert measure(bare).duration_seconds == pytest.approx(last - first + FRAME, abs=0.002)
    assert measure(source).duration_seconds <= (measure(bare).duration_seconds or 0) <= 3.0  # type: ignore[operator]


def test_a_clip_whose_frames_are_refreshed_bit_by_bit(tmp_path: Path, plain: Path) -> None:
    """From its last key frame on, the picture is whole only after the clip's end."""
    refreshed = ffmpeg(tmp_path, "-i", plain.name, "-c:v", "libx264", "-x264-params",
                       "intra-refresh=1:bframes=0:keyint=10")  # fmt: skip
    check(refreshed, 3.0, 72)


def test_sound_whose_times_stand_still(tmp_path: Path, plain: Path) -> None:
    """Fragments of a frame each, as some writers cut them: every second block of sound has the time of the first."""
    fragments = ffmpeg(tmp_path, "-i", plain.name, "-c", "copy", "-movflags", "frag_every_frame+empty_moov")
    check(fragments, 3.0, 72)
    with av.open(str(fragments)) as given, av.open(str(tmp_path / "bare.mp4")) as bare:
        before, after = ([bytes(one) for one in file.demux(audio=0) if one.size] for file in (given, bare))
    assert after == before
