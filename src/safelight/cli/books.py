"""``safelight books``: proof that the money adds up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from safelight.accounts.books import Books, check_books, check_books_since_close
from safelight.cli.database import with_database
from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import cell, print_json, print_table
from safelight.db.pool import Database
from safelight.domain.money import format_usd
from safelight.domain.scope import OPERATOR

if TYPE_CHECKING:
    from safelight.keeping.archives import Proof

_LINES = ("funded", "available", "held", "revenue")
_USAGE_COLUMNS = ("date", "workspace", "type", "model", "key", "what", "recorded", "rebuilt")


def books(
    *,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="Verify again what was verified and closed before.")
    ] = False,
    archives: Annotated[
        bool, Parameter(negative="", help="Verify all, and read every file of the archive again.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> int:
    """Rebuild balances from the postings and usage from the generations; exit status 1 if anything has drifted.

    From the last close on: running workers verify and close what is new every five minutes, and all of it every night.
    """

    async def work(database: Database) -> Books:
        check = check_books if everything or archives else check_books_since_close
        return await check(OPERATOR, database)

    result = with_database(data_dir, work)
    proof = _prove(data_dir) if archives else None
    if as_json:
        of_archive = {} if proof is None else {"archive": msgspec.to_builtins(proof)}
        print_json({"balances": result.balances, **msgspec.to_builtins(result), **of_archive})
    else:
        _print(result)
        if proof is not None:
            _print_proof(proof)
    return 0 if result.balances and (proof is None or proof.holds) else 1


def _prove(data_dir: Path | None) -> Proof:
    # What keeps files brings the media libraries along: only this option pays for them.
    from safelight.cli.archive import with_keeping
    from safelight.keeping.archives import prove_archive

    return with_keeping(data_dir, prove_archive)


def _print_proof(proof: Proof) -> None:
    for problem in proof.problems:
        print(f"PROBLEM: {cell(problem)}")
    for key in proof.leftovers:
        print(f"Left by a run that was interrupted, and named by no row: {cell(key)}")
    if proof.holds:
        print(f"The archive has what it says: {proof.generations} generations in {proof.segments} segments.")


def _print(result: Books) -> None:
    statement = result.statement
    print(f"{statement.transfers} transfers, in US dollars:")
    for line in _LINES:
        print(f"  {line:10} {format_usd(int(getattr(statement, f'{line}_nanos'))):>16}")
    for problem in statement.problems():
        print(f"PROBLEM: {problem}")
    if result.drift:
        rows = [msgspec.structs.asdict(item) for item in result.drift]
        print("Accounts that are not what their postings say (nano-dollars):")
        print_table(rows, columns=list(rows[0]), empty="")
    if result.usage_drift:
        rows = [{**msgspec.structs.asdict(item), "key": item.api_key_id} for item in result.usage_drift]
        print("Daily usage that is not what the generations add up to:")
        print_table(rows, columns=_USAGE_COLUMNS, empty="")
    if result.balances:
        since = f" From transfer {result.closed_up_to} on: --all looks at those before, too."
        print("The books balance." + (since if result.closed_up_to else ""))
