"""``safelight jobs``: what was ordered, and how it stands."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from safelight.cli.client.answers import Generation, Generations, read
from safelight.cli.client.asking import usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.follow import find
from safelight.cli.client.output import result, result_json, run
from safelight.cli.client.profiles import find_profile
from safelight.cli.show import print_table

_LOOK_SECONDS = 1.0
_PAGE = 100
_COLUMNS = ["id", "type", "status", "model", "created_at", "cost", "error"]


def jobs(*, type_: str | None, status: str | None, limit: int, follow: bool, as_json: bool, profile: str | None) -> int:
    """List generations, newest first; with ``follow``, tell each change until interrupted."""

    async def work() -> None:
        async with Connection(find_profile(profile)) as connection:
            if follow:
                await _follow(connection, type_, status, limit, as_json=as_json)
            answer = await connection.get("/v2/generations", type=type_, status=status, limit=limit)
        found = read(answer.body, Generations).data
        if as_json:
            result_json(answer.body)
        else:
            rows = [row_of(each) for each in found]
            print_table(rows, columns=_COLUMNS, empty="There is none.")

    return run(work, as_json=as_json)


def row_of(found: Generation) -> dict[str, Any]:
    """What a table shows of one."""
    return {
        "id": found.id,
        "type": found.type,
        "status": found.status,
        "model": found.model,
        "created_at": (found.created_at or "").replace("T", " ").partition(".")[0],
        "cost": usd(found.usage.total_cost) if found.usage else None,
        "error": found.error.code if found.error else None,
    }


async def _follow(connection: Connection, type_: str | None, status: str | None, limit: int, *, as_json: bool) -> None:
    """What is there, then every one that is new or stands otherwise than before, oldest first."""
    known: dict[str, str] = {}
    while True:
        is_first = not known
        page = read((await connection.get("/v2/generations", type=type_, limit=_PAGE)).body, _RawPage)
        listed = {read(bytes(raw), Generation).id: raw for raw in page.data}
        gone = [id_ for id_, stood in known.items() if stood == "pending" and id_ not in listed]
        news = list(reversed(listed.items()))
        news[:0] = [(id_, await _one(connection, id_)) for id_ in gone]
        for place, (id_, raw) in enumerate(news):
            found = read(bytes(raw), Generation)
            is_change = known.get(id_) != found.status
            known[id_] = found.status
            if not is_change or (status is not None and status != found.status):
                continue
            if is_first and len(news) - place > limit:
                continue
            _tell(raw, found, as_json=as_json)
        await asyncio.sleep(_LOOK_SECONDS)


class _RawPage(msgspec.Struct):
    data: list[msgspec.Raw]


async def _one(connection: Connection, generation_id: str) -> msgspec.Raw:
    """One that newer ones have pushed off the page."""
    return msgspec.Raw((await find(connection, generation_id))[1].body)


def _tell(raw: msgspec.Raw, found: Generation, *, as_json: bool) -> None:
    if as_json:
        result_json(bytes(raw))
    else:
        row = row_of(found)
        result("  ".join(str(row[name]) for name in _COLUMNS if row[name] is not None))
