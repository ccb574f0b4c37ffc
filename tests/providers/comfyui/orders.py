"""Orders for a ComfyUI server through the port, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.connection_reader import read_struct
from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.outcomes import Accepted, Completed, Failed, Handle, RemoteFile
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order, Spec
from safelight.lifecycle.fetch import fetch
from safelight.lifecycle.pauses import Pauses
from safelight.providers.comfyui.fields import Options
from safelight.providers.comfyui.provider import ComfyuiProvider, Settings
from tests.providers.comfyui.exchange import paint

PATIENCE_SECONDS = 60.0
FIELDS = {
    "prompt": "3.prompt",
    "negative_prompt": "3.negative",
    "width": "3.width",
    "height": "3.height",
    "seed": "3.seed",
    "options": {"seconds": "3.seconds", "breaks": "3.breaks", "steps": "3.steps"},
    "output": "9",
}
EDIT = {
    "10": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "x"}},
}
CLIP = {
    "3": paint("x")["3"],
    "5": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 8.0}},
    "9": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["5", 0], "filename_prefix": "x", "format": "auto", "codec": "auto"},
    },
}


class Desk:
    """Takes orders to a server. ``folder`` is that of the catalog, where workflows lie."""

    def __init__(self, base_url: str, folder: Path, **settings: Any) -> None:
        self.folder = folder
        host = Host(data_dir=folder, render_processes=1, read_secret=lambda secret: "s3cret", catalog_dir=folder)
        self.provider = ComfyuiProvider(read_struct({"base_url": base_url, **settings}, Settings, "studio"), host)

    def options(self, graph: dict[str, Any] | None = None, *, frames_step: int = 1, **fields: Any) -> Options:
        """A binding to a workflow of its own; by default one that paints what is asked for."""
        name = f"{secrets.token_hex(4)}.json"
        (self.folder / name).write_text(json.dumps(graph or paint("ComfyUI")))
        options = {"workflow": name, "fields": fields or FIELDS, "frames_step": frames_step}
        return msgspec.convert(options, Options)

    def job(
        self,
        options: Options | None = None,
        *,
        id_: str | None = None,
        type_: GenerationType = GenerationType.IMAGE,
        age_seconds: float = 0,
        **more: Any,
    ) -> Job[Options]:
        job_id = id_ or f"req-{secrets.token_hex(8)}.1"
        return Job(
            id=job_id,
            generation_id=job_id.partition(".")[0],
            type=type_,
            upstream_model="painter",
            options=options or self.options(),
            submitted_at=datetime.now(UTC) - timedelta(seconds=age_seconds),
            make_workdir=lambda: self.folder,
            progress=lambda fraction: None,
            reference_url=lambda index: "",
            callback_url="",
            **more,
        )

    async def taken(self, job: Job[Options], **spec: Any) -> Handle:
        """The handle of an order that has to be taken."""
        outcome = await self.provider.submit(order(job, **spec), job)
        assert isinstance(outcome, Accepted), outcome
        return outcome.handle

    async def ended(self, handle: Handle, job: Job[Options]) -> Completed | Failed:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                outcome = await self.provider.poll(handle, job)
                if isinstance(outcome, Completed | Failed):
                    return outcome
                await asyncio.sleep(0.05)

    async def made(self, job: Job[Options], **spec: Any) -> Completed:
        """What came of an order that has to succeed."""
        outcome = await self.ended(await self.taken(job, **spec), job)
        assert isinstance(outcome, Completed), outcome
        return outcome

    async def file(self, outcome: Completed) -> Path:
        """The one file of it, fetched as a run does it."""
        (item,) = outcome.media
        assert isinstance(item, RemoteFile)
        target = self.folder / f"fetched-{secrets.token_hex(4)}"
        await fetch(item, target, max_bytes=1 << 24, pauses=Pauses(time.monotonic() + PATIENCE_SECONDS))
        return target


def order(job: Job[Options], references: tuple[Reference, ...] = (), **spec: Any) -> Order:
    given: dict[str, Any] = {"prompt": "a hill", "aspect_ratio": "4:3", "resolution": "1K", "width": 64, "height": 48}
    if job.type is GenerationType.VIDEO:
        given["duration_seconds"] = 2
    filled = Spec(**{**given, **spec})
    return Order(id=job.generation_id, type=job.type, model="painter", spec=filled, references=references)
