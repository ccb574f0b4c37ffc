"""What a workspace made in the past, put on record as it would have come there: held, ended, counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from safelight.db.pool import statement
from safelight.domain.ids import new_ulid

_BEGIN = """
with made as (
    insert into generations (id, workspace_id, api_key_id, type, model, body_sha256, billable_unit, unit_price_nanos,
        quantity, held_nanos, state, deadline, retention_seconds, created_at, end_user)
    values (%(id)s, %(workspace)s, %(key_id)s, %(type)s, %(model)s, sha256(%(id)s::bytea), %(unit)s, %(price)s,
        %(quantity)s, %(held)s, 'queued', %(at)s, 604800, %(asked_at)s, %(end_user)s)
), held as (
    insert into transfers (workspace_id, kind, generation_id, available_nanos, held_nanos, created_at)
    values (%(workspace)s, 'hold', %(id)s, -%(held)s, %(held)s, %(asked_at)s)
)
update accounts set available_nanos = available_nanos - %(held)s, held_nanos = held_nanos + %(held)s,
    in_flight = in_flight + 1
where workspace_id = %(workspace)s
"""
_END = """
with ended as (
    update generations set state = %(state)s, finished_at = %(at)s, charged_nanos = %(charged)s,
        charged_thousandths = %(thousandths)s,
        error_code = case when %(state)s <> 'completed' then 'generation_failed' end,
        deletes_at = case when %(state)s = 'completed' then %(at)s + interval '7 days' end
    where id = %(id)s
), settled as (
    insert into transfers
        (workspace_id, kind, generation_id, available_nanos, held_nanos, revenue_nanos, created_at)
    values (%(workspace)s, 'settle', %(id)s, %(held)s - %(charged)s, -%(held)s, %(charged)s, %(at)s)
)
update accounts set available_nanos = available_nanos + %(held)s - %(charged)s, held_nanos = held_nanos - %(held)s,
    in_flight = in_flight - 1
where workspace_id = %(workspace)s
"""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A generation that ended ``at`` a moment, or one that is queued since. It was asked for so long before.

    ``delivered``: in thousandths of a unit.
    """

    at: datetime
    model: str = "still"
    type: str = "image"
    key_id: int | None = None
    end_user: str | None = None
    state: str = "completed"
    price_nanos: int = 50_000_000
    quantity: int = 1
    delivered: int = 1000
    before: timedelta = timedelta(0)

    @property
    def held_nanos(self) -> int:
        return self.price_nanos * self.quantity

    @property
    def charged_nanos(self) -> int:
        return self.price_nanos * self.delivered // 1000 if self.state == "completed" else 0

    @property
    def date(self) -> Any:
        return self.at.astimezone(UTC).date()


def put_on_record(url: str, workspace_id: int, history: Iterable[Past]) -> None:
    """Each of them. The triggers count them as they count what ends now.

    Nothing ends on a day whose books are closed: those are open again.
    """
    with psycopg.connect(url, cursor_factory=psycopg.ClientCursor) as connection:
        for each in history:
            asked_at = each.at - each.before
            facts = {
                **msgspec.structs.asdict(each),
                "id": f"req-{new_ulid(int(asked_at.timestamp() * 1000))}",
                "asked_at": asked_at,
                "workspace": workspace_id,
                "unit": "image" if each.type == "image" else "video_second",
                "price": each.price_nanos,
                "held": each.held_nanos,
                "charged": each.charged_nanos,
                "thousandths": each.delivered if each.state == "completed" else 0,
            }
            connection.execute(_BEGIN, facts)
            if each.state != "queued":
                connection.execute(_END, facts)
        connection.execute(statement("reopen_books").encode())
