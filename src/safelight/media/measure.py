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

    Of a video every packet is read, and its first frame and its last are decoded; of a picture see ``measure_picture``.
    Raises ``MediaError`` for anything that is not whole PNG, JPEG, WebP or MP4.
    """
    return _measure_clip(path) if sniff(path) == "video/mp4" else measure_picture(path.read_bytes())


def measure_picture(data: bytes, png: PngFacts | None = None) -> MediaFacts:
    """What a picture's whole file is and shows: its type, and its displayed size in pixels.

    Every row is decoded, or of a plain PNG inflated (``png``: what was read of it, if it was). Raises ``MediaError``
    for anything that is not whole PNG, JPEG or WebP.
    """
    mime_type = sniff(data)
    if mime_type is None:
        raise MediaError("The file is not a PNG, JPEG, WebP or MP4." if data else "The file is empty.")
    if mime_type == "video/mp4":
        raise MediaError("The file is a video, and no picture.")
    if mime_type == "image/png" and (plain := _measure_plain(png or PngFacts(data))) is not None:
        return plain
    image = open_picture(data, mime_type)
    decode_all(image)
    width, height = displayed_size(image)
    return MediaFacts(mime_type=mime_type, width=width, height=height)


def _measure_plain(png: PngFacts) -> MediaFacts | None:
    """Check a PNG file's chunks. The facts of a small or plain one; None where it is left to libvips.

    libvips stops reading at the last row, so that only the chunks tell of a file cut off after it.
    """
    check_pixels(png.width, png.height)
    if png.interlaced or b"eXIf" in png.names or not png.is_well_formed:
        return None
    is_small = png.size_raw_bytes <= SMALL_PNG_BYTES
    if not is_small and not (png.is_plain and png.inflated.is_whole):
        return None
    if not png.inflated.is_whole:
        raise MediaError("The PNG file does not hold the pixels that it announces.")
    return MediaFacts(mime_type="image/png", width=png.width, height=png.height)


class _Packets(msgspec.Struct):
    """What reading every packet of a video showed. Times are in the video stream's time base.

    ``shown``: when each frame is shown, in the order of the file, which is that of decoding. ``hidden``, ``keys``: the
    times of frames outside the edit list, and of key frames. ``last_lasts``: how long the file's last frame lasts.
    """

    shown: list[int] = msgspec.field(default_factory=list)
    hidden: list[int] = msgspec.field(default_factory=list)
    keys: list[int] = msgspec.field(default_factory=list)
    last_lasts: int = 0
    sound: int = 0

    def add_frame(self, packet: Packet[Any]) -> None:
        if packet.pts is None:
            raise MediaError("The MP4 file has a frame without a time.")
        if packet.is_keyframe:
            self.keys.append(packet.pts)
        (self.hidden if packet.is_discard else self.shown).append(packet.pts)
        self.last_lasts = packet.duration or 0

    @property
    def start(self) -> int:
        return min(self.shown)

    @property
    def last(self) -> int:
        return max(self.shown)

    def length(self) -> int:
        """From the first frame that is shown to the end of the last one.

        The file tells how far apart frames are decoded, and they are shown as far apart, though in another order: the
        frame that is decoded last lasts as long as the one that is shown last.
        """
        following = min((time for time in self.hidden if time > self.last), default=None)
        if following is not None:
            return following - self.start
        before = max((time for time in self.shown if time < self.last), default=self.last)
        return self.last - self.start + (self.last_lasts or self.last - before)

    def last_key(self) -> int:
        """The key frame from which the last frame that is shown can be decoded."""
        return max((time for time in self.keys if time <= self.last), default=self.start)


def _measure_clip(path: Path) -> MediaFacts:
    check_boxes(path)
    with open_clip(path) as (container, stream):
        packets = _read_packets(container, stream)
        if not packets.shown:
            raise MediaError("The MP4 file's video has no frames.")
        if len(packets.shown) + len(packets.hidden) < stream.frames and _stored_frames(path) < stream.frames:
            raise MediaError("The MP4 file lacks frames that its index announces.")
        seconds = Fraction(packets.length()) * Fraction(stream.time_base or 0)
        if seconds <= 0:
            raise MediaError("The MP4 file's video has no length.")
        first = _decode_ends(container, stream, packets)
        width, height = displayed_frame_size(stream, first)
    return MediaFacts(
        mime_type="video/mp4",
        width=width,
        height=height,
        duration_seconds=float(seconds),
        fps=round(float(len(packets.shown) / seconds), 3),
        has_sound=packets.sound > 0,
    )


def _stored_frames(path: Path) -> int:
    """How many frames are in the file: most of those outside its edit list are passed over else."""
    with open_clip(path, ignore_editlist="1") as (container, stream):
        return sum(packet.size > 0 for packet in container.demux(stream))


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
    container.seek(packets.start, stream=stream)
    first = next((frame for frame in container.decode(stream)), None)
    if first is None or first.is_corrupt:
        raise MediaError("The MP4 file's first frame does not decode.")
    # A clip that is refreshed bit by bit calls frames keys from which it is whole some frames later only.
    for key in (packets.last_key(), packets.start):
        last = _decode_last(container, stream, key, packets.last)
        if last is not None and not last.is_corrupt and last.pts is not None and last.pts >= packets.last:
            return first
    raise MediaError("The MP4 file's last frame does not decode.")


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
