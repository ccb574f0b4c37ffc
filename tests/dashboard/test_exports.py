"""Lists as files: one address for each kind, and nothing in them that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from starlette.requests import Request

from safelight.dashboard.exports import export
from safelight.dashboard.routes import ROUTES

ROW = {"name": "a", "at": datetime(2026, 1, 31, tzinfo=UTC), "cost": Decimal("-0.5"), "none": None}


def asked_for(path: str) -> Request:
    return Request({"type": "http", "path": path, "headers": [], "query_string": b""})


def csv_of(value: object) -> str:
    answer = export(asked_for("/dashboard/a.csv"), "a", ("a",), [{"a": value}])
    return list(csv.reader(io.StringIO(bytes(answer.body).decode(), newline="")))[1][0]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_no_text_is_a_formula(text: str) -> None:
    assert csv_of(text) == f"'{text}"


def test_values_are_as_programs_read_them() -> None:
    assert [csv_of(ROW[name]) for name in ROW] == ["a", "2026-01-31T00:00:00Z", "-0.5", ""]
    answer = export(asked_for("/dashboard/a.json"), "a", ("name", "none"), [ROW])
    assert json.loads(bytes(answer.body)) == [{"name": "a", "none": None}]
    assert answer.headers["content-disposition"] == 'attachment; filename="a.json"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_list_is_a_file_of_each_kind_beside_its_page() -> None:
    paths = {route.path for route in ROUTES}
    files = {path.rpartition(".")[0] for path in paths if re.search(r"\.(csv|json)$", path)}
    assert len(files) >= 15
    for each in files:
        assert {f"{each}.csv", f"{each}.json"} <= paths
