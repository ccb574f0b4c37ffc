"""What a page of what was spent adds up: on any history, by anything, it is what the generations and books say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.accounts.books import LastCheck, check_books
from safelight.accounts.spend import (
    NO_KEY,
    By,
    Part,
    SpendRow,
    Standing,
    count_refusals,
    find_spend,
    find_standing,
    prove_spend,
)
from safelight.db.pool import Database
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.scope import OPERATOR
from tests.support.histories import Past, put_on_record
from tests.support.postgres import TestDatabases, open_database
from tests.support.tenants import Tenant, another_key, make_tenant

pytestmark = pytest.mark.database

T = TypeVar("T")

FIRST, LAST = date(2026, 2, 27), date(2026, 3, 3)
TICK = timedelta(microseconds=1)
BYS: tuple[By, ...] = ("model", "key", "type", "end_user")


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


BORDERS = [
    moment
    for number in range(-1, (LAST - FIRST).days + 3)
    for moment in (midnight(FIRST + timedelta(days=number)) - TICK, midnight(FIRST + timedelta(days=number)))
]


class World(msgspec.Struct):
    """What all examples share: a database, and two workspaces with two keys each."""

    runner: asyncio.Runner
    db: Database
    url: str

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def tenant(self) -> tuple[Tenant, int]:
        """A new workspace, and the number of its second key."""
        made = self.run(make_tenant(self.db))
        return made, self.run(another_key(self.db, made.name)).key_id


@pytest.fixture(scope="module")
def world(databases: TestDatabases) -> Iterator[World]:
    url = databases.create()
    with asyncio.Runner() as runner:
        opened = open_database(url)
        db = runner.run(opened.__aenter__())
        yield World(runner, db, url)
        runner.run(opened.__aexit__(None, None, None))


@st.composite
def pasts(draw: st.DrawFn) -> Past:
    type_, model = draw(
        st.sampled_from([*(("image", f"still-{n}") for n in range(6)), ("video", "clip"), ("video", "scene")])
    )
    quantity = 1 if type_ == "image" else draw(st.sampled_from([5, 10]))
    return Past(
        at=draw(st.sampled_from(BORDERS)),
        type=type_,
        model=model,
        key_id=draw(st.sampled_from([None, 1, 2])),
        end_user=draw(st.sampled_from([None, None, "u1", "u2"])),
        state=draw(st.sampled_from(["completed"] * 4 + ["failed", "canceled", "queued"])),
        price_nanos=draw(st.integers(0, 400_000)) * 1000,
        quantity=quantity,
        delivered=draw(st.integers(1, quantity * 1000)) if type_ == "video" else 1000,
    )


NAME: dict[By, Callable[[Past], str]] = {
    "model": lambda past: past.model,
    "type": lambda past: past.type,
    "key": lambda past: str(past.key_id or ""),
    "end_user": lambda past: past.end_user or "",
}
Sums = dict[Any, Counter[str]]


def summed(history: list[Past], name: Callable[[Past], Any]) -> Sums:
    """What the history adds up to, in the words of a row."""
    sums: Sums = {}
    for past in history:
        found = sums.setdefault(name(past), Counter())
        is_completed = past.state == "completed"
        found["completed"] += is_completed
        found["failed"] += not is_completed
        found["cost_nanos"] += past.charged_nanos
        unit = "image_thousandths" if past.type == "image" else "second_thousandths"
        found[unit] += past.delivered if is_completed else 0
    return sums


def told(rows: list[SpendRow], name: Callable[[SpendRow], Any]) -> Sums:
    counted = ("completed", "failed", "cost_nanos", "image_thousandths", "second_thousandths")
    return {name(row): Counter({word: getattr(row, word) for word in counted}) for row in rows}


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(history=st.lists(pasts(), min_size=1, max_size=14), other=st.lists(pasts(), max_size=3), most=st.integers(1, 9))
def test_by_anything_it_is_what_the_generations_say(
    world: World, history: list[Past], other: list[Past], most: int
) -> None:
    tenant, second = world.tenant()
    numbers = {None: None, 1: tenant.key_id, 2: second}
    history = [msgspec.structs.replace(past, key_id=numbers[past.key_id]) for past in history]
    put_on_record(world.url, tenant.id, history)
    stranger, _ = world.tenant()
    put_on_record(world.url, stranger.id, [msgspec.structs.replace(past, key_id=stranger.key_id) for past in other])

    ended = [past for past in history if past.state != "queued" and FIRST <= past.date <= LAST]
    parts: list[tuple[Part, Callable[[Past], bool]]] = [
        (Part(), lambda past: True),
        (Part(model="still-1"), lambda past: past.model == "still-1"),
        (Part(type=GenerationType.VIDEO), lambda past: past.type == "video"),
        (Part(key=second), lambda past: past.key_id == second),
        (Part(key=NO_KEY), lambda past: past.key_id is None),
        (Part(end_user="u1"), lambda past: past.end_user == "u1"),
    ]
    for by in BYS:
        for part, belongs in parts:
            if (by == "end_user" and part.key is not None) or (by == "key" and part.end_user is not None):
                continue  # what cannot be asked for is tried below
            expect(world, tenant, by, part, [past for past in ended if belongs(past)], most)

    cost = sum(past.charged_nanos for past in ended)
    proof = world.run(prove_spend(tenant.scope, world.db, FIRST, LAST))
    assert (proof.used_nanos, proof.charged_nanos, proof.revenue_nanos) == (cost, cost, cost)
    books = world.run(check_books(OPERATOR, world.db))
    assert books.balances, books


def expect(world: World, tenant: Tenant, by: By, part: Part, ended: list[Past], most: int) -> None:
    """The total, each name and each day, and no name beyond the most that were asked for."""
    spend = world.run(find_spend(tenant.scope, world.db, FIRST, LAST, by=by, part=part, most=most, most_series=most))
    names, days = summed(ended, NAME[by]), summed(ended, lambda past: past.date)
    total = summed(ended, lambda past: None).get(None, Counter())
    assert told([spend.total], lambda row: None)[None] == total
    assert {day: sums for day, sums in told(spend.days, lambda row: row.date).items() if any(sums.values())} == days
    assert [row.date for row in spend.days] == [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]

    listed = [row for row in spend.names if row.name is not None]
    assert told(listed, lambda row: row.name) == {row.name: names[row.name] for row in listed}
    assert len(listed) == min(most, len(names))
    costs = [row.cost_nanos for row in listed]
    assert costs == sorted(costs, reverse=True)
    rest = [row for row in spend.names if row.name is None]
    assert [row.names for row in rest] == ([len(names) - most] if len(names) > most else [])
    assert sum((told([row], lambda row: None)[None] for row in spend.names), Counter()) == total

    for row, of_day in zip(spend.days, spend.series_nanos, strict=True):
        assert sum(of_day) == row.cost_nanos
    for place, name in enumerate(spend.series):
        if name is not None:
            assert sum(of_day[place] for of_day in spend.series_nanos) == names[name]["cost_nanos"]


def test_each_midnight_parts_two_days(world: World) -> None:
    """The last moment of a day is that day's, and the first of the next is the next's."""
    tenant, _ = world.tenant()
    put_on_record(world.url, tenant.id, [Past(at=moment) for moment in BORDERS])
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        spend = world.run(find_spend(tenant.scope, world.db, day, day, by="model", part=Part()))
        assert (spend.total.completed, spend.total.cost_nanos) == (2, 100_000_000)
        assert world.run(prove_spend(tenant.scope, world.db, day, day)).charged_nanos == 100_000_000


def test_end_users_are_counted_over_all_keys(world: World) -> None:
    tenant, second = world.tenant()
    for by, part in (("end_user", Part(key=second)), ("model", Part(key=second, end_user="u1"))):
        with pytest.raises(InvalidParameter, match="over all keys"):
            world.run(find_spend(tenant.scope, world.db, FIRST, LAST, by=by, part=part))  # type: ignore[arg-type]


def test_what_is_not_proven_is_told(world: World) -> None:
    """A row of usage that no generation belongs to is a difference of that workspace alone."""
    tenant, _ = world.tenant()
    put_on_record(world.url, tenant.id, [Past(at=midnight(FIRST))])
    stranger, _ = world.tenant()
    assert world.run(prove_spend(tenant.scope, world.db, FIRST, LAST)).holds

    async def plant(nanos: int) -> None:
        async with world.db.connection() as connection:
            await connection.execute(
                "update daily_usage set cost_nanos = cost_nanos + %s where workspace_id = %s", (nanos, tenant.id)
            )

    world.run(plant(1))
    try:
        proof = world.run(prove_spend(tenant.scope, world.db, FIRST, LAST))
        problems = world.run(check_books(OPERATOR, world.db)).problems()
    finally:
        world.run(plant(-1))
    assert not proof.holds
    assert proof.used_nanos - proof.charged_nanos == 1
    check = LastCheck(problems=problems, checked_at=datetime.now(UTC))
    assert check.problems_of(tenant.name) == ["daily costs", "daily usage"]
    assert check.problems_of(stranger.name) == check.problems_of(tenant.name[1:]) == []


def test_how_a_workspace_stands(world: World) -> None:
    """The pace is that of the seven full days before today, and of fewer than three days with costs there is none."""
    tenant, _ = world.tenant()
    today = datetime.now(UTC).date()
    put_on_record(world.url, tenant.id, [Past(at=midnight(today), state="queued", price_nanos=7_000_000)])
    ago = {days: midnight(today - timedelta(days=days)) for days in (0, 1, 2, 7, 8)}
    put_on_record(world.url, tenant.id, [Past(at=ago[days]) for days in (0, 1, 1, 7, 8)])
    standing = world.run(find_standing(tenant.scope, world.db))
    spent = 5 * 50_000_000
    assert standing == Standing(
        available_nanos=100 * 10**9 - spent - 7_000_000,
        held_nanos=7_000_000,
        queued=1,
        queued_nanos=7_000_000,
        running=0,
        running_nanos=0,
        unknown=0,
        unknown_nanos=0,
        pace_nanos=150_000_000,
        pace_days=2,
    )
    assert standing.days_left is None
    put_on_record(world.url, tenant.id, [Past(at=ago[2])])
    standing = world.run(find_standing(tenant.scope, world.db))
    assert standing.days_left == standing.available_nanos * 7 // 200_000_000


def test_refusals_by_reason(world: World) -> None:
    tenant, second = world.tenant()

    async def plant() -> None:
        async with world.db.connection() as connection:
            for day, model, key, reason, number in (
                (FIRST, "still", tenant.key_id, "quota_exceeded", 2),
                (LAST, "still", second, "rate_limit", 5),
                (LAST, "clip", None, "rate_limit", 1),
                (LAST + timedelta(days=1), "still", second, "rate_limit", 9),
            ):
                await connection.execute(
                    "insert into daily_refusals (workspace_id, date, type, model, api_key_id, reason, count)"
                    " values (%s, %s, 'image', %s, %s, %s, %s)",
                    (tenant.id, day, model, key, reason, number),
                )

    world.run(plant())
    for part, expected in (
        (Part(), [("rate_limit", 6), ("quota_exceeded", 2)]),
        (Part(model="clip"), [("rate_limit", 1)]),
        (Part(key=second), [("rate_limit", 5)]),
        (Part(key=NO_KEY), [("rate_limit", 1)]),
        (Part(type=GenerationType.VIDEO), []),
    ):
        found = world.run(count_refusals(tenant.scope, world.db, FIRST, LAST, part=part))
        assert [(each.reason, each.count) for each in found] == expected
