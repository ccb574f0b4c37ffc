"""Whose turn it is, by a clock of its own: rounds, pauses, one count of tries, bindings that only others can ask."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from safelight.domain.catalog import Binding
from safelight.domain.connections import NoOptions
from safelight.domain.outcomes import Failed, FailureClass
from safelight.lifecycle import turns as module
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.turns import MAX_ROUNDS, MAX_TRIES, Turns

AWAY = Failed(FailureClass.TRANSIENT, retry_after_seconds=1)
DEADLINE = 1000.0


def binding(name: str) -> Binding:
    return Binding(connection=name, upstream_model="m", options=NoOptions())


A, B, C, D = (binding(name) for name in "abcd")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time passes where somebody sleeps."""
    now = [0.0]

    async def sleep(seconds: float) -> None:
        assert 0 < seconds < math.inf
        now[0] += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    return now


def turns_of(*bindings: Binding, first: Binding | None = None, tries: int = 0) -> Turns:
    return Turns(bindings, Breakers(), first=first, tries=tries, ends_at=DEADLINE)


async def asked(turns: Turns, failure: Failed = AWAY) -> str:
    """The connections that are asked where each answer is this failure."""
    names = ""
    while (found := await turns.next()) is not None:
        names += found.connection
        turns.declined(failure)
    return names


async def test_each_in_its_order_and_again_after_a_pause() -> None:
    assert await asked(turns_of(A, B)) == "abababab"
    assert await asked(turns_of(A)) == "a" * MAX_ROUNDS


async def test_the_one_on_record_first_though_the_catalog_has_it_no_more() -> None:
    assert (await asked(turns_of(A, B, first=B))).startswith("bab")
    assert (await asked(turns_of(A, first=C))).startswith("caca")


@pytest.mark.parametrize(
    ("bindings", "tries", "more"),
    [((A,), 0, 4), ((A,), 3, 1), ((A,), 4, 0), ((A,), 99, 0), ((A, B), 5, 3), ((A, B, C, D), 0, MAX_TRIES), ((), 0, 0)],
)
async def test_tries_of_earlier_runners_count(bindings: tuple[Binding, ...], tries: int, more: int) -> None:
    assert len(await asked(turns_of(*bindings, tries=tries))) == more


@pytest.mark.parametrize("reason", [FailureClass.QUOTA, FailureClass.AUTH, FailureClass.PERMANENT])
async def test_what_another_try_would_not_mend_is_asked_once(reason: FailureClass) -> None:
    assert await asked(turns_of(A, B), Failed(reason)) == "ab"


@pytest.mark.parametrize("wished", [0.0, -3.0, math.nan, None])
async def test_a_pause_that_is_none_is_ours(clock: list[float], wished: float | None) -> None:
    assert await asked(turns_of(A), Failed(FailureClass.TRANSIENT, retry_after_seconds=wished)) == "aaaa"
    assert 10 <= clock[0] <= 30


@pytest.mark.parametrize("wished", [DEADLINE, 1e12, math.inf])
async def test_who_is_only_to_be_asked_after_the_deadline_is_not_waited_for(clock: list[float], wished: float) -> None:
    assert await asked(turns_of(A, B), Failed(FailureClass.RATE_LIMITED, retry_after_seconds=wished)) == "ab"
    assert clock[0] == 0


async def test_a_binding_that_only_others_can_ask() -> None:
    turns = turns_of(A, B)
    assert await turns.next() == A
    turns.set_aside("no key here")
    assert not turns.are_left_to_others, "the other may be asked"
    assert await asked(turns) == "bbbb"
    assert turns.are_left_to_others and turns.absence == "no key here"
    spent = turns_of(A, tries=MAX_ROUNDS - 1)
    await spent.next()
    spent.declined(AWAY)
    assert not spent.are_left_to_others, "its tries are over"


async def test_the_same_binding_twice_is_two_turns() -> None:
    assert await asked(turns_of(A, A)) == "a" * 2 * MAX_ROUNDS


async def test_a_pause_of_more_seconds_than_any_clock_has_ends_the_binding() -> None:
    """An adapter may pass on whatever digits a header had."""
    assert await asked(turns_of(A, B), Failed(FailureClass.TRANSIENT, retry_after_seconds=10**400)) == "ab"
    assert await asked(turns_of(A), Failed(FailureClass.TRANSIENT, retry_after_seconds=math.inf)) == "a"
    assert await asked(turns_of(A), Failed(FailureClass.TRANSIENT, retry_after_seconds=math.nan)) == "a" * MAX_ROUNDS
