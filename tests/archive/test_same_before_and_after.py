"""On any history, whatever is told of money is the same before, while and after it is archived, stopped anywhere."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.accounts.balance import get_balance
from safelight.accounts.books import check_and_record_all_books, check_and_record_books, check_books
from safelight.accounts.costs import daily_costs
from safelight.accounts.credit import credit_history
from safelight.accounts.keys import list_keys
from safelight.accounts.margins import list_margins
from safelight.accounts.spend import Part, find_spend, find_standing, prove_spend
from safelight.accounts.usage import list_end_users, list_usage
from safelight.domain.scope import OPERATOR
from safelight.keeping import archive as archiving
from tests.archive.world import World, ago, world_in
from tests.support.histories import Past
from tests.support.postgres import TestDatabases
from tests.support.tenants import Tenant

pytestmark = pytest.mark.database

OLDEST, NEWEST = 36, 30


class Stopped(Exception):
    """As if the process had been killed here."""


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    is_image = draw(st.booleans())
    quantity = 1 if is_image else draw(st.sampled_from([5, 10]))
    days = draw(st.integers(NEWEST, OLDEST))
    state = draw(st.sampled_from(["completed"] * 4 + ["failed", "canceled"]))
    return Past(
        at=ago(days) + draw(st.integers(-11, 11)) * timedelta(hours=1),
        before=timedelta(hours=draw(st.sampled_from([0, 0, 1, 30]))),
        type="image" if is_image else "video",
        model=draw(st.sampled_from(["still", "sketch"])) if is_image else "clip",
        key_id=draw(st.sampled_from([None, 1])),
        end_user=draw(st.sampled_from([None, "u1"])),
        state=state if days > NEWEST else draw(st.sampled_from([state, "queued"])),
        price_nanos=draw(st.integers(0, 400_000)) * 1000,
        quantity=quantity,
        delivered=1000 if is_image else draw(st.integers(1, quantity * 1000)),
    )


async def told(world: World, tenant: Tenant) -> dict[str, Any]:
    """Everything that a workspace and its operator are told of its money."""
    first, last = ago(OLDEST + 3), ago(0)
    db, scope, dates = world.db, tenant.scope, (first.date(), last.date())
    bys = ("model", "key", "type", "end_user")
    proof = await prove_spend(scope, db, *dates)
    assert proof.holds, proof
    return {
        "proof": proof,
        "spend": [await find_spend(scope, db, *dates, by=by, part=Part()) for by in bys],
        "days": [await prove_spend(scope, db, day, day) for day in {ago(days).date() for days in range(OLDEST + 2)}],
        "costs": await daily_costs(scope, db, first, last),
        "usage": await list_usage(scope, db, *dates),
        "end users": await list_end_users(scope, db, *dates),
        "margins": await list_margins(OPERATOR, db, *dates),
        "balance": await get_balance(scope, db),
        "credit": await credit_history(scope, db),
        "keys": await list_keys(scope, db),
        "standing": await find_standing(scope, db),
        "books": (await check_books(OPERATOR, db)).statement,
    }


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(
    histories=st.lists(st.lists(pasts(), min_size=1, max_size=8), min_size=1, max_size=2),
    most=st.integers(1, 5),
    batch=st.integers(1, 3),
    stops=st.lists(st.integers(0, 6), max_size=3),
)
async def test_all_that_is_told_is_the_same(
    databases: TestDatabases, histories: list[list[Past]], most: int, batch: int, stops: list[int]
) -> None:
    url = databases.create()
    with tempfile.TemporaryDirectory() as folder:
        async with world_in(Path(folder), url) as world:
            await same_before_and_after(world, histories, most, batch, stops)
    databases.drop(url)


async def same_before_and_after(
    world: World, histories: list[list[Past]], most: int, batch: int, stops: list[int]
) -> None:
    tenants = [await world.tenant() for _ in histories]
    for tenant, history in zip(tenants, histories, strict=True):
        of_keys = [Past(**{**as_dict(past), "key_id": past.key_id and tenant.key_id}) for past in history]
        await world.past(tenant, of_keys)
    before = [await told(world, tenant) for tenant in tenants]
    generations = world.sql("select id from generations order by id")

    for stop in stops:
        await stopped(world, most, batch, stop)
        await world.check()
        assert [await told(world, tenant) for tenant in tenants] == before
    await world.archived(most=most)
    await world.check()
    assert [await told(world, tenant) for tenant in tenants] == before
    books = await check_and_record_all_books(OPERATOR, world.db)
    assert books.balances, books

    world.sql(REOPENED)
    await world.close_books()
    for _ in range(2):  # the first close after that takes what is archived with it, and no other does
        await check_and_record_books(OPERATOR, world.db)
    await world.check()
    kept = {row[0] for row in world.sql("select id from generations")}
    archived = [made.id async for segment in segments_of(world) for made in segment]
    assert sorted([*kept, *archived]) == [row[0] for row in generations]


REOPENED = """
with a as (delete from books_closed_accounts), u as (delete from books_closed_usage) delete from books_close
"""


def as_dict(past: Past) -> dict[str, Any]:
    return {name: getattr(past, name) for name in Past.__struct_fields__}


async def segments_of(world: World) -> Any:
    from safelight.keeping.segments import read_segment

    for segment in await world.segments():
        yield list(read_segment(world.file(segment)))


async def stopped(world: World, most: int, batch: int, stop: int) -> None:
    """Archive until the kill point that is passed as the ``stop``th."""
    passed = 0

    def killpoint(name: str) -> None:
        nonlocal passed
        if passed == stop:
            raise Stopped
        passed += 1

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(archiving, "killpoint", killpoint)
        patched.setattr(archiving, "_BATCH", batch)
        with contextlib.suppress(Stopped):
            await world.archive(most=most)
