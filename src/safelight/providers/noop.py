"""A backend that makes the smallest file there is, at once: for measuring and trying everything around a backend.

Options: ``delay_seconds`` (default 0) before it answers; ``fails_with``, a ``FailureClass`` such as ``content_policy``,
to fail instead; ``delivered_seconds``, how long a clip is whatever was ordered.
"""

from __future__ import annotations

import asyncio
import functools
import io
import struct
import zlib

import av
import numpy as np

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Completed, Failed, FailureClass, InlineBytes, SubmitOutcome
from safelight.domain.ports import Attempt
from safelight.domain.request import Order


class NoopProvider:
    """Answers each order with a grey picture or clip of 64 by 64 pixels."""

    repeatable = True
    is_algorithmic = True

    async def submit(self, order: Order, attempt: Attempt) -> SubmitOutcome:
        delay = attempt.options.get("delay_seconds", 0)
        if isinstance(delay, int | float) and delay > 0:
            await asyncio.sleep(delay)
        if "fails_with" in attempt.options:
            return Failed(FailureClass(attempt.options["fails_with"]), "as its options say")
        if order.type is GenerationType.IMAGE:
            return Completed((InlineBytes(png()),))
        seconds = attempt.options.get("delivered_seconds", order.spec.duration_seconds)
        return Completed((InlineBytes(mp4(seconds if isinstance(seconds, int) else 1)),))

    async def close(self) -> None:
        return None


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
