"""Lists as files: CSV for spreadsheets, JSON for programs, with the columns of the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from safelight.api.answer import encode
from safelight.api.dialect import Handler, Route
from safelight.dashboard.reading import file_kind
from safelight.dashboard.site import PREFIX
from safelight.dashboard.templates import machine_time
from safelight.domain.roles import Role

MOST_ROWS = 10_000
"""A file has no more rows than that; who wants all asks for fewer days."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def routes_of_files(path: str, handler: Handler, role: Role = Role.READ) -> tuple[Route, ...]:
    """Where a list is given as a file: at a path below ``/dashboard``, which is its page's, and its kind."""
    return tuple(Route("GET", f"{PREFIX}{path}.{kind}", handler, role=role) for kind in ("csv", "json"))


def export(request: Request, name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """The rows as a file ``name.csv`` or ``name.json``, as the address ends. Amounts are decimals, times ISO 8601."""
    kind = file_kind(request)
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
