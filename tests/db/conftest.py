"""A database at the revision of the release before, and a node of that release on it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from safelight.db.migrate import migrate
from tests.db.past import Connection
from tests.db.release_before import REVISION, ReleaseBefore
from tests.support.postgres import TestDatabases


@pytest.fixture
def url(databases: TestDatabases) -> Iterator[str]:
    """An empty database at the revision of the release before."""
    made = databases.create_bare()
    migrate(made, REVISION)
    yield made
    databases.drop(made)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """For looks into it."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row, options="-c TimeZone=UTC") as made:
        yield made


@pytest.fixture
def old(url: str) -> Iterator[ReleaseBefore]:
    made = ReleaseBefore(url)
    yield made
    made.close()
