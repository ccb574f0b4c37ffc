"""Completed generations in bulk: rows and files as if they had been made, without making them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy
import psycopg
from PIL import Image

from safelight.db.pool import statement
from safelight.domain.ids import new_ulid
from safelight.domain.object_keys import media_key, thumbnail_key

_NO_RUN = UUID(int=0)

_GENERATIONS = """
insert into generations (id, workspace_id, api_key_id, type, model, request, body_sha256, billable_unit,
    unit_price_nanos, quantity, held_nanos, charged_nanos, charged_thousandths, state, deadline, retention_seconds,
    created_at, finished_at, deletes_at, way_in)
select n.id, %(workspace_id)s, %(api_key_id)s, n.type::generation_type, n.model,
    jsonb_build_object('prompt', 'a hill, number ' || n.place, 'aspect_ratio', '1:1', 'resolution', '1K',
        'width', 64, 'height', 64),
    sha256(n.id::bytea), 'image', 0, 1, 0, 0, 1000, 'completed', n.at, 604800, n.at, n.at + interval '1 s',
    now() + %(keep)s, %(way_in)s
from unnest(%(ids)s::text[], %(at)s::timestamptz[], %(types)s::text[], %(models)s::text[])
    with ordinality as n (id, at, type, model, place)
"""
_MEDIA = """
insert into media
    (generation_id, index, key, mime_type, size_bytes, sha256, width, height, duration_seconds, deletes_at)
select n.id, 0, n.key, case when g.type = 'video' then 'video/mp4' else 'image/png' end, 4096, sha256(n.id::bytea),
    64, 64, case when g.type = 'video' then 5 end, g.deletes_at
from unnest(%(ids)s::text[], %(keys)s::text[]) as n (id, key) join generations g on g.id = n.id
"""
# So that the books, which others may look at meanwhile, add up.
_TRANSFERS = """
insert into transfers (workspace_id, kind, generation_id)
select %(workspace_id)s, kind, id
from unnest(%(ids)s::text[]) as n (id) cross join unnest(array['hold', 'settle']) as k (kind)
"""
_USAGE = """
insert into daily_usage as u (workspace_id, date, type, model, api_key_id, completed, charged_thousandths)
select workspace_id, (finished_at at time zone 'UTC')::date, type, model, api_key_id, count(*), sum(charged_thousandths)
from generations where id = any(%(ids)s) group by 1, 2, 3, 4, 5
on conflict on constraint daily_usage_once do update set completed = u.completed + excluded.completed,
    charged_thousandths = u.charged_thousandths + excluded.charged_thousandths
"""


def key_of(generation_id: str) -> str:
    """Where the file of such a generation lies."""
    return media_key(generation_id, 0, _NO_RUN, "png")


def put_on_record(
    connection: psycopg.Connection[Any],
    workspace_id: int,
    times: Sequence[datetime],
    *,
    models: Sequence[str] = ("still",),
    types: Sequence[str] = ("image",),
    way_in: str = "v2",
    api_key_id: int | None = None,
    keep: timedelta = timedelta(days=7),
) -> list[str]:
    """Put a generation on record for each time, free of charge, and kept for so long from now; their ids.

    ``models`` and ``types`` are taken in turn. Of the same times come ids of the same millisecond.
    """
    ids = [f"req-{new_ulid(int(at.timestamp() * 1000))}" for at in times]
    params = {
        "workspace_id": workspace_id,
        "api_key_id": api_key_id,
        "keep": keep,
        "way_in": way_in,
        "ids": ids,
        "at": list(times),
        "types": list(itertools.islice(itertools.cycle(types), len(ids))),
        "models": list(itertools.islice(itertools.cycle(models), len(ids))),
        "keys": [key_of(each) for each in ids],
    }
    connection.execute(_GENERATIONS, params)
    connection.execute(_MEDIA, params)
    connection.execute(_TRANSFERS, params)
    connection.execute(_USAGE, params)
    connection.execute(statement("reopen_books").encode())
    return ids


def draw_thumbnails(media: Path, ids: Iterable[str], *, kinds: int = 24, side: int = 512) -> None:
    """Put a thumbnail beside where each one's file would be: pictures of soft clouds, a few of which serve for all.

    ``media``: the store's folder.
    """
    folder = media / "drawn"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [folder / f"{number}.webp" for number in range(kinds)]
    for number, path in enumerate(drawn):
        noise = numpy.random.default_rng(number).integers(60, 220, (5, 5, 3), dtype=numpy.uint8)
        Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC).save(path, "WEBP", quality=80)
    for generation_id in ids:
        target = media / thumbnail_key(key_of(generation_id))
        target.parent.mkdir(parents=True, exist_ok=True)
        place = int(hashlib.sha256(generation_id.encode()).hexdigest()[:4], 16) % kinds
        target.hardlink_to(drawn[place])
