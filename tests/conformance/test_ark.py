"""The suite over ModelArk, as a strict stand-in plays it that its official client judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.ark.fake import FakeArk

_FAULTS = {
    Trouble.REFUSES: "policy_text",
    Trouble.RATE_LIMITS: "rate_model",
    Trouble.IS_EXHAUSTED: "quota",
    Trouble.BREAKS: "broken",
    Trouble.LOSES_ANSWER: "drop",
}
_JOBS = (
    Scenario.CANCELED,
    Scenario.RESTARTED,
    Scenario.EDITED,
    Scenario.CALLED_BACK,
    Scenario.BATCHED,
    Scenario.READDRESSED,
)


class ArkImages(Vendor):
    """Seedream."""

    name = "ModelArk images"
    kind = "ark"
    judged = "fake, judged by the official client"
    lacks: Mapping[Scenario, str] = dict.fromkeys(_JOBS, "it is in the answer: there is no job to ask about")
    supports_negative_prompt = False
    option = ("guidance_scale", 4)
    upstream_model = "seedream-4-5-251128"

    async def open(self, folder: Path) -> None:
        self.fake = await FakeArk(CANARY).open()

    async def close(self) -> None:
        await self.fake.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.fake.base_url}

    def next(self, trouble: Trouble) -> None:
        self.fake.next = _FAULTS[trouble]

    def orders(self) -> list[Seen]:
        return [self._seen(body) for body in self.fake.orders]

    def jobs(self) -> int:
        return self.fake.taken

    def _seen(self, body: dict[str, Any]) -> Seen:
        images = body.get("image", [])
        return Seen(
            prompt=body["prompt"],
            size=body["size"],
            seed=body.get("seed"),
            options=body,
            references=1 if isinstance(images, str) else len(images),
        )


class ArkVideos(ArkImages):
    """Seedance."""

    name = "ModelArk videos"
    type = GenerationType.VIDEO
    lacks: Mapping[Scenario, str] = {}
    size = "1K 1:1"
    size_word = "720p"
    size_in_word = "720p 1:1"
    option = ("priority", 4)
    upstream_model = "seedance-1-5-pro-251215"

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.fake.base_url, "poll_seconds": 0.2, "callbacks": True}

    def hold(self) -> None:
        self.fake.held = "queued"

    def release(self) -> None:
        self.fake.held = None

    def callback(self) -> tuple[dict[str, str], bytes]:
        return {"content-type": "application/json"}, self.fake.callback()

    def questions(self) -> int:
        return self.fake.questions

    def expire(self) -> None:
        self.fake.expires_next = True

    def has_expired(self) -> bool:
        return not self.fake.expires_next

    async def is_stopped(self) -> bool:
        return str(list(self.fake.tasks.values())[-1]["status"]) == "cancelled"

    def _seen(self, body: dict[str, Any]) -> Seen:
        return Seen(
            prompt=body["content"][0]["text"],
            size=f"{body['resolution']} {body['ratio']}",
            seed=body.get("seed"),
            options=body,
            references=len(body["content"]) - 1,
            callback_url=body.get("callback_url"),
        )


class FoundArkVideos(ArkVideos):
    """Seedance, with an identifier of each task's own."""

    name = "ModelArk videos, `find_by_safety_identifier`"

    def connection(self) -> dict[str, Any]:
        return {**super().connection(), "find_by_safety_identifier": True}


VENDORS: list[Vendor] = [ArkImages(), ArkVideos(), FoundArkVideos()]
