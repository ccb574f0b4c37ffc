"""What the database itself refuses, and that drift which is made in spite of it is found."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from safelight.accounts.books import check_and_record_books, check_books
from safelight.db.migrate import migrate
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from tests.support.postgres import TestDatabases, open_database
from tests.support.server import safelight

pytestmark = pytest.mark.database

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def refusing(databases: TestDatabases) -> Iterator[Connection]:
    """A database for statements that change nothing, as they are refused."""
    with psycopg.connect(databases.create(), autocommit=True) as made:
        fill(made)
        yield made


@pytest.fixture
def connection(fresh_database_url: str) -> Iterator[Connection]:
    with psycopg.connect(fresh_database_url, autocommit=True) as made:
        fill(made)
        yield made


def fill(connection: Connection) -> None:
    """A workspace that has funds, with one generation held and one completed; and one that has nothing."""
    connection.execute("insert into workspaces (name) values ('w'), ('v')")
    connection.execute("insert into accounts (workspace_id) select id from workspaces")
    fund(connection, 1_000_000)
    hold(connection, HELD)
    hold(connection, DONE)
    settle(connection, DONE, charged=30_000)


HELD, DONE = "req-01JZ0000000000000000000001", "req-01JZ0000000000000000000002"
PRICE = 50_000
W = "(select id from workspaces where name = 'w')"
USED = "select workspace_id, date, type, model from daily_usage"


def fund(connection: Connection, nanos: int) -> None:
    connection.execute(
        f"insert into transfers (workspace_id, kind, funding_nanos, available_nanos, reason)"
        f" values ({W}, 'fund', {-nanos}, {nanos}, 'test')"
    )
    connection.execute(f"update accounts set available_nanos = available_nanos + {nanos} where workspace_id = {W}")


def insert_generation(connection: Connection, generation_id: str, **values: str) -> None:
    row = {
        "id": f"'{generation_id}'",
        "workspace_id": W,
        "type": "'image'",
        "model": "'still'",
        "body_sha256": "''",
        "billable_unit": "'image'",
        "unit_price_nanos": str(PRICE),
        "quantity": "1",
        "held_nanos": str(PRICE),
        "state": "'queued'",
        "deadline": "now()",
        "retention_seconds": "60",
        **values,
    }
    connection.execute(f"insert into generations ({', '.join(row)}) values ({', '.join(row.values())})")


def hold(connection: Connection, generation_id: str) -> None:
    insert_generation(connection, generation_id)
    connection.execute(
        f"insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos)"
        f" values ({W}, 'hold', '{generation_id}', {-PRICE}, {PRICE})"
    )
    connection.execute(
        f"update accounts set available_nanos = available_nanos - {PRICE}, held_nanos = held_nanos + {PRICE},"
        f" in_flight = in_flight + 1 where workspace_id = {W}"
    )


def settle(connection: Connection, generation_id: str, *, charged: int) -> None:
    connection.execute(
        f"update generations set state = 'completed', finished_at = now(), deletes_at = now(),"
        f" charged_nanos = {charged}, charged_thousandths = 600 where id = '{generation_id}'"
    )
    connection.execute(
        f"insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, revenue_nanos)"
        f" values ({W}, 'settle', '{generation_id}', {PRICE - charged}, {-PRICE}, {charged})"
    )
    connection.execute(
        f"update accounts set available_nanos = available_nanos + {PRICE - charged}, held_nanos = held_nanos - {PRICE},"
        f" in_flight = in_flight - 1 where workspace_id = {W}"
    )
    connection.execute(
        f"insert into daily_costs as c values ({W}, '2026-05-02', {charged})"
        " on conflict (workspace_id, date) do update set cost_nanos = c.cost_nanos + excluded.cost_nanos"
    )


# The ledger is written once


@pytest.mark.parametrize(
    "statement",
    [
        "update transfers set reason = 'other'",
        "update transfers set available_nanos = available_nanos where false or true",
        "delete from transfers",
        f"delete from transfers where generation_id = '{HELD}'",
        "truncate transfers, credit_references",
        "truncate transfers cascade",
        "truncate generations cascade",
        "truncate workspaces cascade",
    ],
)
def test_the_ledger_only_grows(refusing: Connection, statement: str) -> None:
    before = refusing.execute("select * from transfers order by id").fetchall()
    with pytest.raises(errors.RestrictViolation, match="transfers is append-only"):
        refusing.execute(statement)
    assert refusing.execute("select * from transfers order by id").fetchall() == before


def test_postings_are_only_looked_at(refusing: Connection) -> None:
    for statement in ("delete from postings", "update postings set amount_nanos = 0"):
        with pytest.raises(psycopg.Error):
            refusing.execute(statement)


@pytest.mark.parametrize("table", ["generations", "workspaces"])
def test_what_the_ledger_names_cannot_go(refusing: Connection, table: str) -> None:
    with pytest.raises(errors.ForeignKeyViolation):
        refusing.execute(f"delete from {table}")


def transfer(kind: str, funding: int, available: int, held: int, revenue: int, *, generation: str | None = None) -> str:
    reason = "'r'" if kind == "fund" else "null"
    named = f"'{generation}'" if generation else "null"
    return (
        "insert into transfers (workspace_id, kind, generation_id, funding_nanos, available_nanos, held_nanos,"
        f" revenue_nanos, reason) values ({W}, '{kind}', {named}, {funding}, {available}, {held}, {revenue}, {reason})"
    )


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        (transfer("fund", -5, 4, 0, 0), "sums_to_zero"),
        (transfer("hold", 0, -5, 6, 0, generation=HELD), "sums_to_zero"),
        (transfer("settle", 0, 0, -5, 6, generation=HELD), "sums_to_zero"),
        (transfer("fund", -5, 0, 5, 0), "each_kind_moves_its_accounts"),
        (transfer("fund", -5, 0, 0, 5), "each_kind_moves_its_accounts"),
        (transfer("fund", -5, 5, 0, 0, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("hold", -5, 0, 5, 0, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("hold", 0, 5, -5, 0, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("hold", 0, -5, 5, 0), "each_kind_moves_its_accounts"),
        (transfer("settle", 0, -5, 0, 5, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("settle", 0, -5, 5, 0, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("settle", 0, 5, 0, -5, generation=HELD), "each_kind_moves_its_accounts"),
        (transfer("settle", 0, 0, -5, 5), "each_kind_moves_its_accounts"),
        (transfer("refund", 0, 0, 0, 0), "each_kind_moves_its_accounts"),
        (transfer("hold", 0, -5, 5, 0, generation=HELD), "transfers_once"),
        (transfer("settle", 0, 0, -PRICE, PRICE, generation=DONE), "transfers_once"),
        (f"update accounts set available_nanos = -1 where workspace_id = {W}", "available_never_negative"),
        (f"update accounts set held_nanos = -1 where workspace_id = {W}", "held_never_negative"),
        (f"update accounts set in_flight = -1 where workspace_id = {W}", "in_flight_never_negative"),
        (f"insert into accounts (workspace_id) values ({W})", "accounts_pkey"),
        (f"insert into daily_costs values ({W}, '2026-05-03', -1)", "daily_costs_cost_nanos_check"),
        (f"insert into daily_costs values ({W}, '2026-05-02', 1)", "daily_costs_pkey"),
        (f"insert into daily_usage (workspace_id, date, type, model) {USED}", "daily_usage_once"),
        ("update daily_usage set completed = -1", "daily_usage_completed_check"),
        ("update daily_usage set charged_thousandths = -1", "daily_usage_charged_thousandths_check"),
        ("update daily_usage set cost_nanos = -1", "daily_usage_cost_nanos_check"),
        ("update daily_usage set failed = -1", "daily_usage_failed_check"),
        ("insert into workspaces (name) values ('Bad Name')", "workspaces_name_check"),
        ("update workspaces set image_rpm = 0", "workspaces_image_rpm_check"),
        ("update workspaces set concurrency = -1", "workspaces_concurrency_check"),
        (f"update generations set charged_nanos = {PRICE + 1} where id = '{DONE}'", "generations_check"),
        (f"update generations set charged_nanos = 1 where id = '{HELD}'", "end_is_whole"),
        (f"update generations set finished_at = now() where id = '{HELD}'", "end_is_whole"),
        (f"update generations set state = 'running', run_token = gen_random_uuid() where id = '{HELD}'", "runner_has"),
        (f"update generations set held_nanos = -1 where id = '{HELD}'", "generations_held_nanos_check"),
        (f"update generations set quantity = 0 where id = '{HELD}'", "generations_quantity_check"),
        (
            f"insert into api_keys (workspace_id, name, sha256, prefix, last_four) values ({W}, 'k', 'x', 'p', 'l')",
            "api_keys_sha256_check",
        ),
    ],
)
def test_a_bad_row_is_refused(refusing: Connection, statement: str, constraint: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityError, match=constraint):
        refusing.execute(statement)


@pytest.mark.parametrize("state", ["queued", "running", "unknown", "failed", "canceled"])
def test_what_has_ended_stays_as_it_ended(refusing: Connection, state: str) -> None:
    with pytest.raises(errors.RestrictViolation, match=f"has ended as completed: it cannot become {state}"):
        refusing.execute(f"update generations set state = '{state}' where id = '{DONE}'")


def test_no_column_holds_money_as_a_float(refusing: Connection) -> None:
    rows = refusing.execute(
        """select table_name, column_name, data_type from information_schema.columns
           where table_schema = 'public' and table_name not like 'procrastinate%'"""
    ).fetchall()
    money = {(table, column): kind for table, column, kind in rows if "nanos" in str(column)}
    assert len(money) >= 13
    assert set(money.values()) <= {"bigint", "numeric"}
    floats = {(table, column) for table, column, kind in rows if kind in ("real", "double precision", "money")}
    assert floats <= {("generations", "progress")}
    assert not [column for _, column, _ in rows if str(column).endswith(("_usd", "price", "cost", "amount"))]


# Drift


DRIFT = [
    "update accounts set available_nanos = available_nanos + 1",
    "update accounts set held_nanos = held_nanos + 1",
    "update accounts set in_flight = in_flight + 1",
    f"update accounts set held_nanos = 0 where workspace_id = {W}",
    "delete from accounts",
    f"delete from transfers where generation_id = '{DONE}' and kind = 'settle'",
    "update transfers set available_nanos = available_nanos + 1, funding_nanos = funding_nanos - 1 where kind = 'fund'",
    "update transfers set revenue_nanos = 40000, available_nanos = 10000 where kind = 'settle'",
    f"update generations set charged_nanos = charged_nanos + 1 where id = '{DONE}'",
    f"update generations set held_nanos = held_nanos - 1 where id = '{HELD}'",
    "update daily_usage set cost_nanos = cost_nanos - 1",
    "update daily_usage set workspace_id = (select id from workspaces where name = 'v')",
    "delete from daily_usage",
]


async def recorded_problems(db: Database) -> list[str]:
    """What the last check left for readiness."""
    row = await db.one("find_books_check", {}, tuple)
    return list(row[0]) if row else []


@pytest.mark.parametrize("statement", DRIFT)
async def test_drift_made_by_hand_is_found(connection: Connection, fresh_database_url: str, statement: str) -> None:
    async with open_database(fresh_database_url) as db:
        books = await check_and_record_books(OPERATOR, db)
        assert books.balances, books
        assert await recorded_problems(db) == []
        connection.execute("set session_replication_role = replica")  # triggers and constraints of keys are off
        connection.execute(statement)
        books = await check_and_record_books(OPERATOR, db)
        assert not books.balances
        assert await recorded_problems(db)


ANOTHER_DAY = "insert into daily_usage (workspace_id, date, type, model) values ({}, '2026-05-02', 'video', 'clip')"
USAGE_DRIFT = [
    ("update daily_usage set completed = completed + 1", {"completed": (2, 1)}),
    ("update daily_usage set charged_thousandths = 599", {"charge in thousandths": (599, 600)}),
    ("update daily_usage set cost_nanos = cost_nanos + 1", {"cost in nano-dollars": (30_001, 30_000)}),
    ("update daily_usage set failed = 3", {"failed": (3, 0)}),
    (
        "delete from daily_usage",
        {"rows": (0, 1), "completed": (0, 1), "charge in thousandths": (0, 600), "cost in nano-dollars": (0, 30_000)},
    ),
    (ANOTHER_DAY.format(W), {"rows": (1, 0)}),
]


@pytest.mark.parametrize(("statement", "found"), USAGE_DRIFT)
async def test_usage_that_is_wrong_is_found_in_every_column(
    connection: Connection, fresh_database_url: str, statement: str, found: dict[str, tuple[int, int]]
) -> None:
    connection.execute(statement)
    async with open_database(fresh_database_url) as db:
        books = await check_and_record_books(OPERATOR, db)
        assert {item.what: (item.recorded, item.rebuilt) for item in books.usage_drift} == found
        assert {item.workspace for item in books.usage_drift} == {"w"}
        assert "daily usage of w has drifted" in await recorded_problems(db)
    costs_are_right = "cost in nano-dollars" not in found
    assert (books.statement.problems() == []) is costs_are_right, "its total is compared with revenue as well"
    assert (books.drift == ()) is costs_are_right
    told = safelight("books", env={"SAFELIGHT_DATABASE_URL": fresh_database_url})
    assert told.returncode == 1
    for what, (recorded, rebuilt) in found.items():
        (line,) = [line for line in told.stdout.splitlines() if f" {what} " in line]
        assert line.split()[-2:] == [str(recorded), str(rebuilt)]


@pytest.mark.parametrize(
    ("column", "wrong"), [("date", "date + 1"), ("type", "'video'"), ("model", "'other'"), ("api_key_id", "1")]
)
async def test_usage_under_a_wrong_name_is_found(
    connection: Connection, fresh_database_url: str, column: str, wrong: str
) -> None:
    """All totals are right; one row is missing, and one is of nothing."""
    connection.execute(
        f"insert into api_keys (workspace_id, name, sha256, prefix, last_four) values ({W}, 'k', sha256('x'), 'p', 'l')"
    )
    connection.execute(f"update daily_usage set {column} = {wrong}")
    async with open_database(fresh_database_url) as db:
        books = await check_and_record_books(OPERATOR, db)
    rows = [(item.recorded, item.rebuilt) for item in books.usage_drift if item.what == "rows"]
    assert sorted(rows) == [(0, 1), (1, 0)]
    assert books.problems() == ["daily usage of w has drifted"]


async def test_what_the_release_before_reads_is_not_read(connection: Connection, fresh_database_url: str) -> None:
    connection.execute("delete from daily_costs")
    async with open_database(fresh_database_url) as db:
        assert (await check_and_record_books(OPERATOR, db)).balances


async def test_usage_of_the_time_before_it_was_counted_is_in_the_books(databases: TestDatabases) -> None:
    """The migration counts what had ended by then, and what ends later is added to it."""
    url = databases.create_bare()
    migrate(url, "0002")
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection)
        migrate(url)
        settle(connection, HELD, charged=20_000)
        rows = connection.execute("select model, completed, charged_thousandths, cost_nanos, failed from daily_usage")
        assert rows.fetchall() == [("still", 2, 1200, 50_000, 0)]
    async with open_database(url) as db:
        books = await check_books(OPERATOR, db)
    assert books.balances, books


def test_the_command_tells_and_fails(connection: Connection, fresh_database_url: str) -> None:
    environment = {"SAFELIGHT_DATABASE_URL": fresh_database_url}
    good = safelight("books", env=environment)
    assert good.returncode == 0, good.stderr
    assert "0.00003" in good.stdout, "revenue"
    connection.execute(f"update accounts set available_nanos = available_nanos + 1 where workspace_id = {W}")
    bad = safelight("books", env=environment)
    assert bad.returncode == 1
    assert "available" in bad.stdout
    told = json.loads(safelight("books", "--json", env=environment).stdout)
    assert (told["balances"], len(told["drift"])) == (False, 1)
    assert told["drift"][0]["workspace"] == "w"
    assert int(told["drift"][0]["recorded"]) - int(told["drift"][0]["rebuilt"]) == 1
