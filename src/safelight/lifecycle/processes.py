"""What each process tells of itself: how it finds the connections, and how much room its folders have.

Breakers are a process's own, and so is its disk. Each process puts what it knows on record every few seconds, so that
the operator sees that of all of them, whichever is asked.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog
from psycopg.types.json import Jsonb

from safelight.db.pool import Database
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.scope import OperatorScope
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.presence import Presence
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

TELL_SECONDS = 5.0
SILENT_SECONDS = 30.0
"""Of a process that told nothing for so long nothing is known any more."""

_LAST_WORD_SECONDS = 1.0


class ConnectionStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How one process finds a connection. It is left alone until ``closed_until`` because of ``failures`` in a row, and
    until ``paused_until`` because it asked for that; None: it is not."""

    connection: str
    failures: int
    closed_until: datetime | None = None
    paused_until: datetime | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What is free where a folder lies."""

    folder: str
    free_bytes: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What one process knows at one moment. A connection of which it knows nothing bad is left out."""

    connections: list[ConnectionStanding] = []
    rooms: list[Room] = []


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process, as ``runner`` in tokens. ``facts`` and those before it are None where it told nothing.

    ``is_present``: its session with PostgreSQL stands. ``held``: generations that it has, ``overdue``: those of them
    whose lease is over.
    """

    runner: str
    kind: str | None
    host: str | None
    pid: int | None
    started_at: datetime | None
    told_at: datetime | None
    facts: Facts | None
    is_present: bool
    held: int
    overdue: int
    silent_seconds: float | None

    @property
    def name(self) -> str:
        return self.runner if self.kind is None else f"{self.kind} {self.pid} on {self.host}"

    @property
    def is_silent(self) -> bool:
        return self.silent_seconds is None or self.silent_seconds > SILENT_SECONDS

    @property
    def standings(self) -> dict[str, ConnectionStanding]:
        """Those by the name of their connection, while it speaks."""
        found = [] if self.facts is None or self.is_silent else self.facts.connections
        return {each.connection: each for each in found}


async def list_processes(operator: OperatorScope, db: Database) -> list[Process]:
    """Those that told something of late, those that are present, and those that still have something under way."""
    rows = await db.all("list_processes", {}, dict)
    return msgspec.convert(rows, list[Process])


class Teller:
    """Tells of this process every few seconds while it is started. ``folders``: those whose room is looked at."""

    def __init__(
        self, db: Database, presence: Presence, breakers: Breakers, kind: str, folders: Sequence[Path]
    ) -> None:
        self._db = db
        self._runner = presence.runner
        self._breakers = breakers
        self._kind = kind
        self._folders = folders
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._go_on(), name="telling of this process")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await self._db.run("forget_facts", {"runner": self._runner})
        except (ServiceUnavailable, TimeoutError):
            pass
        except Exception as error:
            log.warning("this process could not say that it ends", **without_message(error))

    async def tell(self) -> None:
        """Put on record what this process knows now. Raises ``ServiceUnavailable``."""
        params = {
            "runner": self._runner,
            "kind": self._kind,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "facts": Jsonb(msgspec.to_builtins(await self._facts())),
        }
        await self._db.run("record_facts", params)

    async def _facts(self) -> Facts:
        now = datetime.now(UTC)

        def until(seconds: float) -> datetime | None:
            return now + timedelta(seconds=seconds) if seconds else None

        standings = [
            ConnectionStanding(
                connection=each.connection,
                failures=each.failures,
                closed_until=until(each.closed_seconds),
                paused_until=until(each.paused_seconds),
            )
            for each in self._breakers.standings()
        ]
        return Facts(connections=standings, rooms=await asyncio.to_thread(rooms_of, self._folders))

    async def _go_on(self) -> None:
        while True:
            try:
                await self.tell()
            except ServiceUnavailable:
                pass
            except Exception as error:  # nothing hangs on it but a page
                log.warning("this process could not tell of itself", **without_message(error))
            await asyncio.sleep(TELL_SECONDS)


def rooms_of(folders: Sequence[Path]) -> list[Room]:
    """The room of each folder, or of the nearest one above that exists."""
    rooms = []
    for folder in folders:
        existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        rooms.append(Room(folder=str(folder), free_bytes=shutil.disk_usage(existing).free))
    return rooms
