"""The fence around the process that decodes: limits, then no system call but for memory, threads, pipes.

Linux only (seccomp, prctl); elsewhere the limits that exist are set and the rest is left out, which the
process tells. Once fenced it can open no file, make no socket, start no program and signal no process,
whatever a decoder is led to do.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1
_CLONE_THREAD = 0x00010000
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38

# Of each machine: audit architecture, then the numbers of seccomp, clone and clone3 (Linux: audit.h,
# syscall tables).
_MACHINES = {
    "x86_64": (0xC000003E, 317, 56, 435),
    "aarch64": (0xC00000B7, 277, 220, 435),
}
# What decoding needs, as (x86_64, aarch64); None where a machine has no such call.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "poll": (7, None),
    "ppoll": (271, 73),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "nanosleep": (35, 101),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "gettimeofday": (96, 169),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "membarrier": (324, 283),
    "set_tid_address": (218, 96),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "exit": (60, 93),
    "exit_group": (231, 94),
}


def die_with_parent(parent_pid: int) -> None:
    """Be killed when the thread that started this process ends; end at once if it already has."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def limit_resources(memory_bytes: int) -> None:
    """At most ``memory_bytes`` of address space, 64 open files, no file written and no core dumped."""
    limits = [
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ]
    for kind, value in limits:
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):  # macOS knows no limit on address space
            if sys.platform == "linux":
                raise


def forbid_system_calls() -> bool:
    """Leave this process and all its threads only what decoding needs. False where there is no such fence."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    libc = _libc()
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    code = _filter(platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    seccomp = machine[1]
    flags = ctypes.c_long(_SECCOMP_FILTER_FLAG_TSYNC)
    return bool(libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(program)) == 0)


def _filter(machine: str) -> bytes:
    """Classic BPF over ``struct seccomp_data``: number at 0, architecture at 4, first argument at 16."""
    audit_arch, _, clone, clone3 = _MACHINES[machine]
    column = 0 if machine == "x86_64" else 1
    numbers = [pair[column] for pair in _ALLOWED.values()]
    allowed = [number for number in numbers if number is not None]

    def load(offset: int) -> bytes:
        return struct.pack("<HBBI", 0x20, 0, 0, offset)

    def answer(value: int) -> bytes:
        return struct.pack("<HBBI", 0x06, 0, 0, value)

    def skip_unless_equal(value: int, count: int) -> bytes:
        return struct.pack("<HBBI", 0x15, 0, count, value)

    code = [load(4), struct.pack("<HBBI", 0x15, 1, 0, audit_arch), answer(_ERRNO | _EPERM), load(0)]
    # glibc falls back to clone, whose flags a filter can see.
    code += [skip_unless_equal(clone3, 1), answer(_ERRNO | _ENOSYS)]
    code += [skip_unless_equal(clone, 4), load(16), struct.pack("<HBBI", 0x45, 0, 1, _CLONE_THREAD)]
    code += [answer(_ALLOW), answer(_ERRNO | _EPERM)]
    for number in allowed:
        code += [skip_unless_equal(number, 1), answer(_ALLOW)]
    code.append(answer(_ERRNO | _EPERM))
    return b"".join(code)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
