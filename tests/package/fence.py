"""``python fence.py FILTER PROGRAM ...``: run a program under the system calls that a unit allows it.

Source: seccomp_init(3), seccomp_rule_add(3), systemd.exec(5). FILTER is JSON: ``calls``, the names that are allowed,
and ``families``, the numbers of address families that a socket may have. All else is refused with EPERM; system calls
of another architecture kill the process.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EQUAL = 4  # SCMP_CMP_EQ


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
    for name in allowed["calls"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0 and name != "socket":  # below 0: not of this architecture
            assert library.seccomp_rule_add_array(context, _ALLOW, number, 0, None) == 0, name
    call = library.seccomp_syscall_resolve_name(b"socket")
    for family in allowed["families"]:
        of_it = _Comparison(0, _EQUAL, family, 0)
        assert library.seccomp_rule_add_array(context, _ALLOW, call, 1, ctypes.byref(of_it)) == 0, family
    assert library.seccomp_load(context) == 0
    os.execv(sys.argv[2], sys.argv[2:])


main()
