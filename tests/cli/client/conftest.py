"""A server for the tests of the command line's client, and shells of users with money on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from safelight.cli import run
from safelight.cli.client import connection
from tests.cli.client.shell import Shell
from tests.contract.accounts import Accounts
from tests.support.postgres import TestDatabases
from tests.support.server import Server, open_folder, running

CATALOG = Path(__file__).with_name("catalog.toml")
SETTINGS = {
    "SAFELIGHT_CATALOG": str(CATALOG),
    "SAFELIGHT_SHUTDOWN": "3s",
    "SAFELIGHT_ADDRESS_REFUSALS": "1000000",  # all these tests come from one address
}


@pytest.fixture(scope="package")
def client_database_url(databases: TestDatabases) -> str:
    return databases.create()


@pytest.fixture(scope="package")
def client_server(client_database_url: str) -> Iterator[Server]:
    """``safelight up`` on the catalog of this folder."""
    with open_folder() as folder:
        started = Server(folder / "data", env=SETTINGS | {"SAFELIGHT_DATABASE_URL": client_database_url})
        with running(started):
            yield started.wait_until_ready()


@pytest.fixture(scope="package")
def client_accounts(client_server: Server, client_database_url: str) -> Accounts:
    """Makes workspaces on ``client_server``."""
    return Accounts(client_server, client_database_url)


@pytest.fixture
def make_shell(client_accounts: Accounts, tmp_path: Path) -> Callable[..., Shell]:
    """Makes a user with a workspace, an empty home and ``credit`` dollars."""

    def make(*, credit: str = "10", name: str = "one", **environment: str) -> Shell:
        account = client_accounts.create(credit=credit, image_rpm=10_000, video_rpm=10_000)
        return Shell(account, tmp_path / name, **environment)

    return make


@pytest.fixture
def refused_here(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """As ``shell.refused``, in this process: what a command says that does not get far is no process's own."""
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(shell.folder)
    monkeypatch.setattr(connection, "_FIRST_PATIENCE_SECONDS", 0.2)

    def refuse(status: int, *arguments: str) -> str:
        assert run([*arguments]) == status, arguments
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert said.startswith("safelight: ") and shell.account.key not in said, arguments
        return said

    return refuse


@pytest.fixture
def shell(make_shell: Callable[..., Shell]) -> Shell:
    """A user with 10 dollars."""
    return make_shell()
