"""What api.getimg.ai may answer that is easily misread: one terminal state, one charge or release, one generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_getimg import HostedImages, HostedVideos
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor

VENDORS: list[Vendor] = [HostedImages(), HostedVideos()]

PICTURES = {
    "nothing": "content_policy_violation",
    "nulls": "content_policy_violation",
    "noaddress": "content_policy_violation",
    "refusal200": "content_policy_violation",
    "failed200": "content_policy_violation",
    "badurl": "generation_failed",
    "badratio": "generation_failed",  # the catalog's fault, and not the client's
    "bare": "generation_failed",
    "badimage": "invalid_parameter",
}
"""The code that the client is told."""

CLIPS: dict[str, tuple[list[str | int | dict[str, Any]], str | None]] = {
    "a word that nobody knows": (["rendering_in_words_of_tomorrow"], None),
    "no status at all": ([{"status": None}], None),
    "another's answer": ([{"data": []}], None),
    "a server in trouble": ([500], None),
    "asked too often, it seems": ([404, 404, "pending"], None),
    "gone": ([404, 410, 404], "generation_failed"),
    "refused as it was made": (["failed:content_policy_violation"], "content_policy_violation"),
    "an input that it finds odd": (["failed:invalid_parameter"], "invalid_parameter"),
    "failed, in a word of tomorrow": (["failed:of_tomorrow"], "generation_failed"),
    "failed, and why is not said": ([{"status": "failed", "error": None}], "generation_failed"),
    "failed, in words alone": ([{"status": "failed", "error": "No."}], "generation_failed"),
    "done without a clip": ([{"status": "completed", "data": []}], "content_policy_violation"),
    "done, and null": ([{"status": "completed", "data": None, "usage": None}], "content_policy_violation"),
}
"""What a clip is said to be at each question, and the code that the client is told; None: the clip."""

OPEN = ("gateway", "odd", "lost", "outage200")

TRAPS: Mapping[str, str | None] = {
    **PICTURES,
    **{name: code for name, (_, code) in CLIPS.items()},
    **dict.fromkeys(OPEN, WAITS),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.IMAGE:
        return
    assert isinstance(vendor, HostedImages)
    before = len(vendor.orders())
    vendor.server.next = trap
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert result.row["error_code"] == PICTURES[trap]
    assert len(vendor.orders()) == before + 1, "one order"


@pytest.mark.parametrize("trap", CLIPS)
async def test_a_clip_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, HostedVideos)
    statuses, code = CLIPS[trap]
    before = vendor.jobs()
    vendor.server.statuses = list(statuses)
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert vendor.jobs() == before + 1, "one generation"


@pytest.mark.parametrize("word", OPEN)
async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor, word: str) -> None:
    assert isinstance(vendor, HostedImages)
    before = len(vendor.orders())
    vendor.server.next = word
    owner = await front.studio.workspace()
    generation_id = await front.submit(owner, front.request())
    result = await front.until(generation_id, "unknown", "failed", "completed")
    assert (result.state, result.entries) == ("unknown", ["hold"])
    assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
