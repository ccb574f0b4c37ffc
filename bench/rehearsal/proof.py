"""At the end: what clients were given, what is on record, what the backend was asked for, what lies in the store."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from bench.rehearsal.load import Load, Webhooks, Wish
from bench.rehearsal.site import Site
from bench.servers import COMMAND, BenchError, clean
from safelight.keeping.orphans import sweep_orphans
from safelight.node.settings import load_settings
from safelight.wiring import open_keeping

_DRAIN_SECONDS = 90.0
_FINAL = ("completed", "failed", "canceled")
_ROWS = """
select g.id, g.type::text as type, g.state::text as state, g.request ->> 'prompt' as prompt,
    g.unit_price_nanos * g.quantity as price_nanos, g.charged_nanos,
    (select array_agg(kind order by id) from transfers t where t.generation_id = g.id) as transfers,
    (select array_agg(encode(m.sha256, 'hex')) from media m where m.generation_id = g.id) as files,
    (select array_agg(e.id) from events e where e.generation_id = g.id) as events
from generations g
"""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must hold: ``found`` is how often it does not, ``which`` some of those."""

    name: str
    found: int
    which: tuple[str, ...] = ()


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """``orders``: those that the backend took, by their prompt. ``facts``: counted, and neither good nor bad."""

    checks: list[Check]
    facts: dict[str, int]
    orders: dict[str, int]

    @property
    def holds(self) -> bool:
        return not any(check.found for check in self.checks)


async def prove(site: Site, load: Load, webhooks: Webhooks, headers: dict[str, str]) -> Proof:
    """Wait until all that is under way has ended, and look at everything."""
    await _drained(site, webhooks)
    found = await look(site, load, webhooks, headers)
    return msgspec.structs.replace(found, checks=[*found.checks, await _books(site)])


async def look(site: Site, load: Load, webhooks: Webhooks, headers: dict[str, str]) -> Proof:
    """As things are now, but for the books."""
    rows = site.rows(_ROWS)
    of_prompt: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_prompt.setdefault(row["prompt"], []).append(row)
    checks = [
        _check("not ended", [row["id"] for row in rows if row["state"] not in _FINAL]),
        _check("given to a client, and not on record as completed", _lost(load.wishes, of_prompt)),
        _check("ordered once, and made twice", [p for p, of in of_prompt.items() if len(_completed(of)) > 1]),
        _check("on record, and ordered by nobody", set(of_prompt) - {wish.prompt for wish in load.wishes}),
        *_money(site, rows),
        *_backend(site, rows),
        *await _files(site, load.wishes, rows, headers),
        *_webhooks(site, webhooks, rows),
    ]
    facts = {
        "generations": len(rows),
        "completed": len(_completed(rows)),
        "failed, and charged nothing": len(rows) - len(_completed(rows)),
        "made, though its client was told of an error": sum(
            bool(_completed(of_prompt.get(wish.prompt, []))) for wish in load.wishes if wish.error is not None
        ),
        "events": sum(len(row["events"] or ()) for row in rows),
        "deliveries of webhooks": webhooks.deliveries,
    }
    orders = {prompt: sum(site.backend.taken(row["id"]) for row in of) for prompt, of in of_prompt.items()}
    return Proof(checks=checks, facts=facts, orders=orders)


async def _drained(site: Site, webhooks: Webhooks) -> None:
    give_up_at = time.monotonic() + _DRAIN_SECONDS
    left = """select (select count(*) from generations where finished_at is null) as runs,
        (select count(*) from events) as events"""
    while time.monotonic() < give_up_at:
        (row,) = site.rows(left)
        if not row["runs"] and len(webhooks.told) >= row["events"]:
            return
        await asyncio.sleep(0.5)


def _check(name: str, wrong: Any) -> Check:
    found = sorted(wrong)
    return Check(name=name, found=len(found), which=tuple(found[:5]))


def _completed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["state"] == "completed"]


def _lost(wishes: list[Wish], of_prompt: dict[str, list[dict[str, Any]]]) -> list[str]:
    given = [wish for wish in wishes if wish.id is not None]
    return [
        wish.prompt
        for wish in given
        if wish.id not in {row["id"] for row in _completed(of_prompt.get(wish.prompt, []))}
    ]


def _money(site: Site, rows: list[dict[str, Any]]) -> list[Check]:
    charged = [
        row["id"] for row in rows if row["charged_nanos"] != (row["price_nanos"] if row["state"] == "completed" else 0)
    ]
    odd = [row["id"] for row in rows if row["transfers"] != ["hold", "settle"]]
    held = site.rows("select workspace_id from accounts where held_nanos <> 0 or in_flight <> 0")
    return [
        _check("charged other than the price of what was delivered", charged),
        _check("not held once and settled once", odd),
        _check("accounts that still hold money", [str(row["workspace_id"]) for row in held]),
    ]


def _backend(site: Site, rows: list[dict[str, Any]]) -> list[Check]:
    twice = [row["id"] for row in rows if site.backend.taken(row["id"]) > 1]
    never = [row["id"] for row in _completed(rows) if site.backend.taken(row["id"]) != 1]
    return [_check("ordered of the backend more than once", twice), _check("completed, and not one job", never)]


async def _files(site: Site, wishes: list[Wish], rows: list[dict[str, Any]], headers: dict[str, str]) -> list[Check]:
    """Every file on record comes through nginx with its hash; nothing else lies in the store after a sweep."""
    completed, wrong = _completed(rows), []
    recorded = {row["id"]: row["files"] for row in completed}
    async with httpx.AsyncClient(base_url=site.address, headers=headers, timeout=30) as client:
        for row in completed:
            answer = await client.get(f"/v2/{row['type']}s/generations/{row['id']}")
            url = answer.json()["data"][0]["url"] if answer.status_code == 200 else ""
            body = (await client.get(url)).content if url else b""
            if row["files"] != [hashlib.sha256(body).hexdigest()]:
                wrong.append(row["id"])
    other = [wish.id for wish in wishes if wish.sha256 is not None and recorded.get(wish.id or "") != [wish.sha256]]
    async with open_keeping(load_settings(site.environment | {"SAFELIGHT_DATA_DIR": "/nonexistent"})) as keeping:
        first = await sweep_orphans(keeping, day=datetime.now(UTC), older_than=timedelta(seconds=-5))
        stored = {facts.key async for facts in keeping.store.walk("media")}
    known = {row["key"] for row in site.rows("select key from media where deleted_at is null")}
    return [
        _check("files that do not come as they are on record", wrong),
        _check("files that a client got, and that are others on record", other),
        _check("files on record that are missing from the store", first.missing),
        _check("files in the store that belong to nothing, after a sweep", stored - known),
    ]


def _webhooks(site: Site, webhooks: Webhooks, rows: list[dict[str, Any]]) -> list[Check]:
    ended = Counter(len(row["events"] or ()) for row in rows)
    events = {row["id"] for row in site.rows("select id from events")}
    told = Counter(told for each in webhooks.told.values() for told in each)
    return [
        _check(
            "generations without exactly one event",
            [str(count) for count, of in ended.items() if count != 1 for _ in range(of)],
        ),
        _check("events that no webhook told of", events - set(webhooks.told)),
        _check(
            "webhook ids that told of more than one event",
            [id_ for id_, told in webhooks.told.items() if len(told) > 1],
        ),
        _check(
            "events told under more than one id",
            [f"{type_} {id_}" for (id_, type_), count in told.items() if count > 1],
        ),
    ]


async def _books(site: Site) -> Check:
    """By the command, as an operator proves them."""
    command = [str(COMMAND), "books", "--all", "--data-dir", "/nonexistent"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=clean(site.environment), capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode not in (0, 1):
        raise BenchError(f"'safelight books --all' ended with {done.returncode}: {done.stderr[-1000:]}")
    return Check(
        name="books that do not balance",
        found=done.returncode,
        which=tuple(done.stdout.splitlines()[-5:]) if done.returncode else (),
    )
