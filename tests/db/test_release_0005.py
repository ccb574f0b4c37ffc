"""The release before works on a database at 0006: its statements, frozen, are sent to it as they stand."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from bench.kept import LARGE, keep
from safelight.db.migrate import MIGRATIONS, migrate
from safelight.db.pool import statement
from tests.db.release_before import ReleaseBefore
from tests.db.test_growth import plan_of
from tests.db.test_migration_meanwhile import end_one
from tests.support.postgres import TestDatabases
from tests.support.server import eventually

pytestmark = pytest.mark.database

FROZEN = sorted((Path(__file__).parent / "release_0005").glob("*.sql"))


@pytest.fixture(scope="module")
def connection(databases: TestDatabases) -> Iterator[psycopg.Connection[Any]]:
    url = databases.create()
    keep(url, 2_000)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, options="-c TimeZone=UTC") as made:
        yield made


@pytest.mark.parametrize(
    "path", [path for path in FROZEN if not path.stem.startswith("listen_")], ids=lambda path: path.stem
)
def test_its_statements_are_understood(connection: psycopg.Connection[Any], path: Path) -> None:
    """A column, a table or a function that it names and that is gone would be an error."""
    assert plan_of(connection, text_of(path.stem))


def test_its_books_balance_beside_a_close(connection: psycopg.Connection[Any]) -> None:
    for name in ("books_drift", "books_usage"):
        assert connection.execute(text_of(name).encode()).fetchall() == []


def test_what_it_erases_is_erased(connection: psycopg.Connection[Any]) -> None:
    ((workspace_id,),) = connection.execute("select id from workspaces where name = %s", [LARGE]).fetchall()
    with connection.transaction(force_rollback=True):
        for name in ("begin_erasure", "erase_generations"):
            connection.execute(text_of(name).encode(), {"workspace_id": workspace_id})
        left = """
            select count(*) from generations g join workspaces w on w.id = g.workspace_id
            where w.id = %s and g.id <= w.erased_up_to and g.request is not null
        """
        assert connection.execute(left, [workspace_id]).fetchall() == [(0,)]


TELL = {"workspace_id": 1, "type": "balance.low", "payload": Jsonb({"available_nanos": 1})}


@pytest.fixture
def before(databases: TestDatabases) -> Iterator[str]:
    """A database at revision 0005 with a workspace and an endpoint."""
    url = databases.create_bare()
    migrate(url, "0005")
    with psycopg.connect(url) as made:
        made.execute("insert into workspaces (name) values ('one')")
        made.execute("insert into accounts (workspace_id) values (1)")
        made.execute("insert into webhook_endpoints (workspace_id, url, secret) values (1, 'https://a', 'whsec_a')")
    yield url
    databases.drop(url)


def follow(url: str) -> None:
    with psycopg.connect(url) as by:
        params = {"workspace_id": 1, "seconds": 60, "beginning": "events.followed"}
        by.execute(statement("follow_workspace"), params)


def told(url: str) -> tuple[int, int, int]:
    """How many events there are, how many are to be delivered, and how many are followed, but for the beginning."""
    with psycopg.connect(url) as by:
        rows = [
            by.execute(f"select count(*) from {table}").fetchone()
            for table in ("events where type <> 'events.followed'", "deliveries", "followed_events where number > 1")
        ]
    return rows[0][0], rows[1][0], rows[2][0]


def test_what_its_nodes_tell_is_told_over_the_migration(before: str) -> None:
    """On a session that has prepared it before; those who follow hear of it as well."""
    with psycopg.connect(before, autocommit=True, prepare_threshold=1) as node:
        for _ in range(3):
            node.execute(text_of("announce").encode(), TELL)
        assert told_before(before) == (3, 3)
        migrate(before)
        node.execute(text_of("announce").encode(), TELL)
        assert told(before) == (4, 4, 0)
        follow(before)
        node.execute(text_of("announce").encode(), TELL)
        assert told(before) == (5, 5, 1)
        node.execute("delete from webhook_endpoints")
        node.execute(text_of("announce").encode(), TELL)
        assert told(before) == (6, 0, 2)


def told_before(url: str) -> tuple[int, int]:
    with psycopg.connect(url) as by:
        rows = [by.execute(f"select count(*) from {table}").fetchone() for table in ("events", "deliveries")]
    return rows[0][0], rows[1][0]


def test_the_migration_gives_way_to_who_tells_and_may_be_run_again(before: str) -> None:
    with psycopg.connect(before) as node, ThreadPoolExecutor() as threads:
        node.execute(text_of("announce").encode(), TELL)
        migration = threads.submit(migrate, before)
        with psycopg.connect(before, autocommit=True) as looker:
            waits = "select from pg_locks where relation = 'workspaces'::regclass and not granted"
            eventually(
                lambda: migration.done() or looker.execute(waits).fetchone() is not None,
                "the migration waits for the event",
            )
            assert not migration.done(), migration.result()
        node.execute(text_of("announce").encode(), TELL)
        node.commit()
        migration.result(60)
    follow(before)
    with psycopg.connect(before) as again:
        for name in ("0006_workspaces", "0006_generations", "0006_followers"):
            again.execute((MIGRATIONS / "versions" / f"{name}.sql").read_text())
        again.execute(text_of("announce").encode(), TELL)
    assert told(before) == (3, 3, 1)


def test_whoever_tells_and_ends_meanwhile_is_no_circle_s_victim(before: str) -> None:
    """PostgreSQL ends one of those who wait in a circle; here that would be a node, or the migration."""
    old, stop = ReleaseBefore(before), threading.Event()
    by = old.workspace("two", 10**15)

    def tell() -> None:
        with psycopg.connect(before) as node:
            while not stop.is_set():
                with node.transaction():
                    node.execute(text_of("announce").encode(), TELL)
                    node.execute(text_of("announce").encode(), TELL)

    def end() -> None:
        node = ReleaseBefore(before)
        while not stop.is_set():
            end_one(node, by, 0)
        node.close()

    with ThreadPoolExecutor() as threads:
        nodes = [threads.submit(work) for work in (tell, tell, end, end)]
        migrate(before)
        stop.set()
        for node in nodes:
            node.result(60)
    old.close()


def text_of(name: str) -> str:
    lines = (line.strip() for line in (FROZEN[0].parent / f"{name}.sql").read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))
