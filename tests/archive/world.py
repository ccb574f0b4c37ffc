"""A database with a past, and a folder for what is archived of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from safelight.accounts.books import check_and_record_books, check_books, check_books_since_close
from safelight.db.pool import Database
from safelight.domain.scope import OPERATOR
from safelight.keeping.archive import Archived, archive
from safelight.keeping.archives import Proof, Segment, list_segments, prove_archive
from safelight.keeping.services import KeepingServices
from safelight.node.settings import Settings
from safelight.wiring import open_keeping
from tests.money.shop import SIGNING_KEYS
from tests.support.histories import Past, put_on_record
from tests.support.tenants import Tenant, make_tenant

AFTER = timedelta(days=32)
DAY = timedelta(days=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
_PURGED = """
insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at,
    tombstoned_at, deleted_at)
select id, 0, 'media/' || id, 'image/png', 10, sha256(id::bytea), 64, 64, deletes_at, deletes_at, deletes_at
from generations where state = 'completed' and deletes_at < now()
on conflict do nothing
"""


def ago(days: int) -> datetime:
    return NOON - days * DAY


class World:
    """``keeping`` on a database of its own, where what ended over ``AFTER`` ago is to be archived."""

    def __init__(self, keeping: KeepingServices, url: str, media: Path) -> None:
        self.keeping = keeping
        self.url = url
        self.media = media

    @property
    def db(self) -> Database:
        return self.keeping.db

    async def tenant(self) -> Tenant:
        return await make_tenant(self.db)

    async def past(self, tenant: Tenant, history: Iterable[Past]) -> list[str]:
        """Put a history on record, what was made of it deleted in time; the ids, oldest first."""
        await asyncio.to_thread(put_on_record, self.url, tenant.id, list(history))
        self.sql(_PURGED)
        await self.close_books()
        return [row[0] for row in self.sql("select id from generations where workspace_id = %s order by id", tenant.id)]

    def sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), params)
            return cursor.fetchall() if cursor.description else []

    async def close_books(self) -> None:
        """Check until the books are closed up to the newest transfer."""
        ((newest,),) = self.sql("select coalesce(max(id), 0) from transfers")
        async with asyncio.timeout(60):
            while True:
                books = await check_and_record_books(OPERATOR, self.db)
                assert books.balances, books
                if (await check_books_since_close(OPERATOR, self.db)).closed_up_to >= newest:
                    return
                await asyncio.sleep(0.02)

    async def archive(self, *, most: int = 100_000) -> Archived:
        return await archive(self.keeping, most=most)

    async def archived(self, *, most: int = 100_000) -> Archived:
        """All that is due."""
        done = await self.archive(most=most)
        assert done.stopped_by is None
        return done

    async def prove(self) -> Proof:
        return await prove_archive(self.keeping)

    async def segments(self) -> list[Segment]:
        return [segment async for segment in list_segments(self.db)]

    def file(self, segment: Segment) -> Path:
        return self.media / segment.key

    def count(self, table: str) -> int:
        ((number,),) = self.sql(f"select count(*) from {table}")
        return int(number)

    async def check(self) -> None:
        """The books balance from the beginning and since their close, and the archive has what it says."""
        for books in (await check_books(OPERATOR, self.db), await check_books_since_close(OPERATOR, self.db)):
            assert books.balances, books
        proof = await self.prove()
        assert proof.holds, proof.problems


@asynccontextmanager
async def world_in(folder: Path, url: str) -> AsyncIterator[World]:
    settings = Settings(data_dir=folder, database_url=url, signing_keys=SIGNING_KEYS, database_pool_size=4)
    async with open_keeping(settings) as keeping:
        after = int(AFTER.total_seconds())
        made = msgspec.structs.replace(keeping, archive_after_seconds=after)
        yield World(made, url, folder / "media")


def environment(world: World) -> dict[str, str]:
    """Of commands on the same database and folder."""
    return {
        "SAFELIGHT_DATABASE_URL": world.url,
        "SAFELIGHT_MEDIA_URL": world.media.as_uri(),
        "SAFELIGHT_DATA_DIR": str(world.media.parent),
        "SAFELIGHT_SIGNING_KEYS": SIGNING_KEYS,
        "SAFELIGHT_RETENTION": "60s",
        "SAFELIGHT_RETENTION_MAX": "60s",
        "SAFELIGHT_ARCHIVE_AFTER": "32d",
    }
