"""What is made from code is as the code has it, and every page has its place in the site."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs_site import reference, staging
from docs_site.build import CONFIGURATION
from docs_site.llms import pages_of, summary_of, title_of

DOCS = Path(__file__).parents[2] / "docs"
MADE = reference.pages()


@pytest.mark.parametrize("name", MADE)
def test_a_page_that_is_made_from_code_is_current(name: str) -> None:
    assert (DOCS / name).read_text() == MADE[name], "make it anew: python -m docs_site --reference"


def test_every_page_is_in_the_navigation_once() -> None:
    nav = list(pages_of(tomllib.loads(CONFIGURATION.read_text())["project"]["nav"]))
    pages = {place for place in staging.places() if not re.match(r"decisions/\d|examples/", place)}
    assert sorted(nav) == sorted(pages), "a page is one line of nav in docs_site/zensical.toml"


def test_every_page_begins_with_what_it_is_for() -> None:
    for path in staging.sources():
        text = path.read_text()
        assert text.startswith("# ") and title_of(text), path
        assert len(summary_of(text)) > 20, path


def test_a_made_table_survives_what_stands_in_it() -> None:
    for name, text in MADE.items():
        for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1, (name, table[:200])
