"""The wrong changes still fit the code: ``make mutants`` makes them, and takes too long to be run each time."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import ROOT, Mutant, load_mutants

EVERY = [mutant for mutants in load_mutants().values() for mutant in mutants]


@pytest.mark.parametrize("mutant", EVERY, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made(mutant: Mutant) -> None:
    changed = mutant.applied((ROOT / mutant.file).read_text())
    assert mutant.new != mutant.old
    if mutant.file.endswith(".py"):
        ast.parse(changed)
    for test in mutant.tests:
        assert (ROOT / test.partition("::")[0]).exists(), test


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in EVERY}) == len(EVERY) >= 150
