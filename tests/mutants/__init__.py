"""Small wrong changes, made one at a time, each of which a test must notice: ``make mutants``.

A TOML file an area lists them: the file, the text that is there once, what it becomes, and the tests that ought to
notice. One that no test can notice, because it changes nothing that anybody sees, says why in ``explained``.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
LEAST_SHARE_NOTICED = 0.95


class Mutant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One wrong change. ``name`` says what is lost by it; ``tests`` are files or ids below tests/."""

    name: str
    file: str
    old: str
    new: str
    tests: list[str]
    explained: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the change made. Raises ``ValueError`` where the old text is not there exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} has {text.count(self.old)} times:\n{self.old}")
        return text.replace(self.old, self.new)


class _Area(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mutants: list[Mutant]


def load_mutants() -> dict[str, list[Mutant]]:
    """Area -> its mutants, in the order of the files."""
    return {
        path.stem: msgspec.convert(tomllib.loads(path.read_text()), _Area).mutants
        for path in sorted(Path(__file__).parent.glob("*.toml"))
    }
