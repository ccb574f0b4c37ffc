"""An installation whose database and processes the tests of one worker share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from safelight.accounts.books import check_books
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from tests.money.shop import Shop
from tests.openai_dialect.videos.site import Site, open_site
from tests.support.postgres import TestDatabases


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
def running_site(tmp_path_factory: pytest.TempPathFactory, database_url: str) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("videos") / "data", database_url) as site:
        yield site


@pytest_asyncio.fixture(scope="package")
async def site(running_site: Site, db: Database) -> AsyncIterator[Site]:
    """An API process and a worker. At the end of everything the books must balance."""
    yield running_site
    books = await check_books(OPERATOR, db)
    assert books.balances, books
