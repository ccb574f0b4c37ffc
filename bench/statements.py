"""What a statement costs the event loop: processor time of this process alone, PostgreSQL's apart.

The statements are the service's own, with parameters as it sends them, through its ``Database`` on a uvloop loop. The
peer sends the very same bytes by libpq's calls over one held connection: what is left there is libpq, the kernel and
one turn of the loop, and no driver in Python comes below it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

import msgspec
import uvloop
from psycopg import AsyncConnection, AsyncCursor, pq
from psycopg.adapt import Transformer
from psycopg.types.json import Jsonb

from bench.pgbench import _FILE, _SPEC  # the same request and file as the peer of `submit`
from bench.report import Report, at_most
from bench.servers import folder, postgres
from bench.tenants import IMAGE, IMAGE_PRICE_NANOS, tenants
from safelight.db.pool import Database, one, statement
from safelight.domain.generations import GenerationType, State
from safelight.domain.pricing import THOUSANDTHS
from safelight.lifecycle.accept import NewGeneration, Window
from safelight.lifecycle.settle import Ending, Settled
from safelight.lifecycle.views import _FoundRow
from tests.support.tenants import Tenant

_TENANTS = 64
_AT_ONCE = 32
_WARM = 200
_REACH_MICROSECONDS = 100
_NUMBERS = count(time.time_ns())


class Costs(msgspec.Struct):
    """Processor microseconds a statement."""

    submit: float
    settle: float
    find: float


class Batch:
    """Generations that are new, and what the statements are told of each."""

    def __init__(self, senders: Sequence[Tenant], size: int) -> None:
        self.new = [_new(senders[place % len(senders)]) for place in range(size)]
        self.settle = [_ending(each) for each in self.new]
        self.find = [{"id": each.id, "workspace_id": each.workspace_id} for each in self.new]


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        senders = await tenants(database.url, "statements", _TENANTS)
        size = 500 if report.brief else 2_000
        await asyncio.to_thread(uvloop.run, _measure(report, database.url, senders, size))


async def _measure(report: Report, url: str, senders: Sequence[Tenant], size: int) -> None:
    db = Database(url, answers_soon=True)
    await db.open()
    try:
        await ours(db, Batch(senders, _WARM), _AT_ONCE)
        for at_once in (1, _AT_ONCE):
            over = "one at a time" if at_once == 1 else f"{at_once} at once"
            report.say(f"statements, {over}")
            costs = await ours(db, Batch(senders, size), at_once)
            peer = await libpq(url, Batch(senders, size), 1 if at_once == 1 else 10)
            for name in msgspec.structs.fields(Costs):
                figure, limit = getattr(costs, name.name), getattr(peer, name.name)
                reach = at_most(_REACH_MICROSECONDS)
                report.add(f"{name.name}, {over}, peer libpq's calls alone", figure, "us", peer=limit, reach=reach)
    finally:
        await db.close()


async def ours(db: Database, batch: Batch, at_once: int) -> Costs:
    """Through ``Database``, as the lifecycle does it."""

    async def submit(place: int) -> None:
        async with db.connection() as connection:
            assert await one(connection, "submit", batch.new[place], Window)

    async def settle(place: int) -> None:
        assert await db.one("settle", batch.settle[place], Settled)

    async def find(place: int) -> None:
        assert await db.lookup("find_generation", batch.find[place], _FoundRow)

    return Costs(*[await _cost(each, len(batch.new), at_once) for each in (submit, settle, find)])


async def libpq(url: str, batch: Batch, connections: int) -> Costs:
    """The same over held connections, by libpq's own calls: prepared, the parameters' bytes made before."""
    held = [await AsyncConnection.connect(url, autocommit=True) for _ in range(connections)]
    try:
        found = [{name: [value] for name, value in each.items()} for each in batch.find]
        costs = []
        for name, params in (("submit", batch.new), ("settle", batch.settle), ("find_generation", found)):
            sent = [await _bytes(held[0], name, each) for each in params]
            for connection in held:
                connection.pgconn.prepare(name.encode(), sent[0].query, sent[0].types)
            idle = [connection.pgconn for connection in held]

            async def ask(
                place: int, name: bytes = name.encode(), sent: list[Any] = sent, idle: list[Any] = idle
            ) -> None:
                connection = idle.pop()
                result = await _by_libpq(connection, name, sent[place])
                assert result.ntuples == 1, result.error_message
                idle.append(connection)

            costs.append(await _cost(ask, len(sent), connections))
        return Costs(*costs)
    finally:
        for connection in held:
            await connection.close()


async def _bytes(connection: AsyncConnection[Any], name: str, params: Any) -> Any:
    cursor = AsyncCursor(connection)
    cursor._tx = Transformer(cursor)
    named = msgspec.structs.asdict(params) if isinstance(params, msgspec.Struct) else params
    return cursor._convert_query(statement(name), named)


async def _by_libpq(connection: pq.abc.PGconn, name: bytes, query: Any) -> Any:
    connection.send_query_prepared(name, query.params, query.formats)
    while connection.flush():
        await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    results: list[Any] = []
    while True:
        while connection.is_busy():
            readable = loop.create_future()
            loop.add_reader(connection.socket, readable.set_result, None)
            try:
                await readable
            finally:
                loop.remove_reader(connection.socket)
            connection.consume_input()
        if (result := connection.get_result()) is None:
            return results[0]
        results.append(result)


async def _cost(ask: Callable[[int], Awaitable[None]], size: int, at_once: int) -> float:
    places = iter(range(size))

    async def work() -> None:
        for place in places:
            await ask(place)

    began = time.process_time()
    await asyncio.gather(*[work() for _ in range(at_once)])
    return 1e6 * (time.process_time() - began) / size


def _new(sender: Tenant) -> NewGeneration:
    return NewGeneration(
        id=f"req-{next(_NUMBERS):026d}",
        workspace_id=sender.id,
        api_key_id=sender.key_id,
        is_capped=False,
        type=GenerationType.IMAGE,
        model=str(IMAGE["model"]),
        request=Jsonb(_SPEC),
        body_sha256=b"Z" * 32,
        idempotency_key=None,
        billable_unit="image",
        unit_price_nanos=IMAGE_PRICE_NANOS,
        quantity=1,
        held_nanos=IMAGE_PRICE_NANOS,
        run_token=uuid.uuid4(),
        connection="noop",
        upstream_model=str(IMAGE["model"]),
        binding_options=Jsonb({}),
        lease_seconds=10,
        deadline_seconds=280,
        retention_seconds=604_800,
        is_stored=True,
        webhook_url=None,
        end_user=None,
        remixed_from=None,
        way_in="v2",
        traceparent=None,
        low_balance_nanos=None,
        default_rpm=100_000_000,
        default_concurrency=100_000,
    )


def _ending(new: NewGeneration) -> Ending:
    assert new.run_token is not None
    return Ending(
        id=new.id,
        run_token=new.run_token,
        state=State.COMPLETED,
        unseen=False,
        sent_after_seconds=0.1,
        charged_nanos=new.held_nanos,
        charged_thousandths=THOUSANDTHS,
        media=Jsonb([_FILE | {"key": f"media/2026/01/01/{new.id}-0.png"}]),
    )
