"""Answers that gateways have stumbled over: each ends in one terminal state, one charge or release, one backend job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_openai import OpenAi
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor

pytestmark = pytest.mark.database

VENDORS: list[Vendor] = [OpenAi("openai", GenerationType.IMAGE), OpenAi("openai", GenerationType.VIDEO)]

PICTURES = {
    "none": "content_policy_violation",  # 200, and no image in it
    "null": "content_policy_violation",
    "blank": "content_policy_violation",
    "error_in_200": "content_policy_violation",
    "bad_base64": "generation_failed",
    "broken_json": "generation_failed",
    "page": "generation_failed",
    "zip": "generation_failed",
    "clip": "generation_failed",
    "quota": "generation_failed",  # a 429 that no wait mends
    "auth": "generation_failed",
    "bad_request": "invalid_parameter",
    "relative_url": None,
    "own_url": None,
    "raw": None,
    "data_url": None,
    "wrapped_base64": None,
    "two": None,
    "odd_types": None,
}
"""The code that the client is told; None: the picture."""

JOBS: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "a word that nobody knows": ([{"status": "simmering"}, {"status": "queued"}], None),
    "no status at all": ([{"status": None}, {"status": "queued"}], None),
    "done before it runs": ([{"status": "completed"}], None),
    "failed by policy": (
        [{"status": "failed", "error": {"code": "moderation_blocked", "message": "no"}}],
        "content_policy_violation",
    ),
    "failed, with an error in words": ([{"status": "failed", "error": "out of luck"}], "generation_failed"),
    "failed, and why is not said": ([{"status": "failed"}], "generation_failed"),
    "percent beyond a hundred": ([{"status": "in_progress", "progress": 250}], None),
}

OPEN = ("gateway_timeout", "html", "empty")

TRAPS: Mapping[str, str | None] = {
    **PICTURES,
    **{name: code for name, (_, code) in JOBS.items()},
    **dict.fromkeys(OPEN, WAITS),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.IMAGE:
        return
    assert isinstance(vendor, OpenAi)
    before = len(vendor.orders())
    vendor.fake.behave(trap)
    result = await front.make(front.request())
    result.check_one_end("completed" if PICTURES[trap] is None else "failed")
    assert result.row["error_code"] == PICTURES[trap]
    assert len(vendor.orders()) == before + 1, "one order"


@pytest.mark.parametrize("trap", JOBS)
async def test_a_job_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, OpenAi)
    states, code = JOBS[trap]
    before = len(vendor.orders())
    vendor.fake.states = [dict(state) for state in states]
    try:
        result = await front.make(front.request())
    finally:
        vendor.fake.states = []
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert len(vendor.orders()) == before + 1, "one order"


async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor) -> None:
    """A gateway gave up waiting: what is behind it may have made it."""
    assert isinstance(vendor, OpenAi)
    for fault in OPEN:
        before = len(vendor.orders())
        vendor.fake.behave(fault)
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "failed", "completed")
        assert (result.state, result.entries) == ("unknown", ["hold"]), fault
        assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
