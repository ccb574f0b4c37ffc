"""What is announced is measured on the file, and what is not whole media is refused (RELIABILITY 33)."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import pytest
import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MediaFacts
from safelight.media import pictures
from safelight.media.measure import measure
from tests.media.media_files import picture, save, write_clip, write_sound

MIME = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("size", [(1, 1), (64, 48), (700, 500)])
def test_pictures(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = save(picture(*size), tmp_path / f"picture.{suffix}")
    assert measure(path) == MediaFacts(mime_type=MIME[suffix], width=size[0], height=size[1])


@pytest.mark.parametrize(
    "options",
    [{"interlace": True}, {"bitdepth": 1, "palette": True}, {"keep": "none"}, {"bitdepth": 16}],
    ids=["interlaced", "palette", "plain", "sixteen bits"],
)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("width", [33, 400])
def test_kinds_of_png(tmp_path: Path, options: dict[str, object], alpha: bool, width: int) -> None:
    image = picture(width, 301, alpha=alpha)
    if options.get("bitdepth") == 16:
        image = image.cast("ushort") * 257
        image = image.cast("ushort").copy(interpretation="rgb16")
    path = save(image, tmp_path / "picture.png", **options)
    assert (measure(path).width, measure(path).height) == (width, 301)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    ("orientation", "size"),
    [*((number, (64, 48)) for number in range(1, 5)), *((number, (48, 64)) for number in range(5, 9))],
)
def test_size_is_as_displayed(tmp_path: Path, suffix: str, orientation: int, size: tuple[int, int]) -> None:
    image = picture().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    facts = measure(save(image, tmp_path / f"picture.{suffix}"))
    assert (facts.width, facts.height) == size


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("size", [(64, 48), (700, 500)])
@pytest.mark.parametrize("cut", [1, 2, 4, 12, 13, 100, 0.5, 0.99])
def test_a_picture_cut_off_anywhere(tmp_path: Path, suffix: str, size: tuple[int, int], cut: float) -> None:
    path = save(picture(*size), tmp_path / f"picture.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut] if isinstance(cut, int) else data[: int(len(data) * cut)])
    with pytest.raises(MediaError):
        measure(path)


@pytest.mark.parametrize("size", [(64, 48), (700, 500)])
@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.98])
def test_a_damaged_png(tmp_path: Path, size: tuple[int, int], place: float) -> None:
    data = bytearray(save(picture(*size), tmp_path / "picture.png").read_bytes())
    data[int(len(data) * place)] ^= 0x10
    (tmp_path / "picture.png").write_bytes(data)
    with pytest.raises(MediaError):
        measure(tmp_path / "picture.png")


@pytest.mark.parametrize("size", [(64, 48), (700, 500)])
def test_a_png_whose_last_row_has_a_filter_that_there_is_not(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    rows = bytearray((1 + 3 * width) * height)
    rows[(1 + 3 * width) * (height - 1)] = 5
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows))), (b"IEND", b"")]
    with pytest.raises(MediaError):
        measure(written(tmp_path, chunks))


BLACK, WHITE = b"\0\0\0", b"\xff\xff\xff"

# What no decoder shows, though every checksum is right and the pixels are as many as announced.
OUT_OF_ORDER = {
    "bits that there are not": (3, 0, 0, 0, "IHDR IDAT IEND"),
    "bits that the colours do not have": (2, 2, 0, 0, "IHDR IDAT IEND"),
    "another compression": (8, 0, 1, 0, "IHDR IDAT IEND"),
    "another way to filter": (8, 0, 0, 1, "IHDR IDAT IEND"),
    "no palette": (8, 3, 0, 0, "IHDR IDAT IEND"),
    "a palette that comes late": (8, 3, 0, 0, "IHDR IDAT PLTE IEND"),
    "a header that comes twice": (8, 0, 0, 0, "IHDR IHDR IDAT IEND"),
    "what a decoder has to know": (8, 0, 0, 0, "IHDR ABCD IDAT IEND"),
    "a name that is none": (8, 0, 0, 0, "IHDR a1Cd IDAT IEND"),
}


@pytest.mark.parametrize("name", OUT_OF_ORDER)
def test_a_png_that_no_decoder_shows(tmp_path: Path, name: str) -> None:
    bits, colours, compression, filtering, order = OUT_OF_ORDER[name]
    row = bytes(1 + (16 * bits * (3 if colours == 2 else 1) + 7) // 8)
    content = {
        "IHDR": struct.pack(">IIBBBBB", 16, 16, bits, colours, compression, filtering, 0),
        "IDAT": zlib.compress(row * 16),
        "PLTE": BLACK + WHITE,
    }
    with pytest.raises(MediaError):
        measure(written(tmp_path, [(chunk.encode(), content.get(chunk, b"")) for chunk in order.split()]))


def test_a_png_whose_pixels_are_interrupted(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(range(1, 17)).rjust(17, b"\0") * 16)
    chunks = [(b"IHDR", header), (b"IDAT", pixels[:9]), (b"tEXt", b"a\0b"), (b"IDAT", pixels[9:]), (b"IEND", b"")]
    with pytest.raises(MediaError):
        measure(written(tmp_path, chunks))


def written(folder: Path, chunks: list[tuple[bytes, bytes]]) -> Path:
    """A PNG file of these chunks, with the checksums that they should have."""
    file = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + file)
    return folder / "picture.png"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_pixels_are_capped_before_they_are_decoded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 64 * 48 - 1)
    path = save(picture(), tmp_path / f"picture.{suffix}")
    with pytest.raises(MediaError, match="64x48"):
        measure(path)


def test_loaders_unfit_for_strangers_files_stay_shut(tmp_path: Path) -> None:
    with pytest.raises(pyvips.Error, match="blocked"):
        pyvips.Image.vipsload(str(save(picture(), tmp_path / "picture.v")))


def test_a_file_replaced_under_its_name_is_measured_anew(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    for width in (64, 96):
        assert measure(save(picture(width), path)).width == width


@pytest.mark.parametrize("name", ["result.mp4", "result.png", "result.jpg"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        b'{"error": {"message": "quota exceeded"}}',
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\x04\0\0\0WEBP",
        b"\0\0\0\x14ftypisom\0\0\2\0isom",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 4000,
        b"\xff\xd8\xff\xe0" + b"A" * 4000,
        b"\0\0\0\x14ftypisom\0\0\2\0isom" + b"endless" * 4000,
    ],
)
def test_what_is_no_media(tmp_path: Path, name: str, body: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    with pytest.raises(MediaError):
        measure(path)


def test_an_empty_file_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match="empty"):
        measure(tmp_path / "empty.mp4")


@pytest.mark.parametrize(
    ("rate", "frames", "seconds", "fps"),
    [
        (24, 24, 1.0, 24.0),
        (Fraction(30000, 1001), 30, 1.001, 29.97),
        (25, 1, 0.04, 25.0),
        (60, 45, 0.75, 60.0),
    ],
)
@pytest.mark.parametrize("sound", [False, True])
def test_clips(tmp_path: Path, rate: Fraction | int, frames: int, seconds: float, fps: float, sound: bool) -> None:
    path = write_clip(tmp_path / "clip.mp4", rate=rate, frames=frames, sound=sound)
    facts = measure(path)
    assert facts.duration_seconds == pytest.approx(seconds, abs=1e-9)
    assert msgspec.structs.replace(facts, duration_seconds=None) == MediaFacts(
        mime_type="video/mp4", width=96, height=64, fps=fps, has_sound=sound
    )


@pytest.mark.parametrize("movflags", ["", "frag_keyframe+empty_moov", "faststart"])
def test_layouts_of_mp4(tmp_path: Path, movflags: str) -> None:
    facts = measure(write_clip(tmp_path / "clip.mp4", movflags=movflags, sound=True))
    assert (facts.duration_seconds, facts.fps, facts.has_sound) == (1.0, 24.0, True)


def test_a_sound_track_without_sound_is_no_sound(tmp_path: Path) -> None:
    assert measure(write_clip(tmp_path / "clip.mp4", empty_sound=True)).has_sound is False


@pytest.mark.parametrize(("rotation", "size"), [(90, (64, 96)), (-90, (64, 96)), (180, (96, 64))])
def test_a_clip_is_measured_as_displayed(tmp_path: Path, rotation: int, size: tuple[int, int]) -> None:
    facts = measure(write_clip(tmp_path / "clip.mp4", rotation=rotation))
    assert (facts.width, facts.height) == size


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    facts = measure(write_clip(tmp_path / "clip.mp4", aspect=Fraction(4, 3)))
    assert (facts.width, facts.height) == (128, 64)


@pytest.mark.parametrize("movflags", ["", "faststart", "frag_keyframe+empty_moov"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_clip_cut_off_anywhere(tmp_path: Path, movflags: str, keep: float) -> None:
    path = write_clip(tmp_path / "clip.mp4", movflags=movflags, sound=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(MediaError):
        measure(path)


def test_samples_outside_the_file(tmp_path: Path) -> None:
    """A file whose boxes are whole but whose media data is shorter than its index says."""
    path = write_clip(tmp_path / "clip.mp4")
    data = path.read_bytes()
    at = data.index(b"mdat") - 4
    path.write_bytes(data[:at] + (8 + 400).to_bytes(4) + data[at + 4 : at + 8 + 400])
    with pytest.raises(MediaError):
        measure(path)


def test_frames_that_are_announced_and_not_there(tmp_path: Path) -> None:
    """Whole boxes and whole frames, but the index knows of more."""
    path = write_clip(tmp_path / "clip.mp4")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data, last = path.read_bytes(), packets[len(packets) // 2]
    at, end = data.index(b"mdat") - 4, last.pos + last.size
    path.write_bytes(data[:at] + (end - at).to_bytes(4) + data[at + 4 : end])
    with pytest.raises(MediaError, match="lacks frames"):
        measure(path)


@pytest.mark.parametrize("end", ["first", "last"])
def test_an_end_that_does_not_decode(tmp_path: Path, end: str) -> None:
    path = write_clip(tmp_path / "clip.mp4", size=(320, 192))
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    spoiled = slice(at, at + 3000) if end == "first" else slice(len(data) - 600, len(data))
    data[spoiled] = bytes(len(data[spoiled]))
    path.write_bytes(data)
    with pytest.raises(MediaError):
        measure(path)


def test_a_clip_of_too_many_pixels_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 96 * 64 - 1)
    path = write_clip(tmp_path / "clip.mp4", frames=2)
    with pytest.raises(MediaError, match="96x64"):
        measure(path)


def test_a_clip_for_a_decoder_that_may_not_run(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg2video", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(96, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError, match="not supported"):
        measure(path)


def test_a_clip_with_sound_alone(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.mp4")
    with pytest.raises(MediaError, match="no video"):
        measure(path)
