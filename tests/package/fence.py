"""``python fence.py FILTER PROGRAM ...``: run a program under the system calls that a unit allows it.

Source: seccomp_init(3), seccomp_rule_add(3), systemd.exec(5). FILTER is JSON: ``calls``, the names that are allowed,
``families``, the numbers of address families that a socket may have, and ``makes_code``, whether memory that was
written may be run. All else is refused with EPERM; system calls of another architecture kill the process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import sys

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7  # SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ
_WRITE, _EXECUTE = mmap.PROT_WRITE, mmap.PROT_EXEC


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
    )


def main() -> None:
    allowed = json.loads(sys.argv[1])
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_ERRNO | errno.EPERM))

    def allow(name: str, *where: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # below: not of this architecture
            comparisons = (_Comparison * len(where))(*where)
            assert library.seccomp_rule_add_array(context, _ALLOW, number, len(where), comparisons) == 0, name

    partly = {"socket"} if allowed["makes_code"] else {"socket", "mmap", "mprotect", "pkey_mprotect"}
    for name in set(allowed["calls"]) - partly:
        allow(name)
    for family in allowed["families"]:
        allow("socket", _Comparison(0, _EQUAL, family, 0))
    if not allowed["makes_code"]:  # systemd.exec(5), MemoryDenyWriteExecute=; the third argument is the protection
        for bit in (_WRITE, _EXECUTE):
            allow("mmap", _Comparison(2, _MASKED_EQUAL, bit, 0))
        allow("mprotect", _Comparison(2, _MASKED_EQUAL, _EXECUTE, 0))
    assert library.seccomp_load(context) == 0
    os.execv(sys.argv[2], sys.argv[2:])


main()
