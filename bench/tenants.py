"""Workspaces with keys and credit, the catalog of no-op models, and limits that are not in the way."""

from __future__ import annotations

from pathlib import Path

import msgspec

from safelight.accounts.credit import add_credit
from safelight.accounts.keys import create_key
from safelight.accounts.workspaces import create_workspace, list_workspaces
from safelight.db.pool import Database
from safelight.domain.money import NANOS_PER_USD

IMAGE_PRICE_NANOS = NANOS_PER_USD // 100
_CREDIT_NANOS = 1_000_000 * NANOS_PER_USD

LIMITS = {
    "SAFELIGHT_IMAGE_RPM": "100000000",
    "SAFELIGHT_VIDEO_RPM": "100000000",
    "SAFELIGHT_CONCURRENCY": "100000",
}

_CATALOG = """
[[models]]
id = "noop-image"
name = "No-op image"
type = "image"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
rates = [{ unit_price = "0.01" }]
bindings = [{ provider = "noop" }]
sizes = { "1K" = { "1:1" = "64x64" } }

[[models]]
id = "noop-video"
name = "No-op video"
type = "video"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["480p"]
durations = [1]
rates = [{ unit_price = "0.01" }]
bindings = [{ provider = "noop" }]
sizes = { "480p" = { "1:1" = "64x64" } }
"""

IMAGE = {"model": "noop-image", "prompt": "a grey square", "output_format": "png"}
VIDEO = {"model": "noop-video", "prompt": "a grey square"}


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace with plenty of credit. ``key`` is its API key."""

    workspace: str
    workspace_id: int
    key: str
    key_id: int


def catalog(base: Path) -> Path:
    """Write the catalog of no-op models; its path."""
    path = base / "catalog.toml"
    path.write_text(_CATALOG)
    return path


def settings(base: Path, url: str) -> dict[str, str]:
    """Environment of a server that works on the no-op catalog."""
    return {**LIMITS, "SAFELIGHT_DATABASE_URL": url, "SAFELIGHT_CATALOG": str(catalog(base))}


async def tenants(url: str, prefix: str, count: int) -> list[Tenant]:
    """Make workspaces ``prefix-0`` and so on."""
    db = Database(url, pool_size=1)
    await db.open()
    try:
        names = [f"{prefix}-{i}" for i in range(count)]
        for name in names:
            await create_workspace(db, name)
            await add_credit(db, name, _CREDIT_NANOS, "bench")
        ids = {found.name: found.id for found in await list_workspaces(db)}
        keys = [await create_key(db, workspace=name) for name in names]
    finally:
        await db.close()
    return [
        Tenant(workspace=name, workspace_id=ids[name], key=key.secret, key_id=key.id)
        for name, key in zip(names, keys, strict=True)
    ]


async def images_charged(url: str, prefix: str) -> int:
    """How many images the workspaces of a prefix have paid for: what was really made, whoever counts."""
    db = Database(url, pool_size=1)
    await db.open()
    try:
        spent = [
            _CREDIT_NANOS - found.available_nanos - found.held_nanos
            for found in await list_workspaces(db)
            if found.name.startswith(f"{prefix}-")
        ]
    finally:
        await db.close()
    return sum(spent) // IMAGE_PRICE_NANOS
