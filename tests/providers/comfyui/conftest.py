"""A fake ComfyUI, and a desk that takes orders to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.providers.comfyui.orders import Desk
from tests.providers.comfyui.servers import ComfyServer, Fake


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A server for a module's tests."""
    server = Fake(tmp_path_factory.mktemp("comfyui") / "files")
    yield server
    server.kill()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Callable[..., Fake]]:
    """Starts fakes of one test's own: ``fake(*options)``."""
    started: list[Fake] = []

    def start(*options: str) -> Fake:
        started.append(Fake(tmp_path / f"files-{len(started)}", *options))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
async def desk(comfy: ComfyServer, tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(comfy.base_url, tmp_path)
    yield opened
    await opened.provider.close()
