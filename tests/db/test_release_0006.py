"""The release before works on a database at 0007: its statements, frozen, are sent to it as they stand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from bench.kept import LARGE, keep
from safelight.db.migrate import MIGRATIONS, migrate
from safelight.db.pool import statement
from safelight.domain.ids import new_generation_id
from tests.db.test_growth import plan_of
from tests.support.postgres import TestDatabases
from tests.support.server import eventually

pytestmark = pytest.mark.database

FROZEN = Path(__file__).parent / "release_0006"
STEPS = (
    "0007_people",
    "0007_keys",
    "0007_endpoints",
    "0007_deliveries",
    "0007_generations",
    "0007_operator",
)
PRICE_NANOS = 100_000_000
SETTLED = {
    "state": "completed",
    "charged_nanos": PRICE_NANOS,
    "charged_thousandths": 1000,
    "error_code": None,
    "error_message": None,
    "report": None,
    "unseen": False,
    "cost_nanos": None,
    "seed": None,
    "frees_key": False,
    "may_be_made": False,
    "loss": None,
    "media": Jsonb([]),
}
FAILED = {
    **SETTLED,
    "state": "failed",
    "charged_nanos": 0,
    "charged_thousandths": 0,
    "error_code": "generation_failed",
    "error_message": "It failed.",
}


def text_of(name: str) -> str:
    lines = (line.strip() for line in (FROZEN / f"{name}.sql").read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


@pytest.fixture(scope="module")
def connection(databases: TestDatabases) -> Iterator[psycopg.Connection[Any]]:
    url = databases.create()
    keep(url, 2_000)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, options="-c TimeZone=UTC") as made:
        yield made


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in FROZEN.glob("*.sql") if not path.stem.startswith("listen_"))
)
def test_its_statements_are_understood(connection: psycopg.Connection[Any], name: str) -> None:
    """A column, a table or a function that it names and that is gone would be an error."""
    assert plan_of(connection, text_of(name))


def test_its_books_balance_beside_a_close(connection: psycopg.Connection[Any]) -> None:
    for name in ("books_drift", "books_usage"):
        assert connection.execute(text_of(name).encode()).fetchall() == []


def test_what_it_erases_is_erased(connection: psycopg.Connection[Any]) -> None:
    ((workspace_id,),) = connection.execute("select id from workspaces where name = %s", [LARGE]).fetchall()
    with connection.transaction(force_rollback=True):
        for name in ("begin_erasure", "erase_generations"):
            connection.execute(text_of(name).encode(), {"workspace_id": workspace_id})
        left = """
            select count(*) from generations g join workspaces w on w.id = g.workspace_id
            where w.id = %s and g.id <= w.erased_up_to and g.request is not null
        """
        assert connection.execute(left, [workspace_id]).fetchall() == [(0,)]


class Node:
    """A node of that release with one session, which has prepared what it sends; ``read`` gives its statements."""

    def __init__(self, url: str, read: Callable[[str], str] = text_of) -> None:
        self._read = read
        self.connection = psycopg.connect(
            url, autocommit=True, prepare_threshold=1, row_factory=dict_row, options="-c TimeZone=UTC"
        )

    def row(self, name: str, /, **params: object) -> Any:
        return self.connection.execute(self._read(name).encode(), params).fetchone()

    def make(self, end_user: str | None, end: dict[str, Any] = SETTLED) -> None:
        """An image from its submission to its end."""
        id_, token = new_generation_id(), "6ba7b810-9dad-41d1-80b4-00c04fd430c8"
        submission = {
            "id": id_,
            "workspace_id": 1,
            "api_key_id": 1,
            "type": "image",
            "model": "still",
            "request": Jsonb({"prompt": "a hill"}),
            "body_sha256": bytes(32),
            "idempotency_key": None,
            "billable_unit": "image",
            "unit_price_nanos": PRICE_NANOS,
            "quantity": 1,
            "held_nanos": PRICE_NANOS,
            "run_token": token,
            "connection": "noop",
            "upstream_model": "still",
            "binding_options": Jsonb({}),
            "lease_seconds": 30,
            "deadline_seconds": 300,
            "retention_seconds": 3600,
            "is_stored": True,
            "webhook_url": None,
            "end_user": end_user,
            "remixed_from": None,
            "way_in": "v2",  # of today's alone
            "traceparent": None,  # of today's alone
            "is_capped": True,  # of today's alone
            "low_balance_nanos": None,
            "default_rpm": 10**6,
            "default_concurrency": 10**6,
        }
        with self.connection.transaction():
            assert self.row("submit", **submission) is not None
            assert self.row("spend_from_key", api_key_id=1, held_nanos=PRICE_NANOS) is not None
        assert self.row("settle", id=id_, run_token=token, **end) is not None


@pytest.fixture
def before(databases: TestDatabases) -> Iterator[str]:
    """A database at revision 0006 with a workspace, its credit, its endpoint, and a key."""
    url = databases.create_bare()
    migrate(url, "0006")
    with psycopg.connect(url) as made:
        made.execute("insert into workspaces (name) values ('one')")
        made.execute("insert into accounts (workspace_id, available_nanos) values (1, 10::bigint ^ 15)")
        made.execute(
            "insert into api_keys (workspace_id, name, sha256, prefix, last_four, spend_cap_nanos)"
            " values (1, 'key', sha256('key'), 'sk_0', '0000', 10::bigint ^ 15)"
        )
        made.execute("insert into webhook_endpoints (workspace_id, url, secret) values (1, 'https://a', 'whsec_a')")
    yield url
    databases.drop(url)


@pytest.fixture
def node(before: str) -> Iterator[Node]:
    made = Node(before)
    yield made
    made.connection.close()


def counted(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as by:
        return by.execute(
            "select end_user, completed, failed, charged_thousandths, cost_nanos from daily_end_users order by 1"
        ).fetchall()


def test_what_its_nodes_end_over_the_migration_is_counted(before: str, node: Node) -> None:
    """On a session that has prepared it before; without an end user, nothing is counted by one."""
    for _ in range(3):
        node.make("a")
    migrate(before)
    assert counted(before) == []
    for end_user, end in (("a", SETTLED), ("b", FAILED), (None, SETTLED), ("a", SETTLED)):
        node.make(end_user, end)
    assert counted(before) == [("a", 2, 0, 2000, 2 * PRICE_NANOS), ("b", 0, 1, 0, 0)]
    with psycopg.connect(before) as by:
        used = by.execute("select sum(completed), sum(failed) from daily_usage").fetchone()
    assert used == (6, 1)


def test_its_keys_may_generate(before: str, node: Node) -> None:
    migrate(before)
    made = {"name": "later", "sha256": bytes(32), "prefix": "sk_1", "last_four": "1111", "expires_at": None}
    assert node.row("create_key", workspace_id=1, spend_cap_nanos=None, **made) is not None
    with psycopg.connect(before) as by:
        assert by.execute("select distinct role from api_keys").fetchall() == [("generate",)]
        found = by.execute(statement("find_key"), {"sha256": [bytes(32)]}).fetchone()
    assert found is not None and found[-1] == "generate"


def test_what_it_refuses_is_counted(before: str, node: Node) -> None:
    migrate(before)
    row = {"workspace_id": [1], "type": ["image"], "model": ["still"], "api_key_id": [1], "reason": ["rate_limit"]}
    node.connection.execute(text_of("count_refusals").encode(), {**row, "date": ["2026-05-01"], "count": [3]})
    with psycopg.connect(before) as by:
        assert by.execute("select count from daily_refusals").fetchall() == [(3,)]


def test_the_migration_gives_way_to_who_submits_and_may_be_run_again(before: str) -> None:
    other = psycopg.connect(before, autocommit=True)
    with other, psycopg.connect(before) as under_way, ThreadPoolExecutor() as threads:
        under_way.execute("update generations set model = model where false")
        migration = threads.submit(migrate, before)
        waits = "select from pg_locks where relation = 'generations'::regclass and not granted"
        eventually(
            lambda: migration.done() or other.execute(waits).fetchone() is not None,
            "the migration waits for the submission",
        )
        assert not migration.done(), migration.result()
        under_way.execute("update api_keys set name = name")  # as a submission comes to its key
        under_way.commit()
        migration.result(60)
    files = {path.stem for path in (MIGRATIONS / "versions").glob("0007_*.sql")}
    assert files == {*STEPS, "0007_generations_indexes"}
    with psycopg.connect(before) as again:
        for name in STEPS:
            again.execute((MIGRATIONS / "versions" / f"{name}.sql").read_text())
    node = Node(before)
    node.make("a")
    node.connection.close()
    assert counted(before) == [("a", 1, 0, 1000, PRICE_NANOS)]


def test_whoever_submits_ends_and_changes_meanwhile_is_no_circle_s_victim(before: str) -> None:
    """PostgreSQL ends one of those who wait in a circle; here that would be a node, or the migration."""
    stop = threading.Event()

    def work() -> int:
        node, made = Node(before), 0
        while not stop.is_set():
            node.make("ab"[made % 2], SETTLED if made % 3 else FAILED)
            made += 1
        node.connection.close()
        return made

    def change() -> None:
        node = Node(before)
        params = {"workspace_id": 1, "key_id": 1, "fresh": b"k"}
        params |= {"image_rpm": None, "video_rpm": None, "concurrency": 1000}
        while not stop.is_set():
            for name in ("set_workspace_limits", "touch_key", "make_end_user_key"):
                node.connection.execute(text_of(name).encode(), params)
        node.connection.close()

    with ThreadPoolExecutor() as threads:
        nodes = [threads.submit(each) for each in (work, work, change)]
        try:
            migrate(before)
        finally:
            stop.set()
        made = [node.result(60) for node in nodes]
    assert sum(filter(None, made)) > 0
