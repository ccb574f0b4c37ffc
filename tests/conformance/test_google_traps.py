"""Google's answers that gateways stumble over: each ends in one terminal state, one charge or release, one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from safelight.domain.generations import GenerationType
from tests.conformance.front import Front
from tests.conformance.test_google import Interactions, Pictures, Veo
from tests.conformance.traps import WAITS
from tests.conformance.vendor import Vendor

VENDORS: list[Vendor] = [Pictures(), Interactions(), Veo()]
POLICY, FAILED, INPUT = "content_policy_violation", "generation_failed", "invalid_parameter"

PICTURES = {
    "empty": POLICY,
    "blocked_other": POLICY,
    "words_alone": POLICY,
    "draft_alone": POLICY,
    "IMAGE_SAFETY": POLICY,
    "MAX_TOKENS": FAILED,
    "bad_base64": FAILED,
    "bad_key": FAILED,  # a 400 of Google's that is none of the client's fault
    "bad_ratio": FAILED,
    "retired": FAILED,
    "day": FAILED,
    "bad_prompt": INPUT,
}
"""The code that the client is told."""

JOBS: dict[str, list[tuple[dict[str, Any], str | None]]] = {
    "interactions": [
        ({"status": "of_tomorrow"}, None),
        ({"status": None}, None),
        ({"status": "completed"}, POLICY),
        ({"status": "requires_action"}, FAILED),
        ({"status": "incomplete", "errors": [{"code": "safety", "message": "no"}]}, POLICY),
        ({"status": "budget_exceeded"}, FAILED),
    ],
    "veo": [
        ({"done": "soon"}, None),
        ({"done": True}, POLICY),
        ({"done": True, "error": {"code": 3, "message": "Violates Vertex AI's usage guidelines."}}, POLICY),
        ({"done": True, "error": {"code": 3, "message": "Odd."}}, INPUT),
        ({"done": True, "response": {"videos": [{"gcsUri": "gs://"}]}}, FAILED),
        ({"done": True, "error": {"code": 14, "message": "Later."}}, None),
    ],
}

OPEN = ("late", "page", "page_in_200")

TRAPS: Mapping[str, str | None] = {
    **PICTURES,
    "NO_IMAGE": None,
    "NO_IMAGE, twice": FAILED,
    **{f"{api}: {state}": code for api, states in JOBS.items() for state, code in states},
    "a token that was withdrawn": None,
    **dict.fromkeys(OPEN, WAITS),
}


@pytest.mark.parametrize("trap", PICTURES)
async def test_a_picture_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    if not isinstance(vendor, Pictures):
        return
    before = len(vendor.orders())
    vendor.fake.behave(trap)
    result = await front.make(front.request())
    result.check_one_end("failed")
    assert result.row["error_code"] == PICTURES[trap]
    assert len(vendor.orders()) == before + 1, "one order"


async def test_no_picture_is_asked_for_once_more_and_no_oftener(front: Front, vendor: Vendor) -> None:
    if not isinstance(vendor, Pictures):
        return
    before = len(vendor.orders())
    vendor.fake.behave("NO_IMAGE")
    (await front.make(front.request())).check_one_end("completed")
    assert len(vendor.orders()) == before + 2
    vendor.fake.behave("NO_IMAGE", "NO_IMAGE")
    (await front.make(front.request())).check_one_end("failed")
    assert len(vendor.orders()) == before + 4


@pytest.mark.parametrize("trap", range(6))
async def test_a_job_has_one_end(front: Front, vendor: Vendor, trap: int) -> None:
    if isinstance(vendor, Pictures):
        return
    assert isinstance(vendor, Interactions | Veo)
    state, code = JOBS["interactions" if isinstance(vendor, Interactions) else "veo"][trap]
    before = len(vendor.orders())
    vendor.fake.states = [state]
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    is_made_anew = code is None and "error" in state
    assert len(vendor.orders()) == before + (2 if is_made_anew else 1)


async def test_a_token_that_was_withdrawn_costs_no_generation(front: Front, vendor: Vendor) -> None:
    if not isinstance(vendor, Veo):
        return
    (await front.make(front.request())).check_one_end("completed")
    vendor.fake.revoked.add(vendor.fake.tokens[-1])
    jobs = vendor.jobs()
    (await front.make(front.request())).check_one_end("completed")
    assert vendor.jobs() == jobs + 1


async def test_an_answer_that_says_nothing_waits_with_its_price_held(front: Front, vendor: Vendor) -> None:
    assert isinstance(vendor, Pictures | Interactions | Veo)
    for fault in OPEN:
        before = len(vendor.orders())
        vendor.fake.behave(fault)
        owner = await front.studio.workspace()
        generation_id = await front.submit(owner, front.request())
        result = await front.until(generation_id, "unknown", "failed", "completed")
        assert (result.state, result.entries) == ("unknown", ["hold"]), fault
        assert len(vendor.orders()) == before + 1, "it is never ordered twice"


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    assert vendor.type in GenerationType
    await front.check_books()
