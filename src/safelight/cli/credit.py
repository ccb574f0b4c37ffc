"""``safelight credit``: what workspaces may spend."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from safelight.accounts.audit import Action
from safelight.accounts.credit import CreditEntry, add_credit, credit_history
from safelight.accounts.workspaces import workspace_scope
from safelight.cli.audit import note
from safelight.cli.database import with_database
from safelight.cli.numbers import amount as parse_amount
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR
from safelight.node.settings import load_settings
from safelight.telemetry.recording import record_once
from safelight.telemetry.snapshots import metrics_folder


def add(
    workspace: Annotated[str, Parameter(help="The workspace that gets it.")],
    amount: Annotated[
        str, Parameter(help="US dollars, such as 25 or 0.50; -3 takes 3 back.", allow_leading_hyphen=True)
    ],
    /,
    *,
    reason: Annotated[str, Parameter(help="What it is for; it stays in the books.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Add credit to a workspace. A negative amount takes it back, as far as it is not spent."""
    nanos = parse_amount(amount)

    async def work(database: Database) -> int:
        to = await workspace_scope(OPERATOR, database, workspace)
        left = await add_credit(OPERATOR, database, to=to, amount_nanos=nanos, reason=reason)
        await note(database, Action.CREDIT_ADD, to.workspace_id, scope=to, amount=format_usd(nanos), reason=reason)
        return left

    available = format_usd(with_database(data_dir, work))
    record_once(metrics_folder(load_settings(data_dir=data_dir)))
    if as_json:
        print_json({"workspace": workspace, "amount": format_usd(nanos), "available": available})
    else:
        print(f"Workspace {workspace!r} now has {available} USD.")


def history(
    workspace: Annotated[str, Parameter(help="The workspace.")],
    /,
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the credit that a workspace was given, newest first."""

    async def work(database: Database) -> list[CreditEntry]:
        return await credit_history(await workspace_scope(OPERATOR, database, workspace), database)

    rows = [
        {"id": e.id, "amount": format_usd(e.amount_nanos), "reason": e.reason, "created_at": e.created_at}
        for e in with_database(data_dir, work)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        rows,
        columns=["id", "amount", "reason", "created_at"],
        empty=f"Workspace {workspace!r} was given no credit yet. 'safelight credit add' gives it some.",
    )
