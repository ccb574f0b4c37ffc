"""A server for the tests of the command line's client, and shells of users with money on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.client.shell import Shell
from tests.contract.accounts import Accounts, embedded_database
from tests.support.server import Server, open_folder

CATALOG = Path(__file__).with_name("catalog.toml")
SETTINGS = {
    "SAFELIGHT_CATALOG": str(CATALOG),
    "SAFELIGHT_SHUTDOWN": "3s",
    "SAFELIGHT_ADDRESS_REFUSALS": "1000000",  # all these tests come from one address
}


@pytest.fixture(scope="session")
def client_server() -> Iterator[Server]:
    """``safelight up`` on the catalog of this folder."""
    with open_folder() as folder:
        started = Server(folder / "data", env=SETTINGS)
        try:
            yield started.wait_until_ready()
            started.stop()
        finally:
            started.kill_everything()


@pytest.fixture(scope="session")
def client_accounts(client_server: Server) -> Iterator[Accounts]:
    """Makes workspaces on ``client_server``."""
    with embedded_database(client_server) as url:
        yield Accounts(client_server, url)


@pytest.fixture
def make_shell(client_accounts: Accounts, tmp_path: Path) -> Callable[..., Shell]:
    """Makes a user with a workspace, an empty home and ``credit`` dollars."""

    def make(*, credit: str = "10", name: str = "one", **environment: str) -> Shell:
        account = client_accounts.create(credit=credit, image_rpm=10_000, video_rpm=10_000)
        return Shell(account, tmp_path / name, **environment)

    return make


@pytest.fixture
def shell(make_shell: Callable[..., Shell]) -> Shell:
    """A user with 10 dollars."""
    return make_shell()
