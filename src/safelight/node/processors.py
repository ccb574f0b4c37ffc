"""How much of the machine is for this process: what a container was given, not what the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MOST_RENDERERS = 8
_BYTES_OF_A_RENDERER = 1 << 30  # a clip in 1080p takes about half of that; the rest is for everybody else


def renderers(cgroup: Path = _CGROUP) -> int:
    """How many processes of the built-in renderer fit: one for each processor, as far as there is memory for them."""
    return max(1, min(processors(cgroup), memory_bytes(cgroup) // _BYTES_OF_A_RENDERER, _MOST_RENDERERS))


def processors(cgroup: Path = _CGROUP) -> int:
    """The processors that this process may run on, or fewer where its control group has a quota of their time.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, ``cpu.max``; for version 1, scheduler/sched-bwc.rst.
    """
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    here = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, math.ceil(min(here, _quota(cgroup))))


def memory_bytes(cgroup: Path = _CGROUP) -> int:
    """The memory of this machine, or less where the control group has a limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limits += [int(word) for word in _words(cgroup / name) if word.isdecimal()]
    return min(limits)


def _quota(cgroup: Path) -> float:
    for words in (
        _words(cgroup / "cpu.max"),
        _words(cgroup / "cpu/cpu.cfs_quota_us") + _words(cgroup / "cpu/cpu.cfs_period_us"),
    ):
        if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):
            return int(words[0]) / int(words[1])
    return math.inf


def _words(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text().split()
    return []
