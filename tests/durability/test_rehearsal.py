"""The rehearsal in short: an API node is killed under the official client, and what is wrong at the end is found."""

from __future__ import annotations

from bench.rehearsal.__main__ import BRIEF_JOB_SECONDS, open_workspace, under_load
from bench.rehearsal.load import Load, Webhooks
from bench.rehearsal.phases import BRIEF
from bench.rehearsal.proof import Proof, look, prove
from bench.rehearsal.report import results
from bench.rehearsal.site import Site, site
from safelight.node.settings import load_settings
from safelight.wiring import open_keeping
from tests.support.server import open_folder


async def test_nothing_is_lost_and_what_is_wrong_is_found() -> None:
    with open_folder() as base, site(base, job_seconds=BRIEF_JOB_SECONDS, workers=1) as made:
        webhooks = Webhooks()
        async with webhooks.listening():
            tenant = await open_workspace(made, webhooks)
            load = Load(made.address, tenant.key)
            await under_load(made, load, ["api-killed"], BRIEF)
            proof = await prove(made, load, webhooks, tenant.headers)
            assert wrong_in(proof) == {}, proof
            (row,) = results(["api-killed"], load, proof).phases
            assert row.orders == len(load.wishes) == row.backend_orders
            assert {*row.image_seconds, *row.video_seconds}
            await plant(made, load, webhooks)
            assert wrong_in(await look(made, load, webhooks, tenant.headers)) == {
                "given to a client, and not on record as completed": 1,
                "ordered of the backend more than once": 1,
                "completed, and not one job": 1,
                "files that do not come as they are on record": 1,
                "files on record that are missing from the store": 1,
                "events told under more than one id": 1,
            }


def wrong_in(proof: Proof) -> dict[str, int]:
    return {check.name: check.found for check in proof.checks if check.found}


async def plant(made: Site, load: Load, webhooks: Webhooks) -> None:
    """One of each: an image that is not on record, a second job, a file that is gone, an event that was told twice."""
    first, second, third, *_ = (wish for wish in load.wishes if wish.type == "image")
    first.id, first.sha256 = "req-00000000000000000000000000", None
    job = made.backend.job(second.id or "")
    assert job is not None
    made.backend.take(job)
    (gone,) = (
        row["key"] for row in made.rows("select key, generation_id from media") if row["generation_id"] == third.id
    )
    async with open_keeping(load_settings(made.environment)) as keeping:
        await keeping.store.delete([gone])
    webhooks.told["evt_another"] = next(iter(webhooks.told.values()))
