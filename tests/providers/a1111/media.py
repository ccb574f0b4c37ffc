"""Pictures and clips as the server makes them: what was asked for is written into each."""

from __future__ import annotations

import io

import av
import numpy as np
from PIL import Image, PngImagePlugin

TRACE = "Steps: 20, Sampler: Euler a, Model: fake-model"
"""What is in every file, beside the prompt."""


def picture(width: int, height: int, seed: int = 0, prompt: str = "", *, is_black: bool = False) -> bytes:
    """A PNG with the prompt in it; another seed, another picture."""
    levels = np.add.outer(np.arange(height), np.arange(width) * 2) + seed % 251
    pixels = np.dstack([levels, levels * 3, 255 - levels]).astype(np.uint8) * (0 if is_black else 1)
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", f"{prompt}\n{TRACE}, Seed: {seed}")
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG", pnginfo=text)
    return target.getvalue()


def clip(width: int, height: int, frames: int, fps: int, prompt: str = "") -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        container.metadata["comment"] = f"{prompt}\n{TRACE}"
        stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        levels = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
        for position in range(frames):
            frame = av.VideoFrame.from_ndarray(np.dstack([np.roll(levels, position, 1)] * 3), format="rgb24")
            frame.pts = position
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()
