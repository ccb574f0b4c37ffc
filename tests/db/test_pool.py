from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from safelight.db import pool, sessions
from safelight.db.pool import Database, NotConnected
from safelight.db.sessions import Session, cut_off_after
from safelight.domain.errors import ServiceUnavailable

pytestmark = pytest.mark.database

_TEXTS = {
    "said": "select %(value)s as value",
    "divided": "select 1 / %(value)s as value",
    "slow": "select pg_sleep(60)",
}


class Said(msgspec.Struct):
    value: Any


@pytest.fixture
async def session(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session of a pool of one, for statements that are told here."""
    monkeypatch.setattr(pool, "statement", _TEXTS.__getitem__)
    db = Database(database_url, pool_size=1)
    await db.open()
    try:
        async with db.connection() as connection:
            assert isinstance(connection, Session)
            yield connection
    finally:
        await db.close()


async def test_a_statement_that_runs_again_has_its_own_cursor_and_reads_each_answer_anew(session: Session) -> None:
    for value in (1, 2, 70_000, 2**40, "a word", None, 3, b"bytes", 4):
        assert await pool.one(session, "said", {"value": value}, Said) == Said(value)
        assert await pool.one(session, "said", {"value": value}, tuple) == (value,)
    assert set(session.cursors) == {("said", Said), ("said", tuple)}


async def test_a_cursor_whose_statement_failed_is_not_used_again(session: Session) -> None:
    for value in (1, 0, 2, 0, 3):
        if value:
            assert await pool.one(session, "divided", {"value": value}, tuple) == (1 // value,)
        else:
            with pytest.raises(psycopg.errors.DivisionByZero):
                await pool.one(session, "divided", {"value": value}, tuple)
            assert not session.cursors


async def test_a_statement_that_was_cancelled_leaves_its_session_fit_for_the_next(session: Session) -> None:
    for _ in range(3):
        slow = asyncio.create_task(pool.one(session, "slow", {}, tuple))
        await asyncio.sleep(0.05)
        slow.cancel()
        await asyncio.wait({slow}, timeout=10)
        assert slow.cancelled()
        assert ("slow", tuple) not in session.cursors
        assert await pool.one(session, "said", {"value": 5}, Said) == Said(5)


async def test_statements_at_once_on_one_session_do_not_share_a_cursor(session: Session) -> None:
    asked = [pool.one(session, "said", {"value": value}, Said) for value in range(20)]
    assert await asyncio.gather(*asked) == [Said(value) for value in range(20)]


async def test_what_does_not_go_through_at_once_is_written_and_read_to_the_end(session: Session) -> None:
    for size in (1, 20_000_000, 1):
        assert await pool.one(session, "said", {"value": "a" * size}, Said) == Said("a" * size)


async def test_a_session_that_waited_for_a_notification_answers_statements_and_the_other_way_round(
    session: Session,
) -> None:
    await session.execute("listen here")
    for value in range(3):
        assert await pool.one(session, "said", {"value": value}, Said) == Said(value)
        assert [_ async for _ in session.notifies(timeout=0.02)] == []
        await session.execute(f"notify here, '{value}'")
        assert [each.payload async for each in session.notifies(timeout=5, stop_after=1)] == [str(value)]


async def test_a_session_that_is_closed_under_a_statement_fails_it(session: Session) -> None:
    slow = asyncio.create_task(pool.one(session, "slow", {}, tuple))
    await asyncio.sleep(0.05)
    await session.close()
    done, _ = await asyncio.wait({slow}, timeout=10)
    assert done
    assert isinstance(slow.exception(), psycopg.OperationalError)


async def test_a_session_that_the_server_ended_is_noticed_once_and_replaced(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed: list[Session] = []
    on_input = Session._on_input
    monkeypatch.setattr(Session, "_on_input", lambda session: (noticed.append(session), on_input(session)))
    monkeypatch.setattr(pool, "statement", _TEXTS.__getitem__)
    db, other = Database(database_url, pool_size=1), Database(database_url, pool_size=1)
    await db.open()
    await other.open()
    try:
        numbers = set()
        for value in range(5):  # each has the file number of the one before
            async with db.connection() as connection:
                assert await pool.one(connection, "said", {"value": value}, Said) == Said(value)
                ended = connection.info.backend_pid
                numbers.add(connection.fileno())
            noticed.clear()
            async with other.connection() as connection:
                await connection.execute("select pg_terminate_backend(%s, 5000)", [ended])
            await asyncio.sleep(0.05)
            assert [each.info.backend_pid for each in noticed].count(ended) == 1
        assert len(numbers) == 1
    finally:
        await db.close()
        await other.close()


async def test_a_session_that_is_cut_off_under_a_statement_leaves_nothing_watched(session: Session) -> None:
    loop, number = asyncio.get_running_loop(), session.fileno()
    with pytest.raises(psycopg.OperationalError), cut_off_after(session, 0.05):
        await pool.one(session, "slow", {}, tuple)
    assert not loop.remove_reader(number)  # the next file that is opened has this number


async def test_a_transaction_that_stands_still_lets_its_rows_go(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_IDLE_IN_TRANSACTION_SECONDS", 1)
    db = Database(database_url)
    await db.open()
    try:
        with pytest.raises(ServiceUnavailable):
            async with db.connection() as stopped, stopped.transaction():
                await stopped.execute("select pg_advisory_xact_lock(4711)")
                async with db.connection() as other, asyncio.timeout(60):
                    await other.execute("select pg_advisory_xact_lock(4711)")
                await stopped.execute("select 1")
    finally:
        await db.close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancellation_that_comes_with_the_connection_is_not_lost(database_url: str, turns: int) -> None:
    db = Database(database_url, pool_size=1)
    await db.open()

    async def hold() -> None:
        async with db.connection():
            await asyncio.Event().wait()

    try:
        async with db.connection():
            waiting = asyncio.create_task(hold())
            await asyncio.sleep(0.05)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=10)
        assert waiting.cancelled()
        async with db.connection() as again:
            await again.execute("select 1")
    finally:
        await db.close()


async def test_a_workspace_that_waits_for_its_account_leaves_sessions_to_others(database_url: str) -> None:
    db = Database(database_url, pool_size=3)
    await db.open()

    async def count(workspace_id: int) -> None:
        async with db.turn(workspace_id), db.connection() as connection, connection.transaction():
            await connection.execute("select pg_advisory_xact_lock(4712, %s)", [workspace_id])

    try:
        async with await psycopg.AsyncConnection.connect(database_url) as holder:
            await holder.execute("select pg_advisory_xact_lock(4712, 1)")
            waiting = [asyncio.create_task(count(1)) for _ in range(20)]
            async with asyncio.timeout(2):
                for _ in range(10):
                    await count(2)
            assert not any(each.done() for each in waiting)
            for each in waiting[::3]:
                each.cancel()
        await asyncio.wait(waiting, timeout=10)
        assert [each.cancelled() for each in waiting] == [place % 3 == 0 for place in range(20)]
        for each in waiting:
            assert each.cancelled() or each.result() is None
        await count(1)
    finally:
        await db.close()


async def test_who_waits_for_a_turn_in_vain_has_asked_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_PATIENCE_SECONDS", 0.1)
    db = Database(database_url, answers_soon=True)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(2):
            await held.enter_async_context(db.turn(1))
        async with db.turn(2):
            with pytest.raises(NotConnected):
                async with db.turn(1):
                    pass
    async with asyncio.timeout(10), db.turn(1), db.turn(1):
        pass


async def test_a_pool_that_is_closed_refuses_without_keeping_others_from_work(database_url: str) -> None:
    db = Database(database_url)
    await db.open()
    await db.close()

    async def ask() -> None:
        async with db.connection():
            pass

    asked, turns = asyncio.create_task(ask()), 0
    while not asked.done():
        turns += 1
        await asyncio.sleep(0.01)
    assert turns > 10
    with pytest.raises(ServiceUnavailable):
        await asked
