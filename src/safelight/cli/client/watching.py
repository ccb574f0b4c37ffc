"""``safelight top``: what is under way, what failed, and what it costs, as it changes."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from safelight.cli.client.answers import Balance, Costs, Generation, Generations, read
from safelight.cli.client.asking import usd
from safelight.cli.client.connection import Connection
from safelight.cli.client.exits import CommandFailed
from safelight.cli.client.follow import look
from safelight.cli.client.output import result_json, run
from safelight.cli.client.profiles import find_profile
from safelight.cli.show import cell, console

_LOOK_SECONDS = 2.0
_MOST_FOLLOWED = 20
_FIRST_EVENT_SECONDS = 2.0
_FAILURES = 5
_BAR = 20


class Standing(msgspec.Struct, kw_only=True):
    """How a workspace stands. ``spent_today``: in US dollars, since midnight UTC."""

    pending: list[Generation]
    failed: list[Generation]
    spent_today: Decimal
    balance: str
    has_more: bool

    @property
    def running(self) -> list[Generation]:
        return [each for each in self.pending if each.queue_position is None]

    @property
    def queued(self) -> list[Generation]:
        return [each for each in self.pending if each.queue_position is not None]


def top(*, as_json: bool, profile: str | None) -> int:
    """Show it until interrupted, or once where nobody sees it change; the exit status."""

    async def work() -> None:
        async with Connection(find_profile(profile)) as connection:
            if as_json:
                result_json(msgspec.json.encode(await _standing(connection)))
            elif not sys.stdout.isatty():
                console().print(shown(await _standing(connection)))
            else:
                with Live(console=console(), screen=True, auto_refresh=False) as live:
                    while True:
                        live.update(shown(await _standing(connection)), refresh=True)
                        await asyncio.sleep(_LOOK_SECONDS)

    return run(work, as_json=as_json)


def shown(standing: Standing) -> RenderableType:
    """The standing as lines of text."""
    more = " or more" if standing.has_more else ""
    head = (
        f"{len(standing.running)} running, {len(standing.queued)}{more} queued; "
        f"{usd(standing.spent_today)} USD spent today, {cell(standing.balance)} USD left"
    )
    parts: list[RenderableType] = [Text(head, style="bold")]
    if standing.pending:
        table = Table(box=None, pad_edge=False, show_header=False)
        for each in [*standing.running, *standing.queued]:
            table.add_row(cell(each.id), cell(each.type), cell(each.model), _state(each))
        parts += [Text(), table]
    if standing.failed:
        table = Table(box=None, pad_edge=False, show_header=False)
        for each in standing.failed:
            why = f"{each.error.code}: {each.error.message}" if each.error else "-"
            table.add_row(cell(each.id), cell(each.model), cell(why))
        parts += [Text(), Text("Failed last:"), table]
    return Group(*parts)


def _state(pending: Generation) -> str:
    if pending.queue_position is not None:
        return f"queued, about number {pending.queue_position}"
    done = min(1.0, max(0.0, pending.progress or 0.0))
    full = round(done * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {done:.0%}"


async def _standing(connection: Connection) -> Standing:
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    pending, failed, costs, balance = await asyncio.gather(
        connection.get("/v2/generations", status="pending", limit=100),
        connection.get("/v2/generations", status="failed", limit=_FAILURES),
        connection.get("/v2/billing/costs", start=midnight.isoformat(), end=now.isoformat()),
        connection.get("/v2/billing/balance"),
    )
    page = read(pending.body, Generations)
    detailed = await asyncio.gather(*(_detailed(connection, each) for each in page.data[:_MOST_FOLLOWED]))
    return Standing(
        pending=[*(each for each in detailed if each.is_pending), *page.data[_MOST_FOLLOWED:]],
        failed=read(failed.body, Generations).data,
        spent_today=read(costs.body, Costs).total_cost,
        balance=read(balance.body, Balance).balance,
        has_more=page.has_more,
    )


async def _detailed(connection: Connection, listed: Generation) -> Generation:
    """With its place in the queue, or with how far it is."""
    try:
        assert listed.type is not None
        now = (await look(connection, listed.type, listed.id))[1]
        progress = None if now.queue_position else await _progress(connection, listed.id)
    except CommandFailed:
        return listed
    return msgspec.structs.replace(listed, status=now.status, queue_position=now.queue_position, progress=progress)


async def _progress(connection: Connection, generation_id: str) -> float | None:
    """The first that its stream tells is how it stands."""
    try:
        async with asyncio.timeout(_FIRST_EVENT_SECONDS):
            async with aclosing(connection.events(f"/v2/generations/{generation_id}/events")) as events:
                async for event in events:
                    return read(event.data.encode(), Generation).progress
    except (TimeoutError, CommandFailed):
        pass
    return None
