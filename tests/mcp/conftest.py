"""A server with MCP on, shared by the tests of one worker, and workspaces on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.accounts import Account, Accounts, embedded_database
from tests.money.shop import catalog_text
from tests.support.server import Server, open_folder


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


@pytest.fixture(scope="session")
def mcp_server() -> Iterator[Server]:
    with open_folder() as folder:
        started = Server(folder / "data", env=settings(folder))
        try:
            yield started.wait_until_ready()
            started.stop()
        finally:
            started.kill_everything()


@pytest.fixture(scope="session")
def accounts(mcp_server: Server) -> Iterator[Accounts]:
    """Makes workspaces on ``mcp_server``."""
    with embedded_database(mcp_server) as url:
        yield Accounts(mcp_server, url)


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """A workspace with money, for one test."""
    return accounts.create()
