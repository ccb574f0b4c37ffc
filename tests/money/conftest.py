"""An installation of two API processes and a worker on one database, shared by the tests of one worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from safelight.accounts.books import check_books
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from tests.money.several import House
from tests.money.shop import Shop, parts_in, settings_environment
from tests.support.postgres import TestDatabases
from tests.support.server import Server, free_port, open_folder, running


@pytest.fixture(scope="package")
def database_url(databases: TestDatabases) -> str:
    """One for all tests here: the installation's worker takes whatever work it finds, other tests' as well."""
    return databases.create()


@pytest_asyncio.fixture(scope="package")
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=4)
    await made.open()
    yield made
    await made.close()


@pytest.fixture(scope="package")
def shop(db: Database) -> Shop:
    return Shop(db)


@pytest.fixture(scope="package")
def pair(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[tuple[Server, Server]]:
    """Two API processes; a worker runs beside them."""
    folder = tmp_path_factory.mktemp("pair") / "data"
    port = free_port()
    environment = settings_environment(folder, database_url, public_url=f"http://127.0.0.1:{port}")
    started = [
        Server(folder, command=command, port=own_port, env=environment)
        for command, own_port in (("serve", port), ("serve", None), ("worker", None))
    ]
    with running(*started):
        yield started[0].wait_until_ready(), started[1].wait_until_ready()


@pytest_asyncio.fixture(scope="package")
async def clients(
    pair: tuple[Server, Server], db: Database
) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """A client of each API process. At the end of everything the books must balance."""
    limits = httpx.Limits(max_connections=200)
    one, two = (httpx.AsyncClient(base_url=server.base_url, timeout=90, limits=limits) for server in pair)
    async with one, two:
        yield one, two
    books = await check_books(OPERATOR, db)
    assert books.balances, books


@pytest.fixture(scope="package")
def client(clients: tuple[httpx.AsyncClient, httpx.AsyncClient]) -> httpx.AsyncClient:
    return clients[0]


@pytest_asyncio.fixture(scope="module")
async def house(databases: TestDatabases) -> AsyncIterator[House]:
    url = databases.create()
    with open_folder() as folder:
        async with parts_in(folder / "data", url) as one, parts_in(folder / "data", url) as two:
            yield House([one, two])
            books = await check_books(OPERATOR, one.db)
            assert books.balances, books
