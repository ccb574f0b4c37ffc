"""The suite over fal's queue, as a stand-in plays it that fal's own client judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.fal.fake import IMAGES, VIDEOS, Asked, FakeFal
from tests.providers.fal.studio import IMAGE_OPTIONS, VIDEO_OPTIONS

_WORDS = {
    Trouble.REFUSES: "policy",
    Trouble.RATE_LIMITS: "soon",
    Trouble.IS_EXHAUSTED: "broke",
    Trouble.BREAKS: "crashed",
    Trouble.LOSES_ANSWER: "lost",
}


class FalImages(Vendor):
    """A picture model."""

    name = "fal images"
    kind = "fal"
    judged = "fake, judged by the `fal-client`"
    lacks = dict.fromkeys((Scenario.BATCHED,), "it is asked about one job at a time")
    size_word = "square_hd"
    option = ("num_inference_steps", 4)
    signs_callbacks = True
    upstream_model = IMAGES

    async def open(self, folder: Path) -> None:
        self.fake = await FakeFal(CANARY).open()

    async def close(self) -> None:
        await self.fake.close()

    def connection(self) -> dict[str, Any]:
        fake = self.fake
        return {
            "base_url": fake.base_url,
            "jwks_url": fake.jwks_url,
            "models_url": fake.models_url,
            "callbacks": True,
        }

    def options(self) -> dict[str, Any]:
        fields = {name: place for name, place in IMAGE_OPTIONS["fields"].items() if "image_size" not in place}
        return {**IMAGE_OPTIONS, "fields": {**fields, "size": "image_size"}}

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
        return [self._seen(post) for post in self.fake.posts()]

    def jobs(self) -> int:
        return len(self.fake.jobs)

    def callback(self) -> tuple[dict[str, str], bytes]:
        return self.fake.callback(list(self.fake.jobs.values())[-1])

    def questions(self) -> int:
        return len(self.fake.questions())

    async def is_stopped(self) -> bool:
        return list(self.fake.jobs.values())[-1].is_canceled

    def _seen(self, post: Asked) -> Seen:
        body = post.body
        pictures = [body[name] for name in ("image_url", "end_image_url") if name in body]
        return Seen(
            prompt=body["prompt"],
            size=body.get("image_size") or body.get("resolution"),
            seed=body.get("seed"),
            negative_prompt=body.get("negative_prompt"),
            options=body,
            references=len(body.get("image_urls", pictures)),
            callback_url=post.query["fal_webhook"],
        )


class FalVideos(FalImages):
    """A clip model."""

    name = "fal videos"
    type = GenerationType.VIDEO
    size = "1K"
    size_word = "480p"
    upstream_model = VIDEOS

    def options(self) -> dict[str, Any]:
        return VIDEO_OPTIONS


VENDORS: list[Vendor] = [FalImages(), FalVideos()]
