"""The suite over the backend that misbehaves on demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Catalog
from safelight.domain.generations import GenerationType
from safelight.providers.chaos import Memory, Options
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import Scenario, Seen, Trouble, Vendor

pytestmark = pytest.mark.database  # the rows that every backend writes

_DRAWS_NOTHING = "it draws the same whatever is asked"
_TROUBLES: dict[Trouble, dict[str, Any]] = {
    Trouble.REFUSES: {"behaviour": "refused"},
    Trouble.RATE_LIMITS: {"behaviour": "rate_limited", "times": 1},
    Trouble.IS_EXHAUSTED: {"behaviour": "fails_later", "fails_as": "quota", "times": -1},
    Trouble.BREAKS: {"behaviour": "fails_later", "times": 1},
    Trouble.LOSES_ANSWER: {"behaviour": "lost_answer"},
}


class Chaos(Vendor):
    """It is told through its binding what it is to do, and remembers on disk what it was asked."""

    name = "chaos"
    kind = "chaos"
    judged = "itself"
    type = GenerationType.VIDEO
    lacks = dict.fromkeys((Scenario.SIZED, Scenario.REFERENCED, Scenario.ASKED), _DRAWS_NOTHING) | {
        Scenario.COUNTED: "it counts nothing",
        Scenario.CHECKED: "there is nothing to look at",
        Scenario.CALLED_BACK: "it calls nobody back",
        Scenario.BATCHED: "tests/lifecycle/test_polls.py has it",
        Scenario.READDRESSED: "tests/durability/test_misbehaviour.py has it",
    }

    async def open(self, folder: Path) -> None:
        self._next: dict[str, Any] = {}
        self._job_seconds = 0.1
        self._given: list[str] = []
        self._memory = Memory(folder)

    async def close(self) -> None: ...

    def connection(self) -> dict[str, Any]:
        return {}

    def options(self) -> dict[str, Any]:
        return {"behaviour": "job", "job_seconds": 0.1, "retry_after_seconds": 0.1, "cancels": True}

    def prepare(self, catalog: Catalog, data_dir: Path) -> None:
        self._memory = Memory(data_dir / "chaos")
        model = catalog.models["model"]
        asked = self.options() | {"job_seconds": self._job_seconds} | self._next
        self._next = {}
        binding = msgspec.structs.replace(model.bindings[0], options=msgspec.convert(asked, Options))
        catalog.models["model"] = msgspec.structs.replace(model, bindings=(binding,))

    def next(self, trouble: Trouble) -> None:
        self._next = _TROUBLES[trouble]

    def hold(self) -> None:
        self._job_seconds = 3600.0

    def release(self) -> None:
        self._job_seconds = 0.1
        for generation_id in self._ids():
            job = self._memory.job(generation_id)
            if job is not None:
                self._memory.end(job, "over")

    def orders(self) -> list[Seen]:
        return [Seen(prompt="a hill") for id_ in self._ids() for _ in range(self._memory.calls(id_))]

    def jobs(self) -> int:
        return sum(self._memory.taken(generation_id) for generation_id in self._ids())

    async def is_stopped(self) -> bool:
        newest = max(self._ids())
        job = self._memory.job(newest)
        return job is not None and self._memory.end(job, "over") == "canceled"

    def _ids(self) -> list[str]:
        folder = self._memory._folder
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


VENDORS: list[Vendor] = [Chaos()]
