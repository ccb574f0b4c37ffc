"""What ModelArk may answer: each ends in one terminal state, one charge or release, one order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_ark import ArkImages, ArkVideos
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor
from tests.providers.ark.faults import error

VENDORS: list[Vendor] = [ArkImages(), ArkVideos()]

PICTURES = {
    "policy_item": "content_policy_violation",  # 200, and an error in place of the picture
    "policy_in_200": "content_policy_violation",
    "policy_in_words": "content_policy_violation",
    "nothing": "content_policy_violation",
    "nulls": "content_policy_violation",
    "bad_base64": "generation_failed",
    "bad_url": "generation_failed",
    "not_open": "generation_failed",
    "set_limit": "generation_failed",  # a 429 that no wait mends
    "bad_size": "generation_failed",  # the catalog's fault, and not the client's
    "bad_prompt": "invalid_parameter",
}
TASKS: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "a word that nobody knows": ([{"status": "simmering"}, {"status": "queued"}], None),
    "no status at all": ([{"status": None}, {"status": "queued"}], None),
    "done before it runs": ([{"status": "succeeded"}], None),
    "nothing made": ([{"status": "succeeded", "content": {"video_url": None}}], "content_policy_violation"),
    "refused as it was made": (
        [{"status": "failed", **error("OutputVideoSensitiveContentDetected.PolicyViolation", "no")}],
        "content_policy_violation",
    ),
    "given up": ([{"status": "expired"}], "generation_failed"),
    "failed, and why is not said": ([{"status": "failed", "error": None}], "generation_failed"),
}
"""The code that the client is told; None: the clip."""

OPEN = ("gateway", "page", "empty")

TRAPS: Mapping[str, str | None] = {
    **PICTURES,
    **{name: code for name, (_, code) in TASKS.items()},
    **dict.fromkeys(OPEN, WAITS),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.IMAGE:
        return
    assert isinstance(vendor, ArkImages)
    before = len(vendor.orders())
    vendor.fake.next = trap
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert result.row["error_code"] == PICTURES[trap]
    assert len(vendor.orders()) == before + 1, "one order"


@pytest.mark.parametrize("trap", TASKS)
async def test_a_task_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, ArkVideos)
    states, code = TASKS[trap]
    before = len(vendor.orders())
    vendor.fake.states = [dict(state) for state in states]
    result = await front.make(front.request())
    vendor.fake.states = []
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert len(vendor.orders()) == before + 1, "one order"


async def test_a_wish_that_comes_too_late_ends_in_the_clip_or_in_nothing(front: Front, vendor: Vendor) -> None:
    """A running task is not stopped, and its record is not deleted, whatever the client does."""
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, ArkVideos)
    owner = await front.studio.workspace()
    vendor.fake.held = "running"
    generation_id = await front.submit(owner, front.request())
    await front.until_taken(generation_id)
    vendor.fake.tasks[list(vendor.fake.tasks)[-1]]["status"] = "running"
    await front.cancel(owner, generation_id)
    vendor.fake.held = None
    result = await front.until(generation_id, "completed", "canceled", "failed")
    assert result.state == "completed"
    assert result.entries == ["hold", "settle"] and vendor.fake.deleted == []
    await front._making


async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor) -> None:
    assert isinstance(vendor, ArkImages)
    for fault in OPEN:
        before = len(vendor.orders())
        vendor.fake.next = fault
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "failed", "completed")
        assert (result.state, result.entries) == ("unknown", ["hold"]), fault
        assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
