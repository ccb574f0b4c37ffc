"""Files with a canary in every place where a backend can write something that is no picture and no sound."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import pyvips
from av.bitstream import BitStreamFilterContext

from tests.media.media_files import picture, save, write_clip

CANARY = b"canary-5be1-a-fox-in-a-forest"
_TEXT = CANARY.decode()


def png(folder: Path, *, interlace: bool = False, alpha: bool = False, keep: str = "none") -> Path:
    """A PNG file whose every kind of chunk tells something, and after whose end more is told."""
    path = save(picture(90, 70, alpha=alpha), folder / "planted.png", interlace=interlace, keep=keep)
    head, *middle, end = _png_chunks(path.read_bytes())
    planted = [
        _png_chunk(b"tEXt", b"parameters\0" + CANARY),
        _png_chunk(b"zTXt", b"prompt\0\0" + zlib.compress(CANARY)),
        _png_chunk(b"iTXt", b"workflow\0\0\0\0\0" + CANARY),
        _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _xmp()),
        _png_chunk(b"tIME", bytes(7)),
        _png_chunk(b"caBX", b"\0\0\0\x30jumb" + CANARY),
        _png_chunk(b"sPLT", CANARY + b"\0\x08"),
        _png_chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0) + CANARY),
        _png_chunk(b"gAMA", struct.pack(">I", 45455) + CANARY),
        _png_chunk(b"bKGD", bytes(6)),
        _png_chunk(b"prVt", CANARY),
        _png_chunk(b"vpAg", CANARY),
    ]
    if not alpha:
        planted.append(_png_chunk(b"PLTE", CANARY.ljust(30)))
    last = middle.pop()
    after = [
        _png_chunk(b"afTr", CANARY),
        _png_chunk(b"tEXt", b"Comment\0" + CANARY),
        _png_chunk(b"eXIf", b"MM\0*\0\0\0\x08" + bytes(6) + CANARY),
    ]
    hidden = _png_chunk(b"IDAT", last[8:-4] + CANARY)
    more = _png_chunk(b"IDAT", CANARY)
    pieces = [b"\x89PNG\r\n\x1a\n", head, *planted, *middle, hidden, more, *after, end, CANARY]
    path.write_bytes(b"".join(pieces))
    return path


def among_first(path: Path, *chunks: tuple[bytes, bytes]) -> Path:
    """A PNG file with more chunks behind its header."""
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(_png_chunk(name, body) for name, body in chunks) + data[33:])
    return path


def _png_chunks(data: bytes) -> list[bytes]:
    chunks, at = [], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        chunks.append(data[at:end])
        at = end
    return chunks


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def jpeg(folder: Path, *, progressive: bool = False) -> Path:
    """A JPEG file with every application segment, comments at the front and between scans, and two more at its end."""
    path = save(picture(90, 70), folder / "planted.jpg", interlace=progressive, keep="none")
    data = path.read_bytes()
    preview = CANARY[:27]  # 3 x 3 pixels
    planted = [
        _segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\3\3" + preview),
        _segment(0xE0, b"JFXX\0\x10" + CANARY),
        _segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4) + CANARY),
        _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _xmp()),
        _segment(0xE2, b"MPF\0" + CANARY),
        *(_segment(0xE0 + number, b"APP%d\0" % number + CANARY) for number in range(3, 13)),
        _segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + CANARY),
        _segment(0xEF, CANARY),
        _segment(0xFE, CANARY),
        CANARY,  # between segments, where a decoder skips
    ]
    body = data[2:-2]
    if progressive:
        at = body.index(b"\xff\xda", body.index(b"\xff\xda") + 2)  # before the second scan, or its tables
        body = body[:at] + _segment(0xFE, CANARY) + _segment(0xE5, CANARY) + body[at:]
    path.write_bytes(b"".join([data[:2], *planted, body, _segment(0xFE, CANARY), data[-2:], CANARY, data]))
    return path


def _segment(code: int, body: bytes) -> bytes:
    return bytes([0xFF, code]) + struct.pack(">H", len(body) + 2) + body


def webp(folder: Path, *, alpha: bool = False, lossless: bool = False) -> Path:
    """A WebP file with metadata, a manifest and chunks of nobody's, before and after its picture."""
    path = save(picture(91, 71, alpha=alpha), folder / "planted.webp", lossless=lossless, keep="none")
    data = path.read_bytes()
    pixels = data[12:] if data[12:16] != b"VP8X" else data[30:]
    flags = 0x0C | (0x10 if alpha else 0)
    extended = bytes([flags]) + CANARY[:3] + (90).to_bytes(3, "little") + (70).to_bytes(3, "little")
    body = b"".join(
        [
            _riff(b"VP8X", extended),
            _riff(b"CNRY", CANARY),
            pixels,
            _riff(b"EXIF", b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(4) + CANARY),
            _riff(b"XMP ", _xmp()),
            _riff(b"C2PA", CANARY),
        ]
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body + CANARY)
    return path


def one_frame_of_an_animation(folder: Path) -> Path:
    """A WebP file that is an animation, of a single frame."""
    pixels = save(picture(90, 70), folder / "still.webp", lossless=True, keep="none").read_bytes()[12:]
    size = (89).to_bytes(3, "little") + (69).to_bytes(3, "little")
    frame = _riff(b"ANMF", bytes(6) + size + (100).to_bytes(3, "little") + b"\0" + pixels)
    body = _riff(b"VP8X", b"\2\0\0\0" + size) + _riff(b"ANIM", bytes(6)) + frame + _riff(b"XMP ", _xmp())
    path = folder / "animation.webp"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    return path


def _riff(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def _xmp() -> bytes:
    namespaces = b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    words = b"<rdf:Description><dc:source>" + CANARY + b"</dc:source></rdf:Description>"
    return b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ' + namespaces + b">" + words + b"</rdf:RDF></x:xmpmeta>"


def mp4(folder: Path, *, codec: str = "libx264", layout: str = "") -> Path:
    """An MP4 file with tags, names, boxes of nobody's, and words among its frames.

    Its index is at the end, so that boxes can be put into it and no frame moves.
    """
    plain = folder / "plain.mp4"
    write_clip(plain, sound=True, movflags="", rotation=90)
    planted = folder / "planted.mp4"
    _retell(plain, planted, codec, layout)
    data = planted.read_bytes()
    if not layout:
        data = _plant_boxes(data)
    boxes = _box(b"free", CANARY) + _box(b"skip", CANARY) + _box(b"CNRY", CANARY) + _box(b"mdat", CANARY)
    manifest = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + CANARY
    xmp = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + _xmp()
    planted.write_bytes(data + boxes + _box(b"uuid", manifest) + _box(b"uuid", xmp) + _box(b"meta", CANARY))
    return planted


def _retell(source: Path, target: Path, codec: str, layout: str) -> None:
    """The clip again by another coder, with everything told that the library can write."""
    options = {"movflags": f"use_metadata_tags+{layout}" if layout else "use_metadata_tags"}
    with av.open(str(source)) as given, av.open(str(target), "w", format="mp4", options=options) as output:
        output.metadata.update(dict.fromkeys(("comment", "title", "encoder", "description", "workflow"), _TEXT))
        shown, heard = given.streams.video[0], given.streams.audio[0]
        video = output.add_stream(codec, rate=24) if codec != "libx264" else output.add_stream_from_template(shown)
        if codec != "libx264":
            video.width, video.height, video.pix_fmt = shown.width, shown.height, "yuv420p"
        audio = output.add_stream_from_template(heard)
        for stream in (video, audio):
            stream.metadata.update({"handler_name": _TEXT, "title": _TEXT})
        if codec == "libx264":
            told = BitStreamFilterContext(f"h264_metadata=sei_user_data={'ab' * 16}+{_TEXT}", shown, video)
        for packet in given.demux(shown, heard):
            if packet.dts is None:
                continue
            if packet.stream is heard:
                packet.stream = audio
                output.mux(packet)
            elif codec == "libx264":
                for one in told.filter(packet):
                    one.stream = video
                    output.mux(one)
            else:
                for frame in packet.decode():
                    output.mux(video.encode(frame))
        if codec != "libx264":
            output.mux(video.encode(None))


def _plant_boxes(data: bytes) -> bytes:
    """Boxes into the index at the file's end, and words over the names in it."""
    at = data.index(b"moov") - 4
    moov = data[at:]
    assert len(moov) == int.from_bytes(moov[:4])
    name_at = moov.index(b"avc1") + 4 + 42  # the name of the coder: a length, and 31 bytes
    words = bytes([len(CANARY)]) + CANARY
    moov = moov[:name_at] + words.ljust(32, b"\0") + moov[name_at + 32 :]
    tag = _box(b"\xa9cmt", struct.pack(">HH", len(CANARY), 0) + CANARY)
    moov = _into(moov, (b"moov", b"trak"), _box(b"udta", tag + _box(b"name", CANARY)))
    moov = _into(moov, (b"moov", b"trak", b"mdia", b"minf", b"stbl"), _box(b"free", CANARY))
    moov = _into(moov, (b"moov", b"trak", b"mdia"), _box(b"CNRY", CANARY))
    for box in (_box(b"uuid", bytes(16) + CANARY), _box(b"meta", bytes(4) + CANARY), _box(b"udta", tag)):
        moov = _into(moov, (b"moov",), box)
    return data[:at] + moov


def _into(box: bytes, path: tuple[bytes, ...], planted: bytes) -> bytes:
    """The box with another at its end, or at the end of the first box inside that the path leads to."""
    assert box[4:8] == path[0], (box[4:8], path)
    if len(path) == 1:
        body = box[8:] + planted
        return _box(box[4:8], body)
    at, pieces, is_found = 8, [], False
    while at < len(box):
        end = at + int.from_bytes(box[at : at + 4])
        inner = box[at:end]
        if inner[4:8] == path[1] and not is_found:
            inner, is_found = _into(inner, path[1:], planted), True
        pieces.append(inner)
        at = end
    assert is_found
    return _box(box[4:8], b"".join(pieces))


def tags_first(data: bytes) -> bytes:
    """A clip whose index is at its end, with the tags in it, covers too, before the tracks."""
    at = data.index(b"moov") - 4
    index = data[at:]
    tags_at = index.rindex(b"udta") - 4
    tags = index[tags_at : tags_at + int.from_bytes(index[tags_at : tags_at + 4])]
    assert tags_at + len(tags) == len(index)
    head = 8 + int.from_bytes(index[8:12])
    return data[:at] + index[:head] + tags + index[head:tags_at]


def with_edits(source: Path, target: Path, *parts: tuple[float, float]) -> Path:
    """A clip whose index is at its end, with the video's edit list anew: ``(begins, lasts)`` of each part, in seconds.

    A part that begins at -1 shows nothing.
    """
    data = source.read_bytes()
    at, list_at = data.index(b"moov") - 4, data.index(b"elst") - 4
    size_bytes = int.from_bytes(data[list_at : list_at + 4])
    first, scale = struct.unpack_from(">i", data, list_at + 20)[0], 12288  # FFmpeg's time scale for 24 frames a second
    times = [-1 if begins < 0 else first + int(begins * scale) for begins, _ in parts]
    rows = [struct.pack(">Iihh", int(1000 * part[1]), time, 1, 0) for part, time in zip(parts, times, strict=True)]
    edits = _box(b"elst", struct.pack(">II", 0, len(rows)) + b"".join(rows))
    index = bytearray(data[at:list_at] + edits + data[list_at + size_bytes :])
    for name in (b"moov", b"trak", b"edts"):
        box_at = index.index(name) - 4
        grown = int.from_bytes(index[box_at : box_at + 4]) + len(edits) - size_bytes
        index[box_at : box_at + 4] = struct.pack(">I", grown)
    target.write_bytes(data[:at] + index)
    return target


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def with_profile(folder: Path, suffix: str, profile: str) -> Path:
    """A picture with a colour profile (``srgb`` or ``p3``) that has the canary among its words."""
    image = _ramp() if profile == "srgb" else _ramp().icc_transform(profile, input_profile="srgb")
    words = image.icc_transform(profile, input_profile=profile).get("icc-profile-data")
    told = image.copy()
    told.set_type(pyvips.GValue.blob_type, "icc-profile-data", _with_words(words))
    return save(told, folder / f"{profile}.{suffix}", keep="icc")


def _with_words(profile: bytes) -> bytes:
    """An ICC profile with one more tag at its end (ICC.1, 7.2 and 7.3)."""
    count = int.from_bytes(profile[128:132])
    tags = [struct.unpack_from(">4sII", profile, 132 + 12 * place) for place in range(count)]
    body = profile[132 + 12 * count :]
    text = b"text\0\0\0\0" + CANARY.ljust((len(CANARY) + 4) // 4 * 4, b"\0")
    tags = [(name, at + 12, size) for name, at, size in tags]
    tags.append((b"cnry", 132 + 12 * (count + 1) + len(body), len(text)))
    table = struct.pack(">I", count + 1) + b"".join(struct.pack(">4sII", *tag) for tag in tags)
    whole = profile[:128] + table + body + text
    return struct.pack(">I", len(whole)) + whole[4:]


def _ramp() -> pyvips.Image:
    ramp = pyvips.Image.xyz(96, 64).linear([2, 3], [20, 30])
    return ramp.bandjoin(128).cast("uchar").copy(interpretation="srgb")
