"""Answers that the WebUI's API gives in place of a picture: each ends in one terminal state, one charge or release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_a1111 import WebUi
from tests.conformance.vendor import Vendor

_FLAT: dict[str, Any] = {"flat_is_refusal": True}
VENDORS: list[Vendor] = [
    WebUi("a1111", most_references=1, entry=_FLAT),
    WebUi("sdnext", entry=_FLAT),
    WebUi("sdnext", GenerationType.VIDEO, upstream_model="fake-clip"),
]

PICTURES: dict[str, tuple[str | None, int]] = {
    "black": ("content_policy_violation", 1),
    "bad_base64": ("generation_failed", 1),
    "page": ("generation_failed", 1),
    "broken_json": ("generation_failed", 1),
    "auth": ("generation_failed", 1),
    "no_sampler": ("generation_failed", 1),
    "no_model": ("generation_failed", 1),
    "bad_picture": ("invalid_parameter", 1),
    "none": (None, 2),
    "memory_in_200": (None, 2),
    "stopped": (None, 2),
    "busy": (None, 2),
}
"""The code that the client is told, None: the picture; and how many orders it takes."""

JOBS: dict[str, tuple[list[dict[str, Any]], str | None, int]] = {
    "a word that nobody knows": ([{"status": "simmering"}, {"status": "running"}], None, 1),
    "no status at all": ([{"status": None}, {"status": "running"}], None, 1),
    "done before it runs": ([], None, 1),
    "failed for want of memory": ([{"status": "failed", "error": "OutOfMemoryError: CUDA out of memory"}], None, 2),
    "started anew meanwhile": ([{"status": "failed", "error": "Server restarted"}], None, 2),
    "done, and no file": ([{"status": "completed", "result": {"images": []}}], None, 2),
    "failed for good": ([{"status": "failed", "error": "ValueError: Unknown engine"}], "generation_failed", 1),
    "stopped by somebody": ([{"status": "cancelled"}], "generation_failed", 1),
}

LOST = ("gateway", "plain_500")

TRAPS: Mapping[str, str | None] = {
    **{name: code for name, (code, _) in PICTURES.items()},
    **{name: code for name, (_, code, _) in JOBS.items()},
    "by another model": "generation_failed",
    **dict.fromkeys(LOST),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, WebUi)
    if vendor.flavor != "a1111":
        return
    code, orders = PICTURES[trap]
    before = len(vendor.orders())
    vendor.fake.behave(trap)
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert len(vendor.orders()) == before + orders


@pytest.mark.parametrize("trap", JOBS)
async def test_a_job_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, WebUi)
    if vendor.flavor != "sdnext":
        return
    states, code, orders = JOBS[trap]
    before = len(vendor.orders())
    vendor.fake.states_of_next = [dict(state) for state in states]
    vendor.fake.states = []
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code, result.reports
    assert len(vendor.orders()) == before + orders


async def test_a_picture_by_another_model_is_not_delivered(front: Front, vendor: Vendor) -> None:
    """The server takes the model that is loaded for one that is gone, and says so only beside the picture."""
    assert isinstance(vendor, WebUi)
    if vendor.flavor != "a1111":
        return
    vendor.fake.info = {"sd_model_name": "another", "sd_model_hash": "00000000ff"}
    try:
        result = await front.make(front.request())
    finally:
        vendor.fake.info = {}
    result.check_one_end("failed")
    assert [report["outcome"] for report in result.reports] == ["declined"]


async def test_a_lost_answer_is_ordered_again_and_charged_once(front: Front, vendor: Vendor) -> None:
    """An order costs nothing there."""
    assert isinstance(vendor, WebUi)
    for fault in LOST:
        before = len(vendor.orders())
        vendor.fake.behave(fault)
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "completed")
        if result.state == "unknown":
            await front.studio.rows("update generations set wake_at = now() where id = %s", generation_id)
            front.run(generation_id)
            result = await front.until(generation_id, "completed")
        result.check_one_end("completed")
        assert len(vendor.orders()) == before + 2, fault


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
