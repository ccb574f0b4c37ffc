"""``safelight generations``: what became of one, for the operator."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from safelight.cli.database import with_database
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import cell, print_json
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.outcomes import Report
from safelight.lifecycle.records import GenerationRecord, find_record


def show(
    generation_id: Annotated[str, Parameter(name="id", help="The generation's id, as its answer told it.")],
    /,
    *,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show where a generation stands, which backend was asked, and what that said."""

    async def work(database: Database) -> GenerationRecord:
        return await find_record(database, generation_id)

    record = with_database(data_dir, work)
    facts = _facts(record)
    if as_json:
        print_json({**facts, "backend_reports": record.backend_reports})
        return
    for name, value in facts.items():
        if value is not None:
            print(f"{name.replace('_', ' '):20} {_text(value)}")
    for report in record.backend_reports:
        print(f"\n{cell(report.at)}  {report.outcome}, by {report.connection or 'nobody'}")
        for name, value in _said(report).items():
            print(f"  {name.replace('_', ' '):18} {_text(value)}")


def _facts(record: GenerationRecord) -> dict[str, Any]:
    facts = msgspec.structs.asdict(record)
    del facts["backend_reports"]
    amounts = {name: facts.pop(f"{name}_nanos") for name in ("held", "charged", "cost")}
    return {**facts, **{name: None if nanos is None else format_usd(nanos) for name, nanos in amounts.items()}}


def _said(report: Report) -> dict[str, Any]:
    facts = msgspec.to_builtins(report)
    return {name: value for name, value in facts.items() if name not in ("at", "outcome", "connection")}


def _text(value: object) -> str:
    """On one line, whatever a backend wrote."""
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value).decode()
    return " ".join(cell(value).split())
