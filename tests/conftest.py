"""Fixtures for every test: databases on a real PostgreSQL, and real server processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the workers of this test session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def databases(session_folder: Path) -> Iterator[postgres.TestDatabases]:
    """Makes migrated, empty databases: ``databases.create()``."""
    with postgres.databases(session_folder) as made:
        yield made


@pytest.fixture(scope="session")
def database_url(databases: postgres.TestDatabases) -> str:
    """One migrated database for all tests of this worker. It fills as they go; take a new workspace each."""
    return databases.create()


@pytest.fixture
def fresh_database_url(databases: postgres.TestDatabases) -> Iterator[str]:
    """A migrated, empty database for one test."""
    url = databases.create()
    yield url
    databases.drop(url)
