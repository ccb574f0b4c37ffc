"""Workspaces of a running server, made beside it through its own database, and what is on record for them."""

from __future__ import annotations

from itertools import count

import httpx
import msgspec
import psycopg

from safelight.accounts.keys import revoke_key
from safelight.domain.scope import OPERATOR
from tests.support.postgres import on_database
from tests.support.server import Server, eventually
from tests.support.tenants import another_key, make_tenant_at


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace with one key."""

    base_url: str
    workspace: str
    key: str
    key_id: int

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def http(self) -> httpx.Client:
        """A plain client that sends the key."""
        return httpx.Client(base_url=self.base_url, headers=self.headers, timeout=60)


class Accounts:
    """Makes workspaces on one server."""

    def __init__(self, server: Server, database_url: str) -> None:
        self._base_url = server.base_url
        self._database_url = database_url
        self._numbers = count(1)

    def create(self, *, credit: str = "1000", **limits: int) -> Account:
        """A new workspace with ``credit`` dollars. ``limits``: ``image_rpm``, ``video_rpm``, ``concurrency``."""
        made = make_tenant_at(self._database_url, f"contract-{next(self._numbers)}", usd=credit, **limits)
        return Account(base_url=self._base_url, workspace=made.name, key=made.key, key_id=made.key_id)

    def another_key(self, account: Account) -> Account:
        """The same workspace with another key."""
        made = on_database(self._database_url, lambda database: another_key(database, account.workspace))
        return Account(base_url=self._base_url, workspace=made.name, key=made.key, key_id=made.key_id)

    def revoke(self, account: Account) -> None:
        on_database(self._database_url, lambda database: revoke_key(OPERATOR, database, account.key_id))

    def tell_progress(self, generation_id: str, progress: float) -> None:
        """As a runner that has got so far."""
        with psycopg.connect(self._database_url) as connection:
            connection.execute("update generations set progress = %s where id = %s", [progress, generation_id])
            connection.execute("select pg_notify('safelight', %s)", [f"changed:{generation_id}"])

    def traces_at_rest(self, account: Account) -> tuple[int, int]:
        """The same, once nothing is under way that was asked for before."""
        busy = "select in_flight from accounts a join workspaces w on w.id = a.workspace_id where w.name = %s"
        with psycopg.connect(self._database_url, autocommit=True) as connection:
            eventually(lambda: connection.execute(busy, [account.workspace]).fetchone() == (0,), "nothing is under way")
        return self.traces(account)

    def traces(self, account: Account) -> tuple[int, int]:
        """How many generations and how many transfers of money the workspace has on record."""
        counted = "select count(*) from {} x join workspaces w on w.id = x.workspace_id where w.name = %s"
        with psycopg.connect(self._database_url) as connection:
            numbers = [
                connection.execute(counted.format(table), [account.workspace]).fetchone()
                for table in ("generations", "transfers")
            ]
        return numbers[0][0], numbers[1][0]
