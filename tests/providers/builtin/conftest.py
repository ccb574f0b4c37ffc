import hashlib
from pathlib import Path

import numpy as np
import pytest
import pyvips

from safelight.providers.builtin.render import render_image, render_video
from safelight.providers.builtin.spec import ImageSpec, ReferenceImage, VideoSpec


@pytest.fixture
def image(tmp_path: Path):
    """Render a small picture and give its pixels (h, w, 3)."""

    def render(prompt: str, width: int = 256, height: int = 256, seed: int = 7, fmt: str = "png", references=()):
        # A name of its own for each picture: libvips keeps what it loaded by name.
        path = (
            tmp_path
            / f"{hashlib.sha256(repr((prompt, width, height, seed, fmt, references)).encode()).hexdigest()[:12]}.{fmt}"
        )
        spec = ImageSpec(prompt=prompt, seed=seed, width=width, height=height, references=tuple(references))
        render_image(spec, path, fmt)
        return np.asarray(pyvips.Image.new_from_file(str(path), memory=True).numpy())

    return render


@pytest.fixture
def clip(tmp_path: Path):
    """Render a small clip and give its path."""

    def render(
        prompt: str,
        *,
        sound: bool = False,
        seconds: int = 1,
        fps: int = 12,
        references=(),
        name: str = "clip",
    ):
        path = tmp_path / f"{name}.mp4"
        spec = VideoSpec(
            prompt=prompt, seed=7, width=256, height=144, duration_seconds=seconds, fps=fps, sound=sound,
            references=tuple(references),
        )  # fmt: skip
        render_video(spec, path)
        return path

    return render


def reference(role: str, kind: str = "rings") -> ReferenceImage:
    """A picture with a structure of its own: rings of red and yellow, or blue bars."""
    y, x = np.mgrid[0:180, 0:320].astype(np.float32)
    if kind == "rings":
        wave = np.sin(np.hypot(x - 160, y - 90) / 11) * 0.5 + 0.5
        pixels = np.stack([200 + 0 * wave, 30 + 190 * wave, 20 + 30 * wave], axis=-1)
    else:
        wave = np.sin(x / 17) * 0.5 + 0.5
        pixels = np.stack([20 + 40 * wave, 60 + 100 * wave, 120 + 120 * wave], axis=-1)
    data = pyvips.Image.new_from_array(pixels.astype(np.uint8)).pngsave_buffer()
    return ReferenceImage(role=role, data=data)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)
