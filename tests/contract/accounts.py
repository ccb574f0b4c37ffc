"""Workspaces of a running server, made beside it through its own database, and what is on record for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
import msgspec
import psycopg

from safelight.accounts.credit import add_credit
from safelight.accounts.keys import create_key, revoke_key
from safelight.accounts.workspaces import create_workspace, set_limits
from safelight.db.embedded import EmbeddedPostgres
from safelight.db.pool import Database
from safelight.domain.money import parse_usd
from tests.support.server import Server


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
        name = f"contract-{next(self._numbers)}"

        async def work(database: Database) -> Account:
            await create_workspace(database, name)
            await add_credit(database, name, parse_usd(credit), "a test")
            if limits:
                await set_limits(database, name, **limits)
            key = await create_key(database, workspace=name)
            return Account(base_url=self._base_url, workspace=name, key=key.secret, key_id=key.id)

        made: Account = self._do(work)
        return made

    def revoke(self, account: Account) -> None:
        self._do(lambda database: revoke_key(database, account.key_id))

    def traces(self, account: Account) -> tuple[int, int]:
        """How many generations and how many transfers of money the workspace has on record."""
        counted = "select count(*) from {} x join workspaces w on w.id = x.workspace_id where w.name = %s"
        with psycopg.connect(self._database_url) as connection:
            numbers = [
                connection.execute(counted.format(table), [account.workspace]).fetchone()
                for table in ("generations", "transfers")
            ]
        return numbers[0][0], numbers[1][0]

    def _do(self, work: Callable[[Database], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            database = Database(self._database_url, pool_size=1)
            await database.open()
            try:
                return await work(database)
            finally:
                await database.close()

        with ThreadPoolExecutor(1) as thread:  # tests may run on an event loop of their own
            return thread.submit(asyncio.run, connected()).result()


def embedded_database(server: Server) -> EmbeddedPostgres:
    """The server's own PostgreSQL, to be joined while the server runs."""
    return EmbeddedPostgres(server.data_dir)
