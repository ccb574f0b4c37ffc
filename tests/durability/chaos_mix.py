"""Connections of which one is good, one dead, one answers 429, one is slow; and what must be so after orders to all.

Each is a backend of its own, with a memory of its own. What a model falls back on stands in its bindings.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg

from safelight.providers.chaos import Memory
from tests.durability.deployment import Model

GOOD, DEAD, LIMITED, SLOW = "good", "dead", "limited", "slow"
CONNECTIONS = {name: {"kind": "chaos", "memory": name} for name in (GOOD, DEAD, LIMITED, SLOW)}
TYPES = ("image", "video")
SHARES = {"good": 30, "past-dead": 20, "past-limited": 20, "at-last-slow": 15, "limited": 10, "dead": 5}
"""Models, and how many of a hundred orders are for each. All but ``dead`` must be made."""
GOOD_ONES = ("good", "past-dead", "past-limited")
"""Those that end at the good connection."""

_BY_MODEL = """
select model, extract(epoch from percentile_cont(0.5) within group (order by finished_at - created_at))::float8
from generations where state = 'completed' and created_at >= to_timestamp(%s) group by model
"""
_ODD_BOOKS = """
select g.id from generations g left join transfers t on t.generation_id = g.id group by g.id
having array_agg(t.kind::text order by t.id) <> array['hold', 'settle'] or sum(t.held_nanos) <> 0
    or (g.charged_nanos > 0) <> (g.state = 'completed')
"""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long backends take, and how long an order for the dead one alone is tried."""

    job_seconds: float
    slow_seconds: float
    retry_after_seconds: float
    dead_deadline_seconds: int

    def models(self) -> list[Model]:
        """Each model as an image's and as a video's, ``good-image`` and so on."""
        good = (GOOD, {"behaviour": "job", "job_seconds": self.job_seconds})
        dead = (DEAD, {"behaviour": "dead"})
        wait = {"behaviour": "rate_limited", "retry_after_seconds": self.retry_after_seconds}
        full = (LIMITED, {**wait, "times": -1})
        slow = (SLOW, {"behaviour": "job", "job_seconds": self.slow_seconds})
        bindings: dict[str, Sequence[tuple[str, Mapping[str, Any]]]] = {
            "good": [good],
            "past-dead": [dead, good],
            "past-limited": [full, good],
            "at-last-slow": [dead, full, slow],
            "limited": [(LIMITED, {**wait, "times": 1, "polled": True, "job_seconds": self.job_seconds})],
            "dead": [dead],
        }
        deadlines = {"dead": self.dead_deadline_seconds}
        return [
            Model(f"{name}-{type_}", type_, *found, deadline_seconds=deadlines.get(name))
            for name, found in bindings.items()
            for type_ in TYPES
        ]


def mix(count: int, seed: int = 1) -> list[str]:
    """So many orders in the shares, images and videos half and half, in an order of their own."""
    names = [name for name, share in SHARES.items() for _ in range(round(count * share / 100))]
    orders = [f"{name}-{TYPES[place % 2]}" for place, name in enumerate(names)]
    random.Random(seed).shuffle(orders)
    return orders


async def submit(base_url: str, headers: Mapping[str, str], orders: Sequence[str], per_second: float) -> None:
    """Give the orders at a pace, and wait for the images."""
    patience = aiohttp.ClientTimeout(total=600)

    async def one(session: aiohttp.ClientSession, place: int, model: str) -> None:
        await asyncio.sleep(place / per_second)
        type_ = model.rpartition("-")[2]
        body = {"model": model, "prompt": "a slope"} | ({"duration": 2} if type_ == "video" else {})
        async with session.post(f"{base_url}/v2/{type_}s/generations", json=body) as answer:
            if answer.ok == (model == "dead-image"):
                raise AssertionError(f"{model}: {answer.status} {await answer.text()}")

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=headers, connector=connector, timeout=patience) as session:
        await asyncio.gather(*(one(session, place, model) for place, model in enumerate(orders)))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the orders, and ids of those that are not as they must be, by why.

    ``odd_books``: without one hold and one settlement, which charges what was made and releases the rest. ``jobs``: how
    many each backend took. ``held``: accounts that hold money still.
    """

    orders: int
    made: int
    jobs: dict[str, int]
    lost: list[str]
    doubled: list[str]
    odd_books: list[str]
    held: int


def outcome(url: str, memories: Path) -> Outcome:
    """What is on record of every generation, beside what the backends remember."""
    jobs = {name: Memory(memories / name) for name in CONNECTIONS}
    with psycopg.connect(url) as connection:
        rows = connection.execute("select id, model, state::text from generations").fetchall()
        files = dict(connection.execute("select generation_id, count(*) from media group by 1").fetchall())
        odd_books = [row[0] for row in connection.execute(_ODD_BOOKS)]
        held = connection.execute("select count(*) from accounts where held_nanos <> 0 or in_flight <> 0").fetchone()
    lost, doubled = [], []
    for id_, model, state in rows:
        wanted = "failed" if model.startswith("dead-") else "completed"
        made = int(wanted == "completed")
        taken = sum(memory.taken(id_) for memory in jobs.values())
        if state != wanted or taken < made or files.get(id_, 0) < made:
            lost.append(id_)
        if taken > made or files.get(id_, 0) > made:
            doubled.append(id_)
    assert held is not None
    return Outcome(
        orders=len(rows),
        made=sum(state == "completed" for _, _, state in rows),
        jobs={name: sum(memory.taken(id_) for id_, _, _ in rows) for name, memory in jobs.items()},
        lost=lost,
        doubled=doubled,
        odd_books=odd_books,
        held=held[0],
    )


def medians(url: str, since: float) -> dict[str, float]:
    """From accepted to completed, in seconds, by model, of those accepted since a Unix time."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute(_BY_MODEL, [since]).fetchall())


def all_ended(url: str) -> bool:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from generations where finished_at is null").fetchone()
    return row is not None and row[0] == 0
