"""Lists as files: CSV for spreadsheets, JSON for programs, with the columns of the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from safelight.api.answer import encode
from safelight.dashboard.templates import machine_time

MOST_ROWS = 10_000
"""A file has no more rows than that; who wants all asks for fewer days."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def export(name: str, kind: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """The rows as a file ``name.csv`` or ``name.json``. ``kind``: csv or json. Amounts are decimals, times ISO 8601."""
    headers = {
        "content-disposition": f'attachment; filename="{name}.{kind}"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }
    if kind == "json":
        items = [{column: row[column] for column in columns} for row in rows]
        return Response(encode(items), media_type="application/json", headers=headers)
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[column]) for column in columns])
    return Response(written.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: Any) -> str:
    """A value as a spreadsheet reads it, and never as a formula (OWASP, CSV injection)."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return machine_time(value)
    if isinstance(value, (int, Decimal, date)):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
