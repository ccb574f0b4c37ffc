"""A real PostgreSQL for tests, and databases on it that are migrated and empty.

The session has one server: the one that ``SAFELIGHT_TEST_DATABASE_URL`` names, whose user may create databases,
or an embedded one that the workers share and the last of them stops. One template is migrated; every database is
a copy of it, which takes tens of milliseconds.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from safelight.data_folder import FileLock
from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate

_HASTE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class TestDatabases:
    """Makes databases on the session's server, and drops them at the end."""

    __test__ = False

    def __init__(self, server_url: str, folder: Path) -> None:
        self._server_url = server_url
        self._folder = folder
        self._names: list[str] = []
        self._template = self._migrated_template()

    def create(self) -> str:
        """The URL of a new database: migrated, empty, nobody else's."""
        name = f"safelight_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{secrets.token_hex(4)}"
        self._run(sql.SQL("create database {} template {}"), name, self._template)
        self._names.append(name)
        return with_database(self._server_url, name)

    def create_bare(self) -> str:
        """The URL of a new database without any table."""
        name = f"safelight_test_bare_{secrets.token_hex(4)}"
        self._run(sql.SQL("create database {} template template0"), name)
        self._names.append(name)
        return with_database(self._server_url, name)

    def drop(self, url: str) -> None:
        name = urlsplit(url).path.lstrip("/")
        self._run(sql.SQL("drop database if exists {} with (force)"), name)
        self._names.remove(name)

    def drop_all(self) -> None:
        for name in list(self._names):
            self.drop(with_database(self._server_url, name))

    def _run(self, statement: sql.SQL, *names: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement.format(*map(sql.Identifier, names)))

    def _migrated_template(self) -> str:
        """The name of this session's template; the first worker to come makes it."""
        note = self._folder / "template"
        with FileLock(self._folder / "template.lock").held():
            if not note.exists():
                name = f"safelight_template_{secrets.token_hex(4)}"
                self._run(sql.SQL("create database {} template template0"), name)
                migrate(with_database(self._server_url, name))
                note.write_text(name)
            return note.read_text()

    def drop_template(self) -> None:
        self._run(sql.SQL("drop database if exists {} with (force)"), self._template)


@contextmanager
def databases(session: str) -> Iterator[TestDatabases]:
    """The session's databases. ``session`` is a name that all its workers have in common."""
    folder = Path(tempfile.gettempdir()) / f"safelight-test-{session}"
    folder.mkdir(mode=0o711, exist_ok=True)
    url = os.environ.get("SAFELIGHT_TEST_DATABASE_URL")
    workers = FileLock(folder / "workers.lock")
    workers.acquire(shared=True)
    if url:
        made = TestDatabases(url, folder)
        try:
            yield made
        finally:
            made.drop_all()
            if workers.acquire(wait=False):  # the last worker
                made.drop_template()
                shutil.rmtree(folder, ignore_errors=True)
    else:
        with EmbeddedPostgres(folder / "server", settings=_HASTE) as server_url:
            made = TestDatabases(server_url, folder)
            yield made
            made.drop_all()
        if workers.acquire(wait=False):
            shutil.rmtree(folder, ignore_errors=True)
    workers.release()


def with_database(url: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))
