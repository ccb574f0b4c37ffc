"""No statement's work grows with what is kept: each finds its rows by an index, however large the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.kept import keep
from safelight.db import pool
from safelight.db.pool import statement
from tests.support.postgres import TestDatabases

pytestmark = pytest.mark.database

STATEMENTS = sorted(path.stem for path in (Path(pool.__file__).parent / "sql").glob("*.sql"))
# These hold one row a workspace, a key or an endpoint, or one in all: what is kept does not make them grow.
OF_BOUNDED_SIZE = {
    "accounts",
    "alembic_version",
    "api_keys",
    "books_check",
    "books_close",
    "books_closed_accounts",
    "followed_workspaces",
    "process_facts",
    "procrastinate_jobs",  # only what waits
    "webhook_endpoints",
    "workspaces",
}
# Their rows leave them with time, or as soon as something ends: they are read whole.
OF_BOUNDED_INDEXES = {"generations_under_way", "deliveries_waiting", "deliveries_due", "archives_to_remove"}
# The newest number of a table is the first entry of its index.
NEWEST = {
    ("close_books", "transfers_pkey"),
    ("open_books_close", "transfers_pkey"),
    ("close_books", "archives_pkey"),
    ("open_books_close", "archives_pkey"),
    ("find_newest_archive", "archives_pkey"),
}
# Read where nothing is closed yet, and then never again: the check before it has read everything.
AT_FIRST = {("close_books", "archived_ledger"), ("close_books", "archived_usage")}
WHOLE = {
    "books_drift",
    "books_statement",
    "books_usage",
    "list_archived_ledger",
    "list_archived_usage",
    "reopen_books",
}
# Of a backup, and of what is put back from it.
WHOLE |= {"count_for_good", "end_every_login_link", "end_every_session", "list_archive_files"}
"""These are to read everything."""


@pytest.fixture(scope="module")
def connection(databases: TestDatabases) -> Iterator[psycopg.Connection[Any]]:
    """Plans are made as for tables of any size: a table is read through only where nothing else will do."""
    url = databases.create()
    keep(url, 10_000)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as made:
        made.execute("set plan_cache_mode = force_generic_plan")
        made.execute("set enable_seqscan = off")
        yield made


@pytest.fixture(params=["vacuumed", "never vacuumed"])
def kept(request: pytest.FixtureRequest, connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """An index alone tells little of a table that no vacuum has been over."""
    connection.execute(f"set enable_indexonlyscan = {'on' if request.param == 'vacuumed' else 'off'}")
    return connection


def plan_of(connection: psycopg.Connection[Any], text: str) -> dict[str, Any]:
    """How PostgreSQL would run it, whatever the parameters are."""
    names: list[str] = []

    def numbered(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    numbered_text = re.sub(r"%\((\w+)\)s", numbered, text.rstrip("; \n")).replace("%%", "%")
    values = f"({', '.join(['null'] * len(names))})" if names else ""
    connection.execute(f"prepare asked as {numbered_text}".encode())
    try:
        row = connection.execute(f"explain (format json) execute asked{values}".encode()).fetchone()
    finally:
        connection.execute("deallocate asked")
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def read_through(name: str, node: dict[str, Any]) -> Iterator[str]:
    """The tables and indexes that the plan reads from end to end."""
    kind, table, index = node["Node Type"], node.get("Relation Name"), node.get("Index Name")
    is_whole = kind == "Seq Scan" or (kind.endswith("Scan") and index is not None and "Index Cond" not in node)
    is_bounded = (
        table in OF_BOUNDED_SIZE or index in OF_BOUNDED_INDEXES or (name, index) in NEWEST or (name, table) in AT_FIRST
    )
    if is_whole and not is_bounded:
        yield f"{kind} {table} {index}"
    for child in node.get("Plans", ()):
        yield from read_through(name, child)


def indexes(node: dict[str, Any]) -> set[str]:
    own = {node["Index Name"]} if "Index Name" in node else set()
    return own.union(*map(indexes, node.get("Plans", ())))


@pytest.mark.parametrize("name", [name for name in STATEMENTS if not name.startswith("listen_")])
def test_it_reads_no_table_through(kept: psycopg.Connection[Any], name: str) -> None:
    found = list(read_through(name, plan_of(kept, statement(name))))
    assert bool(found) is (name in WHOLE), found


@pytest.mark.parametrize("name", ["list_generations", "list_generation_details", "list_jobs", "list_moved"])
def test_a_list_walks_along_the_index_of_its_type_and_state(kept: psycopg.Connection[Any], name: str) -> None:
    used = indexes(plan_of(kept, statement(name)))
    looked_up = {"generations_pkey"} if name in ("list_jobs", "list_moved") else {"generations_pkey", "media_pkey"}
    assert used == {"generations_by_status", *looked_up}, "no walk down all of a workspace's"


@pytest.mark.parametrize(("name", "others"), [("list_kept", {"generations_pkey", "media_pkey"}), ("count_kept", set())])
def test_what_can_be_looked_at_is_read_from_an_index_of_its_own(
    kept: psycopg.Connection[Any], name: str, others: set[str]
) -> None:
    used = indexes(plan_of(kept, statement(name)))
    assert used == {"generations_kept", *others}, "no walk over what is gone"


def test_a_page_of_a_days_files_is_read_in_order_and_no_more(kept: psycopg.Connection[Any]) -> None:
    def kinds(node: dict[str, Any]) -> list[tuple[str, str | None]]:
        own = (node["Node Type"], node.get("Index Name"))
        return [own, *(kind for child in node.get("Plans", ()) for kind in kinds(child))]

    assert kinds(plan_of(kept, statement("list_keys_of_day"))) == [("Limit", None), ("Index Scan", "media_pkey")]


def test_one_that_reads_a_table_through_is_found(kept: psycopg.Connection[Any]) -> None:
    for text in (
        "select id from generations where model = %(model)s",
        "select id from transfers where workspace_id = %(id)s or reason = %(reason)s",
        "select * from deliveries where endpoint_id = %(id)s or %(id)s is null",
        "select * from generations order by id desc limit 1000",
    ):
        assert list(read_through("", plan_of(kept, text))), text
