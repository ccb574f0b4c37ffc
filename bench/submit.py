"""Images through submit and settle, beside pgbench running the same two transactions on the same PostgreSQL.

Ours has the whole of the work: HTTP, validation, the file written, measured, hashed and synced. pgbench has the two
statements alone, which is as fast as this database can take them.
"""

from __future__ import annotations

import os

from bench.load import Load, wrk
from bench.pgbench import pgbench
from bench.report import Report, at_least, at_most
from bench.servers import BenchError, Postgres, Server, folder, postgres, safelight
from bench.tenants import IMAGE, images_charged, settings, tenants
from tests.support.tenants import Tenant

_MANY = 64
_WARM_SECONDS = 2.0


async def run(report: Report) -> None:
    with folder() as base, postgres(base) as database:
        peers = {count: await tenants(database.url, f"peer{count}", count) for count in (_MANY, 1)}
        ours = {count: await tenants(database.url, f"ours{count}", count) for count in (_MANY, 1)}
        environment = settings(base, database.url) | {"SAFELIGHT_WORKERS": str(os.cpu_count() or 1)}
        with safelight("serve", base / "data", environment) as server:
            for count in (_MANY, 1):
                over = "64 workspaces" if count == _MANY else "one workspace"
                report.say(f"pgbench over {over}")
                pgbench(database, base, peers[count], _WARM_SECONDS)
                before = await images_charged(database.url, f"peer{count}")
                peer = pgbench(database, base, peers[count], report.seconds)
                _check(peer.transactions, await images_charged(database.url, f"peer{count}") - before, "pgbench")
                report.say(f"images over {over}")
                load = await _images(report, server, database, ours[count])
                reach = at_least(0.3 if count == _MANY else 0.9, of_peer=True)
                report.add(f"images over {over}, peer pgbench", load.rate, "/s", peer=peer.rate, reach=reach)
                report.add(f"images over {over}: p50", load.p50_ms, "ms")
                report.add(f"images over {over}: p99", load.p99_ms, "ms")
                report.add(f"images over {over}: API processor time", load.server_cpu_ms[0], "ms a request")
                report.add(f"images over {over}: PostgreSQL processor time", load.server_cpu_ms[1], "ms a request")
            report.say("images at concurrency 1")
            url = f"{server.base_url}/v2/images/generations"
            keys = [tenant.key for tenant in ours[_MANY]]
            alone = wrk(url, keys, concurrency=1, seconds=report.seconds, body=IMAGE)
            report.add("images at concurrency 1: p50", alone.p50_ms, "ms", reach=at_most(8))
        with safelight("serve", base / "data", environment | {"SAFELIGHT_PROVENANCE": "off"}) as server:
            report.say("images over 64 workspaces without provenance")
            load = await _images(report, server, database, ours[_MANY])
            report.add("images over 64 workspaces, unsigned", load.rate, "/s")
            report.add("images over 64 workspaces, unsigned: API processor time", load.server_cpu_ms[0], "ms a request")


async def _images(report: Report, server: Server, database: Postgres, senders: list[Tenant]) -> Load:
    url = f"{server.base_url}/v2/images/generations"
    keys, prefix = [sender.key for sender in senders], f"ours{len(senders)}"
    wrk(url, keys, concurrency=32, seconds=_WARM_SECONDS, body=IMAGE)
    before = await images_charged(database.url, prefix)
    load = wrk(url, keys, concurrency=32, seconds=report.seconds, body=IMAGE, pids=(server.pid, database.pid))
    # Requests that were under way when the load ended may have been charged as well.
    _check(load.requests, await images_charged(database.url, prefix) - before, "The API", most_more=64)
    return load


def _check(answered: int, charged: int, who: str, *, most_more: int = 0) -> None:
    """A rate counts only if the ledger agrees."""
    if not answered <= charged <= answered + most_more:
        raise BenchError(f"{who} answered {answered} times, and {charged} images were charged.")
