"""Fast work on whole planes: stretching with swscale, blurring with libvips, and bands spread over two threads."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from safelight.providers.builtin.noise import Field, grain

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint16]


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="planes")


def each_band(work: Callable[[int, int], None], count: int, step: int) -> None:
    """Call ``work(start, stop)`` over 0..count in steps small enough for the processor's cache, two at a time."""
    if count <= step * 8:  # handing over costs more than it saves
        for at in range(0, count, step):
            work(at, min(count, at + step))
        return
    jobs = [_threads().submit(work, at, min(count, at + step)) for at in range(0, count, step)]
    for job in jobs:
        job.result()


def in_parallel(jobs: Iterable[Callable[[], None]]) -> None:
    """Run a few independent jobs on the two threads and wait for all."""
    for job in [_threads().submit(job) for job in jobs]:
        job.result()


@lru_cache(maxsize=192)
def _stretcher(*_: object) -> VideoReformatter:
    """A reformatter for one pair of sizes and formats: making its filters costs more than using them."""
    return VideoReformatter()


def _resize(plane: Bytes | Words, kind: str, width: int, height: int, how: str, out: str) -> Any:
    frame = av.VideoFrame.from_numpy_buffer(plane, format=kind)
    stretcher = _stretcher(plane.shape, kind, width, height, how, out)
    return stretcher.reformat(frame, width=width, height=height, format=out, interpolation=how, threads=1).to_ndarray()


def stretch(field: Field, width: int, height: int) -> Words:
    """A field in 0..1 stretched smoothly to (height, width), in 0..65280. For one thread at a time, as all here."""
    words = _words(field)
    if words.shape == (height, width):
        return words
    result: Words = _resize(words, "gray16le", width, height, "BICUBIC", "gray16le")
    return result


def stretch_dithered(field: Field, width: int, height: int) -> Bytes:
    """A field in 0..1 stretched smoothly to (height, width), in 0..255 with an ordered dither."""
    result: Bytes = _resize(_words(field), "gray16le", width, height, "BICUBIC", "gray")
    return result


def _words(field: Field) -> Words:
    return np.ascontiguousarray(np.clip(field * np.float32(65280), 0, 65280).astype(np.uint16))


def stretch_bytes(plane: Bytes, width: int, height: int, how: str = "BICUBIC") -> Bytes:
    """An 8-bit plane stretched or shrunk to (height, width)."""
    result: Bytes = _resize(np.ascontiguousarray(plane), "gray", width, height, how, "gray")
    return result


def shrink(picture: Bytes, width: int, height: int) -> Bytes:
    """An (h, w, 4) picture averaged down to (height, width, 4)."""
    planes = [stretch_bytes(picture[..., c], width, height, "AREA") for c in range(picture.shape[2])]
    return np.stack(planes, axis=-1)


def rgba_to_yuv(pixels: Bytes, size: tuple[int, int] | None = None) -> Bytes:
    """An (h, w, 4) picture, whose rows may lie apart, as (h * 3 / 2, w) planes of BT.709 video, 4:2:0, stretched to
    ``size`` (even sides). At its own size a chroma is the mean of its four pixels."""
    width, height = size or (pixels.shape[1], pixels.shape[0])
    frame = av.VideoFrame.from_numpy_buffer(pixels, format="rgba")
    converted = _stretcher(pixels.shape, width, height, "yuv420p").reformat(
        frame, width=width, height=height, format="yuv420p", interpolation="BICUBIC" if size else "AREA",
        dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, threads=1,
    )  # fmt: skip
    return np.asarray(converted.to_ndarray(), np.uint8)


def blur(plane: Bytes, sigma: float) -> Bytes:
    """About a Gaussian blur of an 8-bit plane: it is averaged down and stretched again."""
    height, width = plane.shape
    factor = max(1.0, sigma * 1.5)
    columns, rows = max(8, round(width / factor)), max(8, round(height / factor))
    return stretch_bytes(stretch_bytes(plane, columns, rows, "AREA"), width, height, "BICUBIC")


def lay_field(target: Bytes, colour: tuple[Field, Field, Field], cover: Field | None = None) -> None:
    """Stretch three low-resolution fields (0..1) over ``target`` (h, w, 4), dithered; ``cover`` is their opacity."""
    if cover is not None:  # rows that stay bare at the top and bottom need no work
        used = np.flatnonzero(cover.max(axis=1) > 1 / 512)
        if not used.size:
            return
        first, last = max(0, int(used[0]) - 2), min(cover.shape[0], int(used[-1]) + 3)
        share = target.shape[0] / cover.shape[0]
        target = target[round(first * share) : round(last * share)]
        cover, colour = cover[first:last], (colour[0][first:last], colour[1][first:last], colour[2][first:last])
    height, width = target.shape[:2]
    planes = [stretch_dithered(plane, width, height) for plane in colour]
    mask = None if cover is None else stretch_dithered(cover, width, height)

    def band(start: int, stop: int) -> None:
        rows = target[start:stop]
        if mask is None:
            for c, plane in enumerate(planes):
                rows[..., c] = plane[start:stop]
            rows[..., 3] = 255
            return
        alpha = mask[start:stop].astype(np.uint16)
        alpha += alpha >> 7  # 0..256, so that a full cover hides all
        through = 256 - alpha
        for c, plane in enumerate(planes):
            value = plane[start:stop] * alpha  # at most 255 * 256: all fits in 16 bits
            value += rows[..., c] * through
            value += 128
            value >>= 8
            rows[..., c] = value
        rows[..., 3] = 255 - (((255 - rows[..., 3]) * through) >> 8)

    each_band(band, height, 64)


def lay_picture(target: Bytes, small: Bytes, *, rough: float = 0.0) -> None:
    """Stretch a premultiplied (h, w, 4) picture over ``target``; ``rough`` breaks its brightness by that share."""
    height, width = target.shape[:2]
    used = np.flatnonzero(small[..., 3].any(axis=1))
    if not used.size:
        return
    top = max(0, int(used[0]) - 2) * height // small.shape[0]
    planes = [stretch_bytes(small[..., c], width, height) for c in range(4)]
    tooth = grain(width, "soft")

    def band(start: int, stop: int) -> None:
        start, stop = start + top, stop + top
        rows = target[start:stop]
        through = 255 - planes[3][start:stop].astype(np.uint16)
        gain = np.take(tooth, np.arange(start, stop) % 256, axis=0)
        gain = (gain * np.float32(rough)).astype(np.int16) + np.int16(128)
        for c in range(3):
            value = (planes[c][start:stop].astype(np.int32) * gain) >> 7
            value += (rows[..., c] * through + 127) // 255
            rows[..., c] = np.minimum(value, 255)
        under = rows[..., 3].astype(np.uint16)
        rows[..., 3] = 255 - ((255 - under) * through + 127) // 255

    each_band(band, height - top, 32)
