"""A result with nothing in it is told from a dark picture."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from safelight.domain.errors import MediaError
from safelight.media.blackout import is_blacked_out
from tests.media.media_files import moving, picture, save, write_clip

SUFFIXES = ["png", "jpg", "webp"]


def of(pixels: np.ndarray) -> pyvips.Image:
    return pyvips.Image.new_from_array(pixels.astype(np.uint8), interpretation="srgb")


def filled(*levels: int) -> np.ndarray:
    return np.full((200, 300, len(levels)), levels, np.uint8)


def night() -> np.ndarray:
    """A sky of levels 2 to 24, darker than most screens show."""
    rows = np.linspace(24, 2, 200)[:, None, None]
    return np.broadcast_to(rows, (200, 300, 3)).copy()


def starry() -> np.ndarray:
    """Black, and one star in the last rows."""
    pixels = filled(0, 0, 0)
    pixels[190:194, 150:154] = 255
    return pixels


def nearly_black() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 8, (200, 300, 3))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "pixels",
    [filled(0, 0, 0), nearly_black(), filled(127, 127, 127), filled(255, 255, 255), filled(200, 30, 90)],
    ids=["black", "nearly black", "grey", "white", "one colour"],
)
def test_nothing_to_see(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    assert is_blacked_out(save(of(pixels), tmp_path / f"picture.{suffix}"))


@pytest.mark.parametrize(
    ("lowest", "highest", "blank"), [(0, 12, True), (0, 13, False), (120, 130, True), (120, 131, False)]
)
def test_how_far_compression_may_lift_nothing(tmp_path: Path, lowest: int, highest: int, blank: bool) -> None:
    pixels = filled(lowest, lowest, lowest)
    pixels[100, 100] = highest
    assert is_blacked_out(save(of(pixels), tmp_path / "picture.png")) is blank


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("pixels", [night(), starry()], ids=["night", "one star"])
def test_a_dark_picture_is_a_picture(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    assert not is_blacked_out(save(of(pixels), tmp_path / f"picture.{suffix}"))


def test_transparency(tmp_path: Path) -> None:
    clear = np.concatenate([night() * 10, np.zeros((200, 300, 1))], axis=2)
    assert is_blacked_out(save(of(clear), tmp_path / "clear.png"))
    silhouette = filled(0, 0, 0, 0)
    silhouette[50:100, 50:100, 3] = 255
    assert not is_blacked_out(save(of(silhouette), tmp_path / "silhouette.png"))
    assert is_blacked_out(save(of(filled(0, 0, 0, 255)), tmp_path / "opaque.png"))


@pytest.mark.parametrize("kind", ["b-w", "rgb16", "grey16"])
def test_other_kinds_of_png(tmp_path: Path, kind: str) -> None:
    scene = picture(300, 200).colourspace(kind)
    assert not is_blacked_out(save(scene, tmp_path / "scene.png"))
    assert is_blacked_out(save(of(filled(0, 0, 0)).colourspace(kind), tmp_path / "black.png"))


def black_then_moving(index: int, width: int, height: int) -> np.ndarray:
    return moving(index, width, height) if index >= 12 else np.zeros((height, width, 3), np.uint8)


def dim(index: int, width: int, height: int) -> np.ndarray:
    return moving(index, width, height) // 8


def all_black(_index: int, width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def all_grey(_index: int, width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize(
    ("draw", "blank"),
    [(moving, False), (black_then_moving, False), (dim, False), (all_black, True), (all_grey, True)],
)
def test_clips(tmp_path: Path, draw: object, blank: bool) -> None:
    assert is_blacked_out(write_clip(tmp_path / "clip.mp4", draw=draw)) is blank


@pytest.mark.parametrize("shown", [0, 1, 5, 11, 12, 17, 30, 38, 46, 47])
def test_one_frame_anywhere_is_something_to_see(tmp_path: Path, shown: int) -> None:
    def draw(index: int, width: int, height: int) -> np.ndarray:
        return moving(index, width, height) if index == shown else all_black(index, width, height)

    assert not is_blacked_out(write_clip(tmp_path / "clip.mp4", frames=48, draw=draw))


def test_what_is_no_media(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<html>")
    with pytest.raises(MediaError):
        is_blacked_out(tmp_path / "page.png")
    broken = save(of(filled(0, 0, 0)), tmp_path / "broken.jpg")
    broken.write_bytes(broken.read_bytes()[:-300])
    with pytest.raises(MediaError):
        is_blacked_out(broken)
