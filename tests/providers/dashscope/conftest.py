from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.providers.dashscope.fake import Fake


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    server = await Fake().open()
    yield server
    await server.close()
