"""The tables of docs/providers/README.md: ``python -m tests.conformance.table`` writes them anew.

A cell of the first says yes where the suite asks that backend for that scenario, and so where the suite passes, it
does. Else it names the note that says why it is not asked. The second counts the answers that are tried.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from pathlib import Path
from types import ModuleType

from safelight.domain.generations import GenerationType
from tests import conformance
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Scenario, Vendor

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "README.md"
BEGIN, END = "<!-- the table: made by python -m tests.conformance.table -->", "<!-- end of the table -->"
BEGIN_TRAPS, END_TRAPS = (
    "<!-- what is easily misread: made as the table is -->",
    "<!-- end of what is easily misread -->",
)


_ENDS = {None: "the file", "content_policy_violation": "refused by policy", WAITS: "waits, price held"}
"""The column of a code; any other is ``failed``."""


def vendors() -> list[Vendor]:
    """Every vendor of the suite once, in the order of its files."""
    found = [vendor for module in _modules() for vendor in getattr(module, "VENDORS", [])]
    once: dict[tuple[str, GenerationType], Vendor] = {}
    for vendor in found:
        once.setdefault((vendor.name, vendor.type), vendor)
    return list(once.values())


def table() -> str:
    """The table with its notes, as Markdown."""
    notes: list[str] = []
    columns = ["backend", "makes", *(scenario.value for scenario in Scenario), "how sure"]
    rows = [
        [vendor.name, vendor.type.value, *(_cell(vendor, each, notes) for each in Scenario), vendor.judged]
        for vendor in vendors()
    ]
    lines = [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, 1))])


def table_of_traps() -> str:
    """How many answers that are easily misread are tried of each kind, by how they end, as Markdown."""
    rows = [["kind", "the file", "refused by policy", "failed", "waits, price held", "in"], ["---"] * 6]
    for module in _modules():
        if (traps := getattr(module, "TRAPS", None)) is not None:
            ends = Counter(_ENDS.get(code, "failed") for code in traps.values())
            file = f"`tests/conformance/{module.__name__.rpartition('.')[2]}.py`"
            rows.append([module.VENDORS[0].kind, *(str(ends[column]) for column in rows[0][1:-1]), file])
    return "\n".join(f"| {' | '.join(row)} |" for row in [*rows[:2], *sorted(rows[2:])])


def page_with(text: str, *, made: str, traps: str) -> str:
    """The page's text with these tables in it."""
    for begin, table_made, end in ((BEGIN, made, END), (BEGIN_TRAPS, traps, END_TRAPS)):
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{table_made}\n\n{end}{rest.partition(end)[2]}"
    return text


def _modules() -> list[ModuleType]:
    names = sorted(
        module.name for module in pkgutil.iter_modules(conformance.__path__) if module.name.startswith("test_")
    )
    return [importlib.import_module(f"{conformance.__name__}.{name}") for name in names]


def _cell(vendor: Vendor, scenario: Scenario, notes: list[str]) -> str:
    why = vendor.lacks.get(scenario)
    if why is None:
        return "yes"
    if why not in notes:
        notes.append(why)
    return f"({notes.index(why) + 1})"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(), made=table(), traps=table_of_traps()))
