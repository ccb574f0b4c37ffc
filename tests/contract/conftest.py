"""Servers and accounts for the tests of the wire contract. Each worker shares its servers among all its tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.contract.accounts import Account, Accounts
from tests.support.postgres import TestDatabases
from tests.support.server import Server, open_folder, running

_CATALOG = Path(__file__).with_name("noop_catalog.toml")


@pytest.fixture(scope="package")
def noop_database_url(databases: TestDatabases) -> str:
    return databases.create()


@pytest.fixture(scope="package")
def noop_server(noop_database_url: str) -> Iterator[Server]:
    """``safelight up`` on the catalog of this folder, whose models answer at once, never, or with a failure."""
    settings = {
        "SAFELIGHT_DATABASE_URL": noop_database_url,
        "SAFELIGHT_CATALOG": str(_CATALOG),
        "SAFELIGHT_SHUTDOWN": "3s",
        "SAFELIGHT_ADDRESS_REFUSALS": "1000000",  # all these tests come from one address
    }
    with open_folder() as folder:
        started = Server(folder / "data", env=settings)
        with running(started):
            yield started.wait_until_ready()


@pytest.fixture(scope="package")
def accounts(noop_server: Server, noop_database_url: str) -> Accounts:
    """Makes workspaces on ``noop_server``."""
    return Accounts(noop_server, noop_database_url)


@pytest.fixture(scope="module")
def account(accounts: Accounts) -> Account:
    """A workspace with money on ``noop_server``, for the tests of one file."""
    return accounts.create()


@pytest.fixture(scope="module")
def http(account: Account) -> Iterator[httpx.Client]:
    """A plain HTTP client of ``account``."""
    with account.http() as client:
        yield client
