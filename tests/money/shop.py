"""What tests of money stand on: a catalog that costs nothing to run, workspaces with keys, and the books."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from safelight.db.pool import Database
from safelight.node.settings import Settings
from safelight.wiring import Parts, open_parts
from tests.support.tenants import Tenant, another_key, make_tenant

PATIENCE_SECONDS = 90.0
SIGNING_KEYS = "k1:" + hashlib.sha256(b"a test").hexdigest()
IMAGE = {"model": "still", "prompt": "a hill"}
VIDEO = {"model": "clip", "prompt": "a hill"}

_ENTRY = """
[[models]]
id = "{id}"
name = "{id}"
type = "{type}"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1", "16:9"]
resolutions = ["1K", "2K"]
sizes."1K" = {{ "1:1" = "1024x1024", "16:9" = "1360x768" }}
sizes."2K" = {{ "1:1" = "2048x2048", "16:9" = "2736x1536" }}
{more}
bindings = [{{ connection = "noop", options = {{ {options} }} }}]
"""
_STILL = """references = { reference_image = 2 }
rates = [{ unit_price = "0.05" }, { unit_price = "0.08", resolution = "2K" }]"""
_CLIP = """references = { first_frame = 1 }
durations = [5, 10]
supports_sound = true
rates = [{ unit_price = "0.1" }, { unit_price = "0.123456", sound = "sound_on" }]"""


def catalog_text() -> str:
    """Models on the backend that makes the smallest file there is: at once, slowly, too short, or not at all."""
    behaviours = {
        "": "",
        "-slow": "delay_seconds = 2.5",
        "-endless": "delay_seconds = 3600",
        "-refused": 'fails_with = "content_policy"',
    }
    stills = [("still" + name, "image", _STILL, options) for name, options in behaviours.items()]
    clips = [("clip" + name, "video", _CLIP, options) for name, options in behaviours.items()]
    broken = [("still-broken", "image", _STILL, 'fails_with = "permanent"')]
    broken += [("still-unfit", "image", _STILL, 'fails_with = "bad_input"')]
    broken += [("clip-broken", "video", _CLIP, 'fails_with = "permanent"')]
    broken += [("clip-short", "video", _CLIP, "delivered_seconds = 3")]
    entries = [*stills, *clips, *broken]
    return "".join(
        _ENTRY.format(id=name, type=type_, more=more, options=options) for name, type_, more, options in entries
    )


def settings_environment(folder: Path, database_url: str, public_url: str = "http://localhost") -> dict[str, str]:
    """The settings that all processes of one installation have in common; writes the catalog they name."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = folder / "catalog.toml"
    catalog.write_text(catalog_text())
    return {
        "SAFELIGHT_DATABASE_URL": database_url,
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_SIGNING_KEYS": SIGNING_KEYS,
        "SAFELIGHT_IMAGE_RPM": "100000",
        "SAFELIGHT_VIDEO_RPM": "100000",
        "SAFELIGHT_CONCURRENCY": "1000",
        "SAFELIGHT_LOG_LEVEL": "debug",
        "SAFELIGHT_PUBLIC_URL": public_url,
        # All these tests come from one address.
        "SAFELIGHT_ADDRESS_CONCURRENCY": "10000",
        "SAFELIGHT_ADDRESS_REFUSALS": "1000000",
    }


@asynccontextmanager
async def parts_in(folder: Path, database_url: str) -> AsyncIterator[Parts]:
    """Every part of one process, without the process."""
    environment = settings_environment(folder, database_url)
    settings = Settings(
        data_dir=folder,
        database_url=database_url,
        catalog=Path(environment["SAFELIGHT_CATALOG"]),
        signing_keys=environment["SAFELIGHT_SIGNING_KEYS"],
    )
    async with open_parts(settings) as parts:
        yield parts


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace's account, beside what its postings and its generations say it must be."""

    available_nanos: int
    held_nanos: int
    in_flight: int
    ledger_available_nanos: int
    ledger_held_nanos: int
    ledger_revenue_nanos: int
    under_way: int
    daily_costs_nanos: int

    def check(self) -> None:
        assert self.available_nanos >= 0
        assert self.held_nanos >= 0
        assert self.available_nanos == self.ledger_available_nanos
        assert self.held_nanos == self.ledger_held_nanos
        assert self.in_flight == self.under_way
        assert self.ledger_revenue_nanos == self.daily_costs_nanos


_ACCOUNT = """
select a.available_nanos, a.held_nanos, a.in_flight,
    (select coalesce(sum(amount_nanos), 0)::bigint from postings p
     where p.workspace_id = a.workspace_id and account = 'available') as ledger_available_nanos,
    (select coalesce(sum(amount_nanos), 0)::bigint from postings p
     where p.workspace_id = a.workspace_id and account = 'held') as ledger_held_nanos,
    (select coalesce(sum(amount_nanos), 0)::bigint from postings p
     where p.workspace_id = a.workspace_id and account = 'revenue') as ledger_revenue_nanos,
    (select count(*) from generations g
     where g.workspace_id = a.workspace_id and finished_at is null)::integer as under_way,
    (select coalesce(sum(cost_nanos), 0)::bigint from daily_usage c
     where c.workspace_id = a.workspace_id) as daily_costs_nanos
from accounts a where a.workspace_id = %s
"""


class Shop:
    """Makes workspaces on a database, and looks into it."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def customer(
        self,
        usd: str = "100",
        *,
        spend_cap: str | None = None,
        expires_at: datetime | None = None,
        **limits: int,
    ) -> Tenant:
        """A new workspace with credit, limits and a key."""
        return await make_tenant(self.db, usd=usd, spend_cap=spend_cap, expires_at=expires_at, **limits)

    async def sibling(self, customer: Tenant, *, spend_cap: str | None = None) -> Tenant:
        """The same workspace with another key."""
        return await another_key(self.db, customer.name, spend_cap=spend_cap)

    async def query(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        async with self.db.connection() as connection:
            cursor = await connection.execute(statement, params)
            return await cursor.fetchall() if cursor.description else []

    async def account(self, customer: Tenant) -> Account:
        """The account; itself checked against the ledger."""
        async with self.db.snapshot() as connection:
            cursor = await connection.execute(_ACCOUNT, (customer.id,))
            names = [column.name for column in cursor.description or ()]
            row = await cursor.fetchone()
        assert row is not None
        account = Account(**dict(zip(names, row, strict=True)))
        account.check()
        return account

    async def count(self, customer: Tenant, table: str = "generations") -> int:
        rows = await self.query(f"select count(*) from {table} where workspace_id = %s", customer.id)
        return int(rows[0][0])

    async def settled(self, customer: Tenant) -> Account:
        """The account once nothing of the workspace is under way."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (account := await self.account(customer)).in_flight:
                await asyncio.sleep(0.05)
        return account


async def ended(client: httpx.AsyncClient, customer: Tenant, generation_id: str) -> dict[str, Any]:
    """The video once it has ended."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await client.get(f"/v2/videos/generations/{generation_id}", headers=customer.headers)
            body: dict[str, Any] = answer.json()
            if body["status"] != "pending":
                return body
            await asyncio.sleep(0.05)
