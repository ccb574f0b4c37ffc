"""Files with their rows, as if generations had made them: what is delivered and deleted by the benches."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg

from safelight.domain.ids import new_generation_id

_LASTS_SECONDS = 7 * 86400
_ROW = """
with made as (
    insert into generations (id, workspace_id, type, model, body_sha256, billable_unit, unit_price_nanos, quantity,
        held_nanos, charged_nanos, charged_thousandths, state, deadline, retention_seconds, finished_at, deletes_at)
    select %(id)s, min(id), 'video', 'bench', '', 'video_second', 0, 1, 0, 0, 0, 'completed', now(), 604800, now(),
        to_timestamp(%(until)s)
    from workspaces
)
insert into media (generation_id, index, key, mime_type, size_bytes, sha256, width, height, deletes_at)
values (%(id)s, 0, %(key)s, 'video/mp4', %(size_bytes)s, %(sha256)s, 64, 64, to_timestamp(%(until)s))
"""


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A file in the store. ``until`` is the Unix second at which it is to go."""

    id: str
    key: str
    size_bytes: int
    until: int
    sha256: bytes


def plant(url: str, root: Path, size_bytes: int, count: int = 1) -> list[Planted]:
    """Write files of random bytes below ``root``, and their rows."""
    made = [_write(root, size_bytes) for _ in range(count)]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(_ROW, [msgspec.structs.asdict(file) for file in made])
    return made


def _write(root: Path, size_bytes: int) -> Planted:
    id_, block = new_generation_id(), os.urandom(min(size_bytes, 1 << 20))
    key = f"media/{datetime.now(UTC):%Y/%m/%d}/{id_}-0.mp4"
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while (left := size_bytes - file.tell()) > 0:
            digest.update(block[:left])
            file.write(block[:left])
    until = int(time.time()) + _LASTS_SECONDS
    return Planted(id=id_, key=key, size_bytes=size_bytes, until=until, sha256=digest.digest())
