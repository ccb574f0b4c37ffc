"""Every function of the accounts keeps to its scope. What is tried comes from the functions' signatures."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import secrets
import types
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, get_type_hints

import msgspec
import pytest

import safelight.accounts
from safelight.accounts.webhooks import create_endpoint
from safelight.db.pool import Database
from safelight.domain.errors import SafelightError
from safelight.domain.scope import OPERATOR, OperatorScope, Scope, WorkspaceScope
from safelight.outbound.policy import OutboundPolicy
from tests.support.postgres import TestDatabases, open_database
from tests.support.tenants import Tenant, make_tenant

pytestmark = pytest.mark.database

Function = Callable[..., Any]
POLICY = OutboundPolicy.parse([])
NOW = datetime.now(UTC)
DAYS = {"first": NOW.date() - timedelta(days=1), "last": NOW.date() + timedelta(days=1)}
MARKS = ("alpha", "77777777")  # in every name and in every amount of the first workspace


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has, by its numbers."""

    scope: WorkspaceScope
    name: str
    key_id: int
    endpoint_id: int
    disabled_endpoint_id: int
    delivery_id: int


ABSENT = Things(
    scope=WorkspaceScope(999_990),
    name="gamma-works",
    key_id=999_991,
    endpoint_id=999_992,
    disabled_endpoint_id=999_993,
    delivery_id=999_994,
)

# What each function is called with, beside the scope and the database: one line a call. A parameter that names a thing
# is given the thing of a workspace that is not the caller's, of the caller's own, and of nobody.
CALLS: dict[str, list[Callable[[Things], dict[str, Any]]]] = {
    "balance.get_balance": [lambda its: {}],
    "books.check_books": [lambda its: {}],
    "books.check_and_record_books": [lambda its: {}],
    "books.recorded_problems": [lambda its: {}],
    "costs.daily_costs": [lambda its: {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=1)}],
    "credit.add_credit": [lambda its: {"to": its.scope, "amount_nanos": 1, "reason": "more"}],
    "credit.credit_history": [lambda its: {}],
    "keys.create_key": [lambda its: {"name": "new"}],
    "keys.list_keys": [lambda its: {}],
    "keys.revoke_key": [lambda its: {"key_id": its.key_id}],
    "usage.list_refusals": [lambda its: DAYS],
    "usage.list_usage": [lambda its: DAYS],
    "webhooks.create_endpoint": [
        lambda its: {"url": "https://new.example.com/", "policy": POLICY},
        lambda its: {"url": None, "policy": POLICY},
    ],
    "webhooks.delete_endpoint": [lambda its: {"endpoint_id": its.endpoint_id}],
    "webhooks.enable_endpoint": [lambda its: {"endpoint_id": its.disabled_endpoint_id}],
    "webhooks.list_deliveries": [
        lambda its: {},
        lambda its: {"state": "failed"},
        lambda its: {"endpoint_id": its.endpoint_id},
    ],
    "webhooks.list_endpoints": [lambda its: {}],
    "webhooks.redeliver": [
        lambda its: {"delivery_id": its.delivery_id},
        lambda its: {"endpoint_id": its.endpoint_id},
    ],
    "webhooks.rotate_secret": [lambda its: {"endpoint_id": its.endpoint_id, "keep_seconds": 60}],
    "workspaces.create_workspace": [lambda its: {"name": f"new-{its.name}"}],
    "workspaces.get_workspace": [lambda its: {}],
    "workspaces.list_workspaces": [lambda its: {}],
    "workspaces.scope_of": [lambda its: {"name": its.name}, lambda its: {"name": None}],
    "workspaces.set_limits": [lambda its: {"of": its.scope, "image_rpm": 5}],
    "workspaces.workspace_scope": [lambda its: {"name": its.name}],
}


def public_functions() -> dict[str, Function]:
    """What asks the database in the modules of the package, as ``module.function``."""
    found = {}
    for info in pkgutil.walk_packages(safelight.accounts.__path__):
        module = importlib.import_module(f"{safelight.accounts.__name__}.{info.name}")
        for name, function in vars(module).items():
            is_own = isinstance(function, types.FunctionType) and function.__module__ == module.__name__
            if is_own and not name.startswith("_") and asks_the_database(function):
                found[f"{info.name}.{name}"] = function
    return found


def asks_the_database(function: Function) -> bool:
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    return is_async or Database in get_type_hints(function).values()


FUNCTIONS = public_functions()


def scope_type(function: Function) -> object:
    """The type of the first parameter."""
    return get_type_hints(function)[next(iter(inspect.signature(function).parameters))]


def lines(*scopes: object) -> list[Any]:
    """The lines of the table whose functions take one of these scopes first."""
    return [
        pytest.param(FUNCTIONS[name], call, id=f"{name}-{place}")
        for name, calls in CALLS.items()
        if name in FUNCTIONS and scope_type(FUNCTIONS[name]) in scopes
        for place, call in enumerate(calls)
    ]


def test_every_function_has_its_line() -> None:
    assert set(CALLS) == set(FUNCTIONS)
    assert all(CALLS.values())


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_takes_a_scope_first_and_then_the_database(name: str) -> None:
    hints = get_type_hints(FUNCTIONS[name])
    first, second, *_ = inspect.signature(FUNCTIONS[name]).parameters
    assert hints[first] in (WorkspaceScope, OperatorScope, Scope)
    assert hints[second] is Database
    assert not any("workspace" in parameter for parameter in hints), "a workspace is named by its scope"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_parameter_that_names_a_thing_is_tried(name: str) -> None:
    named = {parameter for parameter in inspect.signature(FUNCTIONS[name]).parameters if parameter.endswith("_id")}
    given = {parameter for call in CALLS[name] for parameter, value in call(ABSENT).items() if names_a_thing(value)}
    assert given >= named


def names_a_thing(value: object) -> bool:
    return value in msgspec.structs.astuple(ABSENT)


@pytest.mark.parametrize(("function", "call"), lines(WorkspaceScope, Scope))
async def test_what_is_another_workspace_s_is_as_absent_as_what_never_was(
    world: World, function: Function, call: Callable[[Things], dict[str, Any]]
) -> None:
    before = await world.rows()
    told = await outcome(function, world.stranger.scope, world.db, call(world.owner))
    after = await world.rows()
    assert not mentions_the_owner(told)
    if any(map(names_a_thing, call(ABSENT).values())):
        assert after == before, "not one row has changed"
        never = await outcome(function, world.stranger.scope, world.db, call(ABSENT))
        assert without_numbers(told, world.owner) == without_numbers(never, ABSENT)
    else:
        assert world.but_the_strangers(after) == world.but_the_strangers(before)


@pytest.mark.parametrize("is_operator", [False, True])
@pytest.mark.parametrize(("function", "call"), lines(WorkspaceScope, Scope))
async def test_for_its_owner_and_the_operator_it_is_there(
    world: World, function: Function, call: Callable[[Things], dict[str, Any]], is_operator: bool
) -> None:
    if is_operator and scope_type(function) is WorkspaceScope:
        return  # the operator has no account of its own
    before = await world.rows()
    told = await outcome(function, OPERATOR if is_operator else world.owner.scope, world.db, call(world.owner))
    assert not isinstance(told, SafelightError)
    assert mentions_the_owner(told) or await world.rows() != before


@pytest.mark.parametrize(("function", "call"), lines(OperatorScope))
async def test_the_operator_may_do_what_is_the_operators(
    world: World, function: Function, call: Callable[[Things], dict[str, Any]]
) -> None:
    assert not isinstance(await outcome(function, OPERATOR, world.db, call(world.owner)), SafelightError)


@pytest.mark.parametrize(("function", "call"), lines(OperatorScope))
async def test_the_operator_names_one_workspace_and_changes_no_other(
    world: World, function: Function, call: Callable[[Things], dict[str, Any]]
) -> None:
    before = await world.rows()
    await outcome(function, OPERATOR, world.db, call(world.owner))
    assert world.the_strangers(await world.rows()) == world.the_strangers(before)


class World:
    """Two workspaces that have the same kinds of things."""

    def __init__(self, db: Database, owner: Things, stranger: Things) -> None:
        self.db, self.owner, self.stranger = db, owner, stranger

    async def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """Every row of every table, with the table's name."""
        async with self.db.connection() as connection:
            tables = await connection.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'public' and table_type = 'BASE TABLE'"
            )
            parts = [f"select '{name}', to_jsonb(t) from {name} t" for (name,) in await tables.fetchall()]
            cursor = await connection.execute(" union all ".join(parts) + " order by 1, 2")
            return await cursor.fetchall()

    def the_strangers(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
        return [(table, row) for table, row in rows if self._is_the_strangers(table, row)]

    def but_the_strangers(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any]]]:
        return [(table, row) for table, row in rows if not self._is_the_strangers(table, row)]

    def _is_the_strangers(self, table: str, row: dict[str, Any]) -> bool:
        return bool(row.get("id" if table == "workspaces" else "workspace_id") == self.stranger.scope.workspace_id)


@pytest.fixture(scope="module")
async def db(databases: TestDatabases) -> AsyncIterator[Database]:
    """One for all tests here, in which no number is part of another."""
    async with open_database(databases.create()) as opened:
        async with opened.connection() as connection:
            for table, start in (("workspaces", 710_001), ("api_keys", 720_001), ("webhook_endpoints", 730_001)):
                await connection.execute(f"alter table {table} alter column id restart with {start}")
            await connection.execute("alter table deliveries alter column id restart with 740_001")
        yield opened


@pytest.fixture
async def world(db: Database) -> World:
    ending = secrets.token_hex(4)
    owner = await furnish(db, await make_tenant(db, f"alpha-{ending}", usd="777.77777777"), 77_777_777)
    stranger = await furnish(db, await make_tenant(db, f"beta-{ending}", usd="222.22222222"), 22_222_222)
    return World(db, owner, stranger)


async def furnish(db: Database, tenant: Tenant, amount: int) -> Things:
    """Two endpoints, one of them disabled, a delivery that failed, something used and something refused."""
    word = tenant.name.partition("-")[0]
    on = await create_endpoint(tenant.scope, db, url=f"https://{word}.example.com/", policy=POLICY)
    off = await create_endpoint(tenant.scope, db, url=f"https://{word}.example.com/off", policy=POLICY)
    await db.run("disable_endpoint", {"id": off.id, "reason": word})
    async with db.connection() as connection:
        await connection.execute("select announce(%s, 'balance.low', null, '{}', null)", (tenant.id,))
        failed = await connection.execute(
            "update deliveries set state = 'failed', ended_at = now() where endpoint_id = %s returning id", (on.id,)
        )
        (row,) = await failed.fetchall()
        facts = {"workspace": tenant.id, "key": tenant.key_id, "model": f"{word}-model", "amount": amount}
        await connection.execute(
            "insert into daily_usage (workspace_id, date, type, model, api_key_id, completed, cost_nanos)"
            " values (%(workspace)s, now()::date, 'image', %(model)s, %(key)s, 1, %(amount)s)",
            facts,
        )
        await connection.execute(
            "insert into daily_refusals (workspace_id, date, type, model, api_key_id, reason, count)"
            " values (%(workspace)s, now()::date, 'image', %(model)s, %(key)s, 'rate_limit', %(amount)s)",
            facts,
        )
    return Things(
        scope=tenant.scope,
        name=tenant.name,
        key_id=tenant.key_id,
        endpoint_id=on.id,
        disabled_endpoint_id=off.id,
        delivery_id=row[0],
    )


async def outcome(function: Function, scope: object, db: Database, arguments: dict[str, Any]) -> Any:
    """What it answers, or the error that it raises."""
    try:
        return await function(scope, db, **arguments)
    except SafelightError as error:
        return error


def mentions_the_owner(told: object) -> bool:
    return any(mark in f"{told!r} {told}" for mark in MARKS)


def without_numbers(told: object, things: Things) -> str:
    """What was told, to be compared with what is told of other things: all but their numbers."""
    facts = (told.code, told.message, told.param) if isinstance(told, SafelightError) else told
    text = f"{type(told).__name__} {facts!r}"
    for number in msgspec.structs.astuple(things)[2:]:
        text = text.replace(str(number), "NUMBER")
    return text
