"""A world for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.archive.world import World, world_in


@pytest_asyncio.fixture
async def world(tmp_path: Path, fresh_database_url: str) -> AsyncIterator[World]:
    async with world_in(tmp_path, fresh_database_url) as made:
        yield made
