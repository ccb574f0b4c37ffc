"""The suite over Replicate: an official model, a version of another, and a deployment."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Seen, Trouble, Vendor
from tests.providers.replicate.fake import Call, FakeReplicate, serve
from tests.providers.replicate.studio import CLIP_FIELDS, IMAGE, PICTURE_FIELDS, UPSTREAM, VIDEO

_FAULTS = {
    Trouble.RATE_LIMITS: "throttled_low",
    Trouble.IS_EXHAUSTED: "unpaid",
    Trouble.BREAKS: "breaks",
    Trouble.LOSES_ANSWER: "lost",
}
_REFUSAL = {"status": "failed", "error": f"The input or output was flagged as sensitive. {CANARY} (E005)"}


class Replicate(Vendor):
    """The hosted API, asked for what one binding names."""

    kind = "replicate"
    judged = "fake, judged by the `replicate` client; its webhooks by `standardwebhooks`"
    signs_callbacks = True

    def __init__(self, name: str, type_: GenerationType, upstream_model: str, **facts: Any) -> None:
        self.name, self.type, self.upstream_model = name, type_, upstream_model
        for key, value in facts.items():
            setattr(self, key, value)

    async def open(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.fake = self._stack.enter_context(serve(FakeReplicate(CANARY)))
        self._refusals: list[str] = []

    async def close(self) -> None:
        self._stack.close()

    def connection(self) -> dict[str, Any]:
        entry = self.fake.connection(callbacks=True)
        return {name: entry[name] for name in entry.keys() - {"name", "kind", "key"}}

    def options(self) -> dict[str, Any]:
        return {"fields": PICTURE_FIELDS if self.type is IMAGE else CLIP_FIELDS}

    def next(self, trouble: Trouble) -> None:
        if trouble is Trouble.REFUSES:
            self.fake.next_states = [dict(_REFUSAL)]
        else:
            self.fake.behave(_FAULTS[trouble])

    def hold(self) -> None:
        self.fake.is_held = True

    def release(self) -> None:
        self.fake.is_held = False

    def orders(self) -> list[Seen]:
        return [self._seen(call) for call in self.fake.orders()]

    def jobs(self) -> int:
        return len(self.fake.predictions)

    def callback(self) -> tuple[dict[str, str], bytes]:
        return self.fake.webhook(self.fake.newest())

    def questions(self) -> int:
        return len(self.fake.asked())

    def expire(self) -> None:
        self.fake.expires_next = True

    def has_expired(self) -> bool:
        return not self.fake.expires_next

    async def is_stopped(self) -> bool:
        return self.fake.newest()["status"] in ("canceled", "aborted")

    def _seen(self, call: Call) -> Seen:
        given = call.body["input"]
        names = ("size",) if self.type is IMAGE else ("aspect_ratio", "resolution")
        pictures = [*given.get("image_input", []), *(given[name] for name in ("image",) if name in given)]
        return Seen(
            prompt=given["prompt"],
            size=" ".join(str(given[name]) for name in names),
            seed=given.get("seed"),
            negative_prompt=given.get("negative_prompt"),
            options=given,
            references=len(pictures),
            callback_url=call.body.get("webhook"),
        )


VENDORS: list[Vendor] = [
    Replicate("Replicate, an official model", IMAGE, UPSTREAM[IMAGE]),
    Replicate("Replicate, a version", VIDEO, UPSTREAM[VIDEO], size="1:1 1K", size_word="720p", size_in_word="1:1 720p"),
    Replicate("Replicate, a deployment", IMAGE, "deployments/studio/pictures"),
]
