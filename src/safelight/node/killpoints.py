"""Named points at which a test may have the process killed, to prove that nothing is lost there.

A process whose environment names one in ``SAFELIGHT_KILLPOINT`` dies there by SIGKILL, the first time it comes by.
Nobody sets it outside tests.
"""

from __future__ import annotations

import os
import signal
from functools import cache

KILLPOINTS = (
    "references-after-store",
    "submit-before-commit",
    "submit-after-commit",
    "run-before-claim",
    "run-after-claim",
    "run-after-intent",
    "run-after-submit",
    "run-after-handle",
    "run-after-poll",
    "run-after-find",
    "run-after-withdraw",
    "unknown-after-commit",
    "leave-after-commit",
    "deliver-after-measure",
    "deliver-after-store",
    "settle-before-commit",
    "settle-after-commit",
    "hand-back-before-commit",
    "hand-back-after-commit",
    "cancel-after-request",
    "cancel-after-backend",
    "requeue-before-commit",
    "requeue-after-commit",
    "chaos-before-record",
    "chaos-after-record",
    "expire-after-tombstone",
    "expire-after-delete",
    "expire-after-purge",
    "erase-after-begin",
    "erase-after-batch",
    "restore-after-files",
    "restore-after-move",
    "archive-after-write",
    "archive-after-store",
    "archive-after-commit",
    "archive-after-batch",
)


def killpoint(name: str) -> None:
    """Die here if that is what the environment asks for."""
    if name == _armed():
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def _armed() -> str | None:
    return os.environ.get("SAFELIGHT_KILLPOINT")
