"""Nodes of the release before go on while their database is migrated: none waits for long, each end is counted once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import psycopg
import pytest

from safelight.db import migration_steps
from safelight.db.migrate import MIGRATIONS, migrate
from safelight.domain.errors import ConfigurationError
from tests.db import past
from tests.db.past import CLIP, HANDLE, SHORT, Connection
from tests.db.release_before import ReleaseBefore, Sender
from tests.support.server import eventually

pytestmark = pytest.mark.database

FIRST_STEP = MIGRATIONS / "versions" / "0003_by_name.sql"
PATIENCE_SECONDS = 90.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    made = ThreadPoolExecutor()
    yield made
    made.shutdown(wait=False)


def waits_for(connection: Connection, table: str) -> Callable[[], bool]:
    """Whether anybody waits for a lock on the table."""
    statement = "select from pg_locks where relation = %s::regclass and not granted"
    return lambda: connection.execute(statement, [table]).fetchone() is not None


def take_first_step(url: str) -> None:
    """As a migration leaves it that is ended in between."""
    with psycopg.connect(url) as connection:
        connection.execute(FIRST_STEP.read_text())


def end_one(old: ReleaseBefore, by: Sender, position: int) -> None:
    """From its submission to its end, which is another each time."""
    work = old.submit(by, CLIP if position % 2 else SHORT)
    assert old.claim(work) is not None
    old.ask(work, 0, HANDLE)
    end = (partial(old.complete, delivered_thousandths=3517), old.fail, old.cancel)[position % 3]
    assert end(work) is not None


# Ends while the first step is taken


def test_an_end_under_way_is_past(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    """The trigger does not see it: the migration waits until it is committed, and finds it."""
    work = past.make_past(old, "studio").under_way["running"]
    with old.connection.transaction():
        assert old.complete(work, 700) is not None
        migration = threads.submit(migrate, url)
        eventually(waits_for(connection, "generations"), "the migration waits for the end that is under way")
    migration.result(PATIENCE_SECONDS)
    past.check(connection, old)


def test_an_end_that_waits_is_seen_by_the_trigger(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    work = past.make_past(old, "studio").under_way["running"]
    with psycopg.connect(url) as other:
        other.execute("update api_keys set name = name where false")
        migration = threads.submit(migrate, url)
        eventually(waits_for(connection, "api_keys"), "the migration has the table generations, and waits for the keys")
        ending = threads.submit(old.complete, work, 700)
        eventually(waits_for(connection, "generations"), "the end waits for the migration")
    assert ending.result(PATIENCE_SECONDS) is not None
    migration.result(PATIENCE_SECONDS)
    past.check(connection, old)


def test_a_capped_submission_under_way_does_not_wait(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    """It has written its generation and comes to its key: the migration, which waits for it, must not have the keys."""
    made = past.make_past(old, "studio")
    keys = "select from pg_locks where relation = 'api_keys'::regclass and mode = 'ShareRowExclusiveLock'"
    with old.connection.transaction():
        old.submit(made.open, CLIP)
        migration = threads.submit(migrate, url)
        eventually(waits_for(connection, "generations"), "the migration waits for the submission")
        assert connection.execute(keys).fetchone() is None
        assert old.row("spend_from_key", api_key_id=made.capped.key_id, held_nanos=0) is not None
    migration.result(PATIENCE_SECONDS)
    past.check(connection, old)


def test_who_takes_long_is_given_way(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    """Whoever asks for the table waits behind the migration, but only for as long as that waits at a time."""
    made = past.make_past(old, "studio")
    old.connection.execute("set statement_timeout = '20 s'")
    with psycopg.connect(url) as reader:
        reader.execute("select count(*) from generations")
        migration = threads.submit(migrate, url)
        eventually(waits_for(connection, "generations"), "the migration waits for the reader")
        assert old.complete(made.under_way["running"], 700) is not None
        assert not migration.done()
    migration.result(PATIENCE_SECONDS)
    past.check(connection, old)


def test_who_never_ends_is_told_of(url: str, old: ReleaseBefore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration_steps, "_TRIES", 1)
    with psycopg.connect(url) as reader, psycopg.connect(url, autocommit=True) as own:
        own.execute("set statement_timeout = '20 s'")
        reader.execute("select count(*) from generations")
        with pytest.raises(ConfigurationError, match="pg_stat_activity"):
            migration_steps.add(own, FIRST_STEP)
    old.workspace("nothing-is-left-locked")


# Ends between the steps, and during the second


def test_a_migration_that_was_ended_goes_on(url: str, connection: Connection, old: ReleaseBefore) -> None:
    """What ended in between is counted once, and so is what had ended before and was written again in between."""
    made = past.make_past(old, "studio")
    take_first_step(url)
    for what in ("running", "intent", "accepted"):
        assert old.complete(made.under_way[what], 700) is not None
    past.end_some(old, old.key("studio"), CLIP)
    old.sweep()
    due = old.rows("tombstone_generation", id=made.ended["today shorter"].id, workspace_id=made.open.workspace_id)
    old.purge(due)
    assert len(due) == 1
    migrate(url)
    past.check(connection, old)
    left = (
        "select to_regclass('daily_usage_began') as cut, convalidated from pg_constraint where conname = 'named_whole'"
    )
    assert connection.execute(left).fetchall() == [{"cut": None, "convalidated": True}]


def test_while_the_past_is_counted_nodes_go_on(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    """The count is stopped midway, by an end of the same day, model and key that is not committed."""
    made = past.make_past(old, "studio")
    node = ReleaseBefore(url)
    node.connection.execute("set statement_timeout = '20 s'")
    other = node.workspace("other")
    capped = node.key("other", spend_cap_nanos=500_000_000_000)
    running = old.submit(made.ended["today shorter"].by, SHORT)
    assert old.claim(running) is not None
    take_first_step(url)
    with old.connection.transaction():
        assert old.complete(running, 700) is not None
        migration = threads.submit(migrate, url)
        eventually(lambda: heavy_locks(connection, "transactionid", granted=False) == 1, "the count waits for the end")
        for position in range(6):
            end_one(node, (other, capped)[position % 2], position)
        node.key("other")
        node.workspace("another")
        assert len(node.rows("find_generation", id=[running.id], workspace_id=[running.by.workspace_id])) == 1
        assert heavy_locks(connection, "relation", granted=True) == 0
        assert not migration.done()
    migration.result(PATIENCE_SECONDS)
    node.close()
    past.check(connection, old)


def heavy_locks(connection: Connection, kind: str, *, granted: bool) -> int:
    """Locks that would keep a writer waiting: on a table that was there before, or on a transaction."""
    row = connection.execute(
        """select count(*) as locks from pg_locks
           where locktype = %(kind)s and granted = %(granted)s
             and mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
             and (relation is null or relation in ('generations'::regclass, 'workspaces'::regclass,
                  'api_keys'::regclass, 'accounts'::regclass, 'transfers'::regclass, 'media'::regclass))""",
        {"kind": kind, "granted": granted},
    ).fetchone()
    assert row is not None
    locks: int = row["locks"]
    return locks


# With many rows


def test_the_first_step_reads_no_table_through(url: str, connection: Connection, old: ReleaseBefore) -> None:
    past.many_ended(connection, old.workspace("studio"), 5000)
    read = """select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int as rows
              from pg_stat_xact_user_tables where relname in ('generations', 'transfers', 'workspaces', 'api_keys')"""
    with psycopg.connect(url) as own:
        own.execute(FIRST_STEP.read_text())
        assert own.execute(read).fetchone() == (1,)  # the newest transfer


def test_under_load_with_a_long_past(
    url: str, connection: Connection, old: ReleaseBefore, threads: ThreadPoolExecutor
) -> None:
    studio = old.workspace("studio")
    past.many_ended(connection, studio, 20_000)
    file = "select pg_relation_filenode('generations') as number"
    before = connection.execute(file).fetchone()
    stop = threading.Event()
    ended = [0, 0, 0]

    def work(place: int, by: Sender) -> None:
        node = ReleaseBefore(url)
        while not stop.is_set():
            end_one(node, by, ended[place])
            ended[place] += 1
        node.close()

    senders = (studio, old.key("studio", spend_cap_nanos=10**15), old.workspace("other", 10**15))
    nodes = [threads.submit(work, place, by) for place, by in enumerate(senders)]
    eventually(lambda: min(ended) > 5 or any(map(Future.done, nodes)), "every node has ended some before")
    migrate(url)
    then = list(ended)
    eventually(
        lambda: all(now > 5 + before for now, before in zip(ended, then, strict=True)) or any(map(Future.done, nodes)),
        "every node has ended some after",
    )
    stop.set()
    for node in nodes:
        node.result(PATIENCE_SECONDS)
    past.check(connection, old)
    assert connection.execute(file).fetchone() == before  # no row was written anew
