"""One connection is dead, one answers 429, one is slow: nothing is lost or doubled, and the dead one stands alone.

``python -m bench --only chaos`` does the same for ten minutes, and looks at the clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from tests.durability.chaos_mix import CONNECTIONS, DEAD, Pace, all_ended, mix, outcome, submit
from tests.durability.deployment import Deployment
from tests.support.server import eventually

_LEFT_ALONE = re.compile(r"connection left alone.*connection=(\S+)")


def test_nothing_is_lost_or_doubled_and_only_the_dead_is_left_alone(deploy: Callable[..., Deployment]) -> None:
    pace = Pace(job_seconds=0.2, slow_seconds=3, retry_after_seconds=0.5, dead_deadline_seconds=6)
    site = deploy()
    site.edit_catalog(*pace.models(), connections=CONNECTIONS)
    orders = mix(60)
    api, _ = site.serve(), site.worker()
    asyncio.run(submit(f"http://127.0.0.1:{api.port}", site.headers, orders, per_second=12))
    eventually(lambda: all_ended(site.url), "every generation has ended")
    found = outcome(site.url, site.data_dir / "chaos")
    assert (found.lost, found.doubled, found.odd_books, found.held) == ([], [], [], 0), site.logs
    assert found.orders == len(orders)
    assert found.made == sum(found.jobs.values()) == sum(not model.startswith("dead-") for model in orders)
    assert found.jobs[DEAD] == 0
    assert all(found.jobs[name] for name in CONNECTIONS if name != DEAD)
    assert set(_LEFT_ALONE.findall(site.logs)) == {DEAD}
    site.check_nothing_held()
