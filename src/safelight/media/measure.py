"""The facts of a media file, measured on the file; and the proof that it is whole media at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from safelight.domain.errors import MediaError
from safelight.domain.media import MediaFacts
from safelight.media.clips import check_boxes, displayed_frame_size, open_clip
from safelight.media.pictures import SMALL_PNG_BYTES, PngFacts, check_pixels, decode_all, displayed_size, open_picture
from safelight.media.sniff import sniff


def measure(path: Path) -> MediaFacts:
    """What a file is and shows: type, displayed size in pixels; of a video its length, pace and sound too.

    Every row of a picture is decoded. Of a video every packet is read, and its first frame and its last are
    decoded. Raises ``MediaError`` for anything that is not whole PNG, JPEG, WebP or MP4.
    """
    mime_type = sniff(path)
    if mime_type is None:
        raise MediaError(_not_media(path))
    if mime_type == "video/mp4":
        return _measure_clip(path)
    small_png = _check_png(path) if mime_type == "image/png" else None
    if small_png is not None:
        return small_png
    image = open_picture(path, mime_type)
    decode_all(image)
    width, height = displayed_size(image)
    return MediaFacts(mime_type=mime_type, width=width, height=height)


def _not_media(path: Path) -> str:
    if path.stat().st_size == 0:
        return "The file is empty."
    return "The file is not a PNG, JPEG, WebP or MP4."


def _check_png(path: Path) -> MediaFacts | None:
    """Check a PNG file's chunks. The facts of a small, plain one; None where the pixels are left to libvips.

    libvips stops reading at the last row, so that only the chunks tell of a file cut off after it.
    """
    png = PngFacts(path.read_bytes())
    check_pixels(png.width, png.height)
    if png.interlaced or b"eXIf" in png.names or png.size_raw_bytes > SMALL_PNG_BYTES:
        return None
    png.inflate_all()
    return MediaFacts(mime_type="image/png", width=png.width, height=png.height)


class _Packets(msgspec.Struct):
    """What reading every packet of a video showed. Times are in the video stream's time base."""

    frames: int = 0
    skipped: int = 0
    start: int | None = None
    end: int = 0
    last_key: int | None = None
    last_shown: int = 0
    sound: int = 0

    def add_frame(self, packet: Packet[Any]) -> None:
        if packet.pts is None:
            raise MediaError("The MP4 file has a frame without a time.")
        if packet.is_keyframe:
            self.last_key = packet.pts
        if packet.is_discard:
            self.skipped += 1
            return
        self.frames += 1
        self.start = packet.pts if self.start is None else min(self.start, packet.pts)
        self.end = max(self.end, packet.pts + (packet.duration or 0))
        self.last_shown = max(self.last_shown, packet.pts)


def _measure_clip(path: Path) -> MediaFacts:
    check_boxes(path)
    with open_clip(path) as (container, stream):
        packets = _read_packets(container, stream)
        if not packets.frames or packets.start is None:
            raise MediaError("The MP4 file's video has no frames.")
        if packets.frames + packets.skipped < stream.frames:
            raise MediaError("The MP4 file lacks frames that its index announces.")
        seconds = Fraction(packets.end - packets.start) * Fraction(stream.time_base or 0)
        if seconds <= 0:
            raise MediaError("The MP4 file's video has no length.")
        first = _decode_ends(container, stream, packets)
        width, height = displayed_frame_size(stream, first)
    return MediaFacts(
        mime_type="video/mp4",
        width=width,
        height=height,
        duration_seconds=float(seconds),
        fps=round(float(packets.frames / seconds), 3),
        has_sound=packets.sound > 0,
    )


def _read_packets(container: InputContainer, stream: VideoStream) -> _Packets:
    found = _Packets()
    for packet in container.demux():
        if packet.size == 0:
            continue
        if packet.is_corrupt:
            raise MediaError("The MP4 file is cut off.")
        if packet.stream_index == stream.index:
            found.add_frame(packet)
        elif packet.stream.type == "audio":
            found.sound += 1
    return found


def _decode_ends(container: InputContainer, stream: VideoStream, packets: _Packets) -> VideoFrame:
    """Decode the first frame, and from the last key frame to the last one shown. Returns the first frame."""
    start = packets.start or 0
    container.seek(start, stream=stream)
    first = next((frame for frame in container.decode(stream)), None)
    if first is None or first.is_corrupt:
        raise MediaError("The MP4 file's first frame does not decode.")
    last = _decode_last(container, stream, start if packets.last_key is None else packets.last_key, packets.last_shown)
    if last is None or last.is_corrupt or last.pts is None or last.pts < packets.last_shown:
        raise MediaError("The MP4 file's last frame does not decode.")
    return first


def _decode_last(container: InputContainer, stream: VideoStream, key: int, shown: int) -> VideoFrame | None:
    """The frame of the time ``shown``, decoded from the key frame on; None where nothing decodes.

    Frames that no other frame needs are skipped on the way, which halves the cost of a long group.
    """
    container.seek(key, stream=stream)
    last: VideoFrame | None = None
    for packet in container.demux(stream):
        stream.codec_context.skip_frame = "DEFAULT" if packet.pts in (None, shown) else "NONREF"
        for frame in packet.decode():
            last = frame
    return last
