"""How commands print what they list."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from safelight.domain.text import printable, printable_lines

_WIDE = 200  # a file or a pipe has no width


def print_json(value: Any) -> None:
    """JSON on stdout, times in ISO 8601, money as decimal strings. What no terminal should be sent is escaped."""
    written = msgspec.json.format(msgspec.json.encode(value, enc_hook=_encode), indent=2).decode()
    print(printable_lines(written))


def _encode(value: Any) -> Any:
    return str(value)


def print_table(rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], empty: str) -> None:
    """A table on stdout, or the line ``empty``. ``columns`` are keys of the rows, and their titles."""
    if not rows:
        print(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        right = isinstance(rows[0][name], (int, Decimal)) and not isinstance(rows[0][name], bool)
        table.add_column(name.replace("_", " "), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell(row[name]) for name in columns))
    console().print(table)


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no guessed colours, no wrapping in pipes."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def cell(value: Any) -> str:
    """A value as tables show it, whoever wrote it."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return printable(str(value))


def percent_of(part_nanos: int, whole_nanos: int) -> str | None:
    """How many percent of the whole the part is, to a tenth; None of nothing."""
    if not whole_nanos:
        return None
    return str((Decimal(100 * part_nanos) / whole_nanos).quantize(Decimal("0.1"), ROUND_HALF_EVEN))
