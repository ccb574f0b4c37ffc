"""The release before works on a database that is one migration ahead, and nothing is lost on the way there or back.

The release before is its statements, frozen, sent as it sends them; the release of today is its own functions, on the
same database. There are generations in every state there is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.types.json import Jsonb

from bench.kept import keep
from safelight.accounts.books import check_books
from safelight.db.migrate import migrate
from safelight.domain.errors import GenerationFailed
from safelight.domain.generations import GenerationType, State
from safelight.domain.media import MediaFacts
from safelight.domain.request import Request
from safelight.domain.scope import OPERATOR, Principal
from safelight.lifecycle import settle
from safelight.lifecycle.claims import Claim, Intent
from safelight.lifecycle.reconcile import reconcile
from safelight.lifecycle.run import claim
from safelight.lifecycle.settle import StoredFile
from safelight.lifecycle.submit import Submission, submit
from safelight.wiring import Parts
from tests.db import past
from tests.db.past import CLIP, HANDLE, SHORT, STILL, Connection, Past
from tests.db.release_before import FROZEN, UNIT_PRICE_NANOS, ReleaseBefore, Sender, Work, frozen, intent
from tests.db.test_growth import plan_of
from tests.money.shop import parts_in
from tests.support.postgres import TestDatabases

pytestmark = pytest.mark.database

ENDS = (State.COMPLETED, State.FAILED, State.CANCELED)


# Forward


def test_what_is_there_stays_as_it_is(url: str, connection: Connection, old: ReleaseBefore) -> None:
    past.make_past(old, "studio")
    columns = past.columns_of(connection)
    before = past.dump(connection, columns)
    migrate(url)
    assert past.dump(connection, columns) == before
    past.check(connection, old)


async def test_what_is_under_way_is_ended_by_this_release(
    url: str, connection: Connection, old: ReleaseBefore, tmp_path: Path
) -> None:
    made = past.make_past(old, "studio")
    migrate(url)
    stale = list(made.under_way.values())
    async with parts_in(tmp_path, url) as parts:
        await reconcile(parts.running)
        overdue = made.under_way.pop("queued past its deadline")
        assert row_of(connection, overdue)["state"] == "failed"
        for end, (what, work) in zip(itertools.cycle(ENDS), made.under_way.items(), strict=False):
            await end_by_this_release(parts, connection, what, work, end)
        assert (await check_books(OPERATOR, parts.db)).balances
    for work in stale:
        assert old.complete(work) is None
    past.check(connection, old)
    left = "select count(*) as under_way from generations where finished_at is null"
    assert connection.execute(left).fetchone() == {"under_way": 0}


async def end_by_this_release(parts: Parts, connection: Connection, what: str, work: Work, end: State) -> None:
    """Take it up where the release before left it, and end it; once."""
    before = row_of(connection, work)
    if before["has_live_runner"]:
        assert await claim(parts.running, work.id) is None, what
        past.let_leases_run_out(connection, work)
    taken = await claim(parts.running, work.id)
    assert taken is not None, what
    assert taken.was_submitted == (before["submitted_at"] is not None)
    assert taken.is_cancel_requested == (before["cancel_requested_at"] is not None)
    assert (taken.handle, taken.is_unknown) == (before["handle"], before["state"] == "unknown")
    assert taken.price.total_nanos == UNIT_PRICE_NANOS * work.wish.quantity
    assert len(taken.spec.references) == work.wish.references
    if end is State.COMPLETED:
        ended = await settle.complete(parts.db, taken, delivery(taken))
    else:
        ended = await settle.fail(parts.db, taken, GenerationFailed(), state=end)
    assert ended is not None
    assert await settle.fail(parts.db, taken, GenerationFailed()) is None
    after = row_of(connection, work)
    assert (after["state"], after["settlements"]) == (end, 1)
    assert after["charged_nanos"] == (taken.price.total_nanos if end is State.COMPLETED else 0)


def row_of(connection: Connection, work: Work) -> dict[str, Any]:
    found: dict[str, Any] | None = connection.execute(
        """select *, state::text as state, coalesce(lease_until > now(), false) as has_live_runner,
               (select count(*) from transfers t where t.generation_id = g.id and kind = 'settle') as settlements
           from generations g where id = %s""",
        [work.id],
    ).fetchone()
    assert found is not None
    return found


def delivery(claim: Claim) -> tuple[StoredFile, ...]:
    """One file of all that was ordered, as if it lay in the store."""
    if claim.type is GenerationType.IMAGE:
        facts = MediaFacts(mime_type="image/jpeg", width=64, height=64)
    else:
        facts = MediaFacts(
            mime_type="video/mp4",
            width=64,
            height=64,
            duration_seconds=float(claim.price.quantity),
            fps=24.0,
            has_sound=False,
        )
    return (StoredFile(index=0, key=f"media/{claim.id}", size_bytes=1, sha256="ab" * 32, facts=facts),)


# The release before, on the database that is ahead


def test_the_release_before_goes_on(url: str, connection: Connection, old: ReleaseBefore) -> None:
    """Nodes that were running all the while: with what they had under way, and with all that they can do."""
    first = past.make_past(old, "studio")
    as_it_was = past.outlines(old, first.ended | first.under_way)
    migrate(url)
    assert past.outlines(old, first.ended | first.under_way) == as_it_was
    again = old.workspace("again")
    capped = old.key("again", spend_cap_nanos=500 * UNIT_PRICE_NANOS)
    past.get_known(old, again)
    under_way = past.get_under_way(old, again, capped)
    ended = {f"today {what}": work for what, work in past.end_some(old, again, SHORT).items()}
    ended |= {f"today capped {what}": work for what, work in past.end_some(old, capped, CLIP).items()}
    for what, outline in past.outlines(old, ended | under_way).items():
        assert outline == as_it_was[what], what
    past.check(connection, old)
    for work, end in zip(under_way.values(), itertools.cycle(ENDS), strict=False):
        end_by_the_release_before(old, work, end)
    end_all_by_the_release_before(old, first)
    past.check(connection, old)
    look_and_clean_up(old, again, ended["today kept"])
    old.erase("again")
    past.check(connection, old)
    erased = "select count(*) as kept from generations where workspace_id = %s and request is not null"
    assert connection.execute(erased, [again.workspace_id]).fetchone() == {"kept": 0}


def end_all_by_the_release_before(old: ReleaseBefore, made: Past) -> None:
    """As its reconciler does: what is past its deadline has failed; what lost its runner gets another."""
    past.let_leases_run_out(old.connection)
    ids = {work.id: work for work in made.under_way.values()}
    for row in old.rows("list_overdue"):
        work = ids.pop(row["id"])
        assert old.claim(work) is not None and old.fail(work) is not None
    on_queue = ("queued", "queued with a key and a webhook", "queued and not wanted", "handed back")
    waiting = {made.under_way[what].id for what in (*on_queue, "unknown")}
    nobody: dict[str, object] = {"dead": [], "absent": [], "silent_seconds": 5, "most": 500, "grace_seconds": 0}
    assert {row["id"] for row in old.rows("requeue_due", **nobody)} == ids.keys() - waiting
    for work, end in zip(ids.values(), itertools.cycle(ENDS), strict=False):
        end_by_the_release_before(old, work, end)


def end_by_the_release_before(old: ReleaseBefore, work: Work, end: State) -> None:
    past.let_leases_run_out(old.connection, work)
    assert old.claim(work) is not None
    kept = old.rows("renew_leases", ids=[work.id], run_tokens=[work.token], lease_seconds=30)
    assert [row["id"] for row in kept] == [work.id]
    ends = {State.FAILED: old.fail, State.CANCELED: old.cancel}
    assert (ends[end](work) if end in ends else old.complete(work, 700)) is not None
    assert old.fail(work) is None


def look_and_clean_up(old: ReleaseBefore, by: Sender, kept: Work) -> None:
    """What it lists, finds, replays, sends and deletes."""
    params: dict[str, Any] = {"types": list(GenerationType), "states": list(State), "after": None, "limit": 1000}
    listed = old.rows("list_generations", workspace_id=by.workspace_id, **params)
    found = old.rows("find_generation", id=[kept.id], workspace_id=[by.workspace_id])
    assert [row["id"] for row in found] == [kept.id]
    assert kept.id in {row["id"] for row in listed}
    replayed = old.row("find_idempotency_key", workspace_id=by.workspace_id, key=kept.wish.idempotency_key)
    assert replayed and replayed["generation_id"] == kept.id
    attempt = {"api_key_id": by.key_id, "body_sha256": replayed["body_sha256"]}
    assert old.row("find_earlier_attempt", **attempt) is None  # it ended, and was told
    assert old.row("find_file", id=kept.id, index=0) is not None
    leased: dict[str, Any] = {"lane_slots": 1000, "slots": 10_000, "kept_slots": 0, "lanes_looked_at": 1000}
    leased |= {"lease_seconds": 30, "busy_workspaces": [], "busy_lanes": [], "busy_attempts": []}
    assert kept.id in {row["generation_id"] for row in old.rows("claim_deliveries", **leased)}
    costs = old.rows("list_daily_costs", workspace_id=by.workspace_id, first="2000-01-01", last="2100-01-01")
    account = old.row("limits", workspace_id=by.workspace_id, type="image", default_rpm=1, default_concurrency=1)
    assert account and account["in_flight"] == 0
    spent = 1000 * UNIT_PRICE_NANOS - account["available_nanos"]
    assert sum(row["cost_nanos"] for row in costs) == spent == sum(row["charged_nanos"] for row in listed)
    old.rows("tombstone_generation", id=kept.id, workspace_id=by.workspace_id)
    old.purge([{"generation_id": kept.id, "index": 0}])
    receipt = old.row("find_receipt", id=kept.id, workspace_id=by.workspace_id)
    assert receipt and receipt["deleted_at"] is not None


# Both at once


def take(old: ReleaseBefore, work: Work) -> dict[str, Any]:
    """Take it over for the release before, from whoever has it."""
    past.let_leases_run_out(old.connection)
    row = old.claim(work)
    assert row is not None
    return row


async def take_by_this_release(parts: Parts, connection: Connection, work: Work) -> Claim:
    past.let_leases_run_out(connection)
    taken = await claim(parts.running, work.id)
    assert taken is not None
    return taken


async def name_intent(parts: Parts, taken: Claim, place: int) -> None:
    """As this release records an intent. The place stays in ``binding``, for the release before may read it."""
    params = {"id": taken.id, "run_token": taken.run_token, "binding": place, **intent(place)}
    done = await parts.db.run("record_intent", params)
    assert done == 1


async def test_a_generation_may_pass_from_one_release_to_the_other_and_back(
    url: str, connection: Connection, old: ReleaseBefore, tmp_path: Path
) -> None:
    by = old.workspace("studio")
    migrate(url)
    async with parts_in(tmp_path, url) as parts:
        work = old.submit(by, CLIP)
        taken = await take_by_this_release(parts, connection, work)
        await name_intent(parts, taken, 1)
        # The release before polls the job of that intent.
        work.token = taken.run_token
        assert old.write("record_handle", work, handle=Jsonb(HANDLE))
        row = take(old, work)
        assert (row["connection"], row["handle"], row["was_submitted"]) == ("backend-1", HANDLE, True)
        assert old.write("record_unknown", work, counts=1, first_look_seconds=0, report=None)
        again = await take_by_this_release(parts, connection, work)
        assert again.intent == Intent(connection="backend-1", upstream_model="a-model", options={})
        assert again.is_unknown
        # It asks another backend, and this release goes on with that.
        take(old, work)
        assert old.write("withdraw_intent", work, report=None, loss=None, tries=1)
        old.ask(work, 0, {"job": "another"})
        taken = await take_by_this_release(parts, connection, work)
        assert (taken.handle, taken.was_submitted, taken.tries) == ({"job": "another"}, True, 1)
        assert taken.intent == Intent(connection="backend-0", upstream_model="a-model", options={})
        assert await settle.complete(parts.db, taken, delivery(taken)) is not None
        assert old.fail(work) is None
        assert (await check_books(OPERATOR, parts.db)).balances
    past.check(connection, old)


async def test_what_this_release_accepted_is_ended_by_the_release_before(
    url: str, connection: Connection, old: ReleaseBefore, tmp_path: Path
) -> None:
    """Going back: nodes of the release before are started again."""
    by, capped = old.workspace("studio"), old.key("studio", spend_cap_nanos=500 * UNIT_PRICE_NANOS)
    migrate(url)
    async with parts_in(tmp_path, url) as parts:
        accepted = [
            await accept(parts, sender, type_, position)
            for position, (sender, type_) in enumerate(itertools.product((by, capped), GenerationType))
        ]
        videos = [work for work in accepted if work.wish.type == "video"]
        await name_intent(parts, await take_by_this_release(parts, connection, videos[0]), 0)
    for work, end in zip(accepted, itertools.cycle(ENDS), strict=False):
        row = take(old, work)
        assert (row["type"], row["model"]) == (work.wish.type, work.wish.model)
        assert row["was_submitted"] == (work.wish.type == "image" or work is videos[0])
        assert row["request"]["prompt"] == "a hill"
        end_by_the_release_before(old, work, end)
    past.check(connection, old)


async def accept(parts: Parts, by: Sender, type_: GenerationType, position: int) -> Work:
    wish = STILL if type_ is GenerationType.IMAGE else CLIP
    request = Request(type=type_, model=wish.model, prompt="a hill")
    principal = Principal(key_id=by.key_id, workspace_id=by.workspace_id, workspace="studio", is_capped=by.is_capped)
    accepted = await submit(
        parts.submitting,
        Submission(principal=principal, request=request, body_sha256=bytes(32), idempotency_key=f"k-{position}"),
    )
    price = parts.submitting.catalog.models[wish.model].rates[0].unit_price_nanos
    return Work(id=accepted.id, by=by, wish=wish, unit_price_nanos=price)


# Its statements


@pytest.fixture(scope="module")
def kept(databases: TestDatabases) -> Iterator[psycopg.Connection[Any]]:
    """A database of today with some of everything."""
    url = databases.create()
    keep(url, 2_000)
    with psycopg.connect(url, autocommit=True, prepare_threshold=None, options="-c TimeZone=UTC") as made:
        yield made


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in FROZEN.glob("*.sql") if not path.stem.startswith("listen_"))
)
def test_they_are_understood(kept: psycopg.Connection[Any], name: str) -> None:
    """A column, a table or a function that it names and that is gone would be an error."""
    assert plan_of(kept, frozen(name))


def test_its_books_balance_beside_a_close(kept: psycopg.Connection[Any]) -> None:
    for name in ("books_drift", "books_usage"):
        assert kept.execute(frozen(name).encode()).fetchall() == []


def test_its_sessions_keys_and_refusals(url: str, old: ReleaseBefore) -> None:
    """What it writes after the migration is as it was before."""
    migrate(url)
    by = old.workspace("studio")
    past.get_known(old, by)
    its: dict[str, Any] = {"workspace_id": by.workspace_id, "operators": False, "idle_seconds": 3600}
    assert [row["person"] for row in old.rows("list_sessions", **its)] == ["somebody"]
    refused = old.connection.execute("select sum(count) as count from refused_requests").fetchone()
    counted = old.connection.execute("select sum(count) as count from daily_refusals").fetchone()
    assert refused == counted == {"count": 2}
    assert {row["role"] for row in old.connection.execute("select role from api_keys").fetchall()} == {"generate"}


def test_its_end_users_are_counted(url: str, connection: Connection, old: ReleaseBefore) -> None:
    """On a session that has prepared it before."""
    by = old.workspace("studio")
    image = msgspec.structs.replace(STILL, end_user="a")
    for _ in range(3):
        assert old.complete(old.submit(by, image))
    migrate(url)
    assert (
        old.complete(old.submit(by, image)) and old.fail(old.submit(by, image)) and old.complete(old.submit(by, STILL))
    )
    counted = connection.execute("select completed, failed, cost_nanos from daily_end_users").fetchall()
    assert counted == [{"completed": 4, "failed": 1, "cost_nanos": 4 * UNIT_PRICE_NANOS}]
    past.check(connection, old)
