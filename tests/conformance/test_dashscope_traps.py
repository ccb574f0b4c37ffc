"""What DashScope may answer that is easily misread: one terminal state, one charge or release, one task of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_dashscope import DashScope, DashScopeAnswers, DashScopeVideos
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor

VENDORS: list[Vendor] = [DashScopeAnswers(), DashScopeVideos()]

PICTURES = {
    "blank": "content_policy_violation",  # a choice without a picture
    "refused2": "content_policy_violation",
    "refusal200": "content_policy_violation",
    "strange200": "generation_failed",
    "debt": "generation_failed",
    "freetier": "generation_failed",
    "denied": "generation_failed",
    "badinput": "invalid_parameter",
}
"""The code that the client is told."""

GONE = {"task_status": "UNKNOWN"}
TASKS: dict[str, tuple[list[Any], str | None]] = {
    "a word that nobody knows": (["SIMMERING", "RUNNING"], None),
    "no status at all": ([{}, {"task_status": None}], None),
    "suspended": (["SUSPENDED", "RUNNING"], None),
    "not known at first": ([GONE, GONE], None),
    "not known now and then": ([GONE, "RUNNING", GONE, 404], None),
    "not known any more": ([GONE, 404, GONE], "generation_failed"),
    "asked too often": ([429], None),
    "failed by policy": (["FAILED:DataInspectionFailed"], "content_policy_violation"),
    "failed by policy, says its result": (
        [{"task_status": "SUCCEEDED", "results": [{"code": "DataInspectionFailed"}]}],
        "content_policy_violation",
    ),
    "failed, and why is not said": (["FAILED"], "generation_failed"),
    "done without a clip": ([{"task_status": "SUCCEEDED", "results": []}], "content_policy_violation"),
    "canceled by somebody else": (["CANCELED"], "generation_failed"),
}

OPEN = ("gateway", "page", "nothing", "outage200", "timedout")

TRAPS: Mapping[str, str | None] = {
    **PICTURES,
    **{name: code for name, (_, code) in TASKS.items()},
    "broke there": None,
    **dict.fromkeys(OPEN, WAITS),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if vendor.type is not GenerationType.IMAGE:
        return
    assert isinstance(vendor, DashScope)
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
    assert isinstance(vendor, DashScope)
    states, code = TASKS[trap]
    jobs = vendor.jobs()
    vendor.fake.states = list(states)
    try:
        result = await front.make(front.request())
    finally:
        vendor.fake.states = []
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert vendor.jobs() == jobs + 1, "one task"


async def test_a_task_that_broke_there_is_made_once_more_and_charged_once(front: Front, vendor: Vendor) -> None:
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, DashScope)
    jobs = vendor.jobs()
    vendor.fake.states = ["FAILED:InternalError.Algo"]
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert (vendor.jobs(), result.row["tries"]) == (jobs + 2, 1)


async def test_a_wish_to_cancel_comes_too_late(front: Front, vendor: Vendor) -> None:
    """A task that runs is not stopped: it is made, kept and charged."""
    if vendor.type is not GenerationType.VIDEO:
        return
    assert isinstance(vendor, DashScope)
    owner = await front.studio.workspace()
    vendor.fake.states = ["RUNNING"] * 2
    generation_id = await front.submit(owner, front.request())
    await front.until_taken(generation_id)
    await front.cancel(owner, generation_id)
    result = await front.until(generation_id, "canceled", "completed", "failed")
    result.check_one_end("completed")


@pytest.mark.parametrize("word", OPEN)
async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor, word: str) -> None:
    assert isinstance(vendor, DashScope)
    before = len(vendor.orders())
    vendor.fake.next = word
    owner = await front.studio.workspace()
    generation_id = await front.submit(owner, front.request())
    result = await front.until(generation_id, "unknown", "failed", "completed")
    assert (result.state, result.entries) == ("unknown", ["hold"])
    assert len(vendor.orders()) == before + 1, "it is never ordered twice"
    await asyncio.wait([front._making])


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
