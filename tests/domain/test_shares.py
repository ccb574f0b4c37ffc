"""What is shared out is never more than there is, and greed leaves something to whoever comes next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from safelight.domain.shares import Shares, level

STEPS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40), st.booleans()), max_size=80)


@given(steps=STEPS, capacity=st.integers(0, 200), most=st.integers(1, 200))
def test_nobody_holds_more_than_their_bound_or_than_what_was_left(
    steps: list[tuple[int, int, bool]], capacity: int, most: int
) -> None:
    shares, held = Shares(capacity, most=most), dict.fromkeys(range(10), 0)
    for holder, amount, gives in steps:
        if gives and held[holder] >= amount:
            shares.give_back(holder, amount)
            held[holder] -= amount
        else:
            left = capacity - sum(held.values()) - amount
            fits = held[holder] + amount <= min(most, left)
            assert shares.take(holder, amount) is fits
            held[holder] += amount if fits else 0


def test_eight_who_take_all_they_can_leave_a_ninth_to_a_newcomer() -> None:
    shares = Shares(900)
    taken = [holder for _ in range(1000) for holder in range(8) if shares.take(holder)]
    assert set(Counter(taken).values()) == {100}
    assert shares.take("new", 50)


@given(counts=st.lists(st.integers(0, 300), max_size=30), capacity=st.integers(1, 1000), most=st.integers(1, 200))
def test_the_level_is_the_highest_that_leaves_as_much_free(counts: list[int], capacity: int, most: int) -> None:
    found = level(counts, capacity=capacity, most=most)

    def fits(each: int) -> bool:
        return each <= capacity - sum(min(count, each) for count in counts)

    assert 1 <= found <= most
    assert found == 1 or fits(found)
    assert found == most or not fits(found + 1)
