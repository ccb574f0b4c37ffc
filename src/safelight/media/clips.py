"""How an MP4 file is opened, and how its frames are reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from safelight.domain.errors import MediaError
from safelight.media.boxes import BrokenBox, boxes_of
from safelight.media.pictures import check_pixels

VIDEO_CODECS = frozenset({"h264", "hevc", "av1", "libdav1d", "vp9", "libvpx-vp9", "mpeg4"})
"""The decoders that may run. FFmpeg has hundreds that an MP4 file can reach, most seldom exercised."""
_DECODER_THREADS = 4
_FEW_PIXELS = 320 * 240
"""Up to so many a frame, threads of its own cost a clip more than they save."""
_HD_LINES = 720
_MATRIX_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED

UInt8Array = npt.NDArray[np.uint8]


def check_boxes(path: Path) -> None:
    """Raise ``MediaError`` unless the file is a row of whole boxes with ``moov`` and media data among them."""
    with path.open("rb") as file:
        try:
            seen = {box.name for box in boxes_of(file)}
        except BrokenBox as error:
            raise MediaError("The MP4 file is cut off or damaged.") from error
    if b"moov" not in seen:
        raise MediaError("The MP4 file has no index (moov); it was not finished.")
    if b"mdat" not in seen:
        raise MediaError("The MP4 file holds no media data (mdat).")


@contextmanager
def open_clip(path: Path, **options: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """An MP4 file and its first video stream, ready to decode. FFmpeg's errors become ``MediaError``.

    A cover is a stream of pictures too, and may come first. ``options`` are the demuxer's own.
    """
    try:
        with av.open(str(path), format="mp4", options=options) as container:
            if not container.streams.video:
                raise MediaError("The MP4 file has no video stream.")
            stream = next(filter(_is_supported, container.streams.video), None)
            if stream is None:
                raise MediaError("The MP4 file's video is in a format that is not supported.")
            context = stream.codec_context
            check_pixels(context.width, context.height)
            context.thread_type = "AUTO"
            context.thread_count = 1 if context.width * context.height <= _FEW_PIXELS else _DECODER_THREADS
            yield container, stream
    except (av.FFmpegError, EOFError) as error:
        raise MediaError("The MP4 file cannot be decoded.") from error


def _is_supported(stream: VideoStream) -> bool:
    context = stream.codec_context
    return context is not None and context.codec.name in VIDEO_CODECS


def frame_at(container: InputContainer, stream: VideoStream, fraction: float) -> VideoFrame:
    """The frame shown at a fraction (0 to 1) of the video; the last one where there is none so late.

    Raises ``MediaError`` where no frame decodes.
    """
    start = stream.start_time or 0
    target = start + int(_length(container, stream) * fraction)
    container.seek(target, stream=stream)
    found: VideoFrame | None = None
    for frame in container.decode(stream):
        if found is not None and frame.pts is not None and frame.pts > target:
            break
        found = frame
    if found is None:
        raise MediaError("The MP4 file has no frame that decodes.")
    return found


def _length(container: InputContainer, stream: VideoStream) -> float:
    """The length of a video in its own time base; a fragmented file tells it of the whole file only."""
    if stream.duration:
        return stream.duration
    return (container.duration or 0) / av.time_base / (stream.time_base or 1)


def displayed_frame_size(stream: VideoStream, frame: VideoFrame) -> tuple[int, int]:
    """Width and height in pixels with the pixels' own aspect ratio and the track's rotation applied."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = round(frame.width * aspect), frame.height
    return (height, width) if round(frame.rotation / 90) % 2 else (width, height)


def pixels_of(frame: VideoFrame, width: int, height: int) -> UInt8Array:
    """A frame's pixels as ``(height, width, 3)`` in RGB, 8 bits each, scaled to that size in pixels."""
    # Most encoders leave the colour matrix unsaid. Players then take BT.709 for HD and BT.601 for less.
    unsaid = frame.colorspace == _MATRIX_UNSPECIFIED
    matrix = "ITU709" if unsaid and frame.height >= _HD_LINES else None
    scaled = frame.reformat(width, height, format="rgb24", src_colorspace=matrix, interpolation="AREA")
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
