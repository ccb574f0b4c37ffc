"""The table in the docs is the suite's own."""

from tests.conformance.table import PAGE, page_with, table


def test_the_page_has_the_table_as_the_suite_has_it() -> None:
    text = PAGE.read_text()
    assert page_with(text, table()) == text, "run: python -m tests.conformance.table"
