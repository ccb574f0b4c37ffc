"""A clip's file without whatever is in it besides its pictures and its sound; neither is coded anew.

The coded frames are copied into a new file: the old one's tags, boxes, further tracks, cover, chapters, names and gaps
stay behind with it. Of the frames themselves the units that decode to nothing go too, such as a coder's free text. See
docs/decisions/0015.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from safelight.domain.errors import MediaError
from safelight.media.clips import open_clip

# The units of each format that hold frames, or what frames need to be decoded. All others are text and messages (SEI,
# metadata), padding, or nobody's: ITU-T H.264, table 7-1; H.265, table 7-1; AV1 specification, 6.2.2.
_H264_UNITS = (*range(1, 6), *range(7, 12), 13, 14, 15, 19, 20)
_HEVC_UNITS = (*range(10), *range(16, 22), *range(32, 38))
_AV1_UNITS = (1, 2, 3, 4, 6, 7, 8)
_MPEG4_USER_DATA = re.compile(rb"\x00\x00\x01\xb2.*?(?=\x00\x00\x01|\Z)", re.DOTALL)  # ISO/IEC 14496-2, 6.2.1
_ANNEX_B = re.compile(rb"\x00{2,}\x01")
_LATE_PACKETS = 256

# Bit-exact: no name and version of the library. The index goes in front, so that a player may begin at once. Edit lists
# count in the movie's own time scale: its usual thousandths would move frames.
# What FFmpeg calls an experiment, such as TrueHD in MP4, came as MP4 already.
_OPTIONS = {"movflags": "faststart", "fflags": "+bitexact", "movie_timescale": "90000", "strict": "experimental"}


def strip_clip(source: Path, target: Path) -> None:
    """Write the first video track and the sound of ``source`` to ``target``, as MP4, and nothing else of it.

    Every frame that is shown keeps its time. Raises ``MediaError``, leaving no ``target``.
    """
    try:
        with (
            open_clip(source) as (container, video),
            av.open(str(target), "w", format="mp4", options=_OPTIONS) as output,
        ):
            _copy(container, video, output)
    except (MediaError, ValueError) as error:
        target.unlink(missing_ok=True)
        raise MediaError("The MP4 file cannot be written without its metadata.") from error


def _copy(container: InputContainer, video: VideoStream, output: OutputContainer) -> None:
    streams = [video, *container.streams.audio]
    outputs = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in streams}
    clean = _cleaner(video, outputs[video.index])
    for packet in _forward(_shown(container.demux(*streams))):
        stream = outputs[packet.stream_index]
        for kept in clean(packet) if packet.stream_index == video.index else (packet,):
            kept.stream = stream
            output.mux(kept)


def _cleaner(video: VideoStream, output: Any) -> Callable[[Packet[Any]], Iterable[Packet[Any]]]:
    """What takes the units that show nothing out of a packet. Those in the head of the track are taken out at once."""
    match video.codec_context.codec.canonical_name:
        case "h264":
            clean = _filter(_H264_UNITS, video, output)
            head = _annex_b(output.codec_context.extradata, lambda unit: unit[0] & 0x1F in _H264_UNITS)
        case "hevc":
            clean = _filter(_HEVC_UNITS, video, output)
            head = _annex_b(output.codec_context.extradata, lambda unit: unit[0] >> 1 & 0x3F in _HEVC_UNITS)
        case "av1":
            clean = _filter(_AV1_UNITS, video, output)
            head = b"".join(_av1_units(output.codec_context.extradata or b""))
        case "mpeg4":
            clean = _without_user_data
            head = _blank_user_data(output.codec_context.extradata or b"")
        case _:
            return lambda packet: (packet,)
    output.codec_context.extradata = head
    return clean


def _filter(units: Iterable[int], video: VideoStream, output: Any) -> Callable[[Packet[Any]], Iterable[Packet[Any]]]:
    return BitStreamFilterContext(f"filter_units=pass_types={'|'.join(map(str, units))}", video, output).filter


def _annex_b(head: bytes | None, is_kept: Callable[[bytes], bool]) -> bytes:
    """Those units of a track's head, between start codes, that are kept."""
    units = [unit for unit in _ANNEX_B.split(head or b"") if unit]
    return b"".join(b"\0\0\0\1" + unit for unit in units if is_kept(unit))


def _av1_units(head: bytes) -> Iterable[bytes]:
    """The same for AV1. Source: AV1 specification, 5.3 (header) and 4.10.5 (leb128)."""
    at = 0
    while at < len(head):
        begin, kind = at, head[at] >> 3 & 0xF
        if not head[at] & 2:
            raise MediaError("A unit in the head of the AV1 track has no size.")
        at += 2 if head[at] & 4 else 1
        size_bytes = shift = 0
        while at < len(head):
            byte, at = head[at], at + 1
            size_bytes |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size_bytes
        if kind in _AV1_UNITS:
            yield head[begin:at]


def _without_user_data(packet: Packet[Any]) -> Iterable[Packet[Any]]:
    packet.update(_blank_user_data(bytes(packet)))
    return (packet,)


def _blank_user_data(data: bytes) -> bytes:
    """MPEG-4's free text as spaces: a packet keeps its size."""
    return _MPEG4_USER_DATA.sub(lambda found: found[0][:4].ljust(len(found[0])), data)


def _shown(packets: Iterable[Packet[Any]]) -> Iterable[Packet[Any]]:
    """Packets up to the last that the file's edit list shows, or plays; the new file's shows all after its start.

    Of those that it hides, what is needed for what follows is decoded before it; what was hidden at the end of one
    part is as late as the next part, or later.
    """
    hidden: dict[int, deque[Packet[Any]]] = {}
    for packet in packets:
        if packet.dts is None or packet.pts is None or packet.size == 0:
            continue
        late = hidden.setdefault(packet.stream_index, deque())
        if packet.is_discard:
            late.append(packet)
            if len(late) > _LATE_PACKETS:
                yield late.popleft()
        else:
            yield from (one for one in late if _times(one)[0] < packet.dts)
            late.clear()
            yield packet


def _forward(packets: Iterable[Packet[Any]]) -> Iterable[Packet[Any]]:
    """Each packet of a track later than the one before it: an edit list can lead back, to frames that others need."""
    last: dict[int, tuple[int, int]] = {}
    for packet in packets:
        dts, pts = _times(packet)
        before, lasts = last.get(packet.stream_index, (dts - 1, 1))
        if dts <= before:
            later = before + lasts - dts
            dts, pts = dts + later, pts + later
            packet.dts, packet.pts = dts, pts
        last[packet.stream_index] = dts, packet.duration or 1
        yield packet


def _times(packet: Packet[Any]) -> tuple[int, int]:
    """When a packet that has both is decoded, and shown or played."""
    assert packet.dts is not None
    assert packet.pts is not None
    return packet.dts, packet.pts
