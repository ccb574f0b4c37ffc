"""Databases come to today's revision from long ago, though the migration is killed, and beside nodes that go on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from safelight.accounts.books import check_books
from safelight.db import binaries, migration_steps
from safelight.db.migrate import MIGRATIONS, migrate, newest_revision, revision_of
from safelight.domain.errors import ConfigurationError
from safelight.domain.scope import OPERATOR
from tests.db import past
from tests.db.past import CLIP, HANDLE, SHORT, STILL, Connection
from tests.db.release_before import ReleaseBefore, Sender, Wish
from tests.support.postgres import TestDatabases, on_database
from tests.support.server import eventually

pytestmark = pytest.mark.database

VERSIONS = MIGRATIONS / "versions"
TWO_BACK = f"{int(newest_revision()) - 2:04}"
PATIENCE_SECONDS = 90.0
INDEX = "generations_kept"
"""One that the last of these migrations but one builds while nodes go on."""


@pytest.fixture
def grown(databases: TestDatabases) -> Iterator[str]:
    """A database at revision 0002 with generations in every state that there was."""
    url = databases.create_bare()
    migrate(url, "0002")
    with psycopg.connect(url) as connection:
        connection.execute((Path(__file__).parent / "past_of_0002.sql").read_bytes())
    yield url
    databases.drop(url)


@pytest.fixture
def looking(grown: str) -> Iterator[Connection]:
    with psycopg.connect(grown, autocommit=True, row_factory=dict_row, options="-c TimeZone=UTC") as made:
        yield made


def schema_of(url: str) -> str:
    """All that a database has but its rows."""
    _, programs = binaries.newest()
    said = subprocess.run(
        [programs / "pg_dump", "--schema-only", "--no-owner", "--dbname", url],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"(?m)^(--.*|\\.*|)\n", "", said.stdout)


def kill_after(step: int, url: str) -> int | None:
    """Migrate in a process that is killed after so many steps; its status."""
    process = get_context("fork").Process(target=_migrate_and_die, args=(step, url))
    process.start()
    process.join(PATIENCE_SECONDS)
    return process.exitcode


def _migrate_and_die(last: int, url: str) -> None:
    done = 0

    def then_die(step: Callable[[psycopg.Connection, Path], None], connection: psycopg.Connection, path: Path) -> None:
        nonlocal done
        step(connection, path)
        done += 1
        if done == last:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("add", "build"):
        setattr(migration_steps, name, partial(then_die, getattr(migration_steps, name)))
    migrate(url)


# From long ago


def test_a_past_of_long_ago_comes_to_today(grown: str, looking: Connection) -> None:
    """What had ended before it was counted is counted; the books balance, and may be closed."""
    columns = past.columns_of(looking)
    before = past.dump(looking, columns)
    migrate(grown)
    assert past.dump(looking, columns) == before
    assert past.daily_usage(looking) == past.ends_by_day(looking)
    groups = [key[:-1] for key in past.daily_usage(looking)]
    assert all(len(set(values)) > 1 for values in zip(*groups, strict=True))  # of each part of a group
    assert on_database(grown, partial(check_books, OPERATOR)).balances


def test_a_migration_that_is_killed_after_any_step_goes_on(
    grown: str, looking: Connection, fresh_database_url: str
) -> None:
    migrate(grown, TWO_BACK)
    steps = 0
    while kill_after(steps + 1, grown) == -signal.SIGKILL:
        steps += 1
        assert looking.execute("select version_num from alembic_version").fetchone() != {
            "version_num": newest_revision()
        }
    assert steps >= len(list(VERSIONS.glob("0007_*.sql")))
    with psycopg.connect(grown) as connection:
        assert revision_of(connection) == newest_revision()
    assert schema_of(grown) == schema_of(fresh_database_url)
    assert past.daily_usage(looking) == past.ends_by_day(looking)
    assert on_database(grown, partial(check_books, OPERATOR)).balances


def test_an_index_that_was_half_built_is_built_anew(grown: str, looking: Connection) -> None:
    migrate(grown, TWO_BACK)
    building = "select from pg_stat_progress_create_index where index_relid = to_regclass(%s)"
    valid = "select indisvalid from pg_index where indexrelid = to_regclass(%s)"
    with psycopg.connect(grown) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("select")  # whoever builds waits at last for who sees what was before
        process = get_context("fork").Process(target=migrate, args=(grown,))
        process.start()
        eventually(lambda: looking.execute(building, [INDEX]).fetchone() is not None, "the index is being built")
        process.kill()
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == -signal.SIGKILL
        looking.execute(
            "select pg_terminate_backend(pid) from pg_stat_progress_create_index where datname = current_database()"
        )
    eventually(lambda: looking.execute(building, [INDEX]).fetchone() is None, "its session has ended")
    assert looking.execute(valid, [INDEX]).fetchone() == {"indisvalid": False}
    migrate(grown)
    assert looking.execute(valid, [INDEX]).fetchone() == {"indisvalid": True}


# Beside others


def test_it_gives_way_to_who_submits(grown: str, looking: Connection) -> None:
    """Who has written its generation comes to its key: the migration, which waits for it, must not have the keys."""
    migrate(grown, TWO_BACK)
    waits = "select from pg_locks where relation = 'generations'::regclass and not granted"
    with psycopg.connect(grown) as under_way, ThreadPoolExecutor() as threads:
        under_way.execute("update generations set model = model where false")
        migration = threads.submit(migrate, grown)
        eventually(
            lambda: migration.done() or looking.execute(waits).fetchone() is not None,
            "the migration waits for the submission",
        )
        assert not migration.done(), migration.result()
        under_way.execute("update api_keys set name = name")
        under_way.commit()
        migration.result(PATIENCE_SECONDS)


def test_who_never_ends_is_told_of(grown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration_steps, "_TRIES", 1)
    migrate(grown, TWO_BACK)
    with psycopg.connect(grown) as reader, psycopg.connect(grown, autocommit=True) as own:
        own.execute("set statement_timeout = '20 s'")
        reader.execute("select count(*) from generations")
        with pytest.raises(ConfigurationError, match="pg_stat_activity"):
            migration_steps.add(own, VERSIONS / "0007_generations.sql")
    with psycopg.connect(grown) as writer:
        writer.execute("set lock_timeout = '2 s'")
        writer.execute("update generations set model = model")  # nothing is left locked


def test_nodes_of_the_release_before_work_on_meanwhile(url: str, connection: Connection, old: ReleaseBefore) -> None:
    """PostgreSQL ends one of those who wait in a circle; here that would be a node, or the migration."""
    senders = (old.workspace("studio"), old.key("studio", spend_cap_nanos=10**15))
    file = "select pg_relation_filenode(%s) as number"
    tables = ("generations", "media", "transfers", "accounts", "events", "deliveries")
    files = {table: connection.execute(file, [table]).fetchone() for table in tables}
    stop = threading.Event()

    def work(place: int) -> int:
        node, made = ReleaseBefore(url), 0
        while not stop.is_set():
            end_one(node, senders[place], made)
            made += 1
        node.close()
        return made

    def change() -> int:
        node, made = ReleaseBefore(url), 0
        its = {"workspace_id": senders[0].workspace_id, "key_id": senders[0].key_id}
        limits = {"image_rpm": None, "video_rpm": None, "concurrency": 1000, "retention_max_seconds": None}
        while not stop.is_set():
            node.run("set_workspace_limits", **its, **limits)
            node.run("touch_key", **its)
            node.run("make_end_user_key", **its, fresh=b"k")
            made += 1
        node.close()
        return made

    with ThreadPoolExecutor() as threads:
        nodes = [threads.submit(work, 0), threads.submit(work, 1), threads.submit(change)]
        try:
            migrate(url)
        finally:
            stop.set()
        assert all(node.result(PATIENCE_SECONDS) > 0 for node in nodes)
    past.check(connection, old)
    assert {table: connection.execute(file, [table]).fetchone() for table in tables} == files  # no row was written anew


def end_one(old: ReleaseBefore, by: Sender, position: int) -> None:
    """From its submission to its end, which is another each time."""
    wish: Wish = (CLIP, SHORT, STILL)[position % 3]
    work = old.submit(by, wish)
    if wish.type == "video":
        assert old.claim(work) is not None
        old.ask(work, 0, HANDLE)
    end = (partial(old.complete, delivered_thousandths=1000), old.fail, old.cancel)[position % 3]
    assert end(work) is not None
