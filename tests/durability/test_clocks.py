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
    site = deploy(*MODELS, env={"SAFELIGHT_LEASE": "30s"})  # so long that a slow machine loses none
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
    sites = {offset: deploy(*MODELS) for offset in ("+2h", "-2h")}
    apis = {offset: site.serve() for offset, site in sites.items()}
    ids = {offset: site.video(apis[offset], "job") for offset, site in sites.items()}
    dying = [
        site.worker_with_clock(offset, LIBRARIES[0], KILLPOINT="run-after-handle") for offset, site in sites.items()
    ]
    for worker in dying:
        worker.wait()
    for offset, site in sites.items():
        site.worker_with_clock(offset, LIBRARIES[0])
    for offset, site in sites.items():
        generation_id = ids[offset]
        assert site.ended(apis[offset], generation_id)["status"] == "completed"
        site.check_one_end(generation_id)
        assert site.memory.taken(generation_id) == 1
