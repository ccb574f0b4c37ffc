"""A database as one stream of bytes, and back: with ``pg_dump`` and ``pg_restore`` of the embedded PostgreSQL's wheel.

A dump, and what is read beside it, are of one moment: a transaction that stays open exports its snapshot.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg.rows import class_row

from safelight.db import binaries
from safelight.db.migrate import revision_of
from safelight.db.pool import statement
from safelight.domain.errors import ConfigurationError
from safelight.node.processes import end_with_parent

_CHUNK_BYTES = 1 << 20
_BATCH = 1000
_MOST_JOBS = 4


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that the store is to have: one of media, a segment of the archive, or a reference image of what is under
    way, which no hash is on record of."""

    key: str
    sha256: bytes | None = None


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows the largest of the tables have that nothing is ever deleted from."""

    workspaces: int
    generations: int
    transfers: int


class Moment:
    """A database as it was in one moment. ``server_version`` is PostgreSQL's major one."""

    def __init__(self, url: str, connection: psycopg.Connection[Any], revision: str) -> None:
        self._url = url
        self._connection = connection
        self.revision = revision
        self.server_version = connection.info.server_version // 10000
        self.at: datetime = _value(connection, "select now()")
        self.counted = counted(connection)

    def dump(self) -> Iterator[bytes]:
        """The database, in ``pg_dump``'s custom format. Raises ``ConfigurationError`` with what that says."""
        snapshot = _value(self._connection, "select pg_export_snapshot()")
        _, programs = binaries.newest()
        options = ["--format=custom", "--compress=1", "--no-owner", "--no-privileges", f"--snapshot={snapshot}"]
        with _running([programs / "pg_dump", *options, "--dbname", self._url], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while chunk := process.stdout.read(_CHUNK_BYTES):
                yield chunk

    def files(self) -> Iterator[KeptFile]:
        """What the store had of media and references then."""
        return self._list("list_kept_files", "list_inputs_under_way")

    def segments(self) -> Iterator[KeptFile]:
        """What the store had of the archive then: what is in no table any more, and never deleted."""
        has_archive = _value(self._connection, "select to_regclass('archives') is not null")
        return self._list("list_archive_files") if has_archive else iter(())

    def _list(self, *names: str) -> Iterator[KeptFile]:
        for name in names:
            with self._connection.cursor(name, row_factory=class_row(KeptFile)) as cursor:
                cursor.itersize = _BATCH
                cursor.execute(statement(name))
                yield from cursor


@contextmanager
def moment_of(url: str) -> Iterator[Moment]:
    """The database as it is now, for as long as the ``with`` lasts. Raises ``ConfigurationError`` where it has no
    tables."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        revision = revision_of(connection)
        if revision is None:
            raise ConfigurationError("There is nothing in the database yet: 'safelight up' makes its tables.")
        yield Moment(url, connection, revision)


def still_kept(url: str, keys: list[str]) -> list[str]:
    """Those of the files that are to be in the store now."""
    with psycopg.connect(url) as connection:
        return [key for (key,) in connection.execute(statement("still_kept"), {"keys": keys})]


def load(url: str, dump: Path) -> None:
    """Fill an empty database from a dump. Raises ``ConfigurationError`` with what ``pg_restore`` says."""
    _, programs = binaries.newest()
    jobs = min(os.cpu_count() or 1, _MOST_JOBS)
    options = ["--exit-on-error", "--no-owner", "--no-privileges", f"--jobs={jobs}"]
    with _running([programs / "pg_restore", *options, "--dbname", url, dump]):
        pass
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("analyze")


def write_out(url: str) -> None:
    """Leave nothing to be written for the server's end, so that it needs no time for it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")


def counted(connection: psycopg.Connection[Any]) -> Counted:
    """The rows of a database at any revision."""
    with connection.cursor(row_factory=class_row(Counted)) as cursor:
        row = cursor.execute(statement("count_for_good")).fetchone()
    assert row is not None
    return row


@contextmanager
def _running(command: list[str | Path], stdout: int | None = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """One of PostgreSQL's programs, which ends well or is explained, and does not outlive this process."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=said,
            env=environment | {"LC_ALL": "C"},
            start_new_session=True,
            preexec_fn=partial(end_with_parent, os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - it has no threads
        )
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            with process:  # it closes the pipe, and waits
                pass
        if process.returncode != 0:
            said.seek(0)
            raise ConfigurationError(_reason(Path(command[0]).name, said.read().decode(errors="replace")))


def _reason(program: str, said: str) -> str:
    lines = [line for line in said.splitlines() if "error:" in line] or said.splitlines() or ["it ended without a word"]
    return f"{program}: {lines[0].rpartition('error: ')[2].rstrip('.')}."


def _value(connection: psycopg.Connection[Any], query: LiteralString) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]
