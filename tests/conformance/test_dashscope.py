"""The suite over DashScope, as a strict stand-in plays it that its official client judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.dashscope.fake import Fake, Sent

_WORDS = {
    Trouble.REFUSES: "refused",
    Trouble.RATE_LIMITS: "soon",
    Trouble.IS_EXHAUSTED: "allocation",
    Trouble.BREAKS: "broken",
    Trouble.LOSES_ANSWER: "lost",
}
_OF_TASKS = {
    Scenario.CALLED_BACK: "it calls nobody back over HTTP",
    Scenario.BATCHED: "it is asked about one job at a time",
}


class DashScope(Vendor):
    """The API, asked for pictures as tasks."""

    name = "dashscope images, as tasks"
    kind = "dashscope"
    judged = "fake, judged by the `dashscope` client"
    lacks = _OF_TASKS
    size = "64*64"
    size_word = "2K"
    option = ("style", "<sketch>")
    upstream_model = "wan2.7-image"
    api: str | None = "image-generation"

    async def open(self, folder: Path) -> None:
        self.fake = await Fake(CANARY).open()

    async def close(self) -> None:
        await self.fake.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.fake.base_url}

    def options(self) -> dict[str, Any]:
        return {"api": self.api} if self.api else {}

    def next(self, trouble: Trouble) -> None:
        self.fake.next = _WORDS[trouble]

    def hold(self) -> None:
        self.fake.is_held = True

    def release(self) -> None:
        self.fake.is_held = False

    def expire(self) -> None:
        self.fake.expires_next = True

    def has_expired(self) -> bool:
        return not self.fake.expires_next

    def orders(self) -> list[Seen]:
        return [_seen(order) for order in self.fake.sent]

    def jobs(self) -> int:
        return self.fake.taken

    async def is_stopped(self) -> bool:
        return self.fake.newest.ended == "CANCELED"


class DashScopeAnswers(DashScope):
    """The API, asked for pictures that come in the answer."""

    name = "dashscope images, in the answer"
    lacks = dict.fromkeys(
        (
            Scenario.CANCELED,
            Scenario.RESTARTED,
            Scenario.EDITED,
            Scenario.CALLED_BACK,
            Scenario.BATCHED,
            Scenario.READDRESSED,
        ),
        "it is in the answer: there is no job to ask about",
    )
    upstream_model = "qwen-image-plus"
    api = None


class DashScopeVideos(DashScope):
    """The API, asked for clips."""

    name = "dashscope videos"
    type = GenerationType.VIDEO
    size = "1K"
    size_word = "720P"
    option = ("shot_type", "multi")
    upstream_model = "wan2.7-i2v"
    api = None


def _seen(order: Sent) -> Seen:
    parameters, given = order.parameters, order.input
    is_message = "messages" in given
    pictures = [part for part in order.content if "image" in part] if is_message else given.get("media", [])
    return Seen(
        prompt=order.prompt,
        size=parameters.get("size") or parameters.get("resolution"),
        seed=parameters.get("seed"),
        negative_prompt=(parameters if is_message else given).get("negative_prompt"),
        options=parameters,
        references=len(pictures),
    )


VENDORS: list[Vendor] = [DashScope(), DashScopeAnswers(), DashScopeVideos()]
