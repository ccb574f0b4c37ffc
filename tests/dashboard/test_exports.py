"""Lists as files: what a spreadsheet makes of them."""

from __future__ import annotations

import csv
import io

import pytest

from safelight.dashboard.exports import export


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff201"]
)
def test_no_text_is_a_formula(text: str) -> None:
    answer = export("a", "csv", ["is", "below"], [{"is": text, "below": -1}])
    _, row = csv.reader(io.StringIO(bytes(answer.body).decode(), newline=""))
    assert row == [f"'{text}", "-1"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
