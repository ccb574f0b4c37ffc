"""Ten minutes of orders to connections of which one is dead, one answers 429, one is slow: what is lost, who waits."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from bench.report import Report, at_least, at_most
from bench.servers import BenchError, folder, postgres, safelight
from bench.tenants import LIMITS, tenants
from safelight.accounts.books import check_books
from safelight.domain.scope import OPERATOR
from tests.durability.chaos_mix import (
    CONNECTIONS,
    DEAD,
    GOOD_ONES,
    TYPES,
    Outcome,
    Pace,
    all_ended,
    medians,
    mix,
    outcome,
    submit,
)
from tests.durability.deployment import catalog_text
from tests.support.postgres import open_database
from tests.support.tenants import Tenant

_ORDERS, _MINUTES, _QUIET_ORDERS = 1000, 10, 100
_PATIENCE_SECONDS = 300.0
_PACE = Pace(job_seconds=0.5, slow_seconds=20, retry_after_seconds=5, dead_deadline_seconds=60)
_LEFT_ALONE = re.compile(r"connection left alone.*connection=(\S+)")
_TWICE = at_most(2, of_peer=True)


async def run(report: Report) -> None:
    count, quiet = (100, 30) if report.brief else (_ORDERS, _QUIET_ORDERS)
    per_second = _ORDERS / _MINUTES / 60
    with folder() as base, postgres(base) as database:
        (tenant,) = await tenants(database.url, "chaos", 1)
        catalog = base / "catalog.toml"
        catalog.write_text(catalog_text(_PACE.models(), CONNECTIONS))
        environment = {**LIMITS, "SAFELIGHT_DATABASE_URL": database.url, "SAFELIGHT_CATALOG": str(catalog)}
        data = base / "data"
        with safelight("serve", data, environment) as server, safelight("worker", data, environment):
            report.say(f"the good connection alone, {quiet} orders")
            orders = [f"good-{TYPES[place % 2]}" for place in range(quiet)]
            alone = await _ordered(server.base_url, database.url, tenant, orders, per_second)
            report.say(f"all connections, {count} orders in {count / per_second / 60:.1f} minutes")
            mixed = mix(count)
            among = await _ordered(server.base_url, database.url, tenant, mixed, per_second)
        for model in GOOD_ONES:
            for type_ in TYPES:
                name, median = f"{model}-{type_}", among[f"{model}-{type_}"]
                report.add(f"{name}: p50", median, "s", peer=alone[f"good-{type_}"], reach=_TWICE)
        report.add("at-last-slow-video: p50", among["at-last-slow-video"], "s")
        _check(report, outcome(database.url, data / "chaos"), base, ordered=len(orders) + len(mixed))
        async with open_database(database.url) as db:
            if not (await check_books(OPERATOR, db)).balances:
                raise BenchError("The books do not balance.")


async def _ordered(base_url: str, url: str, tenant: Tenant, orders: list[str], per_second: float) -> dict[str, float]:
    """Order them, and wait for the last; the medians by model."""
    since = time.time()
    await submit(base_url, tenant.headers, orders, per_second)
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while not all_ended(url):
        if time.monotonic() > give_up_at:
            raise BenchError("Not every order has ended.")
        await asyncio.sleep(0.5)
    return medians(url, since)


def _check(report: Report, found: Outcome, base: Path, *, ordered: int) -> None:
    """What is on record, what the backends know, and which connections the log says were left alone."""
    logs = "".join(path.read_text(errors="replace") for path in base.glob("*.log"))
    left_alone = set(_LEFT_ALONE.findall(logs))
    report.add("orders", found.orders, "", reach=at_least(ordered))
    report.add("orders made", found.made, "")
    report.add("orders lost", len(found.lost) + ordered - found.orders, "", reach=at_most(0))
    report.add("orders made twice, or by two backends", len(found.doubled), "", reach=at_most(0))
    report.add("orders without one hold and one settlement", len(found.odd_books), "", reach=at_most(0))
    report.add("accounts that hold money at the end", found.held, "", reach=at_most(0))
    report.add("dead connection left alone", int(DEAD in left_alone), "", reach=at_least(1))
    report.add("other connections left alone as failing", len(left_alone - {DEAD}), "", reach=at_most(0))
