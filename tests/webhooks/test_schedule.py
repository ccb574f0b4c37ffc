"""How long a failed delivery waits: the schedule, made longer by what the receiver asks for, and never shorter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from safelight.webhooks.schedule import DELAYS_SECONDS, MAX_RETRY_AFTER_SECONDS, next_delay_seconds

NOW = datetime(2026, 5, 2, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize("header", ["0", "1", "299", "-5", "soon", "", "Sat, 02 May 2026 12:30:01 GMT"])
@pytest.mark.parametrize("attempts", range(1, len(DELAYS_SECONDS)))
def test_what_a_receiver_asks_for_makes_no_wait_shorter(attempts: int, header: str) -> None:
    scheduled = max(DELAYS_SECONDS[attempts], 299 if header == "299" else 0)
    wait = next_delay_seconds(attempts, header, NOW)
    assert wait is not None and scheduled <= wait <= max(scheduled, 1) * 1.1


@pytest.mark.parametrize(
    ("header", "least"),
    [("1000", 1000), ("Sat, 02 May 2026 13:30:00 GMT", 3600), ("999999999", MAX_RETRY_AFTER_SECONDS)],
)
def test_it_makes_a_wait_longer_to_a_day_at_most(header: str, least: int) -> None:
    wait = next_delay_seconds(1, header, NOW)
    assert wait is not None and least <= wait <= least * 1.1
