"""Lookups that gather: each is answered, with its own answer, by a statement that began after it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio

from safelight.accounts.keys import Authenticator, revoke_key
from safelight.db.lookups import Lookups
from safelight.db.pool import Database
from safelight.domain.errors import InvalidApiKey, ServiceUnavailable
from safelight.domain.scope import OPERATOR
from tests.support.tenants import make_tenant


class Table:
    """What is read from: squares of even numbers. ``rounds`` is what each statement was asked."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.hold: asyncio.Event | None = None
        self.trouble: Exception | None = None

    async def read(self, params: Mapping[str, Sequence[Any]]) -> list[tuple[int, int]]:
        numbers = list(params["number"])
        self.rounds.append(numbers)
        if self.hold is not None:
            await self.hold.wait()
        if self.trouble is not None:
            raise self.trouble
        return [(place, number**2) for place, number in enumerate(numbers, start=1) if number % 2 == 0]


async def test_what_is_asked_in_one_turn_is_one_statement() -> None:
    table = Table()
    lookups = Lookups(table.read)
    found = await asyncio.gather(*(lookups.find({"number": number}) for number in (4, 3, 2, 4)))
    assert found == [16, None, 4, 16]
    assert table.rounds == [[4, 3, 2, 4]]


async def held() -> tuple[Table, asyncio.Event, Lookups[int], asyncio.Task[int | None]]:
    """A table that is being read for a 2 until the event is set, and who waits for that."""
    table, hold = Table(), asyncio.Event()
    table.hold = hold
    lookups = Lookups(table.read)
    first = asyncio.create_task(lookups.find({"number": 2}))
    while not table.rounds:
        await asyncio.sleep(0)
    return table, hold, lookups, first


async def test_what_is_asked_meanwhile_waits_for_the_next_statement() -> None:
    table, hold, lookups, first = await held()
    later = [asyncio.create_task(lookups.find({"number": number})) for number in (2, 6)]
    await asyncio.sleep(0.01)
    assert table.rounds == [[2]]  # an answer that is on its way may be older than the question
    hold.set()
    assert [await first, *await asyncio.gather(*later)] == [4, 4, 36]
    assert table.rounds == [[2], [2, 6]]


async def test_who_leaves_takes_nobody_along() -> None:
    table = Table()
    table.hold = asyncio.Event()
    lookups = Lookups(table.read)
    leaves, stays = (asyncio.create_task(lookups.find({"number": 2})) for _ in range(2))
    while not table.rounds:
        await asyncio.sleep(0)
    leaves.cancel()
    table.hold.set()
    assert await stays == 4
    assert leaves.cancelled() or (await asyncio.gather(leaves, return_exceptions=True))
    assert await lookups.find({"number": 8}) == 64


async def test_who_left_before_it_was_sent_is_not_asked_for() -> None:
    table, hold, lookups, first = await held()
    leaves, stays = (asyncio.create_task(lookups.find({"number": number})) for number in (4, 6))
    await asyncio.sleep(0)
    leaves.cancel()
    hold.set()
    assert await asyncio.gather(first, stays) == [4, 36]
    assert table.rounds == [[2], [6]]


async def test_trouble_comes_to_all_who_asked_and_passes() -> None:
    table = Table()
    table.trouble = ServiceUnavailable()
    lookups = Lookups(table.read)
    results = await asyncio.gather(*(lookups.find({"number": 2}) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ServiceUnavailable] * 3
    table.trouble = None
    assert await lookups.find({"number": 2}) == 4


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool_size=2)
    await made.open()
    yield made
    await made.close()


@pytest.mark.database
async def test_each_gets_the_row_of_its_own_parameters(db: Database) -> None:
    tenants = [await make_tenant(db) for _ in range(3)]
    ids = [tenant.id for tenant in tenants]
    await revoke_key(OPERATOR, db, tenants[1].key_id)
    senders = Authenticator(db)
    found = await asyncio.gather(
        *(senders.authenticate(f"Bearer {tenant.key}") for tenant in tenants for _ in range(2)), return_exceptions=True
    )
    assert [type(found[2]), type(found[3])] == [InvalidApiKey] * 2
    assert [getattr(each, "workspace_id", None) for each in found] == [ids[0], ids[0], None, None, ids[2], ids[2]]
