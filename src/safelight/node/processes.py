"""Processes that end with the one that started them, even if that one is killed (on Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Have the kernel send us ``number`` when the thread that started us ends. ``parent`` is its process.

    May run between fork and exec: it imports and allocates nothing to speak of. Off Linux it only checks
    that the parent still lives.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(1)
