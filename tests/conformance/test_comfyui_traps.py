"""What a ComfyUI may answer that is easily misread: each ends in one terminal state, one charge or release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.conformance.front import Front
from tests.conformance.test_comfyui import Comfy
from tests.conformance.traps import WAITS
from tests.conformance.vendor import CANARY, Vendor

VENDORS: list[Vendor] = [Comfy()]


def _refused(kind: str, **more: Any) -> tuple[int, str]:
    error = {"type": kind, "message": f"Cannot execute, {CANARY}", "details": "", "extra_info": {}}
    return 400, json.dumps({"error": error, "node_errors": {}, **more})


def _broke(exception_type: str) -> dict[str, Any]:
    told = {"node_id": "3", "node_type": "SafelightPaint", "exception_type": exception_type}
    return {"outputs": {}, "status": {"status_str": "error", "messages": [["execution_error", told]]}}


_FAULT = {"errors": [{"message": "Value not in list", "details": CANARY}], "class_type": "LoadImage"}

ORDERS: dict[str, tuple[tuple[int, str], str | None]] = {
    "a node that it has not": (_refused("missing_node_type"), "generation_failed"),
    "an id that it will not have": (_refused("invalid_prompt_id"), "generation_failed"),
    "refused in another shape": ((400, "[]"), "generation_failed"),
    "run in part": (
        (200, json.dumps({"prompt_id": "any", "number": 1, "node_errors": {"10": _FAULT}})),
        "generation_failed",
    ),
    "a proxy that wants a key": ((401, "who are you?"), "generation_failed"),
    "a page": ((200, "<html></html>"), WAITS),
    "a gateway that gave up": ((504, "<html></html>"), WAITS),
}
"""What an order is answered, which is not taken."""

ENDS: dict[str, tuple[dict[str, Any], str | None, int]] = {
    "stopped by somebody": (
        {"outputs": {}, "status": {"status_str": "error", "messages": [["execution_interrupted", {}]]}},
        "generation_failed",
        1,
    ),
    "a node broke": (_broke("ValueError"), "generation_failed", 1),
    "out of memory": (_broke("torch.OutOfMemoryError"), None, 2),
    "an error of no shape": ({"outputs": {}, "status": {"status_str": "error", "messages": 5}}, "generation_failed", 1),
    "done without a file": ({"outputs": {}}, "generation_failed", 1),
    "outputs of no shape": ({"outputs": {"9": None, "10": {"text": ["a hill"]}}}, "generation_failed", 1),
    "a file that is not there": (
        {"outputs": {"9": {"images": [{"filename": "gone.png", "subfolder": "", "type": "output"}]}}},
        "generation_failed",
        1,
    ),
    "no status at all": ({"status": None}, None, 1),
}
"""What its history tells of a job, the code that the client is told (None: the picture), and how many jobs it takes."""

TRAPS: Mapping[str, str | None] = {
    **{name: code for name, (_, code) in ORDERS.items()},
    **{name: code for name, (_, code, _) in ENDS.items()},
}


@pytest.mark.parametrize("trap", ORDERS)
async def test_an_order_that_is_not_taken_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, Comfy)
    says, code = ORDERS[trap]
    before = vendor.jobs()
    vendor.server.command(CANARY, says=[says])
    owner = await front.studio.workspace()
    generation_id = await front.submit(owner, front.request())
    result = await front.until(generation_id, "unknown", "failed", "completed")
    if code == WAITS:
        assert (result.state, result.entries) == ("unknown", ["hold"])
    else:
        result.check_one_end("failed")
        assert result.row["error_code"] == code
    assert vendor.jobs() == before


@pytest.mark.parametrize("trap", ENDS)
async def test_a_job_has_one_end(front: Front, vendor: Vendor, trap: str) -> None:
    assert isinstance(vendor, Comfy)
    ends, code, jobs = ENDS[trap]
    before = vendor.jobs()
    vendor.server.command(CANARY, ends=[ends])
    result = await front.make(front.request())
    result.check_one_end("completed" if code is None else "failed")
    assert result.row["error_code"] == code
    assert vendor.jobs() == before + jobs


async def test_the_books_balance_at_the_end(front: Front, vendor: Vendor) -> None:
    await front.check_books()
