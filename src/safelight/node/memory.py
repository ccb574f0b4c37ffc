"""Memory that goes back to the system as soon as it is free."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1024 * 1024


def give_large_buffers_back() -> None:
    """Have the C library keep each large buffer apart from all others, which is unmapped when it is freed.

    By itself it moves that bound up to 32 MiB with the first large buffer that is freed, and from then on bodies leave
    holes in memory that stays (mallopt(3), ``M_MMAP_THRESHOLD``). Other C libraries have no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
