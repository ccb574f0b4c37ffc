"""Nothing that a backend writes into a file is in what is delivered, and no pixel or sound changes (RELIABILITY 64)."""

from __future__ import annotations

import json
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import pyvips
from PIL import Image

from safelight.domain.errors import MediaError
from safelight.domain.media import ImageFormat, MimeType
from safelight.media.measure import measure
from safelight.media.remux import strip_clip
from safelight.media.sniff import sniff
from safelight.media.thumbnail import write_thumbnail
from tests.media import plants
from tests.media.media_files import convert_image, picture, save, strip_picture, write_clip
from tests.media.plants import CANARY

PICTURES: dict[str, Callable[[Path], Path]] = {
    "png": plants.png,
    "png with alpha": lambda folder: plants.png(folder, alpha=True),
    "interlaced png": lambda folder: plants.png(folder, interlace=True),
    "jpeg": plants.jpeg,
    "progressive jpeg": lambda folder: plants.jpeg(folder, progressive=True),
    "webp": plants.webp,
    "webp with alpha": lambda folder: plants.webp(folder, alpha=True),
    "lossless webp": lambda folder: plants.webp(folder, lossless=True, alpha=True),
}
CLIPS: dict[str, Callable[[Path], Path]] = {
    "h264": plants.mp4,
    "in fragments": lambda folder: plants.mp4(folder, layout="frag_keyframe+empty_moov"),
    "hevc": lambda folder: plants.mp4(folder, codec="libx265", layout="faststart"),
    "av1": lambda folder: plants.mp4(folder, codec="libsvtav1", layout="faststart"),
    "mpeg4": lambda folder: plants.mp4(folder, codec="mpeg4", layout="faststart"),
}
CODERS = (b"x264", b"x265", b"SVT", b"Lavf")


def told_by(path: Path) -> str:
    """All that exiftool finds in a file, unknown tags and embedded files included."""
    found = subprocess.run(
        ["exiftool", "-json", "-a", "-u", "-U", "-ee", "-G1", str(path)], capture_output=True, check=True
    )
    [tags] = json.loads(found.stdout)
    return json.dumps({name: value for name, value in tags.items() if not name.startswith(("System", "Source"))})


def ffprobe(path: Path, *shown: str) -> dict[str, object]:
    command = ["ffprobe", "-v", "error", "-of", "json", *shown, str(path)]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def frames(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray().tobytes()) for frame in container.decode(video=0)]


def sound(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO file")
@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_a_picture_keeps_its_pixels_and_nothing_else(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source, target = make(tmp_path), tmp_path / "bare"
    mime_type: MimeType | None = sniff(source)
    assert mime_type is not None
    assert CANARY in source.read_bytes()
    assert CANARY.decode() in told_by(source)
    assert strip_picture(source, target, mime_type)
    assert np.array_equal(pixels(target), pixels(source))
    assert CANARY not in target.read_bytes()
    assert CANARY.decode() not in told_by(target)
    assert measure(target) == measure(source)
    with Image.open(target) as image:
        assert not set(image.info) - {"jfif", "jfif_version", "jfif_unit", "jfif_density", "progressive", "progression",
                                      "interlace", "background", "loop", "timestamp", "duration"}  # fmt: skip
        assert not image.getexif()
    assert strip_picture(target, tmp_path / "again", mime_type) is False
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("make", CLIPS.values(), ids=CLIPS)
def test_a_clip_keeps_its_frames_and_its_sound_and_nothing_else(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source, target = make(tmp_path), tmp_path / "bare.mp4"
    assert CANARY in source.read_bytes()
    strip_clip(source, target)
    data = target.read_bytes()
    assert CANARY not in data
    assert not [coder for coder in CODERS if coder in data]
    assert frames(target) == frames(source)
    assert sound(target) == sound(source)
    before, after = measure(source), measure(target)
    assert after == before
    told = ffprobe(target, "-show_format", "-show_streams", "-show_chapters")
    assert CANARY.decode() not in json.dumps(told)
    assert [stream["codec_type"] for stream in told["streams"]] == ["video", "audio"]  # type: ignore[union-attr,index]
    assert CANARY.decode() not in told_by(target)


def test_words_in_the_frames_of_mpeg4_become_spaces(tmp_path: Path) -> None:
    source = plants.mp4(tmp_path, codec="mpeg4", layout="faststart")
    assert b"\0\0\1\xb2Lavc" in source.read_bytes()
    strip_clip(source, tmp_path / "bare.mp4")
    assert b"\0\0\1\xb2Lavc" not in (tmp_path / "bare.mp4").read_bytes()


def test_further_tracks_stay_behind(tmp_path: Path) -> None:
    """A track of text, chapters and a cover, as players show them."""
    plain, source = write_clip(tmp_path / "plain.mp4", sound=True), tmp_path / "more.mp4"
    (tmp_path / "words.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{CANARY.decode()}\n")
    chapter = f";FFMETADATA1\ncomment={CANARY.decode()}\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\n"
    (tmp_path / "chapters.txt").write_text(f"{chapter}title={CANARY.decode()}\n")
    save(picture(), tmp_path / "cover.jpg")
    inputs = [part for name in (plain.name, "words.srt", "chapters.txt", "cover.jpg") for part in ("-i", name)]
    maps = ["-map", "0", "-map", "1", "-map", "3", "-map_metadata", "2", "-map_chapters", "2"]
    codecs = ["-c", "copy", "-c:s", "mov_text", "-disposition:v:1", "attached_pic"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *maps, *codecs, source.name]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    assert source.read_bytes().count(CANARY) >= 3
    strip_clip(source, tmp_path / "bare.mp4")
    assert CANARY not in (tmp_path / "bare.mp4").read_bytes()
    told = ffprobe(tmp_path / "bare.mp4", "-show_streams", "-show_chapters")
    assert [stream["codec_type"] for stream in told["streams"]] == ["video", "audio"]  # type: ignore[union-attr,index]
    assert told["chapters"] == []
    assert frames(tmp_path / "bare.mp4") == frames(plain)


@pytest.mark.parametrize("is_cover", [True, False], ids=["cover", "track"])
def test_a_picture_before_the_clip_stays_behind(tmp_path: Path, is_cover: bool) -> None:
    """A cover that the index names before the tracks, or a track of one picture that is the first."""
    plain, source = write_clip(tmp_path / "plain.mp4", sound=True), tmp_path / "more.mp4"
    save(picture(), tmp_path / "cover.jpg")
    maps = ["-map", "1", "-map", "0", "-c", "copy"]
    shown = ["-disposition:v:0", "attached_pic"] if is_cover else ["-disposition:v:0", "0"]
    command = ["ffmpeg", "-v", "error", "-y", "-i", plain.name, "-i", "cover.jpg", *maps, *shown, source.name]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    if is_cover:
        source.write_bytes(plants.tags_first(source.read_bytes()))
    with av.open(str(source)) as container:
        assert container.streams.video[0].codec_context.name == "mjpeg"
    strip_clip(source, tmp_path / "bare.mp4")
    told = ffprobe(tmp_path / "bare.mp4", "-show_streams")
    assert [stream["codec_type"] for stream in told["streams"]] == ["video", "audio"]  # type: ignore[union-attr,index]
    assert frames(tmp_path / "bare.mp4") == frames(plain)
    assert measure(source) == measure(tmp_path / "bare.mp4") == measure(plain)


def test_sound_that_is_an_experiment_to_the_library_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "sound.mp4"
    write_clip(tmp_path / "plain.mp4", sound=True)
    command = ["ffmpeg", "-v", "error", "-y", "-i", "plain.mp4", "-c:v", "copy", "-c:a", "truehd", "-strict", "-2"]
    subprocess.run([*command, source.name], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    strip_clip(source, tmp_path / "bare.mp4")
    assert sound(tmp_path / "bare.mp4") == sound(source)


def test_a_second_track_of_pictures_stays_behind(tmp_path: Path) -> None:
    shown, _ = write_clip(tmp_path / "shown.mp4", sound=True), write_clip(tmp_path / "other.mp4", rotation=180)
    inputs, maps = ["-i", "shown.mp4", "-i", "other.mp4"], ["-map", "0", "-map", "1"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *maps, "-c", "copy", "both.mp4"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    strip_clip(tmp_path / "both.mp4", tmp_path / "bare.mp4")
    told = ffprobe(tmp_path / "bare.mp4", "-show_streams")
    assert [stream["codec_type"] for stream in told["streams"]] == ["video", "audio"]  # type: ignore[union-attr,index]
    assert frames(tmp_path / "bare.mp4") == frames(shown)


@pytest.mark.parametrize("wanted", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("make", PICTURES.values(), ids=PICTURES)
def test_nothing_is_carried_into_another_format(
    tmp_path: Path, make: Callable[[Path], Path], wanted: ImageFormat
) -> None:
    source, target = make(tmp_path), tmp_path / "converted"
    if convert_image(source, target, wanted):
        assert CANARY not in target.read_bytes()
        assert CANARY.decode() not in told_by(target)


@pytest.mark.parametrize("make", [*PICTURES.values(), plants.mp4], ids=[*PICTURES, "mp4"])
def test_nothing_is_carried_into_a_thumbnail(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    write_thumbnail(make(tmp_path), tmp_path / "small")
    assert CANARY not in (tmp_path / "small").read_bytes()
    assert CANARY.decode() not in told_by(tmp_path / "small")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_profile_that_changes_nothing_goes_and_no_pixel_with_it(tmp_path: Path, suffix: str) -> None:
    source, target = plants.with_profile(tmp_path, suffix, "srgb"), tmp_path / "bare"
    assert profile_of(source).count(CANARY) == 1
    assert convert_image(source, target, _format(suffix)) is False
    assert strip_picture(source, target, sniff(source) or "image/png")
    assert profile_of(target) == b""
    assert CANARY.decode() not in told_by(target)
    assert np.array_equal(pixels(target), pixels(source))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_colours_of_another_profile_become_srgb(tmp_path: Path, suffix: str) -> None:
    source, target = plants.with_profile(tmp_path, suffix, "p3"), tmp_path / "bare"
    assert profile_of(source).count(CANARY) == 1
    as_meant = pyvips.Image.new_from_file(str(source)).icc_transform("srgb", embedded=True)
    assert convert_image(source, target, _format(suffix))
    assert profile_of(target) == b""
    shown = pyvips.Image.new_from_file(str(target))
    assert (shown - as_meant).abs().avg() < 2
    assert (pyvips.Image.new_from_file(str(source)) - as_meant).abs().avg() > 2


def profile_of(path: Path) -> bytes:
    with Image.open(path) as image:
        return bytes(image.info.get("icc_profile", b""))


def _format(suffix: str) -> ImageFormat:
    formats: dict[str, ImageFormat] = {"png": "png", "jpg": "jpeg", "webp": "webp"}
    return formats[suffix]


def test_an_animated_webp_becomes_its_first_frame(tmp_path: Path) -> None:
    source, target = tmp_path / "moving.webp", tmp_path / "still"
    stills = [Image.new("RGB", (64, 48), colour) for colour in ("teal", "orange")]
    stills[0].save(source, save_all=True, append_images=stills[1:], lossless=True)
    assert convert_image(source, target, "webp")
    with Image.open(target) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - np.asarray(stills[0])).max() < 6


def test_an_animation_of_one_frame_becomes_that(tmp_path: Path) -> None:
    source, target = plants.one_frame_of_an_animation(tmp_path), tmp_path / "still"
    assert CANARY in source.read_bytes()
    assert convert_image(source, target, "webp")
    assert CANARY not in target.read_bytes()
    assert (measure(target).width, measure(target).height) == (90, 70)
    assert strip_picture(target, tmp_path / "again", "image/webp") is False


def test_an_animated_png_becomes_its_first_frame(tmp_path: Path) -> None:
    source, target = tmp_path / "moving.png", tmp_path / "still"
    stills = [Image.fromarray(picture(64, 48, seed=seed).numpy()) for seed in (1, 2)]
    stills[0].save(source, save_all=True, append_images=stills[1:])
    assert strip_picture(source, target, "image/png")
    assert np.array_equal(pixels(target), np.asarray(stills[0].convert("RGBA")))
    with Image.open(target) as image:
        assert getattr(image, "n_frames", 1) == 1


def test_pixels_beyond_the_picture_go(tmp_path: Path) -> None:
    """A PNG file with more rows than it announces: they would be shown to whoever changes the height."""
    source, target = save(picture(), tmp_path / "picture.png", compression=0, keep="none"), tmp_path / "bare"
    head, *middle, end = plants._png_chunks(source.read_bytes())
    raw = zlib.decompress(b"".join(chunk[8:-4] for chunk in middle if chunk[4:8] == b"IDAT"))
    more = plants._png_chunk(b"IDAT", zlib.compress(raw + b"\0" + CANARY.ljust(64 * 3), 0))
    text = plants._png_chunk(b"tEXt", b"parameters\0" + CANARY)
    shown = pixels(source)
    source.write_bytes(source.read_bytes()[:8] + head + text + more + end)
    assert strip_picture(source, target, "image/png")
    assert CANARY not in target.read_bytes()
    assert CANARY.decode() not in told_by(target)
    assert np.array_equal(pixels(target), shown)


def test_a_picture_of_fewer_pixels_than_it_announces_is_told(tmp_path: Path) -> None:
    source, target = save(picture(), tmp_path / "picture.png", compression=0, keep="none"), tmp_path / "bare"
    head, *_, end = plants._png_chunks(source.read_bytes())
    fewer = plants._png_chunk(b"IDAT", zlib.compress(bytes((1 + 64 * 3) * 20)))
    source.write_bytes(source.read_bytes()[:8] + head + fewer + end)
    with pytest.raises(MediaError):
        strip_picture(source, target, "image/png")
    assert not target.exists()


def test_a_chunk_of_colours_is_taken_once(tmp_path: Path) -> None:
    """A second one is heeded by nobody, and may hold words of the length of colours."""
    source, target = save(picture(), tmp_path / "picture.png", keep="none"), tmp_path / "bare"
    data = source.read_bytes()
    first, second = (plants._png_chunk(b"tRNS", body) for body in (bytes(6), CANARY[:6]))
    source.write_bytes(data[:33] + first + second + data[33:])
    assert strip_picture(source, target, "image/png")
    assert first in target.read_bytes()
    assert second not in target.read_bytes()
    assert strip_picture(target, tmp_path / "again", "image/png") is False


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("name", [b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"cICP"])
def test_a_chunk_of_colours_of_another_length_is_none(tmp_path: Path, name: bytes, alpha: bool) -> None:
    """No decoder heeds it, and some take the file for damaged; whatever its length, it may be words."""
    plain = save(picture(alpha=alpha), tmp_path / "picture.png", keep="none")
    bare = tmp_path / "plainly-bare"
    strip_picture(plain, bare, "image/png")
    for size_bytes in (1, 3, 5, 12, 27, 30, 256):
        source = plants.among_first(
            save(picture(alpha=alpha), tmp_path / "told.png", keep="none"), (name, (CANARY * 9)[:size_bytes])
        )
        if (name, size_bytes) == (b"sRGB", 1):
            continue
        assert strip_picture(source, tmp_path / "bare", "image/png"), size_bytes
        assert (tmp_path / "bare").read_bytes() == (bare if bare.exists() else plain).read_bytes(), size_bytes


def test_a_gamma_beside_a_profile_goes_with_it(tmp_path: Path) -> None:
    """Whoever knew the profile passed it over; alone it would make the picture darker."""
    source, target = plants.with_profile(tmp_path, "png", "srgb"), tmp_path / "bare"
    shown, data = pixels(source), source.read_bytes()
    source.write_bytes(data[:33] + plants._png_chunk(b"gAMA", (100_000).to_bytes(4)) + data[33:])
    assert strip_picture(source, target, "image/png")
    assert b"gAMA" not in target.read_bytes()
    assert np.array_equal(pixels(target), shown)


def test_a_palette_and_its_transparency_are_part_of_the_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "palette.png", tmp_path / "bare"
    image = Image.fromarray(picture(90, 70).numpy()).quantize(16)
    image.info["transparency"] = 3
    image.save(source, transparency=3, pnginfo=None, comment=b"x")
    source.write_bytes(source.read_bytes() + CANARY)
    assert strip_picture(source, target, "image/png")
    assert np.array_equal(pixels(target), pixels(source))
    assert CANARY not in target.read_bytes()


def test_a_jpeg_in_four_colours_shows_as_before(tmp_path: Path) -> None:
    """Adobe's segment says how its colours are coded."""
    source, target = tmp_path / "cmyk.jpg", tmp_path / "bare"
    Image.fromarray(picture(90, 70).numpy()).convert("CMYK").save(source, comment=CANARY)
    assert strip_picture(source, target, "image/jpeg")
    assert np.array_equal(pixels(target), pixels(source))
    assert CANARY not in target.read_bytes()


def test_a_jpeg_of_adobes_shows_as_before(tmp_path: Path) -> None:
    """Without JFIF's segment, as Photoshop writes it: only Adobe's says that these are not red, green and blue."""
    source, target = save(picture(90, 70), tmp_path / "adobe.jpg", keep="none"), tmp_path / "bare"
    data, shown = source.read_bytes(), pixels(source)
    assert b"JFIF" not in data
    adobe = plants._segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + CANARY)
    source.write_bytes(data[:2] + adobe + data[2:])
    assert strip_picture(source, target, "image/jpeg")
    assert np.array_equal(pixels(target), shown)
    assert CANARY not in target.read_bytes()


def test_a_jpeg_with_restart_intervals_shows_as_before(tmp_path: Path) -> None:
    source, target = tmp_path / "restarts.jpg", tmp_path / "bare"
    Image.fromarray(picture(90, 70).numpy()).save(source, restart_marker_blocks=3, comment=CANARY)
    assert b"\xff\xdd\0\4\0\3" in source.read_bytes()
    assert strip_picture(source, target, "image/jpeg")
    assert np.array_equal(pixels(target), pixels(source))
    assert CANARY not in target.read_bytes()


@pytest.mark.parametrize("mime_type", ["image/png", "image/jpeg", "image/webp"])
@pytest.mark.parametrize("size_bytes", [0, 3, 12, 25, 40, 0.5])
def test_a_picture_cut_off_is_told(tmp_path: Path, mime_type: MimeType, size_bytes: float) -> None:
    suffix = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}[mime_type]
    source, target = save(picture(), tmp_path / f"picture.{suffix}", keep="none"), tmp_path / "bare"
    data = source.read_bytes()
    source.write_bytes(data[: int(size_bytes * len(data)) if isinstance(size_bytes, float) else size_bytes])
    with pytest.raises(MediaError):
        strip_picture(source, target, mime_type)
    assert not target.exists()


def test_a_clip_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<html>" * 100)
    with pytest.raises(MediaError):
        strip_clip(tmp_path / "page.mp4", tmp_path / "bare.mp4")
    assert not (tmp_path / "bare.mp4").exists()


def test_a_clip_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", sound=True), tmp_path / "bare.mp4"
    target.symlink_to("/dev/full")
    with pytest.raises(MediaError):
        strip_clip(source, target)
    assert not target.is_symlink()


def test_a_player_may_begin_before_it_has_the_whole_clip(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "clip.mp4", sound=True, movflags=""), tmp_path / "bare.mp4"
    data = source.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    strip_clip(source, target)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
