"""A server of OpenAI's images that answers at once, in a process of its own: ``python -m bench.instant PORT``.

It takes as little time as Python can, so that what is measured is whoever stands before it. Its pictures weigh 75 KB,
100 KB in base64, in the two sizes that it is asked for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import cast
from urllib.request import Request, urlopen

import numpy as np
import uvloop
from PIL import Image

from bench.servers import BenchError, free_port

SIZES = {"photo": "256x256", "poster": "1024x1024"}
_READY_SECONDS = 20.0


@lru_cache
def picture(size: str) -> bytes:
    """A PNG file: 256 by 256 pixels with the noise of a photograph, or 1024 by 1024 of flat colours."""
    side = int(size.partition("x")[0])
    y, x = np.mgrid[0:side, 0:side] / side
    shades = np.stack([128 + 60 * np.sin(5 * x + band) + 40 * np.cos((3 + band) * y) for band in range(3)], axis=-1)
    if size == SIZES["photo"]:
        shades += np.random.default_rng(7).normal(0, 1.1, shades.shape)
    else:
        shades = shades // 8 * 8
    file = io.BytesIO()
    Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


class Instant:
    """The server, running."""

    def __init__(self, port: int) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"

    def answered(self) -> int:
        """How many pictures it has given so far."""
        with urlopen(f"{self.base_url}/answered", timeout=10) as answer:
            return int(json.load(answer))

    def order(self, size: str) -> bytes:
        """One answer, as it comes."""
        body = json.dumps({"prompt": "a hill", "size": size}).encode()
        with urlopen(Request(f"{self.base_url}/images/generations", data=body), timeout=10) as answer:
            return bytes(answer.read())


@contextlib.contextmanager
def instant() -> Iterator[Instant]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.instant", str(port)], stdin=subprocess.DEVNULL)
    server, give_up_at = Instant(port), time.monotonic() + _READY_SECONDS
    try:
        while True:
            try:
                server.answered()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > give_up_at:
                    raise BenchError("The server of images did not start.") from None
                time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)


class _Connection(asyncio.Protocol):
    answers: dict[bytes, bytes]
    given = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._received = cast(asyncio.WriteTransport, transport), b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n") + 4) > 3:
            head = self._received[:end].lower()
            body_bytes = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._received) < end + body_bytes:
                return
            body, self._received = self._received[end : end + body_bytes], self._received[end + body_bytes :]
            self._transport.write(self._answer(head.partition(b"\r\n")[0], body))

    def _answer(self, line: bytes, body: bytes) -> bytes:
        if line.startswith(b"post /v1/images/generations "):
            _Connection.given += 1
            return next(answer for size, answer in self.answers.items() if size in body)
        return _http(json.dumps(self.given).encode())


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _answer_with(size: str) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
    usage["input_tokens_details"] = {"image_tokens": 0, "text_tokens": 10}  # type: ignore[assignment]
    data = [{"b64_json": base64.b64encode(picture(size)).decode()}]
    return _http(json.dumps({"created": int(time.time()), "data": data, "usage": usage}).encode())


async def _serve(port: int) -> None:
    _Connection.answers = {size.encode(): _answer_with(size) for size in SIZES.values()}
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(int(sys.argv[1])))
