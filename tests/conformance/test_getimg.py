"""The suite over the hosted API, as a strict stand-in plays it that its client judges, and over a real Safelight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.safelight_back import SafelightBack
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.hosted import Hosted

pytestmark = pytest.mark.database  # the rows that every backend writes: every scenario is asked here, or of chaos

_WORDS = {
    Trouble.REFUSES: "refused",
    Trouble.RATE_LIMITS: "soon",
    Trouble.IS_EXHAUSTED: "broke",
    Trouble.BREAKS: "broken",
    Trouble.LOSES_ANSWER: "lost",
}
_NOT_IN_ITS_CONTRACT = dict.fromkeys(
    (Scenario.CANCELED, Scenario.ASKED, Scenario.CALLED_BACK, Scenario.BATCHED), "its contract has no such thing"
)
_KILLED_ELSEWHERE = "its answer comes when it is made: tests/durability/test_chain.py has either killed meanwhile"
_ONE_BY_ONE = "it is asked about one job at a time"
_GOOD_TO_THE_END = "its links are good until the file is deleted"
_COMES_AT_ONCE = "an image comes in the answer to its order, and can be asked for no other way"


class HostedImages(Vendor):
    """The hosted API, asked for images."""

    name = "api.getimg.ai"
    kind = "getimg"
    judged = "fake, judged by the official client"
    lacks = _NOT_IN_ITS_CONTRACT | dict.fromkeys(
        (Scenario.RESTARTED, Scenario.EDITED, Scenario.READDRESSED), _COMES_AT_ONCE
    )
    size = "1K 1:1"
    size_word = "2K 16:9"
    supports_seed = False
    supports_negative_prompt = False
    cost_nanos = 45_000_000
    upstream_model = "picture-1"

    async def open(self, folder: Path) -> None:
        self.server = await Hosted(CANARY).open()

    async def close(self) -> None:
        await self.server.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.server.base_url}

    def next(self, trouble: Trouble) -> None:
        self.server.next = _WORDS[trouble]

    def hold(self) -> None:
        self.server.is_held = True

    def release(self) -> None:
        self.server.is_held = False

    def expire(self) -> None:
        self.server.expires_next = True

    def has_expired(self) -> bool:
        return not self.server.expires_next

    def orders(self) -> list[Seen]:
        return [
            Seen(
                prompt=body["prompt"],
                size=f"{body['resolution']} {body['aspect_ratio']}",
                references=len(body.get("images", [])),
            )
            for body in self.server.sent
        ]

    def jobs(self) -> int:
        return self.server.taken


class HostedVideos(HostedImages):
    """The hosted API, asked for videos."""

    type = GenerationType.VIDEO
    lacks = _NOT_IN_ITS_CONTRACT
    cost_nanos = 125_000_000
    upstream_model = "clip-1"


class SafelightImages(Vendor):
    """Another Safelight, asked for images."""

    name = "another Safelight"
    kind = "getimg"
    judged = "real server"
    lacks = dict.fromkeys((Scenario.RESTARTED, Scenario.EDITED), _KILLED_ELSEWHERE) | {
        Scenario.CANCELED: "an image is not canceled: somebody waits for it",
        Scenario.CALLED_BACK: "an image's answer is its news",
        Scenario.BATCHED: _ONE_BY_ONE,
        Scenario.READDRESSED: _GOOD_TO_THE_END,
    }
    size = "1K 1:1"
    size_word = "2K 16:9"
    cost_nanos = 20_000_000
    upstream_model = "picture"

    async def open(self, folder: Path) -> None:
        self._back = SafelightBack()
        await self._back.open(folder, self.new_database())

    async def close(self) -> None:
        await self._back.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self._back.base_url, "flavor": "safelight"}

    def next(self, trouble: Trouble) -> None:
        if trouble is Trouble.REFUSES:
            self._back.behind.refuses_next = True
        else:
            self._back.next = _WORDS[trouble]

    def hold(self) -> None:
        self._back.behind.is_held = True

    def release(self) -> None:
        self._back.behind.is_held = False

    def orders(self) -> list[Seen]:
        return list(self._back.behind.seen)

    def jobs(self) -> int:
        return self._back.behind.taken

    async def is_stopped(self) -> bool:
        return await self._back.newest_state() == "canceled"


class SafelightVideos(SafelightImages):
    """Another Safelight, asked for videos."""

    type = GenerationType.VIDEO
    lacks: Mapping[Scenario, str] = {
        Scenario.CALLED_BACK: "it calls back at https addresses alone: tests/contract/test_getimg_adapter.py has it",
        Scenario.BATCHED: _ONE_BY_ONE,
        Scenario.READDRESSED: _GOOD_TO_THE_END,
    }
    cost_nanos = 40_000_000
    upstream_model = "clip"


VENDORS: list[Vendor] = [HostedImages(), HostedVideos(), SafelightImages(), SafelightVideos()]
