from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from safelight.providers.fal.provider import FalProvider
from tests.providers.fal.fake import FakeFal
from tests.providers.fal.studio import open_provider


@pytest.fixture
async def fake() -> AsyncIterator[FakeFal]:
    server = await FakeFal().open()
    yield server
    await server.close()


@pytest.fixture
async def provider(fake: FakeFal) -> AsyncIterator[FalProvider]:
    opened = open_provider(fake)
    yield opened
    await opened.close()
