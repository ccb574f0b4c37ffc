"""The suite over Google's models: by key, and on Vertex."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from safelight.domain.generations import GenerationType
from tests.conformance.scenarios import *  # noqa: F403
from tests.conformance.vendor import CANARY, Scenario, Seen, Trouble, Vendor
from tests.providers.google.fake import LOCATION, PROJECT, Call, FakeGoogle, serve

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
_IN_THE_ANSWER = "it is in the answer: there is no job to ask about"
_FAULTS = {
    Trouble.RATE_LIMITS: "soon",
    Trouble.IS_EXHAUSTED: "no_credit",
    Trouble.BREAKS: "internal",
    Trouble.LOSES_ANSWER: "drop",
}


class Google(Vendor):
    """One API of one platform. ``refusal``: how a job of it that is refused ends."""

    kind = "google"
    judged = "fake, judged by the `google-genai` client"
    size, size_word, size_in_word = "1K 1:1", "4K", "4K 1:1"
    option = ("temperature", 0.5)
    supports_negative_prompt = False
    refusal: dict[str, Any] | None = None

    async def open(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        self.fake = self._stack.enter_context(serve(FakeGoogle(CANARY)))
        self._credentials = folder / "credentials.json"
        self._credentials.write_text(self.fake.service_account())

    async def close(self) -> None:
        self._stack.close()

    def connection(self) -> dict[str, Any]:
        return {"base_url": self.fake.base_url, "poll_seconds": 0.2}

    def next(self, trouble: Trouble) -> None:
        if trouble is Trouble.REFUSES and self.refusal is not None:
            self.fake.states = [self.refusal]
        else:
            self.fake.behave(_FAULTS.get(trouble, "blocked"))

    def hold(self) -> None:
        self.fake.is_held = True

    def release(self) -> None:
        self.fake.is_held = False

    def orders(self) -> list[Seen]:
        return [self.seen(call) for call in self.fake.orders()]

    def jobs(self) -> int:
        return self.fake.taken

    def expire(self) -> None:
        self.fake.expires_next = True

    def has_expired(self) -> bool:
        return not self.fake.expires_next

    async def is_stopped(self) -> bool:
        return bool(list(self.fake.jobs.values())[-1].get("status") == "cancelled")

    def seen(self, call: Call) -> Seen:
        raise NotImplementedError


class Pictures(Google):
    """generateContent, with a key."""

    name, type, upstream_model = "Gemini, generateContent", IMAGE, "gemini-image"
    lacks = dict.fromkeys(
        (
            Scenario.CANCELED,
            Scenario.RESTARTED,
            Scenario.EDITED,
            Scenario.CALLED_BACK,
            Scenario.BATCHED,
            Scenario.READDRESSED,
        ),
        _IN_THE_ANSWER,
    )

    def seen(self, call: Call) -> Seen:
        (content,), config = call.body["contents"], call.body["generationConfig"]
        prompt, *pictures = content["parts"]
        shape = config["imageConfig"]
        size = f"{shape['imageSize']} {shape['aspectRatio']}"
        return Seen(prompt=prompt["text"], size=size, seed=config.get("seed"), references=len(pictures), options=config)


class Interactions(Google):
    """Interactions, with a key."""

    name, type, upstream_model = "Gemini, Interactions", VIDEO, "gemini-omni"
    refusal = {"status": "failed", "errors": [{"code": "content_policy", "message": "No, {canary}."}]}  # noqa: RUF012
    lacks = {  # noqa: RUF012
        Scenario.CALLED_BACK: "it is not asked to call back",
        Scenario.BATCHED: "it is asked about one job at a time",
    }

    def seen(self, call: Call) -> Seen:
        body = call.body
        prompt, *pictures = body["input"]
        shape, config = body["response_format"], body["generation_config"]
        return Seen(
            prompt=prompt["text"],
            size=f"{shape['resolution']} {shape['aspect_ratio']}",
            seed=config.get("seed"),
            references=len(pictures),
            options=config,
        )


class Veo(Google):
    """Veo on Vertex, whose clips come in the answer to a question."""

    name, type, upstream_model = "Vertex AI, Veo", VIDEO, "veo-3"
    takes_key = False
    option = ("enhancePrompt", False)
    supports_negative_prompt = True
    refusal = {  # noqa: RUF012
        "done": True,
        "response": {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["No, {canary}. Support code 1."]},
    }
    lacks = {  # noqa: RUF012
        Scenario.CANCELED: "what it has begun cannot be stopped",
        Scenario.CALLED_BACK: "it is not asked to call back",
        Scenario.BATCHED: "it is asked about one job at a time",
        Scenario.READDRESSED: "its clip is in the answer to a question, and has no address",
    }

    def connection(self) -> dict[str, Any]:
        return {
            **super().connection(),
            "platform": "vertex",
            "project": PROJECT,
            "location": LOCATION,
            "credentials": f"file:{self._credentials}",
            "storage_url": self.fake.base_url,
            "allow": [f"127.0.0.1:{self.fake.port}"],
        }

    def seen(self, call: Call) -> Seen:
        instance, parameters = call.body["instances"][0], call.body["parameters"]
        return Seen(
            prompt=instance["prompt"],
            size=f"{parameters['resolution']} {parameters['aspectRatio']}",
            seed=parameters.get("seed"),
            negative_prompt=parameters.get("negativePrompt"),
            references=len(instance.keys() & {"image", "lastFrame"}) + len(instance.get("referenceImages", [])),
            options=parameters,
        )


class VeoToBucket(Veo):
    """The same, with a folder of Cloud Storage that clips are written to."""

    name = "Vertex AI, Veo, to a bucket"
    lacks = {scenario: why for scenario, why in Veo.lacks.items() if scenario is not Scenario.READDRESSED}  # noqa: RUF012

    def options(self) -> dict[str, Any]:
        return {"storage_uri": "gs://studio/clips"}


VENDORS: list[Vendor] = [Pictures(), Interactions(), Veo(), VeoToBucket()]
