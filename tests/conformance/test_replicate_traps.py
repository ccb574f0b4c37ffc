"""What Replicate may answer: each ends in one terminal state, one charge or release, and one prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.front import Front
from tests.conformance.test_replicate import Replicate
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor
from tests.providers.replicate.studio import IMAGE, UPSTREAM, VIDEO

VENDORS: list[Vendor] = [
    Replicate("Replicate, an official model", IMAGE, UPSTREAM[IMAGE]),
    Replicate("Replicate, a version", VIDEO, UPSTREAM[VIDEO]),
]

STATES: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "a word that nobody knows": ([{"status": "booting"}, {"status": "processing"}], None),
    "no status at all": ([{"status": None}, {"status": "processing"}], None),
    "an output before its end": (
        [{"status": "processing", "output": ["http://127.0.0.1:9/unfinished.png"]}],
        None,
    ),
    "stopped by somebody else": ([{"status": "canceled"}], "generation_failed"),
    "never begun": ([{"status": "aborted"}], "generation_failed"),
    "deleted before it was fetched": (
        [{"status": "succeeded", "output": None, "data_removed": True}],
        "generation_failed",
    ),
    "nothing made": ([{"status": "succeeded", "output": []}], "content_policy_violation"),
    "refused in words": ([{"status": "failed", "error": "NSFW content detected"}], "content_policy_violation"),
    "a text in place of a file": ([{"status": "succeeded", "output": "a hill, in words"}], "generation_failed"),
    "failed, and why is not said": ([{"status": "failed", "error": None}], "generation_failed"),
    "odd members": ([{"status": "processing", "logs": ["x"], "metrics": 7, "error": {}}], None),
}
"""What a prediction says at each question, and the code that the client is told; None: it is made."""

DECLINES = {
    "refused": "content_policy_violation",
    "bad_prompt": "invalid_parameter",
    "bad_size": "generation_failed",
    "bad_version": "generation_failed",
    "unauthenticated": "generation_failed",
}

OPEN = {"bad_gateway": False, "page": False, "empty": False, "bad_gateway_after": True}
"""Whether the prediction is listed, and so is found."""

TRAPS: Mapping[str, str | None] = {
    **{name: code for name, (_, code) in STATES.items()},
    **DECLINES,
    "interrupted": None,
    **{name: None if is_listed else WAITS for name, is_listed in OPEN.items()},
}


@pytest.mark.parametrize("trap", STATES)
async def test_a_prediction_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, Replicate)
    states, code = STATES[trap]
    before = vendor.jobs()
    vendor.fake.states = states
    try:
        result = await front.make(front.request())
    finally:
        vendor.fake.states = []
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert vendor.jobs() == before + 1, "one prediction"


@pytest.mark.parametrize("word", DECLINES)
async def test_an_order_that_is_declined_has_one_end(front: Front, vendor: Vendor, word: str) -> None:
    assert isinstance(vendor, Replicate)
    before = vendor.jobs()
    vendor.fake.behave(word)
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert result.row["error_code"] == DECLINES[word]
    assert vendor.jobs() == before


async def test_a_failure_that_passes_is_ordered_again_and_charged_once(front: Front, vendor: Vendor) -> None:
    assert isinstance(vendor, Replicate)
    before = vendor.jobs()
    vendor.fake.next_states = [{"status": "failed", "error": "Prediction interrupted; please retry (code: PA)"}]
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert vendor.jobs() == before + 2 and [each["code"] for each in result.reports if "code" in each] == ["PA"]


async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor) -> None:
    """A gateway gave up waiting: what is behind it may have taken it, unless it is listed, and then it did."""
    assert isinstance(vendor, Replicate)
    for word, is_listed in OPEN.items():
        before = len(vendor.orders())
        vendor.fake.behave(word)
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "failed", "completed")
        assert (result.state, result.entries[:1]) == ("completed" if is_listed else "unknown", ["hold"]), word
        assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
