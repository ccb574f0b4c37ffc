"""A backend that makes the smallest file there is, at once: for measuring and trying everything around a backend."""

from __future__ import annotations

import asyncio
import functools
import io
import struct
import zlib
from typing import Annotated

import av
import msgspec
import numpy as np
from msgspec import Meta

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Completed, Failed, FailureClass, InlineBytes, SubmitOutcome
from safelight.domain.ports import Job, ProviderKind
from safelight.domain.request import Order


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``delay_seconds`` before it answers; ``fails_with``, to fail instead.

    ``delivered_seconds``: how long a clip is, whatever was ordered.
    """

    delay_seconds: Annotated[float, Meta(ge=0)] = 0
    fails_with: FailureClass | None = None
    delivered_seconds: Annotated[int, Meta(ge=1, le=600)] | None = None


class NoopProvider:
    """Answers each order with a grey picture or clip of 64 by 64 pixels."""

    repeatable = True
    is_algorithmic = True
    is_sizeless = True

    async def submit(self, order: Order, job: Job[Options]) -> SubmitOutcome:
        options = job.options
        if options.delay_seconds:
            await asyncio.sleep(options.delay_seconds)
        if options.fails_with is not None:
            return Failed(options.fails_with, "as its options say")
        if order.type is GenerationType.IMAGE:
            return Completed((InlineBytes(png()),))
        return Completed((InlineBytes(mp4(options.delivered_seconds or order.spec.duration_seconds or 1)),))

    async def close(self) -> None:
        return None


KIND = ProviderKind(options=Options, open=lambda settings, host: NoopProvider())


@functools.cache
def png() -> bytes:
    """A grey PNG of 64 by 64 pixels."""
    rows = b"".join(b"\0" + b"\x80" * 64 for _ in range(64))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@functools.cache
def mp4(seconds: int) -> bytes:
    """A grey clip of 64 by 64 pixels and 8 frames a second, without sound."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=8, options={"preset": "ultrafast"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((96, 64), 128, np.uint8), format="yuv420p")
        for position in range(8 * seconds):
            frame.pts = position
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()
