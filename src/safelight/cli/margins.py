"""``safelight margins``: what was charged beside what it cost, and what was lost."""

from __future__ import annotations

from typing import Any

from safelight.accounts.margins import MOST_LOSSES, LossRecord, Margin, Margins, list_margins
from safelight.accounts.workspaces import scope_of
from safelight.cli.database import with_database
from safelight.cli.options import AsJson, DataDir, Days, OneWorkspace, dates
from safelight.cli.show import cell, percent_of, print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR

_NOT_KNOWN = "not known"
_MARGINS = ["date", "model", "connection", "completed", "charged", "cost", "margin", "percent", "lost"]
_LOSSES = ["at", "workspace", "generation", "connection", "upstream_model", "reason", "cost", "request_id"]


def margins(
    *,
    workspace: OneWorkspace = None,
    days: Days = 30,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show what was charged beside what it cost, by date, model and connection, and what was lost."""
    first, last = dates(days)

    async def work(database: Database) -> Margins:
        return await list_margins(await scope_of(OPERATOR, database, workspace), database, first, last)

    found = with_database(data_dir, work)
    rows, lost = [_margin(row) for row in found.margins], [_loss(loss) for loss in found.losses]
    uncosted = [
        {"model": row.model, "completed": row.completed, "charged": format_usd(row.charged_nanos)}
        for row in found.uncosted
    ]
    if as_json:
        print_json({"margins": rows, "cost_not_known": uncosted, "losses": lost})
        return
    print(f"Charged since {first}, what it cost, and what was lost, in US dollars:")
    print_table([{**row, "lost": _lost(row)} for row in rows], columns=_MARGINS, empty="Nothing.")
    for row in uncosted:
        print(f"Cost not known: {row['completed']} completed of {cell(row['model'])}, charged {row['charged']}.")
    print(f"\nPaid for since {first}, or perhaps so (unknown), and charged to nobody:")
    print_table([{**row, "cost": row["cost"] or _NOT_KNOWN} for row in lost], columns=_LOSSES, empty="Nothing.")
    if len(lost) == MOST_LOSSES:
        print(f"These are the newest {MOST_LOSSES}.")


def _margin(row: Margin) -> dict[str, Any]:
    margin_nanos = row.charged_nanos - row.cost_nanos
    return {
        "date": row.date,
        "model": row.model,
        "connection": row.connection,
        "completed": row.completed,
        "charged": format_usd(row.charged_nanos),
        "cost": format_usd(row.cost_nanos),
        "margin": format_usd(margin_nanos),
        "percent": percent_of(margin_nanos, row.charged_nanos),
        "lost": format_usd(row.lost_nanos),
        "losses": row.losses,
        "losses_of_unknown_cost": row.losses_of_unknown_cost,
    }


def _loss(loss: LossRecord) -> dict[str, Any]:
    return {
        "at": loss.at,
        "workspace": loss.workspace,
        "generation": loss.generation_id,
        "model": loss.model,
        "connection": loss.connection,
        "upstream_model": loss.upstream_model,
        "reason": loss.reason,
        "cost": None if loss.cost_nanos is None else format_usd(loss.cost_nanos),
        "request_id": loss.request_id,
    }


def _lost(row: dict[str, Any]) -> str:
    unknown = row["losses_of_unknown_cost"]
    return f"{row['lost']} and {unknown} {_NOT_KNOWN}" if unknown else str(row["lost"])
