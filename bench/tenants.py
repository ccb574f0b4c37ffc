"""Workspaces with keys and credit, the catalog of no-op models, and limits that are not in the way."""

from __future__ import annotations

from pathlib import Path

from safelight.accounts.workspaces import list_workspaces
from safelight.domain.money import NANOS_PER_USD
from safelight.domain.scope import OPERATOR
from tests.support.postgres import open_database
from tests.support.tenants import Tenant, make_tenant

IMAGE_PRICE_NANOS = NANOS_PER_USD // 100
_CREDIT_USD = 1_000_000

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
bindings = [{ connection = "noop" }]
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
bindings = [{ connection = "noop" }]
sizes = { "480p" = { "1:1" = "64x64" } }
"""

IMAGE = {"model": "noop-image", "prompt": "a grey square", "output_format": "png"}
VIDEO = {"model": "noop-video", "prompt": "a grey square"}


def catalog(base: Path) -> Path:
    """Write the catalog of no-op models; its path."""
    path = base / "catalog.toml"
    path.write_text(_CATALOG)
    return path


def settings(base: Path, url: str) -> dict[str, str]:
    """Environment of a server that works on the no-op catalog."""
    return {**LIMITS, "SAFELIGHT_DATABASE_URL": url, "SAFELIGHT_CATALOG": str(catalog(base))}


async def tenants(url: str, prefix: str, count: int) -> list[Tenant]:
    """Make workspaces ``prefix-0`` and so on, with plenty of credit."""
    async with open_database(url) as db:
        return [await make_tenant(db, f"{prefix}-{i}", usd=str(_CREDIT_USD)) for i in range(count)]


async def images_charged(url: str, prefix: str) -> int:
    """How many images the workspaces of a prefix have paid for: what was really made, whoever counts."""
    async with open_database(url) as db:
        spent = [
            _CREDIT_USD * NANOS_PER_USD - found.available_nanos - found.held_nanos
            for found in await list_workspaces(OPERATOR, db)
            if found.name.startswith(f"{prefix}-")
        ]
    return sum(spent) // IMAGE_PRICE_NANOS
