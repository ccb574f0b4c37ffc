"""The blocklist: whole words in any spelling, patterns, and rules for some workspaces only."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.domain.errors import ConfigurationError
from safelight.moderation.blocklist import Blocklist

LIST = """
[[rules]]
category = "violence"
terms = ["blood bath", "gore"]

[[rules]]
category = "codes"
patterns = ['\\bX-\\d{3}\\b']

[[rules]]
category = "scary"
terms = ["ghost"]
workspaces = ["kids"]
"""


@pytest.fixture
def blocklist(tmp_path: Path) -> Blocklist:
    path = tmp_path / "blocklist.toml"
    path.write_text(LIST)
    return Blocklist(path)


@pytest.mark.parametrize(
    ("prompt", "category"),
    [
        ("a quiet lake", None),
        ("gore everywhere", "violence"),
        ("GORE", "violence"),
        ("ｇｏｒｅ", "violence"),
        ("go\u200bre", "violence"),
        ("a  blood\nbath", "violence"),
        ("Gorey Street", None),
        ("the gorefest", None),
        ("model x-123 in red", "codes"),
        ("model x-1234", None),
        ("a ghost", None),
    ],
)
async def test_prompts(blocklist: Blocklist, prompt: str, category: str | None) -> None:
    assert await blocklist.check_prompt(prompt, "default") == category


async def test_a_rule_for_some_workspaces_holds_there_only(blocklist: Blocklist) -> None:
    assert await blocklist.check_prompt("a ghost", "kids") == "scary"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rules = 5", "rules"),
        ("[[rules]]\nterms = ['x']", "category"),
        ("[[rules]]\ncategory = 'x'\npatterns = ['(']", "rules[0]: '('"),
        ("[[rules]]\ncategory = 'x'\nterm = ['y']", "term"),
        ("not toml", "blocklist.toml"),
    ],
)
def test_a_wrong_list_is_refused_at_start_with_the_file_and_the_remedy(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "blocklist.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        Blocklist(path)
    assert told in refused.value.message
    assert "blocklist.toml" in refused.value.message
    assert "Correct" in refused.value.message


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        Blocklist(tmp_path / "nowhere.toml")
