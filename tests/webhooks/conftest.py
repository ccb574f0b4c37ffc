from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.postgres import TestDatabases
from tests.webhooks.receiver import Receiver
from tests.webhooks.world import World, open_world


@pytest.fixture(scope="session")
def webhooks_database_url(databases: TestDatabases) -> str:
    """One for all tests here: emptying it is quicker than making another."""
    return databases.create()


@pytest.fixture
async def world(webhooks_database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(webhooks_database_url, tmp_path, SAFELIGHT_LOW_BALANCE="5") as opened:
        yield opened


@pytest.fixture
async def open_receiver() -> AsyncIterator[Callable[[], Awaitable[Receiver]]]:
    """Opens receivers that are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one() -> Receiver:
            receiver = await Receiver().open()
            stack.push_async_callback(receiver.close)
            return receiver

        yield open_one


@pytest.fixture
async def receiver(open_receiver: Callable[[], Awaitable[Receiver]]) -> Receiver:
    return await open_receiver()
