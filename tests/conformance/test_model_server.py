"""The suite over the model server of one's own: as it is, over pipelines that are told what comes of an order."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from safelight.model_server.work import REPLICA_LOST, NotMade, Work
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.model_server.stand_in import ModelServer, fault, serve

_LACKS = {
    Scenario.EXHAUSTED: "it is one's own: nothing there is used up",
    Scenario.CALLED_BACK: "it is not asked to call back",
    Scenario.BATCHED: "it is asked about one job at a time",
    Scenario.READDRESSED: "its files are behind its API, or at addresses that last longer than a run",
}


class ModelServerVendor(Vendor):
    """Its pictures, or its clips."""

    kind = "openai"
    quotes_key = False  # it is our own, and repeats none
    judged = "the server itself, over stand-ins for pipelines; over real ones too (`make real-ray`)"

    def __init__(self, type_: GenerationType) -> None:
        self.type = type_
        self.name = f"model-server {type_.value}s"
        self.lacks = _LACKS
        self.upstream_model = f"fake-{type_.value}"

    async def open(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.server = self._stack.enter_context(serve(ModelServer(key=CANARY)))

    async def close(self) -> None:
        self._stack.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.server.base_url, "flavor": "model-server", "poll_seconds": 0.2}

    def next(self, trouble: Trouble) -> None:
        runner = self.server.runner
        match trouble:
            case Trouble.REFUSES:
                runner.comes_to.append(NotMade(fault("moderation_blocked")))
            case Trouble.BREAKS:
                runner.comes_to.append(NotMade(REPLICA_LOST))
            case Trouble.RATE_LIMITS:
                full = fault("queue_full", status=429, type="rate_limit_error", retry_after_seconds=1)
                self.server.faults.append(full)
            case Trouble.LOSES_ANSWER:
                self.server.faults.append("drop")
            case _:
                raise AssertionError(trouble)

    def hold(self) -> None:
        self.server.runner.is_held = True

    def release(self) -> None:
        self.server.runner.is_held = False

    def orders(self) -> list[Seen]:
        return [_seen(work) for work in self.server.runner.works]

    def jobs(self) -> int:
        return len(self.server.runner.works)

    async def is_stopped(self) -> bool:
        runner = self.server.runner
        return runner.works[-1].id in runner.stopped


def _seen(work: Work) -> Seen:
    return Seen(
        prompt=work.prompt,
        size=f"{work.width}x{work.height}",
        seed=work.seed,
        negative_prompt=work.negative_prompt,
        options={"steps": work.steps, **work.options},
        references=len(work.images),
    )


VENDORS: list[Vendor] = [ModelServerVendor(GenerationType.IMAGE), ModelServerVendor(GenerationType.VIDEO)]
