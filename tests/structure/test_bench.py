"""The bench of submission speaks the statements as they stand."""

from __future__ import annotations

from bench.pgbench import script


def test_every_parameter_of_the_statements_has_a_value() -> None:
    text = script()
    assert "%(" not in text
    assert text.count("insert into transfers") == 2, "one to hold, one to settle"
