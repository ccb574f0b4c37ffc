"""A server, people who may look at it, and a browser for the tests of the dashboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser

from safelight.accounts.sessions import create_link
from safelight.domain.scope import OPERATOR
from tests.contract.accounts import Account, Accounts
from tests.dashboard.browsing import Window, open_browser
from tests.dashboard.receiving import Receiver, open_receiver
from tests.support.postgres import TestDatabases, on_database
from tests.support.server import Server, open_folder, running

CATALOGS = (Path(__file__).parents[1] / "cli/client/catalog.toml", Path(__file__).with_name("catalog_end.toml"))
REFUSED = "unspeakable"
"""A word that moderation refuses."""

SETTINGS = {
    "SAFELIGHT_SHUTDOWN": "3s",
    "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",  # where receivers of webhooks listen
    "SAFELIGHT_ADDRESS_REFUSALS": "1000000",  # all these tests come from one address
}


class House(Accounts):
    """One server, and people for it."""

    def __init__(self, server: Server, database_url: str) -> None:
        super().__init__(server, database_url)
        self.server = server
        self.base_url = server.base_url
        self.database_url = database_url

    def code(self) -> str:
        """The code of a link that lets an operator in, once."""
        return on_database(self.database_url, lambda db: create_link(OPERATOR, db, "a test"))

    def key_with(self, account: Account, role: str) -> Account:
        """Another key of the workspace, which may do as much."""
        made = self.another_key(account)
        self.run("update api_keys set role = %s where id = %s", role, made.key_id)
        return made

    def workspace_id(self, account: Account) -> int:
        return int(self.run("select id from workspaces where name = %s", account.workspace)[0][0])

    def wait_until_out(self, visitor: Visitor) -> None:
        """Until their session is known to have ended, which takes a second at most."""
        began = time.monotonic()
        while visitor.get("/dashboard").status_code == 200:
            assert time.monotonic() - began < 10, "it goes on"
            time.sleep(0.1)

    def run(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        """A statement on the server's database."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []


class Visitor(httpx.Client):
    """Somebody at the pages without a browser: one who says where requests come from as a browser does."""

    def __init__(self, base_url: str, secret: str | None = None) -> None:
        super().__init__(base_url=base_url, timeout=60, headers={"sec-fetch-site": "same-origin"})
        if secret is not None:
            answer = self.post("/dashboard/login", data={"secret": secret})
            assert answer.status_code == 303, answer.text


Enter = Callable[..., Visitor]
"""Signs in by a key or a link's code: the fixture ``visitor``."""


@contextmanager
def open_house(databases: TestDatabases) -> Iterator[House]:
    """``safelight up`` on a catalog whose models answer at once, after a while, never, or with a failure."""
    url = databases.create()
    with open_folder() as folder:
        catalog, blocklist = folder / "catalog.toml", folder / "blocklist.toml"
        catalog.write_text("\n".join(path.read_text() for path in CATALOGS))
        blocklist.write_text(f'[[rules]]\ncategory = "a test"\nterms = ["{REFUSED}"]\n')
        env = {
            **SETTINGS,
            "SAFELIGHT_DATABASE_URL": url,
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_MODERATION": "blocklist",
            "SAFELIGHT_MODERATION_BLOCKLIST": str(blocklist),
        }
        started = Server(folder / "data", env=env)
        with running(started):
            yield House(started.wait_until_ready(), url)


@pytest.fixture(scope="package")
def house(databases: TestDatabases) -> Iterator[House]:
    """One for all the tests of a worker."""
    with open_house(databases) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """While it is open its loop runs in this thread: no longer than one file's tests."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def open_window(browser: Browser, house: House) -> Iterator[Callable[..., Window]]:
    """Opens windows, each with cookies of its own; at the end none of them may have gone wrong."""
    windows: list[Window] = []

    def opened(**options: Any) -> Window:
        windows.append(Window(browser, house.base_url, **options))
        return windows[-1]

    yield opened
    for each in windows:
        each.close()


@pytest.fixture
def visitor(house: House) -> Iterator[Callable[..., Visitor]]:
    """Signs people in without a browser, by a key or a link's code; without either they are nobody."""
    made: list[Visitor] = []

    def enter(secret: str | None = None) -> Visitor:
        made.append(Visitor(house.base_url, secret))
        return made[-1]

    yield enter
    for each in made:
        each.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Webhooks come here."""
    with open_receiver() as opened:
        yield opened
