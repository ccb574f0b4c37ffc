"""What processes use: processor time, and memory shared out among those who share it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import psutil

_MIB = 1024 * 1024


def tree(*pids: int) -> list[psutil.Process]:
    """The processes and all that came from them."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found |= {process.pid: process for process in (root, *root.children(recursive=True))}
    return list(found.values())


def cpu_seconds(*pids: int) -> float:
    """Processor time that the trees of these processes have used so far, children that have ended included."""
    total = 0.0
    for process in tree(*pids):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def pss_mib(process: psutil.Process) -> float:
    """Its memory with shared pages divided among their users, so that processes add up; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / _MIB for line in lines if line.startswith("Pss:")), 0.0)


class Memory(msgspec.Struct, frozen=True):
    """A moment: MiB by role."""

    by_role: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.by_role.values())


def memory(processes: Iterable[psutil.Process]) -> Memory:
    by_role: dict[str, float] = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            role = role_of(process)
            by_role[role] = by_role.get(role, 0.0) + pss_mib(process)
    return Memory(by_role)


def role_of(process: psutil.Process) -> str:
    """What a process of ours does, by its command line."""
    line = " ".join(process.cmdline())
    if "postgres" in process.name() or line.startswith("postgres"):
        return "PostgreSQL"
    if "multiprocessing.spawn" in line:
        return "renderer"
    if "multiprocessing.resource_tracker" in line:
        return "resource tracker"
    for role, mark in (("API", "safelight.cli.child serve"), ("worker", "safelight.cli.child worker")):
        if mark in line:
            return role
    return "supervisor"


class Watch:
    """Looks at the memory of a tree again and again, and remembers the highest moment."""

    def __init__(self, pid: int, *, every_seconds: float = 0.1) -> None:
        self.highest = Memory({})
        self._pid = pid
        self._every_seconds = every_seconds
        self._over = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            now = memory(tree(self._pid))
            if now.total > self.highest.total:
                self.highest = now
            self._over.wait(max(self._every_seconds, 2 * (time.monotonic() - started)))
