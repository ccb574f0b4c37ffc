"""Credit is what the operator gives or takes back: never nothing, and never more than is there."""

from __future__ import annotations

import asyncio

import pytest

from safelight.accounts.books import check_books
from safelight.accounts.credit import add_credit, add_credit_once, credit_history
from safelight.domain.errors import IdempotencyConflict, InvalidParameter, NotFound
from safelight.domain.scope import OPERATOR
from tests.support.postgres import open_database
from tests.support.tenants import make_tenant

pytestmark = pytest.mark.database


async def test_what_would_be_no_credit_is_refused_and_changes_nothing(database_url: str) -> None:
    async with open_database(database_url) as db:
        tenant = await make_tenant(db, usd="1")
        before = await credit_history(tenant.scope, db)
        for amount_nanos, says in ((0, "is zero"), (-1_000_000_001, "cannot go below zero"), (2**63 - 1, "range")):
            with pytest.raises(InvalidParameter, match=says):
                await add_credit(OPERATOR, db, to=tenant.scope, amount_nanos=amount_nanos, reason="a test")
        assert await credit_history(tenant.scope, db) == before
        assert await add_credit(OPERATOR, db, to=tenant.scope, amount_nanos=-1_000_000_000, reason="taken back") == 0


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "\x1b[31m", "x" * 1001])
async def test_a_reason_is_a_line(database_url: str, reason: str) -> None:
    async with open_database(database_url) as db:
        tenant = await make_tenant(db)
        with pytest.raises(InvalidParameter):
            await add_credit(OPERATOR, db, to=tenant.scope, amount_nanos=1, reason=reason)


async def test_of_a_workspace_that_is_not_there(database_url: str) -> None:
    async with open_database(database_url) as db:
        tenant = await make_tenant(db)
        gone = type(tenant.scope)(workspace_id=2**62)
        with pytest.raises(NotFound):
            await add_credit(OPERATOR, db, to=gone, amount_nanos=1, reason="a test")


async def test_what_is_asked_for_twice_is_added_once(fresh_database_url: str) -> None:
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db, usd="0")

        async def ask(amount_nanos: int = 5, reason: str = "a test") -> bool:
            return await add_credit_once(
                OPERATOR, db, to=tenant.scope, amount_nanos=amount_nanos, reason=reason, reference=f"form {tenant.id}"
            )

        with pytest.raises(InvalidParameter, match="below zero"):
            await ask(-1)
        assert sorted(await asyncio.gather(*(ask() for _ in range(8)))) == [False] * 7 + [True]
        for amount_nanos, reason in ((6, "a test"), (5, "another")):
            with pytest.raises(IdempotencyConflict):
                await ask(amount_nanos, reason)
        assert [entry.amount_nanos for entry in await credit_history(tenant.scope, db)] == [5]
        assert (await check_books(OPERATOR, db)).balances


async def test_what_is_taken_back_twice_is_taken_once(fresh_database_url: str) -> None:
    """The second time it is not there any more: that is no refusal of what was done."""
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db, usd="5")
        more = {"to": tenant.scope, "amount_nanos": -4 * 10**9, "reason": "a test", "reference": f"back {tenant.id}"}
        assert sorted(await asyncio.gather(*(add_credit_once(OPERATOR, db, **more) for _ in range(3)))) == [
            False,
            False,
            True,
        ]
        with pytest.raises(IdempotencyConflict):
            await add_credit_once(OPERATOR, db, **{**more, "amount_nanos": -5 * 10**9})
        assert (await check_books(OPERATOR, db)).balances
