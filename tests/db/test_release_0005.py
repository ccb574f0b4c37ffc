"""The release before works on a database at 0006: its statements, frozen, are sent to it as they stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.kept import LARGE, keep
from tests.db.test_growth import plan_of
from tests.support.postgres import TestDatabases

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


def text_of(name: str) -> str:
    lines = (line.strip() for line in (FROZEN[0].parent / f"{name}.sql").read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))
