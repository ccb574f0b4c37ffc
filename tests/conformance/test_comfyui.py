"""The suite over ComfyUI: its fake, whose answers are compared with a real server's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.comfyui.exchange import paint
from tests.providers.comfyui.orders import CLIP
from tests.providers.comfyui.servers import Fake
from tests.support.server import eventually

_NO_POLICY = "it has no policy: what it is asked for, it makes"
_NO_LIMITS = "it limits nothing: what it cannot do now waits in its queue"
_LOADED = {"class_type": "LoadImage", "inputs": {"image": "example.png"}}


class Comfy(Vendor):
    """A workflow that takes all that can be asked for."""

    name = "ComfyUI"
    kind = "comfyui"
    judged = "a real ComfyUI 0.3.75 and its fake: the same tests, and the same answers"
    lacks: Mapping[Scenario, str] = {
        Scenario.REFUSED: _NO_POLICY,
        Scenario.RATE_LIMITED: _NO_LIMITS,
        Scenario.EXHAUSTED: _NO_LIMITS,
        Scenario.COUNTED: "it counts nothing, and costs nothing",
        Scenario.CALLED_BACK: "it calls nobody back",
        Scenario.BATCHED: "one look at its queue is for all of them, and each that has ended is asked about by itself",
        Scenario.READDRESSED: "a file of its has one address, and keeps it",
    }
    quotes_key = False  # whatever asks for it stands before the server
    knows_models = False  # a workflow is no name of theirs
    images: tuple[str, ...] = ("10", "11")

    async def open(self, folder: Path) -> None:
        self.server = await asyncio.to_thread(Fake, folder / "files", "--key", CANARY)
        self._workflow = folder / "workflow.json"
        self._workflow.write_text(json.dumps(self.graph() | dict.fromkeys(self.images, _LOADED)))

    def graph(self) -> dict[str, Any]:
        return paint("ComfyUI", image1=["10", 0], image2=["11", 0])

    def places(self) -> dict[str, Any]:
        return {"references": ["10.image", "11.image"]}

    async def close(self) -> None:
        await asyncio.to_thread(self.server.kill)

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.server.base_url}

    def options(self) -> dict[str, Any]:
        fields = {
            "prompt": "3.prompt",
            "negative_prompt": "3.negative",
            "width": "3.width",
            "height": "3.height",
            "seed": "3.seed",
            "options": {"steps": "3.steps"},
            "output": "9",
            **self.places(),
        }
        return {"workflow": str(self._workflow), "fields": fields}

    def next(self, trouble: Trouble) -> None:
        words = {Trouble.BREAKS: "breaks", Trouble.LOSES_ANSWER: "loses_answer"}
        self.server.command(CANARY, **{words[trouble]: True})

    def hold(self) -> None:
        self.server.command(CANARY, holds=True)

    def release(self) -> None:
        self.server.command(CANARY, holds=False)

    def orders(self) -> list[Seen]:
        return [self._seen(graph) for graph in self._taken()["graphs"]]

    def _seen(self, graph: dict[str, Any]) -> Seen:
        inputs = graph["3"]["inputs"]
        return Seen(
            prompt=inputs["prompt"],
            size=f"{inputs['width']}x{inputs['height']}",
            seed=inputs["seed"],
            negative_prompt=inputs["negative"],
            options={"steps": inputs["steps"]},
            references=sum(node["class_type"] == "LoadImage" for node in graph.values()),
        )

    def jobs(self) -> int:
        return len(self._taken()["taken"])

    async def is_stopped(self) -> bool:
        newest = self._taken()["taken"][-1]
        await asyncio.to_thread(eventually, lambda: self._is_idle(), "what was interrupted has ended")
        entry = self.server.ask(f"/history/{newest}", key=CANARY).get(newest)
        return entry is None or "execution_interrupted" in str(entry["status"]["messages"])

    def traces(self) -> list[bytes]:
        return [b"class_type", b"SafelightPaint"]

    def _is_idle(self) -> bool:
        queue = self.server.ask("/queue", key=CANARY)
        return not queue["queue_running"] and not queue["queue_pending"]

    def _taken(self) -> Any:
        return self.server.ask("/_test/taken", key=CANARY)


class ComfyVideo(Comfy):
    """The same, for clips."""

    name = "ComfyUI, video"
    type = GenerationType.VIDEO
    images = ("10",)

    def graph(self) -> dict[str, Any]:
        return CLIP | {"3": paint("x", image1=["10", 0])["3"]}

    def places(self) -> dict[str, Any]:
        return {"first_frame": "10.image", "frames": "3.frames", "fps": "5.fps"}


VENDORS: list[Vendor] = [Comfy(), ComfyVideo()]
