"""The fenced process: reads an image a frame from its standard input, writes an answer a frame to its output.

A frame is one byte of kind, four bytes of length (big-endian) and the payload. The process ends with its
input.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

from safelight.references import sandbox
from safelight.references.headers import Refused

FRAME = struct.Struct(">cI")
READY, IMAGE, CLEAN, REFUSED = b"!", b"I", b"C", b"R"


def main(parent_pid: int, memory_bytes: int, task_seconds: float) -> None:
    """Fence this process in, say so (``1``: system calls are fenced too), and serve until the input ends."""
    sandbox.die_with_parent(parent_pid)
    sandbox.limit_resources(memory_bytes)
    clean = _load_cleaner()
    fenced = sandbox.forbid_system_calls()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _send(sink, READY, b"1" if fenced else b"0")
    while head := source.read(FRAME.size):
        _, length = FRAME.unpack(head)
        data = source.read(length)
        if len(data) < length:
            return
        signal.setitimer(signal.ITIMER_REAL, task_seconds)  # SIGALRM ends the process, should the parent be stuck
        try:
            mime_type, cleaned = clean(data)
        except Refused as refused:
            _send(sink, REFUSED, f"{refused.reason}\n{refused.detail[:300]}".encode())
        except MemoryError:
            _send(sink, REFUSED, b"overloaded_decoder")
        else:
            _send(sink, CLEAN, mime_type.encode() + b"\n" + cleaned)
            del cleaned
        signal.setitimer(signal.ITIMER_REAL, 0)
        del data


def _load_cleaner() -> Callable[[bytes], tuple[str, bytes]]:
    """Import libvips now that the limits hold, and use each codec once: later no file can be opened."""
    os.environ.update(VIPS_CONCURRENCY="1", VIPS_BLOCK_UNTRUSTED="1", MALLOC_ARENA_MAX="2")
    import pyvips

    from safelight.references.clean import clean

    pyvips.cache_set_max(0)
    pyvips.cache_set_max_mem(0)
    pyvips.cache_set_max_files(0)
    pyvips.block_untrusted_set(True)
    sample = pyvips.Image.black(64, 64, bands=3).copy(interpretation="srgb").cast("uchar")
    tagged = sample.icc_transform("p3", input_profile="srgb")
    for data in (tagged.pngsave_buffer(), tagged.jpegsave_buffer(), sample.webpsave_buffer()):
        clean(data)
    return clean


def _send(sink: BinaryIO, kind: bytes, payload: bytes) -> None:
    sink.write(FRAME.pack(kind, len(payload)))
    sink.write(payload)
    sink.flush()
