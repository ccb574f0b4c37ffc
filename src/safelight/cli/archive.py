"""``safelight archive``: what ended long ago, out of the database and in files of the media store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from cyclopts import Parameter

from safelight.accounts.books import check_and_record_books
from safelight.cli.database import database_url, refusals_explained, with_database
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from safelight.keeping.archive import Archived, archive
from safelight.keeping.archives import Segment, find_archived, list_segments
from safelight.keeping.segments import ArchivedGeneration
from safelight.keeping.services import KeepingServices
from safelight.node.settings import load_settings
from safelight.telemetry.logs import configure_logging
from safelight.wiring import open_keeping

T = TypeVar("T")

_COLUMNS = ["number", "last_id", "generations", "size_bytes", "archived_at", "removed_at", "key"]


def run(*, as_json: AsJson = False, data_dir: DataDir = None) -> int:
    """Archive what is due now; exit status 1 if something is in the way."""

    async def work(keeping: KeepingServices) -> Archived:
        if keeping.archive_after_seconds is not None:
            await check_and_record_books(OPERATOR, keeping.db)  # what balances is closed, and what is closed may go
        return await archive(keeping)

    done = with_keeping(data_dir, work)
    if as_json:
        print_json(msgspec.structs.asdict(done))
    else:
        print(f"{done.generations} generations archived in {done.segments} segments, {done.removed} removed.")
        if done.stopped_by is not None:
            print(f"It does not go on: {done.stopped_by}.")
    return 0 if done.stopped_by is None else 1


def list_all(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the segments of the archive, oldest first."""

    async def work(database: Database) -> list[Segment]:
        return [segment async for segment in list_segments(database)]

    rows = [_row(segment) for segment in with_database(data_dir, work)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns=_COLUMNS, empty="Nothing is archived.")


def find(
    generation_id: Annotated[str, Parameter(name="id", help="The generation's id, as its answer told it.")],
    /,
    *,
    data_dir: DataDir = None,
) -> None:
    """Print what the archive has of a generation, as JSON."""

    async def work(keeping: KeepingServices) -> ArchivedGeneration:
        return await find_archived(keeping, generation_id)

    print_json(msgspec.to_builtins(with_keeping(data_dir, work)))


def with_keeping(data_dir: Path | None, work: Callable[[KeepingServices], Awaitable[T]]) -> T:
    """The answer of ``work`` on the database and the media store."""
    settings = load_settings(data_dir=data_dir)
    configure_logging(settings)

    async def opened(url: str) -> T:
        async with open_keeping(msgspec.structs.replace(settings, database_url=url)) as keeping:
            return await work(keeping)

    with database_url(settings) as url, refusals_explained(settings):
        return asyncio.run(opened(url))


def _row(segment: Segment) -> dict[str, Any]:
    facts = msgspec.structs.asdict(segment)
    return {**facts, **{name: value.hex() for name, value in facts.items() if isinstance(value, bytes)}}
