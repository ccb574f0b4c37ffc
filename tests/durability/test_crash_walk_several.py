"""A process killed at every kill point of a request for four images: all of them were accepted, or none ever was."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment
from tests.durability.several import COUNT
from tests.durability.test_crash_walk_images import MODELS
from tests.support.server import PATIENCE_SECONDS, clean_environment

NEVER_WERE = ("references-after-store", "submit-before-commit")
WALKED = (*NEVER_WERE, "submit-after-commit", "run-after-submit", "settle-before-commit", "settle-after-commit")


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    return deploy_for_all(*MODELS)


def ask(site: Deployment, key: str, **env: str) -> subprocess.CompletedProcess[str]:
    secret = site.headers["Authorization"].removeprefix("Bearer ")
    return subprocess.run(
        [sys.executable, "-m", "tests.durability.several", secret, key],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=clean_environment({**site.env, **env}),
        cwd=Path(__file__).parents[2],
    )


def test_all_or_none_and_the_repeat_has_four(site: Deployment) -> None:
    for point in WALKED:
        assert ask(site, point, SAFELIGHT_KILLPOINT=point).returncode == -signal.SIGKILL
    on_record = {
        point: [
            row["id"]
            for row in site.sql(
                """select g.id from generations g join idempotency_keys k on k.generation_id = g.id
               where k.created_at = (select created_at from idempotency_keys where key = %s)""",
                point,
            )
        ]
        for point in WALKED
    }
    assert {point: len(ids) for point, ids in on_record.items()} == {
        point: 0 if point in NEVER_WERE else COUNT for point in WALKED
    }
    assert len(site.sql("select id from generations")) == COUNT * (len(WALKED) - len(NEVER_WERE))
    worker = site.worker()
    for ids in on_record.values():
        for id_ in ids:
            site.wait_for_state(id_, "completed")
            site.check_one_end(id_)
            assert site.memory.taken(id_) == 1
    for point in WALKED:
        answer = ask(site, point)
        assert answer.returncode == 0, answer.stderr
        ids = answer.stdout.splitlines()[-1].split()
        assert len(set(ids)) == COUNT
        if point not in NEVER_WERE:
            assert set(ids) == set(on_record[point])
    assert len(site.sql("select id from generations")) == COUNT * len(WALKED)
    assert len(site.sql("select key from idempotency_keys")) == COUNT * len(WALKED)
    worker.kill()
    site.check_nothing_held()
