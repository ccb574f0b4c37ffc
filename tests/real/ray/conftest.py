"""Weights made once; one model server over them, and one Safelight in front of it, for all tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.real.ray.process import ModelServerProcess, write_catalog
from tests.support.server import Server, open_folder

_MODEL = """
[[models]]
id = "{id}"
name = "{id}"
type = "{type}"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["64"]
sizes = {{ "64" = {{ "1:1" = "64x64" }} }}
rates = [{{ unit_price = "0.01" }}]
supports_seed = true
supports_negative_prompt = true
bindings = [{{ connection = "own", model = "{id}", provider_options = ["steps"] }}]
{more}
"""


@pytest.fixture(scope="session")
def weights() -> Iterator[Path]:
    """A folder with ``sd``, ``pickled``, ``wan`` and ``wan-i2v``, and ``huge``, which is more than any machine has."""
    from tests.real.ray import weights as made

    with open_folder() as folder:
        made.stable_diffusion(folder / "sd")
        made.stable_diffusion(folder / "pickled", is_safe=False)
        made.wan(folder / "wan")
        made.wan_from_image(folder / "wan-i2v")
        (folder / "huge" / "unet").mkdir(parents=True)
        (folder / "huge" / "model_index.json").write_text("{}")
        with (folder / "huge" / "unet" / "diffusion_pytorch_model.safetensors").open("wb") as file:
            file.truncate(9 * 10**12)
        yield folder


def pipelines() -> list[dict[str, Any]]:
    few: dict[str, Any] = {"gpus": 0, "cpus": 0.1, "connection": "own"}
    clip: dict[str, Any] = {**few, "fps": 8, "steps": 2, "call": {"max_sequence_length": 16}}
    still = ["text-to-image", "image-to-image"]
    warm = {"size": "64x64"}
    return [
        {"name": "sd", "source": "./sd", "tasks": still, "steps": 4, "replicas": 2, "warm_up": warm, **few},
        {"name": "wan", "source": "./wan", "tasks": ["text-to-video"], **clip},
        {"name": "wan-i2v", "source": "./wan-i2v", "tasks": ["image-to-video"], **clip},
        {"name": "huge", "source": "./huge", "tasks": ["text-to-image"], **few},
    ]


@pytest.fixture(scope="session")
def models(weights: Path) -> Iterator[ModelServerProcess]:
    catalog = write_catalog(weights / "models.toml", pipelines())
    server = ModelServerProcess(weights, catalog)
    try:
        yield server.wait_until_settled()
    finally:
        server.kill_everything()


@pytest.fixture(scope="session")
def front(models: ModelServerProcess, weights: Path) -> Iterator[Server]:
    """``safelight up``, whose catalog has the models that the model server makes."""
    rest = f"""
[[connections]]
name = "own"
kind = "openai"
flavor = "model-server"
base_url = "{models.base_url}/v1"
key = "file:{weights / "key"}"
""" + "".join(
        _MODEL.format(id=name, type=kind, more=more)
        for name, kind, more in (
            ("sd", "image", "references = { reference_image = 1 }"),
            ("wan", "video", "durations = [1]"),
        )
    )
    catalog = write_catalog(weights / "shop.toml", pipelines(), rest)
    settings = {"SAFELIGHT_CATALOG": str(catalog), "SAFELIGHT_PROVENANCE": "off"}
    with open_folder() as folder:
        server = Server(folder / "data", env=settings)
        try:
            yield server.wait_until_ready()
            server.stop()
        finally:
            server.kill_everything()


@pytest.fixture
def api(front: Server) -> Iterator[httpx.Client]:
    """The public API of the Safelight in front."""
    with httpx.Client(base_url=front.base_url, headers=front.headers, timeout=120) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def took(figures: dict[str, str]) -> Iterator[None]:
    started = time.monotonic()
    yield
    figures["the model server's tests, in all"] = f"{time.monotonic() - started:.0f} s"
