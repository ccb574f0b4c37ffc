"""What fal may answer, and gateways have stumbled over: one terminal state, one charge or release, one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_fal import FalImages, FalVideos
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor

VENDORS: list[Vendor] = [FalImages(), FalVideos()]

RESULTS = {
    "flagged": "content_policy_violation",
    "empty": "content_policy_violation",
    "nomedia": "content_policy_violation",
    "oldpolicy": "content_policy_violation",
    "badinput": "invalid_parameter",
    "nothing": "generation_failed",
    "list": "generation_failed",
    "hopeless": "generation_failed",
    "badurl": "generation_failed",
    "badbase64": "generation_failed",
    "inline": None,
}
"""The code that the client is told; None: the media."""

ORDERS = {
    "refused": "content_policy_violation",
    "refusedlist": "content_policy_violation",
    "badprompt": "invalid_parameter",
    "badsize": "generation_failed",
    "nokey": "generation_failed",
}

STATES: dict[str, tuple[list[Any], str | None]] = {
    "a word that nobody knows": ([{"status": "SIMMERING"}], None),
    "no status at all": ([{"status": None}], None),
    "a page": (["<html></html>"], None),
    "not there for a moment": ([404], None),
    "a server in trouble": ([500], None),
    "failed, and why is not said": ([{"status": "FAILED"}], "generation_failed"),
    "gone": ([404, 404, 404], "generation_failed"),
}

OPEN = ("gateway", "page", "odd", "noid")

TRAPS: Mapping[str, str | None] = {
    **RESULTS,
    **ORDERS,
    **{f"status: {name}": code for name, (_, code) in STATES.items()},
    **{f"order: {name}": WAITS for name in OPEN},
}


def _is_of(vendor: Vendor, trap: str) -> bool:
    return vendor.type is GenerationType.IMAGE or trap not in ("flagged", "badurl", "badbase64", "badsize")


@pytest.mark.parametrize("trap", RESULTS | ORDERS)
async def test_an_order_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, FalImages)
    if not _is_of(vendor, trap):
        return
    before, code = (len(vendor.orders()), vendor.jobs()), (RESULTS | ORDERS)[trap]
    vendor.fake.next = trap
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert (len(vendor.orders()), vendor.jobs()) == (before[0] + 1, before[1] + (trap in RESULTS))


@pytest.mark.parametrize("trap", STATES)
async def test_a_job_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, FalImages)
    states, code = STATES[trap]
    before = len(vendor.orders()), vendor.jobs()
    vendor.fake.statuses = list(states)
    try:
        result = await front.make(front.request())
    finally:
        vendor.fake.statuses = []
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert (len(vendor.orders()), vendor.jobs()) == (before[0] + 1, before[1] + 1), "one order, and one job"


LOCKED = (403, {"detail": "User is locked. Reason: Exhausted balance."})
LIMITED = (429, {"detail": "Too many", "error_type": "too_many_requests"})
AWAY = (503, {"detail": "Service Unavailable"})


@pytest.mark.parametrize("results", [[LOCKED] * 3, [AWAY] * 3, [LIMITED]], ids=["locked", "away", "limited"])
async def test_what_is_made_is_not_ordered_again_because_it_is_not_given_yet(
    front: Front, vendor: Vendor, results: list[Any]
) -> None:
    """The job has ended well, and is paid for."""
    assert isinstance(vendor, FalImages)
    before = len(vendor.orders()), vendor.jobs()
    vendor.fake.results = list(results)
    result = await front.make(front.request())
    result.check_one_end("completed")
    assert vendor.fake.results == []
    assert (len(vendor.orders()), vendor.jobs()) == (before[0] + 1, before[1] + 1), "one order, and one job"


async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor) -> None:
    assert isinstance(vendor, FalImages)
    for word in OPEN:
        before = len(vendor.orders())
        vendor.fake.next = word
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "failed", "completed")
        assert (result.state, result.entries) == ("unknown", ["hold"]), word
        assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
