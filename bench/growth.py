"""What a node does over a million generations that are kept, beside the same over ten thousand.

Both are of one pace: the million go back ninety days, the ten thousand not one. Nothing may take over twice as long.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg

from bench.kept import LARGE, count_kept, keep, kept_id
from bench.report import Report, at_most
from bench.servers import folder, postgres
from bench.tenants import IMAGE, settings, tenants
from safelight.accounts.books import check_and_record_books
from safelight.accounts.costs import daily_costs
from safelight.accounts.credit import credit_history
from safelight.accounts.keys import Authenticator
from safelight.accounts.usage import list_usage
from safelight.accounts.webhooks import list_deliveries
from safelight.accounts.workspaces import workspace_scope
from safelight.db.migrate import migrate
from safelight.db.pool import run as run_statement
from safelight.domain.generations import GenerationType, State
from safelight.domain.media import MediaFacts
from safelight.domain.request import Request
from safelight.domain.scope import OPERATOR, Principal, WorkspaceScope
from safelight.lifecycle import settle
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.reconcile import reconcile
from safelight.lifecycle.settle import StoredFile
from safelight.lifecycle.submit import Submission, submit
from safelight.lifecycle.views import GenerationView, list_views, view
from safelight.node.settings import load_settings
from safelight.wiring import Parts, open_parts
from tests.support.postgres import with_database

_MANY, _FEW = 1_000_000, 10_000
_TURNS = 31
_TURNS_BEFORE = 4
"""Until plans are made and pages are read, and until the books are closed."""
_FACTS = MediaFacts(mime_type="image/jpeg", width=64, height=64)
_NOBODY_BUSY: dict[str, object] = {
    "busy_workspaces": [],
    "busy_lanes": [],
    "busy_attempts": [],
    "kept_slots": 32,
    "lane_slots": 4,
    "lanes_looked_at": 256,
    "lease_seconds": 60,
}


class Kept(msgspec.Struct, frozen=True):
    """A node over what is kept, one who makes more, and the workspace that has half of all."""

    parts: Parts
    sender: Principal
    large: WorkspaceScope
    count: int

    @property
    def newest_ids(self) -> dict[str, object]:
        """Parameters that name the ids of the last day."""
        return {"last": kept_id(self.count), "after_id": kept_id(self.count - _FEW), "after_index": -1}

    async def rolled_back(self, name: str, **params: object) -> None:
        """A statement that changes much; all of it stays as it was."""
        async with self.parts.db.connection() as connection, connection.transaction(force_rollback=True):
            await run_statement(connection, name, params)

    async def erased_batch(self) -> None:
        """What the erasing of the large workspace does at a time, and its beginning."""
        params = {"workspace_id": self.large.workspace_id}
        async with self.parts.db.connection() as connection, connection.transaction(force_rollback=True):
            for name in ("begin_erasure", "erase_generations", "erase_idempotency_keys"):
                await run_statement(connection, name, params)

    async def listed(self, type_: GenerationType | None, *states: State) -> list[GenerationView]:
        return await list_views(
            self.parts.viewing, self.large.workspace_id, type_=type_, states=states or None, after=None, limit=21
        )

    async def submit(self) -> Accepted:
        request = Request(type=GenerationType.IMAGE, model=str(IMAGE["model"]), prompt="a grey square")
        body_sha256 = hashlib.sha256(secrets.token_bytes(8)).digest()
        return await submit(
            self.parts.submitting, Submission(principal=self.sender, request=request, body_sha256=body_sha256)
        )


Work = Callable[[Kept], Awaitable[object]]

WORKS: dict[str, Work] = {
    "books since their last close": lambda kept: check_and_record_books(OPERATOR, kept.parts.db),
    "a list": lambda kept: kept.listed(None),
    "a list of few: canceled videos": lambda kept: kept.listed(GenerationType.VIDEO, State.CANCELED),
    "a list of none: pending": lambda kept: kept.listed(None, State.QUEUED, State.RUNNING, State.UNKNOWN),
    "the credit's history": lambda kept: credit_history(kept.large, kept.parts.db),
    "costs of today": lambda kept: daily_costs(
        kept.large, kept.parts.db, datetime.now(UTC) - timedelta(hours=20), datetime.now(UTC)
    ),
    "usage of today": lambda kept: list_usage(
        OPERATOR, kept.parts.db, datetime.now(UTC).date(), datetime.now(UTC).date()
    ),
    "failed deliveries of a workspace": lambda kept: list_deliveries(kept.large, kept.parts.db, state="failed"),
    "failed deliveries of all": lambda kept: list_deliveries(OPERATOR, kept.parts.db, state="failed"),
    "webhooks: what is due": lambda kept: kept.rolled_back("claim_deliveries", slots=128, **_NOBODY_BUSY),
    "a batch of an endpoint's log deleted": lambda kept: kept.rolled_back("forget_deliveries", endpoint_id=1),
    "a batch of a workspace erased": lambda kept: kept.erased_batch(),
    "the sweep: files that are due": lambda kept: kept.rolled_back("tombstone_due", limit=1000),
    "the sweep: old idempotency keys": lambda kept: kept.rolled_back("forget_idempotency_keys"),
    "the sweep: old prompts of failures": lambda kept: kept.rolled_back("forget_unfulfilled", retention_seconds=604800),
    "the sweep: old events": lambda kept: kept.rolled_back("expire_events", days=30),
    "the sweep: what is being erased": lambda kept: kept.rolled_back("list_erasures"),
    "the night's look at a day's files: a page": lambda kept: kept.rolled_back("list_keys_of_day", **kept.newest_ids),
    "reconcile": lambda kept: reconcile(kept.parts.running),
}


async def run(report: Report) -> None:
    many = _MANY // 20 if report.brief else _MANY
    with folder() as base, postgres(base) as database:
        urls = [await _kept(report, database.url, count) for count in (_FEW, many)]
        await compare(report, base, *urls)


async def compare(report: Report, base: Path, few_url: str, many_url: str) -> None:
    """Each work in turns over both databases."""
    async with _opened(base, few_url) as few, _opened(base, many_url) as many:
        for name, work in WORKS.items():
            report.say(name)
            await _compare(report, name, work, few, many)
        report.say("the hot path")
        await _compare_hot_path(report, few, many)


async def _kept(report: Report, url: str, count: int) -> str:
    report.say(f"{count:,} generations")
    name = f"kept_{count}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name} template template0")
    made = with_database(url, name)
    migrate(made)
    await asyncio.to_thread(keep, made, count)
    return made


@asynccontextmanager
async def _opened(base: Path, url: str) -> AsyncIterator[Kept]:
    (tenant,) = await tenants(url, "growth", 1)
    data = {"SAFELIGHT_DATA_DIR": str(base / "data"), "SAFELIGHT_SIGNING_KEYS": f"k1:{secrets.token_hex(32)}"}
    environment = settings(base, url) | data | {"SAFELIGHT_PROVENANCE": "off"}
    async with open_parts(load_settings(environment)) as parts:
        sender = await Authenticator(parts.db).authenticate(tenant.headers["Authorization"])
        yield Kept(
            parts, sender, await workspace_scope(OPERATOR, parts.db, LARGE), await asyncio.to_thread(count_kept, url)
        )


async def _compare(report: Report, name: str, work: Work, few: Kept, many: Kept) -> None:
    """In turns, so that whatever else the machine does is felt by both."""
    taken: dict[int, list[float]] = {id(few): [], id(many): []}
    for turn in range(_TURNS_BEFORE + _TURNS):
        for kept in (few, many):
            started = time.perf_counter()
            await work(kept)
            if turn >= _TURNS_BEFORE:
                taken[id(kept)].append(time.perf_counter() - started)
    _add(report, name, taken[id(few)], taken[id(many)])


def _add(report: Report, name: str, few: list[float], many: list[float]) -> None:
    value, peer = statistics.median(many) * 1000, statistics.median(few) * 1000
    report.add(f"{name}, peer over {_FEW:,}", value, "ms", peer=peer, reach=at_most(2, of_peer=True))


async def _compare_hot_path(report: Report, few: Kept, many: Kept) -> None:
    taken: dict[tuple[str, int], list[float]] = {}
    for turn in range(_TURNS_BEFORE + 10 * _TURNS):
        for kept in (few, many):
            moments = [time.perf_counter()]
            accepted = await kept.submit()
            moments.append(time.perf_counter())
            assert accepted.claim is not None
            file = StoredFile(index=0, key=f"media/{accepted.id}", size_bytes=1, sha256="ab" * 32, facts=_FACTS)
            assert await settle.complete(kept.parts.db, accepted.claim, (file,)) is not None
            moments.append(time.perf_counter())
            await view(kept.parts.viewing, kept.sender.workspace_id, accepted.id, GenerationType.IMAGE)
            moments.append(time.perf_counter())
            if turn >= _TURNS_BEFORE:
                for step, since, until in zip(("submit", "settle", "poll"), moments, moments[1:], strict=False):
                    taken.setdefault((step, id(kept)), []).append(until - since)
    for step in ("submit", "settle", "poll"):
        _add(report, f"the hot path: {step}", taken[step, id(few)], taken[step, id(many)])
