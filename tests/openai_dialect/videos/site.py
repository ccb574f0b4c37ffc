"""An installation whose videos cost nothing to make, and whose workers can be killed; and clients of it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai

from tests.money.shop import PATIENCE_SECONDS, settings_environment
from tests.support.server import Server, free_port
from tests.support.tenants import Tenant

RESOLUTIONS = {"720p": (1280, 720), "480p": (848, 480), "1080p": (1920, 1080)}
RATIOS = ("16:9", "9:16", "1:1")
PRICES = {
    (resolution, sound): f"0.{12 + 7 * place:03}"
    for place, (resolution, sound) in enumerate(itertools.product(RESOLUTIONS, ("sound_off", "sound_on")))
}


def _sizes(width: int, height: int) -> dict[str, str]:
    return {"16:9": f"{width}x{height}", "9:16": f"{height}x{width}", "1:1": f"{height}x{height}"}


def _model(name: str, durations: list[int], references: str, *, options: str = "", aliases: str = "[]") -> str:
    sizes = "\n".join(
        f'sizes."{resolution}" = {{ {", ".join(f"{ratio!r} = {size!r}" for ratio, size in _sizes(*pixels).items())} }}'
        for resolution, pixels in RESOLUTIONS.items()
    )
    rates = ", ".join(
        f'{{ unit_price = "{price}", resolution = "{resolution}", sound = "{sound}" }}'
        for (resolution, sound), price in PRICES.items()
    )
    return f"""
[[models]]
id = "{name}"
name = "{name}"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = {list(RATIOS)}
resolutions = {list(RESOLUTIONS)}
durations = {durations}
references = {references}
supports_sound = true
supports_seed = true
supports_negative_prompt = true
aliases = {aliases}
rates = [{rates}]
bindings = [{{ connection = "noop", provider_options = ["steps", "style"], options = {{ {options} }} }}]
{sizes}
"""


_STILL = """
[[models]]
id = "still"
name = "still"
type = "image"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
sizes."1K" = { "1:1" = "1024x1024" }
references = {}
rates = [{ unit_price = "0.05" }]
aliases = ["gpt-image-1"]
bindings = [{ connection = "noop" }]
"""
_BOTH = "{ first_frame = 1, last_frame = 1, reference_image = 4 }"
CATALOG = "".join(
    (
        _model("clip", [5, 4, 8, 12], _BOTH, aliases='["sora-2"]'),
        _model("clip-plain", [5, 10], "{ reference_image = 1 }"),
        _model("clip-bare", [5, 10], "{}"),
        _model("clip-slow", [4], "{ first_frame = 1 }", options="delay_seconds = 1.5"),
        _model("clip-endless", [4], _BOTH, options="delay_seconds = 3600"),
        _model("clip-broken", [4], "{}", options='fails_with = "permanent"'),
        _model("clip-refused", [4], "{}", options='fails_with = "content_policy"'),
        _model("clip-short", [4], "{}", options="delivered_seconds = 3"),
        _STILL,
    )
)


class Site:
    """An API process and a worker. ``api`` answers below ``base_url``."""

    def __init__(self, folder: Path, environment: dict[str, str], port: int) -> None:
        self._folder = folder
        self._environment = environment
        self.api = Server(folder, command="serve", port=port, env=environment)
        self.worker = self.new_worker()

    def new_worker(self) -> Server:
        self.worker = Server(self._folder, command="worker", env=self._environment)
        return self.worker

    @property
    def port(self) -> int:
        return self.api.port

    @property
    def base_url(self) -> str:
        return f"{self.api.base_url}/v1"

    def client(self, customer: Tenant, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(api_key=customer.key, **{"base_url": self.base_url, **options})

    def async_client(self, customer: Tenant, **options: Any) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key=customer.key, **{"base_url": self.base_url, **options})


@contextmanager
def open_site(folder: Path, database_url: str, **settings: str) -> Iterator[Site]:
    """The installation, ready; stopped at the end, and nothing of it left."""
    port = free_port()
    environment = settings_environment(folder, database_url, public_url=f"http://127.0.0.1:{port}")
    Path(environment["SAFELIGHT_CATALOG"]).write_text(CATALOG)
    site = Site(folder, environment | settings, port)
    try:
        site.api.wait_until_ready()
        yield site
        for each in (site.api, site.worker):
            each.stop()
    finally:
        for each in (site.api, site.worker):
            each.kill_everything()


async def ended(client: openai.AsyncOpenAI, video_id: str) -> Any:
    """The video once it has ended."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = await client.videos.retrieve(video_id)
        if found.status in ("completed", "failed"):
            return found
        assert time.monotonic() < give_up_at, found
        await asyncio.sleep(0.05)
