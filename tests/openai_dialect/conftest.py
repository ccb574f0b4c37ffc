"""An API process and a worker on a catalog that costs nothing to run, for clients of OpenAI's API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import openai
import pytest
import pytest_asyncio

from safelight.accounts.books import check_books
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from tests.money.shop import Shop, settings_environment
from tests.support.postgres import TestDatabases
from tests.support.server import Server, free_port, running
from tests.support.tenants import Tenant

CATALOG = Path(__file__).with_name("catalog.toml")


@pytest.fixture(scope="package")
def database_url(databases: TestDatabases) -> str:
    return databases.create()


@pytest_asyncio.fixture(scope="package")
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=4)
    await made.open()
    yield made
    books = await check_books(OPERATOR, made)
    await made.close()
    assert books.balances, books


@pytest.fixture(scope="package")
def shop(db: Database) -> Shop:
    return Shop(db)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("openai") / "data"
    port = free_port()
    environment = settings_environment(folder, database_url, public_url=f"http://127.0.0.1:{port}")
    blocklist = folder / "blocklist.toml"
    blocklist.write_text('[[rules]]\ncategory = "violence"\nterms = ["forbidden"]\n')
    environment |= {
        "SAFELIGHT_CATALOG": str(CATALOG),
        "SAFELIGHT_MODERATION": "blocklist",
        "SAFELIGHT_MODERATION_BLOCKLIST": str(blocklist),
    }
    started = [
        Server(folder, command=command, port=own_port, env=environment)
        for command, own_port in (("serve", port), ("worker", None))
    ]
    with running(*started):
        yield started[0].wait_until_ready()


@pytest_asyncio.fixture
async def customer(shop: Shop) -> Tenant:
    return await shop.customer("10")


@pytest_asyncio.fixture
async def api(server: Server, customer: Tenant) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client of a workspace that has money."""
    async with openai.AsyncOpenAI(base_url=f"{server.base_url}/v1", api_key=customer.key) as client:
        yield client


@pytest_asyncio.fixture
async def http(server: Server, customer: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client of the same workspace."""
    async with httpx.AsyncClient(base_url=server.base_url, headers=customer.headers, timeout=60) as client:
        yield client
