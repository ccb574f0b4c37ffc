"""Pictures and clips as a server might make them."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
from PIL import Image

_FPS = 8


@cache
def picture(width: int, height: int, kind: str = "png", seed: int = 0) -> bytes:
    """A picture that is not flat; another seed, another picture."""
    levels = np.add.outer(np.arange(height), np.arange(width) * 2) + seed
    target = io.BytesIO()
    Image.fromarray(np.dstack([levels, levels * 3, 255 - levels]).astype(np.uint8)).save(target, kind)
    return target.getvalue()


@cache
def clip(width: int, height: int, seconds: int) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        levels = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
        for position in range(_FPS * seconds):
            frame = av.VideoFrame.from_ndarray(np.dstack([np.roll(levels, position, 1)] * 3), format="rgb24")
            frame.pts = position
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()
