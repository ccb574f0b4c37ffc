"""A node of the release before, as the database sees it: its frozen statements, sent as it sends them."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from safelight.domain.ids import new_generation_id

REVISION = "0007"
"""The newest that the release before knows."""
FROZEN = Path(__file__).parent / f"release_{REVISION}"
LEASE_SECONDS = 30.0
UNIT_PRICE_NANOS = 100_000_000

Row = dict[str, Any]


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """A key of a workspace."""

    workspace_id: int
    key_id: int
    is_capped: bool = False


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. ``quantity`` is the seconds of a video, or one image."""

    type: str
    model: str
    quantity: int = 1
    idempotency_key: str | None = None
    webhook_url: str | None = None
    is_stored: bool = True
    references: int = 0
    end_user: str | None = None
    deadline_seconds: int = 3600
    is_on_queue: bool = True

    @property
    def spec(self) -> Row:
        sizes: Row = {"prompt": "a hill", "aspect_ratio": "1:1", "resolution": "1K", "width": 64, "height": 64}
        role = "reference_image" if self.type == "image" else "first_frame"
        kept = [{"role": role, "mime_type": "image/png", "key": f"inputs/{i}.png"} for i in range(self.references)]
        of_type = {"output_format": "jpeg"} if self.type == "image" else {"duration_seconds": self.quantity}
        return {**sizes, **of_type, "sound": None, "references": kept}


def intent(place: int) -> Row:
    """The backend that an order is for, as that release puts it on record."""
    return {"connection": f"backend-{place}", "upstream_model": "a-model", "binding_options": Jsonb({})}


class Work(msgspec.Struct, kw_only=True):
    """A generation, and the token that its runner of the release before writes with; None: it has none."""

    id: str
    by: Sender
    wish: Wish
    token: uuid.UUID | None = None
    unit_price_nanos: int = UNIT_PRICE_NANOS


@cache
def frozen(name: str) -> str:
    """The text of a frozen statement, without indentation and lines of comment."""
    lines = (line.strip() for line in (FROZEN / f"{name}.sql").read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


class ReleaseBefore:
    """One connection of a node. It stays open: what it prepared before a migration it goes on with after it."""

    def __init__(self, url: str, read: Callable[[str], str] = frozen) -> None:
        """``read`` gives the text of a statement by its name."""
        self._read = read
        self.connection = psycopg.connect(
            url, autocommit=True, prepare_threshold=2, row_factory=dict_row, options="-c TimeZone=UTC"
        )

    def close(self) -> None:
        self.connection.close()

    def rows(self, statement: str, /, **params: object) -> list[Row]:
        cursor = self.connection.execute(self._read(statement).encode(), params)
        return cursor.fetchall() if cursor.description else []

    def row(self, statement: str, /, **params: object) -> Row | None:
        rows = self.rows(statement, **params)
        return rows[0] if rows else None

    def run(self, statement: str, /, **params: object) -> int:
        """The number of rows that the statement touched."""
        return self.connection.execute(self._read(statement).encode(), params).rowcount

    # Workspaces

    def workspace(self, name: str, nanos: int = 1000 * UNIT_PRICE_NANOS) -> Sender:
        """A new workspace with credit, and a key of it."""
        row = self.row("create_workspace", name=name)
        assert row is not None
        self.run("add_credit", workspace_id=row["id"], amount_nanos=nanos, reason="for a test", reference=f"for {name}")
        return self.key(name)

    def key(self, workspace: str, spend_cap_nanos: int | None = None, role: str = "generate") -> Sender:
        found = self.connection.execute("select id from workspaces where name = %s", [workspace]).fetchone()
        assert found is not None
        row = self.row(
            "create_key",
            workspace_id=found["id"],
            name="key",
            role=role,
            idempotency_key=None,
            sha256=secrets.token_bytes(32),
            prefix="sk_0000",
            last_four="0000",
            spend_cap_nanos=spend_cap_nanos,
            expires_at=None,
        )
        assert row is not None
        return Sender(workspace_id=found["id"], key_id=row["id"], is_capped=spend_cap_nanos is not None)

    # The life of a generation

    def submit(self, by: Sender, wish: Wish, *, lease_seconds: float = LEASE_SECONDS) -> Work:
        """Accept a generation; an image is born claimed."""
        work = Work(id=new_generation_id(), by=by, wish=wish, token=uuid.uuid4() if wish.type == "image" else None)
        params = {
            "id": work.id,
            "workspace_id": by.workspace_id,
            "api_key_id": by.key_id,
            "type": wish.type,
            "model": wish.model,
            "request": Jsonb(wish.spec),
            "body_sha256": hashlib.sha256(work.id.encode()).digest(),
            "idempotency_key": wish.idempotency_key,
            "billable_unit": "image" if wish.type == "image" else "video_second",
            "unit_price_nanos": UNIT_PRICE_NANOS,
            "quantity": wish.quantity,
            "held_nanos": UNIT_PRICE_NANOS * wish.quantity,
            "run_token": work.token,
            **(intent(0) if work.token is not None else dict.fromkeys(intent(0))),
            "lease_seconds": lease_seconds,
            "deadline_seconds": wish.deadline_seconds,
            "retention_seconds": 3600,
            "is_stored": wish.is_stored,
            "webhook_url": wish.webhook_url,
            "end_user": wish.end_user,
            "remixed_from": None,
            "way_in": "v2",
            "traceparent": None,  # of today's alone
            "is_capped": by.is_capped,
            "low_balance_nanos": None,
            "default_rpm": 100_000,
            "default_concurrency": 1000,
        }
        with self.connection.transaction():
            assert self.row("submit", **params) is not None
            if by.is_capped:
                assert self.row("spend_from_key", **params) is not None
            if wish.type == "video" and wish.is_on_queue:
                self._put_on_queue(work.id)
        return work

    def _put_on_queue(self, generation_id: str) -> None:
        self.connection.execute(
            "insert into procrastinate_jobs (queue_name, task_name, args) values ('remote', 'run_generation', %s)",
            [Jsonb({"generation_id": generation_id})],
        )

    def claim(self, work: Work, *, lease_seconds: float = LEASE_SECONDS) -> Row | None:
        """Take it to run. None: it has ended, or somebody else has it."""
        token = uuid.uuid4()
        row = self.row("claim", id=work.id, run_token=token, lease_seconds=lease_seconds)
        if row is not None:
            work.token = token
        return row

    def write(self, statement: str, work: Work, /, **values: object) -> bool:
        """Write as its runner. False: it is so no longer."""
        return self.run(statement, id=work.id, run_token=work.token, **values) == 1

    def ask(self, work: Work, binding: int = 0, handle: Row | None = None) -> None:
        """Put an intent on record, and the job that the backend gave."""
        assert self.write("record_intent", work, binding=binding, **intent(binding))
        if handle is not None:
            assert self.write("record_handle", work, handle=Jsonb(handle))

    def complete(self, work: Work, delivered_thousandths: int = 1000) -> Row | None:
        """End it with a file, charged for what was delivered. None: this runner is no longer the live one."""
        is_image = work.wish.type == "image"
        file = {
            "index": 0,
            "key": f"media/{work.id}",
            "mime_type": "image/jpeg" if is_image else "video/mp4",
            "size_bytes": 1,
            "sha256": "ab" * 32,
            "width": 64,
            "height": 64,
            "duration_seconds": None if is_image else delivered_thousandths / 1000,
            "fps": None if is_image else 24.0,
            "has_sound": None if is_image else False,
        }
        charged_nanos = work.unit_price_nanos * delivered_thousandths // 1000
        return self._settle(work, "completed", charged_nanos, delivered_thousandths, None, [file])

    def fail(self, work: Work) -> Row | None:
        return self._settle(work, "failed", 0, 0, "generation_failed", [])

    def cancel(self, work: Work) -> Row | None:
        return self._settle(work, "canceled", 0, 0, "canceled", [])

    def _settle(
        self, work: Work, state: str, charged_nanos: int, thousandths: int, error_code: str | None, media: list[Row]
    ) -> Row | None:
        return self.row(
            "settle",
            id=work.id,
            run_token=work.token,
            state=state,
            unseen=False,
            charged_nanos=charged_nanos,
            charged_thousandths=thousandths,
            error_code=error_code,
            error_message="It ended so." if error_code else None,
            report=None,
            cost_nanos=charged_nanos // 2 or None,
            seed=None,
            frees_key=False,
            may_be_made=False,
            sent_after_seconds=0.0,  # of today's alone
            loss=None,
            media=Jsonb(media),
        )

    # Afterwards

    def purge(self, due: list[Row]) -> None:
        """Record that marked files are gone."""
        self.run("purge", ids=[item["generation_id"] for item in due], indexes=[item["index"] for item in due])

    def sweep(self, retention_seconds: int = 0) -> None:
        self.purge(self.rows("tombstone_due", limit=1000))
        self.run("forget_unfulfilled", retention_seconds=retention_seconds)
        self.run("forget_idempotency_keys")
        self.run("expire_events", days=30)

    def erase(self, name: str) -> None:
        row = self.row("close_workspace", name=name)
        assert row is not None
        its: Row = {"workspace_id": row["id"]}
        assert self.row("count_in_flight", **its) == {"in_flight": 0}
        assert self.row("begin_erasure", **its)
        while self.row("erase_generations", **its) != {"count": 0}:
            pass
        for statement in ("erase_idempotency_keys", "erase_refused_requests", "erase_end_users", "erase_sessions"):
            self.run(statement, **its)
        for endpoint in self.rows("list_endpoints_to_erase", **its):
            self.run("forget_deliveries", endpoint_id=endpoint["id"])
            self.run("delete_endpoint", endpoint_id=endpoint["id"])
        self.run("forget_followed", **its)
        self.run("end_erasure", **its)
        self.sweep(3600)

    def drift(self) -> list[Row]:
        """What its check of the books finds."""
        statement = self.row("books_statement")
        assert statement is not None
        assert statement["sum_nanos"] == 0
        assert statement["revenue_nanos"] == statement["charged_nanos"] == statement["daily_costs_nanos"]
        return self.rows("books_drift") + self.rows("books_usage")
