"""docs/catalog.md tells every key that the reader takes and no other, and what it says is read or refused is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog_reader import (
    _BindingDocument,
    _CatalogDocument,
    _ModelDocument,
    _RateDocument,
    read_catalog,
)
from safelight.domain.connections import ConnectionLimits, ConnectionSettings, HttpConnectionSettings
from safelight.domain.errors import ConfigurationError
from safelight.providers.registry import KINDS
from tests.test_docs import DOCS, rows

PAGE = "docs/catalog.md"
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", DOCS[PAGE], re.M | re.S)
# heading -> what the reader takes there
TAKEN: dict[str, set[str]] = {
    "The catalog": set(_CatalogDocument.__struct_fields__),
    "A model": set(_ModelDocument.__struct_fields__),
    "A rate": set(_RateDocument.__struct_fields__),
    "A binding": set(_BindingDocument.__struct_fields__),
    "A connection": {"name", "kind", *ConnectionSettings.__struct_fields__, *HttpConnectionSettings.__struct_fields__},
    "Limits of a connection": set(ConnectionLimits.__struct_fields__),
}
REFUSED = [(row[0].strip("`"), row[1].strip("`")) for row in rows(PAGE, "What is refused")]
_STEP = re.compile(r'"([^"]+)"|\[(\d+)\]|([\w-]+)')


@pytest.mark.parametrize("heading", TAKEN)
def test_each_table_has_every_key_that_is_read_and_no_other(heading: str) -> None:
    told = [cells[0].strip("`") for cells in rows(PAGE, heading)]
    assert sorted(told) == sorted(TAKEN[heading])


def read(document: object) -> Any:
    return read_catalog(document, source="shop.toml", kinds=KINDS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_is_read(example: str) -> None:
    assert read(tomllib.loads(example)).models


def test_each_key_is_in_an_example_or_is_plain() -> None:
    """What a newcomer has to write in a table of its own is shown, not only told."""
    shown = "\n".join(EXAMPLES)
    plain = {"models", "connections", "provider", "name", "flat_is_refusal", "options"}
    for keys in TAKEN.values():
        for key in keys - plain:
            assert re.search(rf"\b{key}\b", shown), key


@pytest.mark.parametrize(("written", "told"), REFUSED, ids=[written for written, _ in REFUSED])
def test_what_is_refused_is_told_as_the_page_says(written: str, told: str) -> None:
    document = tomllib.loads(EXAMPLES[0])
    path, _, value = written.partition(" = ")
    *parents, last = (step[1] or step[3] or int(step[2]) for step in _STEP.finditer(path))
    place: Any = document
    for step in parents:
        place = place[step]
    place[last] = tomllib.loads(f"value = {value}")["value"]
    with pytest.raises(ConfigurationError) as caught:
        read(document)
    pattern = ".+".join(map(re.escape, told.split("...")))
    assert re.fullmatch(f"shop.toml: {pattern}", caught.value.message), caught.value.message


def test_the_page_tells_enough_of_what_is_refused() -> None:
    tables = {re.split(r"[ .=]", re.sub(r"\[\d+\]", "", written))[0] for written, _ in REFUSED}
    assert tables == {"models", "connections", "pipelines"}
    assert len(REFUSED) >= 12


def test_numbers_on_the_page_are_those_of_the_types() -> None:
    """What a type bounds is told with its bounds."""
    for field in msgspec.structs.fields(ConnectionLimits):
        (cells,) = (cells for cells in rows(PAGE, "Limits of a connection") if cells[0].strip("`") == field.name)
        for bound in re.findall(r"(?:ge|le)=([\d.]+)", repr(field.type)):
            assert re.search(rf"\b{re.escape(bound)}\b", cells[1]), (field.name, bound)


def test_nothing_of_it_stands_twice() -> None:
    lines = {line for line in DOCS[PAGE].splitlines() if len(line) > 60}
    for page, text in DOCS.items():
        assert page == PAGE or not lines & set(text.splitlines()), page


def test_it_is_linked_from_where_people_begin() -> None:
    root = Path(__file__).parents[2]
    assert "docs/catalog.md" in (root / "README.md").read_text()
