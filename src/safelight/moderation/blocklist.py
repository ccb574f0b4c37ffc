"""A list of terms and patterns, in TOML::

[[rules]]
category = "violence"
terms = ["some word", "another"]        # whole words, in any case and width
patterns = ['\\bfoo\\d+\\b']               # Python regular expressions
workspaces = ["kids"]                   # only these; every workspace without it
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.domain.media import Reference
from safelight.node.operator_files import read_toml

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    category: str
    terms: list[str] = []
    patterns: list[str] = []
    workspaces: list[str] | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[_Rule]


class _Compiled(msgspec.Struct, frozen=True):
    category: str
    expressions: tuple[re.Pattern[str], ...]
    workspaces: frozenset[str] | None


class Blocklist:
    """Refuses prompts that a rule matches. Pictures are not looked at."""

    def __init__(self, path: Path) -> None:
        """Read the list. Raises ``ConfigurationError`` naming the file, the rule and the remedy."""
        try:
            document = msgspec.convert(read_toml(path), _Document)
        except FileNotFoundError:
            raise ConfigurationError(f"There is no blocklist {path}. Correct SAFELIGHT_MODERATION_BLOCKLIST.") from None
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{path}: {error}. Correct the blocklist and start again.") from None
        self._rules = tuple(_compiled(path, place, rule) for place, rule in enumerate(document.rules))

    async def check_prompt(self, prompt: str, workspace: str) -> str | None:
        """The category of the first rule that matches."""
        text = _normalized(prompt)
        for rule in self._rules:
            if rule.workspaces is not None and workspace not in rule.workspaces:
                continue
            if any(expression.search(text) for expression in rule.expressions):
                return rule.category
        return None

    async def check_images(self, images: Sequence[Reference], workspace: str) -> str | None:
        return None

    async def close(self) -> None:
        return None


def _compiled(path: Path, place: int, rule: _Rule) -> _Compiled:
    terms = [rf"(?<!\w){re.escape(_normalized(term))}(?!\w)" for term in rule.terms]
    expressions = []
    for pattern in (*terms, *rule.patterns):
        try:
            expressions.append(re.compile(pattern, re.IGNORECASE))
        except re.error as error:
            raise ConfigurationError(f"{path}: rules[{place}]: {pattern!r}: {error}. Correct the pattern.") from None
    return _Compiled(rule.category, tuple(expressions), None if rule.workspaces is None else frozenset(rule.workspaces))


def _normalized(text: str) -> str:
    """One spelling for one text: compatibility forms, case and invisible characters do not count (UAX 15, NFKC)."""
    return " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().split())
