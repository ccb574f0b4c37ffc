"""``safelight usage``: what was used, and what was refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from cyclopts import Parameter

from safelight.accounts.usage import Refusals, Usage, list_refusals, list_usage
from safelight.accounts.workspaces import scope_of
from safelight.cli.database import with_database
from safelight.cli.numbers import whole
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR

_MOST_DAYS = 3660
_USED = ["date", "workspace", "type", "model", "key", "completed", "failed", "quantity", "cost"]
_REFUSED = ["date", "workspace", "type", "model", "key", "reason", "count"]


def usage(
    *,
    workspace: Annotated[str | None, Parameter(help="Only this workspace's.")] = None,
    days: Annotated[int, Parameter(help="How many UTC dates to show, today's included."), whole(1, _MOST_DAYS)] = 30,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what was used and what was refused, by date, model and key."""
    last = datetime.now(UTC).date()
    first = last - timedelta(days=days - 1)

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
