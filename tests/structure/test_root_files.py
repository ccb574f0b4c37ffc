"""The files that a stranger looks for are there, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"])
def test_a_root_file_is_there_and_its_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    assert text.strip()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert (ROOT / target).exists(), f"{name} links to {target}"
