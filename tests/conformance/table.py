"""The table of backends in docs/providers/README.md: ``python -m tests.conformance.table`` writes it anew.

A cell says yes where the suite asks that backend for that scenario, and so where the suite passes, it does. Else it
names the note that says why it is not asked.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from safelight.domain.generations import GenerationType
from tests import conformance
from tests.conformance.vendor import Scenario, Vendor

PAGE = Path(__file__).parents[2] / "docs" / "providers" / "README.md"
BEGIN, END = "<!-- the table: made by python -m tests.conformance.table -->", "<!-- end of the table -->"


def vendors() -> list[Vendor]:
    """Every vendor of the suite once, in the order of its files."""
    names = sorted(
        module.name for module in pkgutil.iter_modules(conformance.__path__) if module.name.startswith("test_")
    )
    modules = [importlib.import_module(f"{conformance.__name__}.{name}") for name in names]
    found = [vendor for module in modules for vendor in getattr(module, "VENDORS", [])]
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


def page_with(text: str, made: str) -> str:
    """The page's text with this table in it."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}"


def _cell(vendor: Vendor, scenario: Scenario, notes: list[str]) -> str:
    why = vendor.lacks.get(scenario)
    if why is None:
        return "yes"
    if why not in notes:
        notes.append(why)
    return f"({notes.index(why) + 1})"


if __name__ == "__main__":
    PAGE.write_text(page_with(PAGE.read_text(), table()))
