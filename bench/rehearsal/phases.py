"""What is done to the site, one thing after the other, under load."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from bench.rehearsal.site import LEASE_SECONDS, Node, Site


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. ``before``: at work before something happens, so that much is under way. ``calm``: after it."""

    before: float = 2.0
    calm: float = 5.0
    database_away: float = 5.0
    store_away: float = 10.0
    frozen: float = LEASE_SECONDS + 3.0
    quiet: float = 8.0
    is_restarted: bool = True
    """Whether what was killed is started again."""


BRIEF = Pace(before=1.0, calm=1.0, database_away=1.0, store_away=1.0, quiet=1.0, is_restarted=False)


async def quiet(site: Site, pace: Pace) -> None:
    """Nothing happens: what the others are held against."""
    await asyncio.sleep(pace.quiet)


async def kill_api(site: Site, pace: Pace) -> None:
    """An API node is killed, and started again."""
    await _kill(site.api_nodes[0], pace)


async def kill_worker(site: Site, pace: Pace) -> None:
    """A worker is killed, and started again."""
    await _kill(site.workers[0], pace)


async def database_away(site: Site, pace: Pace) -> None:
    """PostgreSQL is stopped at once (``-m immediate``), and started again."""
    await asyncio.to_thread(site.database.stop_at_once)
    await asyncio.sleep(pace.database_away)
    await asyncio.to_thread(site.database.start)


async def store_away(site: Site, pace: Pace) -> None:
    """The S3 server is killed, and started again."""
    await asyncio.to_thread(site.store.stop)
    await asyncio.sleep(pace.store_away)
    await asyncio.to_thread(site.store.start)


async def freeze_worker(site: Site, pace: Pace) -> None:
    """A worker is stopped (SIGSTOP) past its lease, and goes on (SIGCONT) where it was."""
    worker = site.workers[1]
    worker.freeze()
    try:
        await asyncio.sleep(pace.frozen)
    finally:
        worker.thaw()


async def roll(site: Site, pace: Pace) -> None:
    """Node by node: SIGTERM, wait for its end, start it again, wait until it works. It is the same release again."""
    for node in site.nodes:
        await asyncio.to_thread(node.stop)
        known = site.workers_at_work()
        await asyncio.to_thread(node.start)
        if node in site.workers:
            await asyncio.to_thread(site.wait_for_workers, 1, known=known)


async def _kill(node: Node, pace: Pace) -> None:
    await asyncio.to_thread(node.kill)
    if pace.is_restarted:
        await asyncio.sleep(pace.calm)
        await asyncio.to_thread(node.start)


PHASES: dict[str, Callable[[Site, Pace], Awaitable[None]]] = {
    "quiet": quiet,
    "api-killed": kill_api,
    "worker-killed": kill_worker,
    "database-away": database_away,
    "store-away": store_away,
    "worker-frozen": freeze_worker,
    "rolled": roll,
}
