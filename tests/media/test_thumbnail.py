"""Thumbnails show what the file shows, small."""

from pathlib import Path

import av
import numpy as np
import pytest
import pyvips

from safelight.domain.errors import MediaError
from safelight.media import pictures
from safelight.media.measure import measure
from safelight.media.thumbnail import write_thumbnail
from tests.media import plants
from tests.media.media_files import moving, picture, save, write_clip

MATRIX_UNSPECIFIED = 2  # ITU-T H.273, table 4
CORNERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))


def quadrants(width: int, height: int) -> np.ndarray:
    """Red and green above blue and white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    halves = (
        (slice(0, height // 2), slice(height // 2, height)),
        (slice(0, width // 2), slice(width // 2, width)),
    )
    for number, colour in enumerate(CORNERS):
        pixels[halves[0][number // 2], halves[1][number % 2]] = colour
    return pixels


def corners(path: Path) -> list[int]:
    """Which of the four colours is nearest in each quadrant of a file, row by row."""
    image = pyvips.Image.new_from_file(str(path))
    found = []
    for y in (image.height // 4, image.height * 3 // 4):
        for x in (image.width // 4, image.width * 3 // 4):
            pixel = np.array(image.getpoint(x, y)[:3])
            found.append(int(np.argmin([np.abs(pixel - colour).sum() for colour in CORNERS])))
    return found


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize(
    ("size", "expected"), [((800, 450), (512, 288)), ((200, 800), (128, 512)), ((64, 48), (64, 48))]
)
def test_pictures(tmp_path: Path, suffix: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    target = tmp_path / "target"
    write_thumbnail(save(picture(*size), tmp_path / f"picture.{suffix}"), target)
    facts = measure(target)
    assert (facts.mime_type, facts.width, facts.height) == ("image/webp", *expected)


def test_orientation_of_a_picture(tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(quadrants(400, 200), interpretation="srgb").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    write_thumbnail(save(image, tmp_path / "picture.jpg"), tmp_path / "target", size=100)
    facts = measure(tmp_path / "target")
    assert (facts.width, facts.height) == (50, 100)
    assert corners(tmp_path / "target") == [2, 0, 3, 1]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_colours_of_another_profile_become_srgb(tmp_path: Path, suffix: str) -> None:
    source = plants.with_profile(tmp_path, suffix, "p3")
    stored = pyvips.Image.new_from_file(str(source))
    as_meant = stored.icc_transform("srgb", embedded=True)
    write_thumbnail(source, tmp_path / "target")
    assert (pyvips.Image.new_from_file(str(tmp_path / "target")) - as_meant).abs().avg() < 2.5
    assert (stored - as_meant).abs().avg() > 5


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_pixels_are_capped_before_they_are_decoded(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(MediaError, match="64x48"):
        write_thumbnail(save(picture(), tmp_path / f"picture.{suffix}"), tmp_path / "target")
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), "ITU709"), ((640, 360), "ITU601")])
def test_colours_of_a_clip_that_does_not_say_its_matrix(tmp_path: Path, size: tuple[int, int], matrix: str) -> None:
    """Players take BT.709 for HD and BT.601 for less; the other one would be off by 20 levels."""
    with av.open(str(tmp_path / "clip.mp4"), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        pixels = np.full((size[1], size[0], 3), (200, 30, 90), np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels).reformat(format="yuv420p", dst_colorspace=matrix)
        frame.colorspace = MATRIX_UNSPECIFIED
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    write_thumbnail(tmp_path / "clip.mp4", tmp_path / "target")
    shown = pyvips.Image.new_from_file(str(tmp_path / "target")).getpoint(20, 20)
    assert shown == pytest.approx([200, 30, 90], abs=5)


@pytest.mark.parametrize(
    ("rotation", "expected", "size"),
    [
        (0, [0, 1, 2, 3], (100, 50)),
        (90, [1, 3, 0, 2], (50, 100)),
        (-90, [2, 0, 3, 1], (50, 100)),
        (180, [3, 2, 1, 0], (100, 50)),
    ],
)
def test_rotation_of_a_clip(tmp_path: Path, rotation: int, expected: list[int], size: tuple[int, int]) -> None:
    clip = write_clip(
        tmp_path / "clip.mp4",
        size=(400, 200),
        frames=4,
        rotation=rotation,
        draw=lambda _index, width, height: quadrants(width, height),
    )
    write_thumbnail(clip, tmp_path / "target", size=100)
    facts = measure(tmp_path / "target")
    assert (facts.width, facts.height) == size
    assert corners(tmp_path / "target") == expected


def fading_in(index: int, width: int, height: int) -> np.ndarray:
    return quadrants(width, height) if index >= 11 else np.zeros((height, width, 3), np.uint8)


def fading_out(index: int, width: int, height: int) -> np.ndarray:
    return quadrants(width, height) if index < 1 else np.zeros((height, width, 3), np.uint8)


def one_colour_each(index: int, width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), (250 - index * 10, 60, 60), np.uint8)


@pytest.mark.parametrize("movflags", ["faststart", "frag_keyframe+empty_moov"])
@pytest.mark.parametrize("draw", [fading_in, fading_out])
def test_a_black_frame_stands_for_nothing(tmp_path: Path, draw: object, movflags: str) -> None:
    clip = write_clip(tmp_path / "clip.mp4", draw=draw, movflags=movflags, size=(160, 96))
    write_thumbnail(clip, tmp_path / "target")
    assert corners(tmp_path / "target") == [0, 1, 2, 3]


def test_the_frame_is_at_a_tenth(tmp_path: Path) -> None:
    write_thumbnail(write_clip(tmp_path / "clip.mp4", draw=one_colour_each), tmp_path / "target")
    red = pyvips.Image.new_from_file(str(tmp_path / "target")).getpoint(10, 10)[0]
    assert red == pytest.approx(230, abs=8)


def test_an_all_black_clip_has_a_thumbnail_too(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", draw=lambda _i, width, height: np.zeros((height, width, 3), np.uint8))
    write_thumbnail(clip, tmp_path / "target")
    assert measure(tmp_path / "target").width == 96


def test_what_is_no_media_leaves_nothing(tmp_path: Path) -> None:
    page, target = tmp_path / "page.mp4", tmp_path / "target"
    page.write_text("<html>")
    with pytest.raises(MediaError):
        write_thumbnail(page, target)
    broken = save(picture(400, 400), tmp_path / "broken.png")
    broken.write_bytes(broken.read_bytes()[:-5000])
    with pytest.raises(MediaError):
        write_thumbnail(broken, target)
    clip = write_clip(tmp_path / "clip.mp4", draw=moving)
    clip.write_bytes(clip.read_bytes()[:200])
    with pytest.raises(MediaError):
        write_thumbnail(clip, target)
    assert not target.exists()
