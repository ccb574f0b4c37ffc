"""A server for clients: the catalog that ships, drawn by the built-in renderer, and models that refuse behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import safelight
from tests.contract.accounts import Account, Accounts
from tests.support.postgres import TestDatabases
from tests.support.server import Server, open_folder, running

_CATALOGS = (Path(safelight.__file__).with_name("catalog.toml"), Path(__file__).with_name("catalog_end.toml"))


@pytest.fixture(scope="package")
def shop_database_url(databases: TestDatabases) -> str:
    return databases.create()


@pytest.fixture(scope="package")
def shop(shop_database_url: str) -> Iterator[Server]:
    """``safelight up``, ready, for all clients of this worker."""
    with open_folder() as folder:
        catalog = folder / "catalog.toml"
        catalog.write_text("\n".join(path.read_text() for path in _CATALOGS))
        settings = {
            "SAFELIGHT_DATABASE_URL": shop_database_url,
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_MCP": "on",
            "SAFELIGHT_SHUTDOWN": "3s",
        }
        started = Server(folder / "data", env=settings)
        with running(started):
            yield started.wait_until_ready()


@pytest.fixture(scope="package")
def accounts(shop: Server, shop_database_url: str) -> Accounts:
    """Makes workspaces on ``shop``."""
    return Accounts(shop, shop_database_url)


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """A workspace with money, for one test."""
    return accounts.create()
