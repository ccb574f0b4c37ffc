"""What the jobs work with, handed to them by the worker."""

from __future__ import annotations

from typing import cast

import msgspec
from procrastinate import JobContext

from safelight.keeping.services import KeepingServices
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import RunServices

_KEY = "parts"


class WorkerParts(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's parts."""

    running: RunServices
    keeping: KeepingServices
    runner: Runner

    def as_context(self) -> dict[str, object]:
        """For Procrastinate, which hands it to each job."""
        return {_KEY: self}


def parts_of(context: JobContext) -> WorkerParts:
    return cast(WorkerParts, context.additional_context[_KEY])
