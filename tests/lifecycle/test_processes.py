"""What each process tells of itself is on record while it lives, and nobody takes old news for new."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from safelight.domain.scope import OPERATOR
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.presence import Presence
from safelight.lifecycle.processes import Process, Teller, list_processes
from tests.support.postgres import open_database

pytestmark = pytest.mark.database


def named(processes: list[Process], presence: Presence) -> Process | None:
    return next((each for each in processes if each.runner == presence.runner), None)


async def test_of_a_process_that_leaves_connections_alone(database_url: str, tmp_path: Path) -> None:
    presence, breakers = Presence(tmp_path), Breakers()
    for _ in range(5):
        breakers.failed("farm")
    breakers.failed("mill")
    breakers.limited("shop", 20)
    async with open_database(database_url) as db:
        teller = Teller(db, presence, breakers, "worker", [tmp_path / "not there yet"])
        await teller.tell()
        found = named(await list_processes(OPERATOR, db), presence)
        assert found is not None and found.facts is not None and not found.is_silent
        assert not found.is_present, "it holds no lock here"
        farm, mill, shop = (found.standings[name] for name in ("farm", "mill", "shop"))
        assert farm.failures == 5 and farm.closed_until is not None and farm.paused_until is None
        assert mill.failures == 1 and mill.closed_until is None
        assert shop.failures == 0 and shop.paused_until is not None
        assert found.facts.rooms[0].free_bytes > 0

        breakers.succeeded("farm")
        await teller.tell()
        found = named(await list_processes(OPERATOR, db), presence)
        assert found is not None and "farm" not in found.standings
        await teller.close()
        assert named(await list_processes(OPERATOR, db), presence) is None


async def test_of_one_that_says_nothing_any_more(database_url: str, tmp_path: Path) -> None:
    silent, other, breakers = Presence(tmp_path), Presence(tmp_path), Breakers()
    breakers.limited("shop", 20)
    async with open_database(database_url) as db:
        await Teller(db, silent, breakers, "api", []).tell()
        for age, is_there in (("1 minute", True), ("11 minutes", False)):
            with psycopg.connect(database_url) as connection:
                connection.execute(
                    "update process_facts set told_at = now() - %s::interval where runner = %s", [age, silent.runner]
                )
            await Teller(db, other, breakers, "api", []).tell()
            found = named(await list_processes(OPERATOR, db), silent)
            assert (found is not None) is is_there
            if found is not None:
                assert found.is_silent and found.standings == {}, "nothing is known of it any more"
