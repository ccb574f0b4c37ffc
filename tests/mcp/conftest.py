"""A server with MCP on, shared by the tests of one worker, and workspaces on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.accounts import Account, Accounts
from tests.money.shop import catalog_text
from tests.support.postgres import TestDatabases
from tests.support.server import Server, open_folder, running


def settings(folder: Path) -> dict[str, str]:
    catalog = folder / "catalog.toml"
    catalog.write_text(catalog_text())
    return {
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_MCP": "on",
        "SAFELIGHT_SHUTDOWN": "3s",
        "SAFELIGHT_LOG_LEVEL": "debug",
        "SAFELIGHT_ADDRESS_REFUSALS": "1000000",  # all these tests come from one address
    }


@pytest.fixture(scope="package")
def mcp_database_url(databases: TestDatabases) -> str:
    return databases.create()


@pytest.fixture(scope="package")
def mcp_server(mcp_database_url: str) -> Iterator[Server]:
    with open_folder() as folder:
        started = Server(folder / "data", env=settings(folder) | {"SAFELIGHT_DATABASE_URL": mcp_database_url})
        with running(started):
            yield started.wait_until_ready()


@pytest.fixture(scope="package")
def accounts(mcp_server: Server, mcp_database_url: str) -> Accounts:
    """Makes workspaces on ``mcp_server``."""
    return Accounts(mcp_server, mcp_database_url)


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """A workspace with money, for one test."""
    return accounts.create()
