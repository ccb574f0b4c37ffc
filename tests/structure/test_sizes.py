"""Modules and functions fit into a reader's head: what is longer than the limit says why in its first lines."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE_LINES = 500
FUNCTION_LINES = 75
REASON = re.compile(r"# Over \d+ lines: \S+")
REASON_WITHIN_LINES = 5


def too_long(source: str) -> Iterator[str]:
    """The module, if it is too long without a reason, and each such function: what it is and its lines."""
    lines = source.splitlines()
    if len(lines) > MODULE_LINES and not has_reason(lines):
        yield f"module, {len(lines)} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = lines[node.lineno - 1 : node.end_lineno]
            if len(body) > FUNCTION_LINES and not has_reason(body):
                yield f"{node.name}, {len(body)} lines"


def has_reason(lines: list[str]) -> bool:
    return any(REASON.search(line) for line in lines[:REASON_WITHIN_LINES])


def function(lines: int, first: str = "x = 0") -> str:
    return "\n".join(["async def planted():", f"    {first}", *["    x = 1"] * (lines - 2)])


def test_every_module_and_function_is_short_or_says_why() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {what}"
        for folder in ("src", "tests", "bench", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for what in too_long(path.read_text())
    }
    assert found == set()


def test_a_planted_module_is_too_long_by_a_line() -> None:
    assert list(too_long("x = 1\n" * 500)) == []
    assert list(too_long("x = 1\n" * 501)) == ["module, 501 lines"]


def test_a_planted_function_is_too_long_by_a_line() -> None:
    assert list(too_long(function(75))) == []
    assert list(too_long(function(76))) == ["planted, 76 lines"]
    assert list(too_long(f"class Planted:\n{re.sub('^', '    ', function(76), flags=re.M)}")) == ["planted, 76 lines"]


def test_a_reason_must_be_written_at_the_top() -> None:
    assert list(too_long("# Over 500 lines: one table.\n" + "x = 1\n" * 501)) == []
    assert list(too_long("# Over 500 lines:\n" + "x = 1\n" * 501)) == ["module, 502 lines"]
    assert list(too_long("x = 1\n" * 501 + "# Over 500 lines: one table.\n")) == ["module, 502 lines"]
    assert list(too_long(function(76, "# Over 75 lines: one table."))) == []
