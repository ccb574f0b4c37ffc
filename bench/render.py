"""The built-in renderer: images in seconds, clips with sound in frames a second, until the file is written."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections import defaultdict

import msgspec

from bench.report import Reach, Report, at_least, at_most
from bench.servers import BenchError

_LIMIT_SECONDS = 900
_REACH_SECONDS = {"2K": 1.0, "4K": 3.5}


class _Drawing(msgspec.Struct):
    what: str
    wall: float
    processor: float
    frames: int


async def run(report: Report) -> None:
    images, videos, seconds = (2, 1, 2) if report.brief else (5, 3, 5)
    report.say(f"{images} prompts an image size, {videos} prompts a video size, {seconds} s a clip")
    command = [sys.executable, "-m", "bench.drawing", str(images), str(videos), str(seconds)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_LIMIT_SECONDS)
    if done.returncode:
        raise BenchError(f"The renderer failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    drawings: dict[str, list[_Drawing]] = defaultdict(list)
    for line in done.stdout.splitlines():
        drawing = msgspec.json.decode(line, type=_Drawing)
        drawings[drawing.what].append(drawing)
    alone = drawings.pop("x264")
    for what, each in drawings.items():
        _add(report, what, each)
    _compare(report, drawings["1080p"], alone)


def _add(report: Report, what: str, drawings: list[_Drawing]) -> None:
    """Medians over the prompts."""
    frames = drawings[0].frames
    if what == "imports":
        report.add("start of the process, with imports", drawings[0].wall, "s")
    elif frames:
        reach: Reach | None = at_least(16) if what == "1080p" else None
        report.add(
            f"{what} video with sound", statistics.median(d.frames / d.wall for d in drawings), "frames/s", reach=reach
        )
        report.add(f"{what} video with sound: processor time", _ms_a_frame(drawings), "ms a frame")
    else:
        bound = _REACH_SECONDS.get(what.split()[0])
        reach = None if bound is None else at_most(bound)
        report.add(f"{what} image", statistics.median(d.wall for d in drawings), "s", reach=reach)
        report.add(f"{what} image: processor time", statistics.median(d.processor for d in drawings), "s")


def _compare(report: Report, ours: list[_Drawing], alone: list[_Drawing]) -> None:
    """Clips beside their own frames, encoded with nothing drawn: of the prompt whose share is the median."""
    shares = [(theirs.wall / mine.wall, mine, theirs) for mine, theirs in zip(ours, alone, strict=True)]
    _, mine, theirs = sorted(shares, key=lambda share: share[0])[len(shares) // 2]
    report.add(
        "1080p video beside x264 alone", mine.frames / mine.wall, "frames/s", peer=theirs.frames / theirs.wall,
        reach=at_least(0.7, of_peer=True),
    )  # fmt: skip
    report.add(
        "1080p video beside x264 alone: processor time", _ms_a_frame(ours), "ms a frame", peer=_ms_a_frame(alone)
    )


def _ms_a_frame(drawings: list[_Drawing]) -> float:
    return statistics.median(1000 * d.processor / d.frames for d in drawings)
