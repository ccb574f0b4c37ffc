import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import pyvips

from safelight.providers.builtin import references
from safelight.providers.builtin.planes import shrink
from safelight.providers.builtin.render import render_image
from safelight.providers.builtin.spec import ImageSpec, ReferenceImage

from .conftest import reference

PROMPTS = [
    "a mountain lake", "mountains at dusk", "a village in snow at night", "the sea in a storm", "a city at night",
    "neon city in the rain", "a forest in fog", "desert at golden hour", "deep space", "a coral reef", "a portrait",
    "a still life", "a meadow of red flowers", "quiet thoughts", "other thoughts", "x", "🌊🔥", "静かな海",
    "ink mountains", "watercolor sea", "pixel art forest", "flat city", "oil painting of the sea", "film desert",
]  # fmt: skip


def _thumb(pixels: np.ndarray) -> np.ndarray:
    small = shrink(np.ascontiguousarray(pixels), 16, 16).astype(np.float32)
    return small.reshape(-1)


def test_the_same_spec_gives_the_same_bytes_here_and_in_another_process(tmp_path):
    spec = ImageSpec(prompt="watercolor village at dawn", seed=3, width=320, height=192)
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    render_image(spec, first, "png")
    render_image(spec, second, "png")
    code = (
        "import sys, hashlib, pathlib\n"
        "from safelight.providers.builtin.render import render_image\n"
        "from safelight.providers.builtin.spec import ImageSpec\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "spec = ImageSpec(prompt='watercolor village at dawn', seed=3, width=320, height=192)\n"
        "render_image(spec, path, 'png')\n"
        "print(hashlib.sha256(path.read_bytes()).hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.png")], capture_output=True, text=True, check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "77"},
    )  # fmt: skip
    assert first.read_bytes() == second.read_bytes()
    assert other.stdout.strip() == hashlib.sha256(first.read_bytes()).hexdigest()


def test_prompts_and_seeds_give_plainly_different_pictures(image):
    thumbs = [_thumb(image(prompt, 128, 128)) for prompt in PROMPTS] + [_thumb(image(PROMPTS[0], 128, 128, seed=8))]
    distances = [float(np.abs(a - b).mean()) for a, b in combinations(thumbs, 2)]
    assert min(distances) > 6, "two pictures look alike"
    assert float(np.median(distances)) > 35


@pytest.mark.parametrize("prompt", PROMPTS)
def test_nothing_is_flat_or_empty(image, prompt):
    pixels = image(prompt, 512, 384).astype(np.float32).mean(axis=2)
    blocks = pixels[:384, :512].reshape(24, 16, 32, 16).transpose(0, 2, 1, 3).reshape(24 * 32, -1)
    assert (blocks.std(axis=1) < 0.4).mean() < 0.05, "large areas without any texture"
    counts = np.bincount(pixels.astype(int).ravel(), minlength=256) / pixels.size
    entropy = -(counts[counts > 0] * np.log2(counts[counts > 0])).sum()
    assert entropy > 4.2


def test_a_large_picture_has_fine_detail(image):
    pixels = image("mountains at dawn", 2048, 1152).astype(np.float32).mean(axis=2)
    fine = np.abs(pixels[:, 1:] - pixels[:, :-1])
    blocks = fine[:1152, :2032].reshape(36, 32, 127, 16).mean(axis=(1, 3))
    assert (blocks < 0.4).mean() < 0.02


@pytest.mark.parametrize(("width", "height"), [(256, 256), (1024, 256), (256, 1024), (333, 517), (480, 854)])
@pytest.mark.parametrize("fmt", ["png", "jpeg", "webp"])
def test_sizes_and_formats(tmp_path, width, height, fmt):
    path = tmp_path / f"picture.{fmt}"
    render_image(ImageSpec(prompt="a village by a lake", seed=1, width=width, height=height), path, fmt)
    picture = pyvips.Image.new_from_file(str(path))
    assert (picture.width, picture.height, picture.bands, picture.format) == (width, height, 3, "uchar")
    assert picture.get("vips-loader").startswith({"png": "png", "jpeg": "jpeg", "webp": "webp"}[fmt])


def test_long_and_odd_prompts(image):
    for prompt in ("word " * 819, "", "\ud800", "🦊" * 40):
        assert image(prompt).std() > 5


def test_what_cannot_be_drawn_says_so(tmp_path):
    with pytest.raises(ValueError, match="at least"):
        render_image(ImageSpec(prompt="x", seed=1, width=4, height=400), tmp_path / "x.png", "png")
    with pytest.raises(ValueError, match="unknown output format"):
        render_image(ImageSpec(prompt="x", seed=1, width=64, height=64), tmp_path / "x.gif", "gif")  # type: ignore[arg-type]
    broken = ReferenceImage(role="reference_image", data=b"no picture")
    with pytest.raises(ValueError, match="could not be decoded"):
        render_image(
            ImageSpec(prompt="x", seed=1, width=64, height=64, references=(broken,)),
            tmp_path / "x.png",
            "png",
        )


def _likeness(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the luminance of two pictures."""
    return float(
        np.corrcoef(a.astype(np.float32).mean(axis=2).ravel(), b.astype(np.float32).mean(axis=2).ravel())[0, 1]
    )


@pytest.mark.parametrize("prompt", ["mountains", "watercolor sea at dawn", "ink city", "quiet thoughts", "oil forest"])
def test_a_reference_is_seen_in_the_picture(image, prompt):
    given = reference("reference_image")
    target = references.cover(given.data, 256, 256)[..., :3]
    without, with_it = image(prompt), image(prompt, references=[given])
    assert _likeness(with_it, target) > 0.4
    assert _likeness(with_it, target) > _likeness(without, target) + 0.25


def test_several_references_share_the_frame(image):
    rings, bars = reference("reference_image"), reference("reference_image", "bars")
    both = image("mountains", references=[rings, bars]).astype(np.float32)
    left, right = both[64:192, 32:96].mean(axis=(0, 1)), both[64:192, 160:224].mean(axis=(0, 1))
    assert left[0] - left[2] > right[0] - right[2] + 40
