"""A release works on its own revision and on the next one: migrations are rolled out before processes are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from safelight.db.migrate import Standing, migrate, newest_revision, pending, standing
from safelight.domain.errors import ConfigurationError
from safelight.keeping.readiness import readiness
from tests.money.shop import parts_in, settings_environment
from tests.support.postgres import TestDatabases
from tests.support.server import Server

pytestmark = pytest.mark.database

AHEAD = {number: f"{int(newest_revision()) + number:04}" for number in (-1, 0, 1, 2)}


def put_at(url: str, revision: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = %s", [revision])


@pytest.mark.parametrize(
    ("revision", "stands"),
    [
        (None, Standing.BEHIND),
        (AHEAD[-1], Standing.BEHIND),
        (AHEAD[0], Standing.FITTING),
        (AHEAD[1], Standing.FITTING),
        (AHEAD[2], Standing.TOO_NEW),
        ("5afe1164", Standing.TOO_NEW),
    ],
)
def test_how_revisions_stand(revision: str | None, stands: Standing) -> None:
    assert standing(revision) is stands


@pytest.mark.parametrize("number", [0, 1])
def test_one_ahead_is_left_as_it_is(number: int, fresh_database_url: str) -> None:
    put_at(fresh_database_url, AHEAD[number])
    assert not pending(fresh_database_url)
    migrate(fresh_database_url)
    with psycopg.connect(fresh_database_url) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(AHEAD[number],)]


def test_two_ahead_are_refused_with_the_remedy(fresh_database_url: str) -> None:
    put_at(fresh_database_url, AHEAD[2])
    for refused in (pending, migrate):
        with pytest.raises(ConfigurationError, match=rf"revision {AHEAD[2]}.*Start the release that wrote it"):
            refused(fresh_database_url)


async def test_readiness_goes_by_the_same_rule(fresh_database_url: str, tmp_path: Path) -> None:
    async with parts_in(tmp_path, fresh_database_url) as parts:
        for number, is_ready, says in (
            (0, True, "ok"),
            (1, True, "ok"),
            (-1, False, "pending: run 'safelight migrate'"),
            (2, False, "Start the release that wrote it"),
        ):
            await asyncio.to_thread(put_at, fresh_database_url, AHEAD[number])
            found = await readiness(parts.keeping)
            assert (found.database, found.store, found.is_ready) == ("ok", "ok", is_ready)
            assert says in (found.migrations or "")


async def test_readiness_without_any_revision(databases: TestDatabases, tmp_path: Path) -> None:
    url = databases.create_bare()
    async with parts_in(tmp_path, url) as parts:
        found = await readiness(parts.keeping)
    assert (found.migrations, found.books, found.is_ready) == ("pending: run 'safelight migrate'", None, False)


def test_a_server_starts_one_ahead_and_not_two(
    fresh_server: Callable[..., Server], fresh_database_url: str, tmp_path: Path
) -> None:
    environment = settings_environment(tmp_path, fresh_database_url)
    put_at(fresh_database_url, AHEAD[1])
    started = fresh_server(command="serve", env=environment).wait_until_ready()
    assert httpx.get(f"{started.base_url}/readyz", timeout=30).json()["checks"]["migrations"] == "ok"
    put_at(fresh_database_url, AHEAD[2])
    unready = httpx.get(f"{started.base_url}/readyz", timeout=30)
    assert (unready.status_code, unready.json()["status"]) == (503, "not ready")
    assert "Start the release that wrote it" in unready.json()["checks"]["migrations"]
    assert started.stop() == 0
    refused = fresh_server(command="serve", env=environment)
    assert refused.process.wait(60) == 1, refused.log
    assert AHEAD[2] in refused.log and "Start the release that wrote it" in refused.log
