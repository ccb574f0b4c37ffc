"""Generations in every state there is, as the release before leaves them; and looks at what a database holds."""

from __future__ import annotations

import secrets
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from tests.db.release_before import UNIT_PRICE_NANOS, ReleaseBefore, Row, Sender, Wish, Work, intent

STILL = Wish(type="image", model="still")
CLIP = Wish(type="video", model="clip", quantity=5)
SHORT = Wish(type="video", model="clip-short", quantity=10)
HANDLE = {"job": "a-job-4711"}

Connection = psycopg.Connection[Any]
Usage = Counter[tuple[object, ...]]


class Past(msgspec.Struct, kw_only=True):
    """What was made. ``ended`` and ``under_way`` are by what is special of them."""

    open: Sender
    capped: Sender
    ended: dict[str, Work]
    under_way: dict[str, Work]


def make_past(old: ReleaseBefore, name: str) -> Past:
    """Two days of two workspaces, one of which was erased since, and work under way."""
    by = old.workspace(name)
    capped = old.key(name, spend_cap_nanos=500 * UNIT_PRICE_NANOS)
    get_known(old, by)
    ended = {f"yesterday {what}": work for what, work in end_some(old, by, CLIP).items()}
    ended |= {f"yesterday capped {what}": work for what, work in end_some(old, capped, SHORT).items()}
    gone = old.workspace(f"{name}-gone")
    ended |= {f"erased {what}": work for what, work in end_some(old, gone, CLIP).items()}
    old.erase(f"{name}-gone")
    let_a_day_pass(old)
    ended |= {f"today {what}": work for what, work in end_some(old, by, SHORT).items()}
    ended |= {f"today capped {what}": work for what, work in end_some(old, capped, CLIP).items()}
    return Past(open=by, capped=capped, ended=ended, under_way=get_under_way(old, by, capped))


def get_known(old: ReleaseBefore, by: Sender) -> None:
    """Who is told and who looks on, who is in, and what was refused."""
    its: Row = {"workspace_id": by.workspace_id}
    endpoint: Row = {**its, "event_types": None, "secret": "whsec_a", "idempotency_key": None}
    old.run("create_endpoint", url="https://hooks.example.com/", **endpoint)
    old.run("create_endpoint", url=None, **endpoint)
    old.run("follow_workspace", seconds=3600, beginning="stream.begins", **its)
    person: Row = {**its, "person": "somebody", "role": "admin", "seconds": 3600}
    old.run("create_session", sha256=secrets.token_bytes(32), api_key_id=by.key_id, user_agent="a test", **person)
    old.run("create_login_link", sha256=secrets.token_bytes(32), **person)
    refused: Row = {**its, "type": "image", "model": "still", "api_key_id": by.key_id}
    refused |= {"reason": "rate_limit", "count": 2}
    listed = {name: [value] for name, value in refused.items()}
    requests = Jsonb([{**refused, "way_in": "v2", "message": "No.", "param": None}])
    old.run("count_refusals", date=[datetime.now(UTC).date()], requests=requests, **listed)


def end_some(old: ReleaseBefore, by: Sender, video: Wish) -> dict[str, Work]:
    """An end of each kind, and what may become of its file."""
    url = "https://hooks.example.com/ends"
    key = f"key-{by.key_id}-{video.model}"
    made = {
        "forgotten": old.submit(by, STILL),
        "failed": old.submit(by, msgspec.structs.replace(video, webhook_url=url, end_user="a")),
        "canceled": old.submit(by, video),
        "kept": old.submit(
            by, msgspec.structs.replace(STILL, references=2, webhook_url=url, idempotency_key=key, end_user="a")
        ),
        "delivered once": old.submit(by, msgspec.structs.replace(STILL, is_stored=False)),
        "tombstoned": old.submit(by, video),
        "purged": old.submit(by, msgspec.structs.replace(video, references=1)),
        "shorter": old.submit(by, video),
    }
    old.fail(made["forgotten"])
    old.run("forget_unfulfilled", retention_seconds=-1)
    old.run("request_cancel", id=made["canceled"].id, workspace_id=by.workspace_id, type="video")
    for work in made.values():
        if work.wish.type == "video":
            assert old.claim(work) is not None
            old.ask(work, handle=HANDLE)
    assert old.fail(made["failed"])
    assert old.cancel(made["canceled"])
    for what in ("kept", "delivered once"):
        assert old.complete(made[what])
    for what in ("tombstoned", "purged"):
        assert old.complete(made[what], video.quantity * 1000)
    assert old.complete(made["shorter"], 3517)
    old.purge(old.rows("tombstone_file", id=made["delivered once"].id, index=0))
    for what in ("tombstoned", "purged"):
        due = old.rows("tombstone_generation", id=made[what].id, workspace_id=by.workspace_id)
        assert len(due) == 1
        if what == "purged":
            old.purge(due)
    old.run("record_seen", ids=[made["shorter"].id], seen=True)
    return made


def get_under_way(old: ReleaseBefore, by: Sender, capped: Sender) -> dict[str, Work]:
    """A generation in every state that is not an end."""
    url = "https://hooks.example.com/ends"
    waiting = {
        "queued": CLIP,
        "queued with a key and a webhook": msgspec.structs.replace(CLIP, idempotency_key="k-1", webhook_url=url),
        "queued and its job lost": msgspec.structs.replace(SHORT, is_on_queue=False),
        "queued past its deadline": msgspec.structs.replace(CLIP, deadline_seconds=-1),
        "queued and not wanted": SHORT,
    }
    made = {what: old.submit(capped if i % 2 else by, wish) for i, (what, wish) in enumerate(waiting.items())}
    made["image running"] = old.submit(capped, msgspec.structs.replace(STILL, references=2))
    made["image silent"] = old.submit(by, msgspec.structs.replace(STILL, idempotency_key="k-2"), lease_seconds=-1)
    running = {
        "running": 30.0,
        "silent": -1.0,
        "intent": 30.0,
        "intent of the second binding, silent": -1.0,
        "withdrawn": -1.0,
        "accepted": 30.0,
        "accepted by the second binding, silent": -1.0,
        "unknown": 30.0,
        "unknown with a handle, to be looked at": 30.0,
        "running and not wanted": 30.0,
        "handed back": 30.0,
    }
    for i, (what, lease_seconds) in enumerate(running.items()):
        made[what] = work = old.submit(capped if i % 2 else by, SHORT if i % 3 else CLIP)
        assert old.claim(work, lease_seconds=lease_seconds) is not None
    old.ask(made["intent"])
    old.ask(made["intent of the second binding, silent"], 1)
    old.ask(made["withdrawn"], 1)
    loss = Jsonb({**intent(1), "binding_options": None, "reason": "failed", "cost_nanos": 7, "request_id": None})
    assert old.write("withdraw_intent", made["withdrawn"], report=None, loss=loss, tries=1)
    old.ask(made["accepted"], 0, HANDLE)
    progress: Row = {"ids": [made["accepted"].id], "run_tokens": [made["accepted"].token], "progress": [0.25]}
    progress |= {"stages": ["sampling"], "places": [None]}
    assert old.run("record_progress", **progress) == 1
    old.ask(made["accepted by the second binding, silent"], 1, HANDLE)
    old.ask(made["unknown"])
    assert old.write("record_unknown", made["unknown"], counts=1, first_look_seconds=600, report=None)
    looked_at = made["unknown with a handle, to be looked at"]
    old.ask(looked_at, 1, HANDLE)
    assert old.write("record_unknown", looked_at, counts=0, first_look_seconds=0, report=None)
    old.connection.execute("update generations set wake_at = now() where id = %s", [looked_at.id])  # due from now on
    old.ask(made["running and not wanted"], 0, HANDLE)
    old.ask(made["handed back"], 1, HANDLE)
    assert old.row("hand_back", id=made["handed back"].id, run_token=made["handed back"].token)
    for what in ("queued and not wanted", "running and not wanted"):
        work = made[what]
        assert old.row("request_cancel", id=work.id, workspace_id=work.by.workspace_id, type="video")
    return made


def let_a_day_pass(old: ReleaseBefore) -> None:
    """Move what has happened a day into the past."""
    for table, columns in {
        "generations": ("created_at", "submitted_at", "finished_at", "deletes_at", "deadline", "wake_at"),
        "media": ("deletes_at", "tombstoned_at", "deleted_at"),
        "idempotency_keys": ("created_at",),
    }.items():
        moved = ", ".join(f"{column} = {column} - interval '1 day'" for column in columns)
        old.connection.execute(f"update {table} set {moved}")
    for table in ("daily_costs", "daily_usage", "daily_end_users", "daily_refusals", "daily_margins"):
        old.connection.execute(f"update {table} set date = date - 1")


def outlines(old: ReleaseBefore, made: dict[str, Work]) -> dict[str, Row | None]:
    """How each stands, without what differs from one making to the next: ids, times, tokens."""
    statement = """
        select g.state::text, g.attempts, g.binding, g.handle, g.progress, g.unseen, g.is_stored, g.held_nanos,
            g.charged_nanos, g.charged_thousandths, g.error_code, g.error_message, g.request is null as is_forgotten,
            g.run_token is not null as has_runner, g.lease_until < now() as is_silent, g.wake_at <= now() as is_due,
            g.submitted_at is not null as was_submitted, g.cancel_requested_at is not null as is_not_wanted,
            g.deletes_at is not null as is_kept, m.tombstoned_at is not null as is_marked,
            m.deleted_at is not null as is_gone, v.type as told, count(d.id) as deliveries
        from generations g left join media m on m.generation_id = g.id
        left join events v on v.generation_id = g.id left join deliveries d on d.event_id = v.id
        where g.id = %s group by g.id, m.generation_id, m.index, v.id"""
    return {what: old.connection.execute(statement, [work.id]).fetchone() for what, work in made.items()}


def let_leases_run_out(connection: Connection, *works: Work) -> None:
    """Of these generations; of all where none is given."""
    connection.execute(
        """update generations set lease_until = now() - interval '1 s'
           where run_token is not null and (%(ids)s = '{}' or id = any(%(ids)s::text[]))""",
        {"ids": [work.id for work in works]},
    )


def columns_of(connection: Connection) -> dict[str, list[str]]:
    """The columns of every table."""
    found: dict[str, list[str]] = {}
    for row in connection.execute(
        """select c.table_name, c.column_name from information_schema.columns c
           join information_schema.tables t using (table_schema, table_name)
           where c.table_schema = 'public' and t.table_type = 'BASE TABLE' and c.table_name <> 'alembic_version'
           order by 1, 2"""
    ).fetchall():
        table, column = row.values()
        found.setdefault(table, []).append(column)
    return found


def dump(connection: Connection, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every row of these columns, as text."""
    return {
        table: sorted(
            str(row)
            for row in connection.execute(f"select {', '.join(map('t.{}'.format, names))} from {table} t").fetchall()
        )
        for table, names in columns.items()
    }


def ends_by_day(connection: Connection) -> Usage:
    """What was used, counted here from the generations: completed, thousandths, nanos and failed of each group."""
    counted: Usage = Counter()
    for row in connection.execute(
        """select workspace_id, (finished_at at time zone 'UTC')::date as date, type::text as type, model, api_key_id,
               state::text as state, charged_thousandths, charged_nanos
           from generations where state in ('completed', 'failed', 'canceled')"""
    ).fetchall():
        group = tuple(row[name] for name in ("workspace_id", "date", "type", "model", "api_key_id"))
        is_completed = row["state"] == "completed"
        counted[*group, "completed"] += is_completed
        counted[*group, "failed"] += not is_completed
        counted[*group, "charged_thousandths"] += row["charged_thousandths"]
        counted[*group, "cost_nanos"] += row["charged_nanos"]
    return +counted


def daily_usage(connection: Connection) -> Usage:
    """The table of that name, in the same shape."""
    counted: Usage = Counter()
    for row in connection.execute("select * from daily_usage").fetchall():
        group = tuple(row[name] for name in ("workspace_id", "date", "type", "model", "api_key_id"))
        for what in ("completed", "failed", "charged_thousandths", "cost_nanos"):
            assert (*group, what) not in counted
            counted[*group, what] = row[what]
    return +counted


def check(connection: Connection, old: ReleaseBefore) -> None:
    """Every end is counted once, on its day; and the release before finds its books in order."""
    assert daily_usage(connection) == ends_by_day(connection)
    assert old.drift() == []
