"""Fast work on whole planes: stretching with swscale, blurring with libvips, and bands spread over two threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import av
import numpy as np
import pyvips
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field, grain

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="planes")


def each_band(work: Callable[[int, int], None], count: int, step: int) -> None:
    """Call ``work(start, stop)`` over 0..count in steps small enough for the processor's cache, two at a time."""
    jobs = [_threads().submit(work, at, min(count, at + step)) for at in range(0, count, step)]
    for job in jobs:
        job.result()


def in_parallel(jobs: Iterable[Callable[[], None]]) -> None:
    """Run a few independent jobs on the two threads and wait for all."""
    for job in [_threads().submit(job) for job in jobs]:
        job.result()


def stretch(field: Field, width: int, height: int) -> Words:
    """A field in 0..1 stretched smoothly to (height, width), in 0..65280 so that a dither of 0..255 fits on top."""
    words = np.clip(field * np.float32(65280), 0, 65280).astype(np.uint16)
    if words.shape == (height, width):
        return words
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(words), format="gray16le")
    return frame.reformat(width=width, height=height, interpolation="BICUBIC").to_ndarray()


def stretch_bytes(plane: Bytes, width: int, height: int, how: str = "BICUBIC") -> Bytes:
    """An 8-bit plane stretched or shrunk to (height, width)."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
    return frame.reformat(width=width, height=height, interpolation=how).to_ndarray()


def shrink(picture: Bytes, width: int, height: int) -> Bytes:
    """An (h, w, 4) picture averaged down to (height, width, 4)."""
    planes = [stretch_bytes(picture[..., c], width, height, "AREA") for c in range(picture.shape[2])]
    return np.stack(planes, axis=-1)


def blur(plane: Bytes, sigma: float) -> Bytes:
    """A Gaussian blur of an 8-bit plane; wide ones are made small first."""
    height, width = plane.shape
    factor = max(1, int(sigma // 3))
    small = stretch_bytes(plane, max(8, width // factor), max(8, height // factor), "AREA")
    image = pyvips.Image.new_from_array(np.ascontiguousarray(small)).gaussblur(max(0.4, sigma / factor))
    soft = np.ascontiguousarray(image.numpy()).reshape(small.shape)
    return soft if factor == 1 else stretch_bytes(soft, width, height, "BICUBIC")


def lay_field(target: Bytes, colour: tuple[Field, Field, Field], cover: Field | None = None) -> None:
    """Stretch three low-resolution fields (0..1) over ``target`` (h, w, 4), dithered; ``cover`` is their opacity."""
    height, width = target.shape[:2]
    dither = grain(width)
    planes = [stretch(plane, width, height) for plane in colour]
    mask = None if cover is None else stretch(cover, width, height)

    def band(start: int, stop: int) -> None:
        noise = dither[start % 256 : start % 256 + stop - start].view(np.uint16)
        rows = target[start:stop]
        alpha = None if mask is None else (mask[start:stop] >> 1).astype(np.int32)
        for c, plane in enumerate(planes):
            value = (plane[start:stop] + noise) >> 8
            if alpha is None:
                rows[..., c] = value
                continue
            below = rows[..., c].astype(np.int32)
            rows[..., c] = below + (((value.astype(np.int32) - below) * alpha + 16384) >> 15)
        if alpha is None:
            rows[..., 3] = 255
        else:
            under = rows[..., 3].astype(np.int32)
            rows[..., 3] = under + (((255 - under) * alpha + 16384) >> 15)

    each_band(band, height, 32)
