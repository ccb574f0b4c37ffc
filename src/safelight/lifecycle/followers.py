"""Following a workspace's events in their order, from one on.

They are on record while somebody follows, and for ``KEPT_SECONDS`` after; each for as long as any event. Numbers
without a gap say that nothing is missing: whoever comes back too late hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

from safelight.db.pool import Database, one, run
from safelight.domain.errors import InvalidParameter, NotFound, RateLimited
from safelight.domain.events import EventType
from safelight.lifecycle.events import Event
from safelight.lifecycle.notify import KEEP_DAYS
from safelight.lifecycle.services import ViewServices

KEPT_SECONDS = 7 * 24 * 3600
MOST_TESTS = 30
"""Test events that a workspace may tell itself in a minute."""

_BEGINNING = "events.followed"  # the type of what stands where the record begins, for those who follow from there
_BATCH = 100
_RENEW_SECONDS = 3600.0


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Behind an event, in the order of its workspace's."""

    number: int
    event_id: str


class FollowedEvent(Event, frozen=True, kw_only=True):
    """An event at its place in the order. ``is_beginning``: only a place, nothing happened."""

    number: int

    @property
    def is_beginning(self) -> bool:
        return self.type == _BEGINNING


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    after_it: int


async def place_behind(db: Database, workspace_id: int, event_id: str | None, *, param: str) -> Place:
    """Behind the event, or, without one, behind all that is told up to now. From here on the workspace is followed.

    Whatever is committed after this call is found behind the place. Raises ``InvalidParameter`` naming ``param`` where
    the event, or one after it, is not on record.
    """
    params = {"workspace_id": workspace_id, "seconds": KEPT_SECONDS, "beginning": _BEGINNING, "event_id": event_id}
    async with db.connection() as connection, connection.transaction():
        if await one(connection, "lock_account", params, tuple) is None:
            raise NotFound
        await run(connection, "follow_workspace", params)
        newest = await one(connection, "newest_followed_event", params, Place)
        assert newest is not None
        if event_id is None:
            return newest
        found = await one(connection, "find_followed_event", params, _Found)
        if found is None or found.after_it != newest.number - found.number:
            raise InvalidParameter(
                f"Events after this {param} are no longer known. They are kept for 30 days, while somebody follows and "
                "for 7 days after. List the generations for what ended meanwhile, and follow without it, from now on.",
                param=param,
            )
        return Place(number=found.number, event_id=event_id)


async def events_behind(
    services: ViewServices, workspace_id: int, place: Place, *, quiet_seconds: float
) -> AsyncIterator[list[FollowedEvent]]:
    """What is behind the place, in its order, and whatever comes; a bounded number at a time.

    An empty list each time that there is nothing for ``quiet_seconds``. Ends where one is missing, and when this
    process does.
    """
    number, looks = place.number, services.changes.looks(workspace_id)
    with services.changes.following(workspace_id) as changed:
        renewed_at = time.monotonic()
        while True:
            if time.monotonic() - renewed_at > _RENEW_SECONDS:
                await services.db.run("go_on_following", {"workspace_id": workspace_id, "seconds": KEPT_SECONDS})
                renewed_at = time.monotonic()
            changed.clear()
            found = await looks.find(("behind", number), partial(_list, services.db, workspace_id, number))
            unbroken = [event for next_number, event in enumerate(found, number + 1) if event.number == next_number]
            if unbroken:
                yield unbroken
                number = unbroken[-1].number
            if len(unbroken) < len(found):
                return
            if services.changes.is_ending:
                return
            if found:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(quiet_seconds):
                    await changed.wait()
                continue
            yield []


async def _list(db: Database, workspace_id: int, number: int) -> list[FollowedEvent]:
    params = {"workspace_id": workspace_id, "after": number, "limit": _BATCH}
    return await db.all("list_followed_events", params, FollowedEvent)


async def keep_places(db: Database) -> int:
    """Of the newest events that somebody follows, and that are as old as events are kept, keep their places alone.

    What they told of may then go. Their number.
    """
    return await db.run("unbind_events", {"beginning": _BEGINNING, "days": KEEP_DAYS})


async def tell_test_event(db: Database, workspace_id: int, type_: EventType, payload: dict[str, Any]) -> str | None:
    """Tell an event for which nothing happened; its id, or None where nobody listens. Raises ``RateLimited``."""
    params = {"workspace_id": workspace_id, "type": str(type_), "payload": Jsonb(payload), "most": MOST_TESTS}
    row = await db.one("record_test_event", params, tuple)
    assert row is not None
    event_id, is_allowed = row
    if not is_allowed:
        raise RateLimited(
            f"This workspace was told of {MOST_TESTS} test events within a minute. Wait, and try again.",
            retry_after_seconds=60,
        )
    return None if event_id is None else str(event_id)
