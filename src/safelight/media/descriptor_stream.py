"""A C2PA stream on an open file that the library reads and writes by itself, without calling Python back.

The library takes its streams as four C functions and a context that is handed to each. ``c2pa.Stream`` gives it Python
functions: over a hundred calls a file, and each waits for the interpreter lock, which other threads hold. ``read``,
``lseek`` and ``write`` of the C library have the very forms that are asked for, with the descriptor as the context.
See docs/decisions/0010.
"""

from __future__ import annotations

import ctypes
import threading

from c2pa import c2pa as binding

_libc = ctypes.CDLL(None, use_errno=True)
_read = binding.ReadCallback(("read", _libc))
_seek = binding.SeekCallback(("lseek", _libc))
_write = binding.WriteCallback(("write", _libc))
_flush = binding.FlushCallback(lambda _context: 0)  # a descriptor has no buffer


class DescriptorStream(binding.Stream):  # type: ignore[misc]
    """A ``c2pa.Stream`` on a file descriptor, which stays the caller's to close, after this."""

    def __init__(self, descriptor: int) -> None:
        """Begin at the descriptor's position. The one that is signed into must be open for reading too."""
        self._closed = False
        self._close_lock = threading.RLock()
        context = ctypes.cast(ctypes.c_void_p(descriptor), ctypes.POINTER(binding.StreamContext))
        self._stream = binding._lib.c2pa_create_stream(context, _read, _seek, _write, _flush)
        if not self._stream:
            raise binding.C2paError(f"No stream on the descriptor {descriptor}.")
        self._initialized = True
        binding.record_owner_pid(self)
