"""``safelight usage``: what was used, and what was refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from safelight.accounts.usage import Refusals, Usage, list_refusals, list_usage
from safelight.accounts.workspaces import scope_of
from safelight.cli.database import with_database
from safelight.cli.options import AsJson, DataDir, Days, OneWorkspace, dates
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR

_USED = ["date", "workspace", "type", "model", "key", "completed", "failed", "quantity", "cost"]
_REFUSED = ["date", "workspace", "type", "model", "key", "reason", "count"]


def usage(
    *,
    workspace: OneWorkspace = None,
    days: Days = 30,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what was used and what was refused, by date, model and key."""
    first, last = dates(days)

    async def work(database: Database) -> tuple[list[Usage], list[Refusals]]:
        scope = await scope_of(OPERATOR, database, workspace)
        return await list_usage(scope, database, first, last), await list_refusals(scope, database, first, last)

    usages, refusals = with_database(data_dir, work)
    used, refused = [_used(row) for row in usages], [_refused(row) for row in refusals]
    if as_json:
        print_json({"used": used, "refused": refused})
        return
    since = f"since {first}"
    print(f"Used {since}, in images or seconds of video, and US dollars:")
    print_table(used, columns=_USED, empty="Nothing.")
    print(f"\nRefused {since}, before anything was held:")
    print_table(refused, columns=_REFUSED, empty="Nothing.")


def _used(row: Usage) -> dict[str, Any]:
    return {
        "date": row.date,
        "workspace": row.workspace,
        "type": row.type,
        "model": row.model,
        "key": row.api_key_id,
        "completed": row.completed,
        "failed": row.failed,
        "quantity": f"{Decimal(row.charged_thousandths).scaleb(-3).normalize():f}",
        "cost": format_usd(row.cost_nanos),
    }


def _refused(row: Refusals) -> dict[str, Any]:
    return {
        "date": row.date,
        "workspace": row.workspace,
        "type": row.type,
        "model": row.model,
        "key": row.api_key_id,
        "reason": row.reason,
        "count": row.count,
    }
