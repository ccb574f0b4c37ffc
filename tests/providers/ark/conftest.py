"""One stand-in for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.providers.ark.fake import FakeArk


@pytest.fixture
async def fake() -> AsyncIterator[FakeArk]:
    server = await FakeArk().open()
    yield server
    await server.close()
