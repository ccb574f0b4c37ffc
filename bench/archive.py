"""What ended long ago moved into the archive, beside a plain copy and delete of the same rows.

The peer writes the three tables' rows as PostgreSQL's COPY does, without compression, order or proof, and deletes
them in one transaction a table, without the ledger's guard. Both are databases of one template, on one server.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import msgspec
import psycopg

from bench.kept import SECONDS_APART, keep
from bench.report import Report, at_least, at_most
from bench.servers import BenchError, folder, postgres
from safelight.accounts.books import check_and_record_books, check_books, check_books_since_close
from safelight.db.migrate import migrate
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from safelight.keeping.archive import archive
from safelight.keeping.archives import Segment, list_segments, prove_archive
from safelight.node.settings import Settings
from safelight.wiring import open_keeping
from tests.support.postgres import with_database

_COUNT = 300_000
_TABLES = {"generations": "id", "media": "generation_id", "transfers": "generation_id"}
# What is gone by then: events after 30 days, idempotency keys after one, files and prompts with their retention.
_FORGOTTEN = (
    "set session_replication_role = replica",
    "truncate deliveries, followed_events, followed_workspaces, events, idempotency_keys",
    "update media set tombstoned_at = made.at, deleted_at = made.at"
    " from (select id, created_at as at from generations) made where made.id = generation_id and deleted_at is null",
    "update generations set request = null where request is not null",
    "vacuum full analyze",
)


async def run(report: Report) -> None:
    count = _COUNT // 20 if report.brief else _COUNT
    with folder() as base, postgres(base) as database:
        report.say(f"{count:,} generations")
        ours, peer = await asyncio.to_thread(_made, database.url, count)
        async with open_keeping(_settings(base, ours)) as keeping:
            await _close_books(keeping.db)
            before = _bytes(ours) / count
            report.say("the archive")
            started = time.perf_counter()
            done = await archive(
                msgspec.structs.replace(keeping, archive_after_seconds=round(count * SECONDS_APART / 2))
            )
            taken = time.perf_counter() - started
            segments = [segment async for segment in list_segments(keeping.db)]
            if done.stopped_by or done.generations != done.removed or not segments:
                raise BenchError(f"It did not archive: {done}")
            report.say("a copy and a delete")
            peer_rate = _copy_and_delete(peer, base, segments[-1].last_id)
            rate = done.generations / taken
            report.add(
                "generations archived, peer copied and deleted",
                rate,
                "/s",
                peer=peer_rate,
                reach=at_least(0.25, of_peer=True),
            )
            await _add_sizes(report, segments, before)
            report.say("the proof")
            started = time.perf_counter()
            proof = await prove_archive(keeping)
            books = await check_books(OPERATOR, keeping.db)
            if not proof.holds or not books.balances:
                raise BenchError(f"It does not hold: {proof.problems} {books.problems()}")
            report.add("generations read again and proven", done.generations / (time.perf_counter() - started), "/s")


async def _add_sizes(report: Report, segments: list[Segment], before: float) -> None:
    count = sum(segment.generations for segment in segments)
    after = sum(segment.size_bytes for segment in segments) / count
    reach = at_most(0.2, of_peer=True)
    report.add("bytes a generation in the archive, peer in the tables", after, "B", peer=before, reach=reach)


def _made(url: str, count: int) -> tuple[str, str]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create database ours template template0")
        ours, peer = with_database(url, "ours"), with_database(url, "peer")
        migrate(ours)
        keep(ours, count)
        with psycopg.connect(ours, autocommit=True) as made:
            for statement in _FORGOTTEN:
                made.execute(statement)
        connection.execute("create database peer template ours strategy file_copy")
    return ours, peer


def _settings(base: Path, url: str) -> Settings:
    keys = f"k1:{secrets.token_hex(32)}"
    return Settings(data_dir=base / "data", database_url=url, signing_keys=keys, database_pool_size=4)


async def _close_books(db: Database) -> None:
    while (await check_books_since_close(OPERATOR, db)).closed_up_to == 0:
        await check_and_record_books(OPERATOR, db)
        await asyncio.sleep(0.1)


def _bytes(url: str) -> float:
    with psycopg.connect(url) as connection:
        row = connection.execute("select sum(pg_total_relation_size(t)) from unnest(%s::regclass[]) t", [[*_TABLES]])
        found = row.fetchone()
    return float(found[0]) if found else 0.0


def _copy_and_delete(url: str, base: Path, last_id: str) -> float:
    """Generations a second."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter table transfers disable trigger user")
        connection.execute("alter table media disable trigger user")
        connection.execute("alter table generations disable trigger user")
        started = time.perf_counter()
        for table, column in _TABLES.items():
            query = f"copy (select * from {table} where {column} <= '{last_id}') to stdout"
            with (base / table).open("wb") as file, connection.cursor().copy(query.encode()) as copied:
                for chunk in copied:
                    file.write(chunk)
        count = 0
        for table in ("transfers", "media", "generations"):
            done = connection.execute(f"delete from {table} where {_TABLES[table]} <= '{last_id}'".encode())
            count = done.rowcount
        return count / (time.perf_counter() - started)
