"""The suite over servers of OpenAI's shape, in each flavor."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.openai.fake import TAG, Call, FakeServer, serve

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
_IN_THE_ANSWER = "it is in the answer: there is no job to ask about"
_JOBS = (Scenario.CANCELED, Scenario.RESTARTED, Scenario.EDITED)
_ONE_BY_ONE = {
    Scenario.CALLED_BACK: "it is not asked to call back",
    Scenario.BATCHED: "it is asked about one job at a time",
    Scenario.READDRESSED: "its files are behind its API, or at addresses that last longer than a run",
}
_FAULTS = {
    Trouble.REFUSES: "moderation_blocked",
    Trouble.RATE_LIMITS: "rate_limited_ms",
    Trouble.IS_EXHAUSTED: "quota",
    Trouble.BREAKS: "server_error",
    Trouble.LOSES_ANSWER: "drop",
}


class OpenAi(Vendor):
    """A flavor's images or videos."""

    kind = "openai"

    def __init__(self, flavor: str, type_: GenerationType, *, refuses: str = "", **facts: Any) -> None:
        self.flavor, self.type = flavor, type_
        self.name = f"{flavor} {type_.value}s"
        self.upstream_model = f"fake-{type_.value}"
        self.judged = "fake, judged by the `openai` client"
        self._refusal = refuses or _FAULTS[Trouble.REFUSES]
        for name, value in facts.items():
            setattr(self, name, value)
        always = _ONE_BY_ONE if type_ is VIDEO else dict.fromkeys((*_JOBS, *_ONE_BY_ONE), _IN_THE_ANSWER)
        self.lacks = always | self.lacks

    async def open(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.fake = self._stack.enter_context(serve(FakeServer(self.flavor, key=CANARY, canary=CANARY)))
        self._faults: list[str] = []

    async def close(self) -> None:
        self._stack.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.fake.base_url, "flavor": self.flavor, "poll_seconds": 0.2}

    def next(self, trouble: Trouble) -> None:
        fault = self._refusal if trouble is Trouble.REFUSES else _FAULTS[trouble]
        self._faults.append(fault)
        self.fake.behave(fault)

    def hold(self) -> None:
        self.fake.states = [{"status": "queued"}] * 1000

    def release(self) -> None:
        self.fake.states = []
        for job in self.fake.jobs.values():
            job["states"].clear()

    def orders(self) -> list[Seen]:
        return [self._seen(call) for call in self.fake.posts()]

    def jobs(self) -> int:
        return len(self.fake.posts()) - len([fault for fault in self._faults if fault != "drop"])

    async def is_stopped(self) -> bool:
        return bool(list(self.fake.jobs.values())[-1].get("is_gone"))

    def _seen(self, call: Call) -> Seen:
        body = call.body
        if "messages" in body:
            parts = body["messages"][0]["content"]
            shape = body["image_config"]
            size = f"{shape['aspect_ratio']} {shape['image_size']}"
            return Seen(
                prompt=parts[0]["text"], size=size, references=len(parts) - 1, seed=body.get("seed"), options=body
            )
        tag = TAG.search(body["prompt"])
        extra = json.loads(tag[1]) if tag else body
        prompt, _, after_bar = TAG.sub("", body["prompt"]).partition("|")
        seed = extra.get("seed")
        return Seen(
            prompt=prompt,
            size=self._size(body),
            seed=None if seed is None else int(seed),
            negative_prompt=extra.get("negative_prompt") or after_bar or None,
            options={name: _plain(value) for name, value in extra.items()},
            references=len(call.files) + _pictures(body),
        )

    def _size(self, body: dict[str, Any]) -> str:
        if "size" in body:
            return str(body["size"])
        if "width" in body:
            return f"{body['width']}x{body['height']}"
        return f"{body['aspect_ratio']} {body['resolution']}"


def _pictures(body: dict[str, Any]) -> int:
    names = ("image", "images", "ref_images", "frame_images", "input_references", "reference_images", "start_image")
    found = [body[name] for name in names if name in body]
    return sum(len(each) if isinstance(each, list) else 1 for each in found)


def _plain(value: Any) -> Any:
    """A form's text as the value that it writes."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        return value


_HOSTED: dict[str, Any] = {"supports_seed": False, "supports_negative_prompt": False}
_RATIO: dict[str, Any] = {"size": "1:1 1K", "size_word": "4K", "size_in_word": "1:1 4K"}
_LOWER: dict[str, Any] = {"size": "1:1 1k", "size_word": "4k", "size_in_word": "1:1 4k"}
_NO_CANCEL = {Scenario.CANCELED: "what it has begun cannot be stopped"}
_NO_USAGE = {Scenario.COUNTED: "it tells of no use"}
_NO_MORE = {Scenario.ASKED: "it takes no seed, no negative prompt and no options"}

VENDORS: list[Vendor] = [
    OpenAi("openai", IMAGE, option=("quality", "low"), **_HOSTED),
    OpenAi("openai", VIDEO, option=("quality", "low"), lacks=_NO_CANCEL | _NO_USAGE | _NO_MORE, **_HOSTED),
    OpenAi("vllm-omni", IMAGE),
    OpenAi("vllm-omni", VIDEO),
    OpenAi("sglang", IMAGE),
    OpenAi("sglang", VIDEO, lacks=_NO_CANCEL),
    OpenAi("localai", IMAGE, supports_seed=False),
    OpenAi("localai", VIDEO, supports_seed=False, lacks=dict.fromkeys(_JOBS, _IN_THE_ANSWER) | _NO_USAGE),
    OpenAi(
        "sd-server",
        IMAGE,
        knows_models=False,
        judged="fake, judged by the `openai` client; the adapter also on a real server (`make real`)",
    ),
    OpenAi(
        "xai",
        IMAGE,
        refuses="policy_words",
        cost_nanos=20_000_000,
        **_HOSTED | _LOWER,
    ),
    OpenAi(
        "xai",
        VIDEO,
        refuses="policy_words",
        lacks=_NO_CANCEL,
        cost_nanos=50_000_000,
        **_HOSTED | _LOWER,
    ),
    OpenAi("openrouter", IMAGE, supports_negative_prompt=False, cost_nanos=38_700_000, **_RATIO),
    OpenAi("openrouter", VIDEO, supports_negative_prompt=False, lacks=_NO_CANCEL, cost_nanos=500_000_000, **_RATIO),
]
