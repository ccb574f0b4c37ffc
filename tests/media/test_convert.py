"""The format that was asked for is the format that is delivered."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pyvips

from safelight.domain.errors import MediaError
from safelight.domain.media import MIME_OF_FORMAT, ImageFormat
from safelight.media.measure import measure
from tests.media.media_files import convert_image, picture, save, write_clip

FORMATS: list[ImageFormat] = ["png", "jpeg", "webp"]
SUFFIX = {"png": "png", "jpeg": "jpg", "webp": "webp"}


def load(path: Path) -> pyvips.Image:
    return pyvips.Image.new_from_file(str(path))


def smooth(width: int = 96, height: int = 64) -> pyvips.Image:
    ramp = pyvips.Image.xyz(width, height).linear([2, 3], [20, 30])
    return ramp.bandjoin(128).cast("uchar").copy(interpretation="srgb")


@pytest.mark.parametrize("wanted", FORMATS)
@pytest.mark.parametrize("given", FORMATS)
def test_every_format_from_every_other(tmp_path: Path, given: ImageFormat, wanted: ImageFormat) -> None:
    source, target = save(smooth(), tmp_path / f"given.{SUFFIX[given]}"), tmp_path / "target"
    before = source.read_bytes()
    converted = convert_image(source, target, wanted)
    assert source.read_bytes() == before
    if given == wanted:
        assert (converted, target.exists()) == (False, False)
        return
    assert converted
    facts = measure(target)
    assert (facts.mime_type, facts.width, facts.height) == (MIME_OF_FORMAT[wanted], 96, 64)
    assert (load(target)[:3] - load(source)[:3]).abs().avg() < 3


def test_the_name_of_the_source_does_not_matter(tmp_path: Path) -> None:
    source = save(smooth(), tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert convert_image(source, tmp_path / "target", "png") is False


@pytest.mark.parametrize("given", FORMATS)
def test_orientation_is_applied_and_metadata_left_behind(tmp_path: Path, given: ImageFormat) -> None:
    image = smooth().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-ImageDescription", "a secret place")
    source, target = save(image, tmp_path / f"given.{SUFFIX[given]}"), tmp_path / "target"
    assert convert_image(source, target, given)
    turned = load(target)
    assert (turned.width, turned.height) == (64, 96)
    assert turned.get_typeof("orientation") == 0
    assert b"secret" not in target.read_bytes()
    expected = smooth().rot("d90")
    assert (turned[:3] - expected).abs().avg() < 3


# As TIFF 6.0 has it: 2 to 4 are the picture mirrored, half-turned, and both; 5 to 8 the four with its sides exchanged.
RIGHTED: dict[int, Callable[[pyvips.Image], pyvips.Image]] = {
    2: lambda image: image.fliphor(),
    3: lambda image: image.rot180(),
    4: lambda image: image.flipver(),
    5: lambda image: image.rot90().fliphor(),
    6: lambda image: image.rot90(),
    7: lambda image: image.rot90().flipver(),
    8: lambda image: image.rot270(),
}


@pytest.mark.parametrize("orientation", RIGHTED)
def test_every_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    image = smooth().copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    source, target = save(image, tmp_path / "given.png"), tmp_path / "target"
    assert convert_image(source, target, "png")
    assert (load(target) - RIGHTED[orientation](smooth())).abs().max() == 0


def test_transparency_becomes_white_in_a_jpeg(tmp_path: Path) -> None:
    clear = smooth().bandjoin(0).copy(interpretation="srgb")
    source, target = save(clear, tmp_path / "given.png"), tmp_path / "target"
    assert convert_image(source, target, "jpeg")
    assert load(target).bands == 3
    assert load(target).min() >= 254
    assert convert_image(source, target, "webp")
    assert load(target).hasalpha()


@pytest.mark.parametrize("alpha", [False, True])
def test_grey_with_and_without_transparency(tmp_path: Path, alpha: bool) -> None:
    grey = smooth().colourspace("b-w")
    grey = grey.bandjoin(0).copy(interpretation="b-w") if alpha else grey
    target = tmp_path / "target"
    assert convert_image(save(grey, tmp_path / "given.png"), target, "jpeg")
    assert load(target).min() >= 254 if alpha else load(target).min() < 100


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    deep = (smooth().cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    source, target = save(deep, tmp_path / "given.png"), tmp_path / "target"
    assert load(source).format == "ushort"
    assert convert_image(source, target, "webp", quality=95)
    assert (load(target)[:3] - smooth()).abs().avg() < 3


def test_a_foreign_colour_profile_is_applied(tmp_path: Path) -> None:
    wide = smooth().icc_transform("p3", input_profile="srgb")
    source, target = save(wide, tmp_path / "given.png"), tmp_path / "target"
    assert (load(source) - smooth()).abs().avg() > 2
    assert convert_image(source, target, "webp", quality=95)
    assert (load(target) - smooth()).abs().avg() < 2


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    printed = smooth().icc_transform("cmyk", input_profile="srgb")
    source, target = save(printed, tmp_path / "given.jpg"), tmp_path / "target"
    assert load(source).bands == 4
    assert convert_image(source, target, "png")
    assert (load(target).bands, load(target).interpretation) == (3, "srgb")


def test_cmyk_is_not_left_so_in_a_jpeg(tmp_path: Path) -> None:
    printed = smooth().icc_transform("cmyk", input_profile="srgb")
    source, target = save(printed, tmp_path / "given.jpg"), tmp_path / "target"
    assert convert_image(source, target, "jpeg")
    assert (load(target).bands, load(target).interpretation) == (3, "srgb")


def test_quality_is_heeded(tmp_path: Path) -> None:
    source = save(picture(200, 200), tmp_path / "given.png")
    for wanted in ("jpeg", "webp"):
        convert_image(source, tmp_path / "low", wanted, quality=20)
        convert_image(source, tmp_path / "high", wanted, quality=95)
        assert (tmp_path / "low").stat().st_size < (tmp_path / "high").stat().st_size / 2


def test_what_cannot_be_converted_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    broken = save(picture(300, 300), tmp_path / "broken.png")
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(MediaError):
        convert_image(broken, target, "jpeg")
    with pytest.raises(MediaError):
        convert_image(write_clip(tmp_path / "clip.mp4", frames=2), target, "png")
    too_wide = save(pyvips.Image.black(16_384, 1), tmp_path / "wide.png")
    with pytest.raises(MediaError, match="webp"):
        convert_image(too_wide, target, "webp")
    assert not target.exists()
