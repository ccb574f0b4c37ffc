"""The suite over the API of Stable Diffusion WebUI, in each flavor's dialect."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.a1111.fake import Call, FakeServer, serve
from tests.providers.a1111.media import TRACE

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
_JUDGED = "fake, judged by the `webuiapi` client"
_READ = "fake, after the server's source"
_IN_THE_ANSWER = "it is in the answer: there is no job to ask about"
_FOR_ALL = "to stop it would stop whatever the server makes, for anybody"
_JOBS: dict[Scenario, str] = {
    Scenario.CALLED_BACK: "it calls nobody back",
    Scenario.BATCHED: "it is asked about one job at a time",
    Scenario.READDRESSED: "a file of its has one address, and keeps it",
    Scenario.EXHAUSTED: "nothing is paid for there",
    Scenario.REFUSED: "it has no policy: what it is asked for, it makes",
}
_PICTURES: dict[Scenario, str] = {
    **dict.fromkeys(
        (Scenario.RESTARTED, Scenario.EDITED, Scenario.CALLED_BACK, Scenario.BATCHED, Scenario.READDRESSED),
        _IN_THE_ANSWER,
    ),
    Scenario.CANCELED: _FOR_ALL,
    Scenario.RATE_LIMITED: "it limits nothing: what it cannot do now waits in its queue",
    Scenario.EXHAUSTED: "nothing is paid for there",
}
_FAULTS = {
    Trouble.REFUSES: "black",
    Trouble.RATE_LIMITS: "rate_limit",
    Trouble.LOSES_ANSWER: "drop",
}


class WebUi(Vendor):
    """A flavor's pictures, or its clips."""

    kind = "a1111"
    upstream_model = "fake-model"

    def __init__(self, flavor: str, type_: GenerationType = IMAGE, judged: str = _READ, **facts: Any) -> None:
        self.flavor, self.type, self.judged = flavor, type_, judged
        self.name = f"{flavor} {type_.value}s"
        self._entry: dict[str, Any] = facts.pop("entry", {})
        for name, value in facts.items():
            setattr(self, name, value)

    async def open(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.fake = self._stack.enter_context(serve(FakeServer(self.flavor, key=CANARY if self.takes_key else None)))

    async def close(self) -> None:
        self._stack.close()

    def connection(self) -> dict[str, Any]:
        user = {"user": self.fake.user} if self.takes_key else {}
        return {"base_url": self.fake.base_url, "flavor": self.flavor, **user, **self._entry}

    def options(self) -> dict[str, Any]:
        return {"engine": "WAN Video", "fps": 8} if self.type is VIDEO else {}

    def next(self, trouble: Trouble) -> None:
        breaks = "no_results" if self.flavor == "sd-server" else "out_of_memory"
        self.fake.behave(breaks if trouble is Trouble.BREAKS else _FAULTS[trouble])

    def hold(self) -> None:
        self.fake.is_held = True
        self.fake.states = [{"status": "running", "progress": 0.25}] * 1000

    def release(self) -> None:
        self.fake.is_held = False
        self.fake.states = []
        for job in self.fake.jobs.values():
            job["states"].clear()

    def orders(self) -> list[Seen]:
        return [_seen(call) for call in self.fake.orders()]

    def jobs(self) -> int:
        return self.fake.taken

    async def is_stopped(self) -> bool:
        return bool(list(self.fake.jobs.values())[-1]["status"] == "cancelled")

    def traces(self) -> list[bytes]:
        return [TRACE.encode(), b"a hill"]


def _seen(call: Call) -> Seen:
    body = call.body
    pictures = ("init_images", "extra_images", "inputs")
    return Seen(
        prompt=body["prompt"],
        size=f"{body['width']}x{body['height']}",
        seed=body.get("seed"),
        negative_prompt=body.get("negative_prompt", body.get("negative")),
        options=body,
        references=sum(len(body.get(name, ())) for name in pictures) + ("init_image" in body),
    )


VENDORS: list[Vendor] = [
    WebUi("a1111", judged=_JUDGED, lacks=_PICTURES, most_references=1, entry={"flat_is_refusal": True}),
    WebUi(
        "forge",
        judged=_JUDGED,
        lacks=_PICTURES,
        most_references=1,
        entry={"flat_is_refusal": True},
        option=("distilled_cfg_scale", 3.5),
    ),
    WebUi("sdnext", lacks=_JOBS, most_references=3, entry={"max_references": 3}),
    WebUi("sdnext", VIDEO, lacks=_JOBS, upstream_model="fake-clip"),
    WebUi(
        "sd-server",
        judged="a real sd-server and its fake: the same answers",
        lacks=_PICTURES | {Scenario.COUNTED: "it tells of no use", Scenario.REFUSED: _JOBS[Scenario.REFUSED]},
        takes_key=False,
        quotes_key=False,
        knows_models=False,
        entry={"references": "extra_images", "max_references": 2},
    ),
]
