"""Each file of SQL says what it is for, holds one statement, and is sent by somebody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safelight.db import pool
from safelight.db.migrate import MIGRATIONS

SOURCE = Path(pool.__file__).parents[1]
STATEMENTS = sorted((SOURCE / "db" / "sql").glob("*.sql"))
CODE = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", [*STATEMENTS, *sorted(MIGRATIONS.rglob("*.sql"))], ids=lambda path: path.stem)
def test_it_begins_with_its_purpose(path: Path) -> None:
    assert re.match(r"-- [A-Z][^\n]{9,}", path.read_text())


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_it_is_one_statement_that_is_sent(path: Path) -> None:
    text = re.sub(r"--[^\n]*", "", path.read_text()).strip()
    assert text.endswith(";")
    assert ";" not in text[:-1]
    assert f'"{path.stem}"' in CODE
