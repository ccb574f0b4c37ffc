"""Leases are kept in database time: a worker whose clock is hours off neither steals nor strands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.conftest import Deploy
from tests.durability.deployment import Model
from tests.support.server import eventually

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
MODELS = (
    Model("job", "video", ("chaos", {"behaviour": "job"})),
    Model("slow", "video", ("noop", {"delay_seconds": 6})),
)

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (Debian's package 'faketime')")


def test_clocks_two_hours_off(deploy: Deploy) -> None:
    site = deploy(*MODELS)
    api = site.serve()

    ids = [site.video(api, "slow") for _ in range(4)]
    site.worker_with_clock("+2h", LIBRARIES[0])
    eventually(lambda: any(site.state(each) == "running" for each in ids), "the first worker has begun")
    ids += [site.video(api, "slow") for _ in range(4)]
    site.worker_with_clock("-2h", LIBRARIES[0])
    site.worker()
    for generation_id in ids:
        assert site.ended(api, generation_id)["status"] == "completed"
        site.check_one_end(generation_id)
        assert site.row(generation_id)["attempts"] == 1, "nobody took it from another"


def test_what_such_a_worker_leaves_is_taken_over(deploy: Deploy) -> None:
    for offset in ("+2h", "-2h"):
        site = deploy(*MODELS)
        api = site.serve()
        generation_id = site.video(api, "job")
        site.worker_with_clock(offset, LIBRARIES[0], KILLPOINT="run-after-handle").wait()
        site.worker_with_clock(offset, LIBRARIES[0])
        assert site.ended(api, generation_id)["status"] == "completed"
        site.check_one_end(generation_id)
        assert site.memory.taken(generation_id) == 1
