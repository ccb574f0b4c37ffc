"""Processes that end with the one that started them, even if that one is killed, and that have a name (on Linux); and
the machine that they are of."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import uuid
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None
_prctl = _libc.prctl if _libc is not None else None


def end_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Have the kernel send us ``number`` when the thread that started us ends. ``parent`` is its process.

    May run between fork and exec: it imports and allocates nothing to speak of. Off Linux it only checks
    that the parent still lives.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we could ask
        os._exit(1)


def pass_for(uid: int, gid: int) -> None:
    """Have this process pass for another user in its own eyes: for a program that must find the name of its user.

    May run between fork and exec. In a user namespace of its own (user_namespaces(7)) the process sees that user;
    files, signals and everybody else go by who it is. Where the kernel forbids that, nothing changes.
    """
    own = {"uid_map": f"{uid} {os.geteuid()} 1", "gid_map": f"{gid} {os.getegid()} 1"}
    if _libc is None or _libc.unshare(_CLONE_NEWUSER) != 0:
        return
    for name, text in {"setgroups": "deny", **own}.items():
        file = os.open(f"/proc/self/{name}", os.O_WRONLY)
        os.write(file, text.encode())
        os.close(file)


def this_machine() -> str:
    """What tells this start of this machine from others that may share the data folder; locks reach no further."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return f"{uuid.getnode():x}"
