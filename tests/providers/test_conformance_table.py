"""The tables in the docs are the suite's own."""

from pathlib import Path

from tests.conformance.table import PAGE, page_with, table, table_of_traps


def test_the_page_has_the_tables_as_the_suite_has_it() -> None:
    text = PAGE.read_text()
    assert page_with(text, made=table(), traps=table_of_traps()) == text, "run: python -m tests.conformance.table"


def test_every_file_of_traps_is_counted() -> None:
    told = table_of_traps()
    files = [path.name for path in (Path(__file__).parents[1] / "conformance").glob("test_*traps.py")]
    assert len(files) == told.count("_traps.py`") >= 9
    assert all(f"/{name}`" in told for name in files)
