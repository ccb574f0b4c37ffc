"""The breaker by itself, with a clock of its own."""

from __future__ import annotations

import pytest

from safelight.lifecycle import breaker
from safelight.lifecycle.breaker import Breakers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(breaker.time, "monotonic", lambda: now[0])
    return now


def test_it_opens_after_five_failures_in_a_row_and_lets_one_try_at_a_time(clock: list[float]) -> None:
    breakers = Breakers()
    for _ in range(4):
        breakers.failed("a")
    breakers.succeeded("a")
    for _ in range(4):
        breakers.failed("a")
    assert breakers.allows("a")
    assert breakers.seconds_closed("a") == 0
    breakers.failed("a")
    assert not breakers.allows("a")
    assert breakers.seconds_closed("a") == 30
    assert breakers.allows("b"), "one provider's trouble is its own"
    clock[0] += 31
    assert breakers.seconds_closed("a") == 0
    assert breakers.allows("a"), "one may try"
    assert not breakers.allows("a"), "the others wait for how that goes"
    breakers.failed("a")
    clock[0] += 29
    assert not breakers.allows("a")
    clock[0] += 2
    assert breakers.allows("a")
    breakers.succeeded("a")
    assert breakers.allows("a")


def test_one_that_asks_for_it_is_left_alone_for_so_long_and_has_not_failed(clock: list[float]) -> None:
    breakers = Breakers()
    for _ in range(9):
        breakers.limited("a", 7)
    assert not breakers.allows("a")
    breakers.succeeded("a")
    assert breakers.seconds_closed("a") == 7, "an order that it took before is no word of now"
    clock[0] += 7
    assert breakers.allows("a")
    assert breakers.allows("a"), "all may ask"
    breakers.limited("a", 3600)
    assert breakers.seconds_closed("a") == 30


def test_one_that_answers_again_is_not_dead(clock: list[float]) -> None:
    breakers = Breakers()
    for _ in range(5):
        breakers.failed("a")
    clock[0] += 31
    assert breakers.allows("a")
    breakers.limited("a", 2)
    clock[0] += 2
    assert breakers.allows("a")
    assert breakers.allows("a")
