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
from safelight.accounts.audit import Action, Actor
from safelight.accounts.spend import Part
from safelight.accounts.webhooks import create_endpoint
from safelight.db.pool import Database
from safelight.domain.errors import SafelightError
from safelight.domain.money import format_usd
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR, OperatorScope, Scope, WorkspaceScope
from safelight.outbound.policy import OutboundPolicy
from tests.support.postgres import TestDatabases, open_database
from tests.support.tenants import make_tenant

pytestmark = pytest.mark.database

Function = Callable[..., Any]
Row = tuple[str, dict[str, Any]]  # the table's name, and the row
POLICY = OutboundPolicy.parse([])
SOMEBODY = Actor(person="somebody", role=Role.ADMIN)
NOW = datetime.now(UTC)
DAYS = {"first": NOW.date() - timedelta(days=1), "last": NOW.date() + timedelta(days=1)}


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """What a workspace has, by its numbers. Its name is in each of its names, its amount in each of its amounts."""

    scope: WorkspaceScope
    name: str
    amount: int
    key_id: int
    endpoint_id: int
    disabled_endpoint_id: int
    delivery_id: int
    session: str


ABSENT = Things(
    scope=WorkspaceScope(999_990),
    name="gamma",
    amount=0,
    key_id=999_991,
    endpoint_id=999_992,
    disabled_endpoint_id=999_993,
    delivery_id=999_994,
    session="00" * 32,
)

# What each function is called with, beside the scope and the database: one line a call. A parameter that names a thing
# is given the thing of a workspace that is not the caller's, of the caller's own, and of nobody.
CALLS: dict[str, list[Callable[[Things], dict[str, Any]]]] = {
    "audit.list_actions": [lambda its: {}, lambda its: {"person": its.name}],
    "audit.record": [lambda its: {"by": SOMEBODY, "action": Action.KEY_CREATE, "target": 7}],
    "balance.get_balance": [lambda its: {}],
    "books.check_books": [lambda its: {}],
    "books.last_check": [lambda its: {}],
    "books.check_books_since_close": [lambda its: {}],
    "books.check_and_record_books": [lambda its: {}],
    "books.check_and_record_all_books": [lambda its: {}],
    "costs.daily_costs": [lambda its: {"start": NOW - timedelta(days=1), "end": NOW + timedelta(days=1)}],
    "credit.add_credit": [lambda its: {"to": its.scope, "amount_nanos": 1, "reason": "more"}],
    "credit.add_credit_once": [
        lambda its: {"to": its.scope, "amount_nanos": 1, "reason": "more", "reference": its.name},
    ],
    "credit.credit_history": [lambda its: {}],
    "keys.change_key": [
        lambda its: {"key_id": its.key_id, "name": "changed", "spend_cap_nanos": None, "expires_at": None},
    ],
    "keys.create_key": [lambda its: {"name": "new"}],
    "keys.get_key": [lambda its: {"key_id": its.key_id}],
    "keys.list_keys": [lambda its: {}],
    "keys.revoke_key": [lambda its: {"key_id": its.key_id}],
    "keys.search_keys": [lambda its: {}],
    "margins.list_margins": [lambda its: DAYS],
    "margins.recent_losses": [lambda its: {}],
    "sessions.create_link": [lambda its: {"person": its.name}],
    "sessions.principal_in": [lambda its: {"name": its.name}],
    "sessions.end_session_of": [lambda its: {"name": its.session, "operators": False}],
    "sessions.list_sessions": [lambda its: {"operators": False}],
    "spend.count_refusals": [lambda its: {**DAYS, "part": Part()}, lambda its: {**DAYS, "part": Part(key=its.key_id)}],
    "spend.find_spend": [
        lambda its: {**DAYS, "by": "model", "part": Part()},
        lambda its: {**DAYS, "by": "key", "part": Part(key=its.key_id)},
    ],
    "spend.find_standing": [lambda its: {}],
    "spend.prove_spend": [lambda its: DAYS],
    "usage.list_end_users": [lambda its: DAYS],
    "usage.list_refusals": [lambda its: DAYS],
    "usage.list_refused": [lambda its: DAYS, lambda its: {**DAYS, "api_key_id": its.key_id}],
    "usage.list_usage": [lambda its: DAYS],
    "webhooks.create_endpoint": [
        lambda its: {"url": "https://new.example.com/", "policy": POLICY},
        lambda its: {"url": None, "policy": POLICY},
    ],
    "webhooks.delete_endpoint": [lambda its: {"endpoint_id": its.endpoint_id}],
    "webhooks.disable_endpoint": [lambda its: {"endpoint_id": its.endpoint_id, "reason": "a test"}],
    "webhooks.enable_endpoint": [lambda its: {"endpoint_id": its.disabled_endpoint_id}],
    "webhooks.list_deliveries": [
        lambda its: {},
        lambda its: {"state": "failed"},
        lambda its: {"endpoint_id": its.endpoint_id},
    ],
    "webhooks.get_endpoint": [lambda its: {"endpoint_id": its.endpoint_id}],
    "webhooks.list_endpoint_deliveries": [lambda its: {"endpoint_id": its.endpoint_id}],
    "webhooks.list_endpoints": [lambda its: {}],
    "webhooks.recent_deliveries": [lambda its: {}, lambda its: {"endpoint_id": its.endpoint_id}],
    "webhooks.redeliver": [
        lambda its: {"delivery_id": its.delivery_id},
        lambda its: {"endpoint_id": its.endpoint_id},
    ],
    "webhooks.rotate_secret": [lambda its: {"endpoint_id": its.endpoint_id, "keep_seconds": 60}],
    "workspaces.create_workspace": [lambda its: {"name": f"new-{its.name}"}],
    "workspaces.get_workspace": [lambda its: {}],
    "workspaces.list_accounts": [
        lambda its: {"since": NOW.date()},
        lambda its: {"since": NOW.date(), "search": its.name},
    ],
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
            full_name = f"{info.name}.{name}"
            if is_own and not name.startswith("_") and asks_the_database(function):
                found[full_name] = function
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
    db: Database, function: Function, call: Callable[[Things], dict[str, Any]]
) -> None:
    """The first question comes before the other workspace has anything, and is about what is not there."""
    stranger = await furnish(db)
    begun = await rows(db)
    alone = await outcome(function, stranger.scope, db, call(ABSENT))
    changes_nothing = await rows(db) == begun
    owner = await furnish(db)
    before = await rows(db)
    told = await outcome(function, stranger.scope, db, call(owner))
    after = await rows(db)
    assert not mentions(told, owner)
    if changes_nothing:
        assert after == before
        assert without_numbers(told, owner) == without_numbers(alone, ABSENT)
    else:  # it makes something of the stranger's own
        assert not any(map(names_a_thing, call(ABSENT).values()))
        assert those_of(stranger, after, others=True) == those_of(stranger, before, others=True)


@pytest.mark.parametrize(
    ("function", "call", "is_operator"),
    [pytest.param(*line.values, False, id=f"{line.id}-owner") for line in lines(WorkspaceScope, Scope)]
    + [pytest.param(*line.values, True, id=f"{line.id}-operator") for line in lines(Scope)],
)
async def test_for_its_owner_and_the_operator_it_is_there(
    db: Database, function: Function, call: Callable[[Things], dict[str, Any]], is_operator: bool
) -> None:
    owner = await furnish(db)
    before = await rows(db)
    told = await outcome(function, OPERATOR if is_operator else owner.scope, db, call(owner))
    assert not isinstance(told, SafelightError)
    assert mentions(told, owner) or await rows(db) != before


@pytest.mark.parametrize(("function", "call"), lines(OperatorScope))
async def test_what_the_operator_does_to_one_workspace_is_done_to_no_other(
    db: Database, function: Function, call: Callable[[Things], dict[str, Any]]
) -> None:
    owner, stranger = await furnish(db), await furnish(db)
    before = await rows(db)
    told = await outcome(function, OPERATOR, db, call(owner))
    assert not isinstance(told, SafelightError)
    assert those_of(stranger, await rows(db)) == those_of(stranger, before)


async def rows(db: Database) -> list[Row]:
    """Every row of every table."""
    async with db.connection() as connection:
        tables = await connection.execute(
            "select table_name from information_schema.tables"
            " where table_schema = 'public' and table_type = 'BASE TABLE'"
        )
        parts = [f"select '{name}', to_jsonb(t) from {name} t" for (name,) in await tables.fetchall()]
        cursor = await connection.execute(" union all ".join(parts) + " order by 1, 2")
        return await cursor.fetchall()


def those_of(things: Things, rows: Iterable[Row], *, others: bool = False) -> list[Row]:
    """The rows that belong to that workspace, or all ``others``."""
    column = {"workspaces": "id"}
    return [
        (table, row)
        for table, row in rows
        if (row.get(column.get(table, "workspace_id")) == things.scope.workspace_id) is not others
    ]


@pytest.fixture(scope="module")
async def db(databases: TestDatabases) -> AsyncIterator[Database]:
    """One for all tests here, in which no number is part of another."""
    async with open_database(databases.create()) as opened:
        async with opened.connection() as connection:
            for table, start in (("workspaces", 710_001), ("api_keys", 720_001), ("webhook_endpoints", 730_001)):
                await connection.execute(f"alter table {table} alter column id restart with {start}")
            await connection.execute("alter table deliveries alter column id restart with 740001")
        yield opened


async def furnish(db: Database) -> Things:
    """A new workspace: two endpoints, one disabled, a delivery that failed, something used, refused and lost."""
    word, amount = f"w{secrets.token_hex(6)}", 10_000_000 + secrets.randbelow(10**7)
    tenant = await make_tenant(db, word, usd=format_usd(amount * 10_000))
    on = await create_endpoint(tenant.scope, db, url=f"https://{word}.example.com/", policy=POLICY)
    off = await create_endpoint(tenant.scope, db, url=f"https://{word}.example.com/off", policy=POLICY)
    await db.run("disable_endpoint", {"id": off.id, "reason": word})
    session = secrets.token_bytes(32)
    entrant = {"api_key_id": tenant.key_id, "workspace_id": tenant.id, "person": word, "role": "admin"}
    await db.run("create_session", {**entrant, "sha256": session, "user_agent": word, "seconds": 60})
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
        await connection.execute(
            "insert into refused_requests (workspace_id, type, model, api_key_id, reason, message, count)"
            " values (%(workspace)s, 'image', %(model)s, %(key)s, 'rate_limit', %(model)s, %(amount)s)",
            facts,
        )
        await connection.execute(
            "insert into daily_end_users (workspace_id, date, type, model, end_user, completed, cost_nanos)"
            " values (%(workspace)s, now()::date, 'image', %(model)s, %(model)s, 1, %(amount)s)",
            facts,
        )
        await connection.execute(
            "insert into audit_log (workspace_id, person, role, action, target)"
            " values (%(workspace)s, %(word)s, 'admin', 'key.create', %(word)s)",
            {**facts, "word": word},
        )
        await connection.execute(
            "insert into daily_margins"
            " (workspace_id, date, type, model, connection, completed, charged_nanos, cost_nanos)"
            " values (%(workspace)s, now()::date, 'image', %(model)s, 'farm', 1, %(amount)s, %(amount)s)",
            facts,
        )
        await connection.execute(
            "insert into losses"
            " (workspace_id, generation_id, type, model, connection, upstream_model, reason, cost_nanos)"
            " values (%(workspace)s, %(model)s, 'image', %(model)s, %(model)s, 'theirs', 'failed', %(amount)s)",
            facts,
        )
    return Things(
        scope=tenant.scope,
        name=word,
        amount=amount,
        key_id=tenant.key_id,
        endpoint_id=on.id,
        disabled_endpoint_id=off.id,
        delivery_id=row[0],
        session=session.hex(),
    )


async def outcome(function: Function, scope: object, db: Database, arguments: dict[str, Any]) -> Any:
    """What it answers, or the error that it raises."""
    try:
        return await function(scope, db, **arguments)
    except SafelightError as error:
        return error


def mentions(told: object, things: Things) -> bool:
    """Whether a name or an amount of that workspace was told."""
    return any(mark in f"{told!r} {told}" for mark in (things.name, str(things.amount)))


def without_numbers(told: object, things: Things) -> str:
    """What was told, to be compared with what is told of other things: all but their numbers."""
    facts = (told.code, told.message, told.param) if isinstance(told, SafelightError) else told
    text = f"{type(told).__name__} {facts!r}"
    for number in msgspec.structs.astuple(things)[3:]:
        text = text.replace(str(number), "NUMBER")
    return text
