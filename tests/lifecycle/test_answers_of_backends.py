"""What a backend says beside its outcome, kept for the operator; and what a call knows of its job."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    Handle,
    InlineBytes,
    NeverTaken,
    Pending,
    PollOutcome,
    Stage,
    Unknown,
    Usage,
)
from safelight.domain.ports import Backend, Job
from safelight.lifecycle import claims, run
from safelight.lifecycle.leases import Leases
from safelight.providers.noop import Options, mp4
from tests.lifecycle.test_guards_of_a_run import Stage as Scene
from tests.lifecycle.test_guards_of_a_run import Stub, leases, stage

__all__ = ["leases", "stage"]
pytestmark = pytest.mark.database

SECRET = "sk-canary-1f9c"
CLIP = (InlineBytes(mp4(5)),)


class Vendor(Stub):
    """A stub that has a secret, and notes the jobs that calls were given."""

    def __init__(self, *answers: Any, polled: PollOutcome | None = None, found: Any = None) -> None:
        super().__init__(*answers, polled=polled)
        self.found = found or NeverTaken()
        self.jobs: list[Job[Any]] = []
        self.cancellation = Cancellation.ASKED
        self.wishes = 0

    async def submit(self, order: Any, job: Job[Any]) -> Any:
        self.jobs.append(job)
        return await super().submit(order, job)

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        self.jobs.append(job)
        return self.polled

    async def find(self, job: Job[Any]) -> Any:
        self.jobs.append(job)
        return self.found

    async def cancel(self, handle: Handle, job: Job[Any]) -> Cancellation:
        self.jobs.append(job)
        self.wishes += 1
        return self.cancellation

    def open(self, connection: str) -> Backend:
        return Backend(connection=connection, provider=self, options=Options, secrets=(SECRET,))


async def ran(scene: Scene, leases: Leases, vendor: Vendor) -> dict[str, Any]:
    await run.run(scene.services(vendor), leases, await scene.claimed())
    return await scene.row()


async def test_what_is_said_of_a_success_is_kept_and_cleared(stage: Scene, leases: Leases) -> None:
    usage = Usage(raw={"tokens": 9}, output_tokens=9, compute_seconds=1.5)
    said = Answer(
        request_id="vendor-7",
        usage=usage,
        cost_nanos=12_500_000,
        seed=77,
        revised_prompt=f"a green hill {SECRET}",
    )
    row = await ran(stage, leases, Vendor(Completed(CLIP, said)))
    (report,) = row["backend_reports"]
    assert (report["outcome"], report["request_id"], report["cost"]) == ("completed", "vendor-7", "0.0125")
    assert report["usage"] == {"raw": {"tokens": 9}, "output_tokens": 9, "compute_seconds": 1.5}
    assert report["revised_prompt"] == "a green hill ***"
    assert (row["cost_nanos"], row["seed"]) == (12_500_000, 77)


@pytest.mark.parametrize(
    "raw", [{"key": SECRET}, {"words": "x" * 3000}, {"nul": "\0"}], ids=["with a secret", "too long", "with NUL"]
)
async def test_usage_in_its_raw_form_is_kept_where_it_may_be(stage: Scene, leases: Leases, raw: dict[str, str]) -> None:
    row = await ran(stage, leases, Vendor(Completed(CLIP, Answer(usage=Usage(raw=raw, images=1)))))
    assert row["state"] == "completed"
    assert row["backend_reports"][0]["usage"] == {"images": 1}


async def test_another_size_than_was_ordered_is_told_to_the_operator(
    stage: Scene, leases: Leases, capsys: pytest.CaptureFixture[str]
) -> None:
    await stage.studio.rows(
        'update generations set request = request || \'{"width": 128, "height": 72}\' where id = %s', stage.id
    )
    vendor = Vendor(Completed(CLIP))
    vendor.is_sizeless = False
    row = await ran(stage, leases, vendor)
    assert row["state"] == "completed"
    (report,) = row["backend_reports"]
    assert report["detail"] == "asked for 128x72, and got 64x64"
    assert "another size than was ordered" in capsys.readouterr().out


async def test_nothing_is_kept_where_nothing_is_said(stage: Scene, leases: Leases) -> None:
    row = await ran(stage, leases, Vendor(Completed(CLIP)))
    assert (row["state"], row["backend_reports"]) == ("completed", None)


async def test_a_seed_that_a_row_has_no_room_for_is_not_told(stage: Scene, leases: Leases) -> None:
    row = await ran(stage, leases, Vendor(Completed(CLIP, Answer(seed=2**64 - 1))))
    assert (row["state"], row["seed"]) == ("completed", None)


async def test_where_a_job_stands_is_on_record(stage: Scene, leases: Leases) -> None:
    vendor = Vendor(Accepted({"job": 1}), polled=Pending(stage=Stage.QUEUED, place=2**40, poll_after_seconds=0.2))
    running = asyncio.create_task(run.run(stage.services(vendor), leases, await stage.claimed()))
    row = await stage.until(lambda row: row["backend_stage"] is not None)
    assert (row["backend_stage"], row["backend_place"]) == ("queued", 2**31 - 1)
    vendor.polled = Pending(0.5, stage=Stage.RUNNING, poll_after_seconds=0.2)
    row = await stage.until(lambda row: row["backend_stage"] == "running")
    assert row["backend_place"] is None
    vendor.polled = Completed(CLIP)
    await running
    assert (await stage.row())["state"] == "completed"


async def test_a_job_is_the_same_after_a_restart(stage: Scene, leases: Leases) -> None:
    """Each call of the second runner knows what those of the first one knew."""
    first = Vendor(Accepted({"job": 1}))
    running = asyncio.create_task(run.run(stage.services(first), leases, await stage.claimed()))
    await stage.until(lambda row: row["handle"] is not None)
    while len(first.jobs) < 2:
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    second = Vendor(polled=Completed(CLIP))
    assert (await ran(stage, leases, second))["state"] == "completed"
    known = {
        name
        for name in Job.__struct_fields__
        if name not in ("progress", "make_workdir", "reference_url", "submitted_at")
    }
    facts = [{name: getattr(job, name) for name in known} for job in (*first.jobs, *second.jobs)]
    assert facts == [facts[0]] * len(facts)
    assert len({job.idempotency_key for job in (*first.jobs, *second.jobs)}) == 1
    assert abs(first.jobs[0].submitted_at - second.jobs[0].submitted_at) < timedelta(seconds=5)
    assert isinstance(second.jobs[0].options, Options)
    assert second.orders == [], "it is asked about, not ordered again"


async def test_how_long_ago_an_order_was_given_is_told_by_one_clock(
    stage: Scene, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's: an application clock that is off by two hours makes no order older or younger."""
    await ran(stage, leases, Vendor(Unknown("the connection broke")))
    await stage.studio.rows("update generations set submitted_at = now() - interval '100 s' where id = %s", stage.id)
    ahead = timedelta(hours=2)
    monkeypatch.setattr(claims, "datetime", SimpleNamespace(now=lambda zone: datetime.now(zone) + ahead))
    submitted_at = (await stage.claimed()).submitted_at
    assert submitted_at is not None
    assert abs(datetime.now(UTC) + ahead - submitted_at - timedelta(seconds=100)) < timedelta(seconds=30)


async def test_a_job_that_is_found_done_is_not_ordered_again(stage: Scene, leases: Leases) -> None:
    await ran(stage, leases, Vendor(Unknown("the connection broke")))
    await stage.studio.rows("update generations set wake_at = null where id = %s", stage.id)
    vendor = Vendor(found=Found(Completed(CLIP)))
    row = await ran(stage, leases, vendor)
    assert (row["state"], vendor.orders) == ("completed", [])


async def test_a_job_that_a_backend_cannot_tell_of_is_not_ordered_again(stage: Scene, leases: Leases) -> None:
    await ran(stage, leases, Vendor(Unknown("the connection broke")))
    vendor = Vendor(found=CannotTell("not now", Answer(status=503)))
    row = await ran(stage, leases, vendor)
    assert (row["state"], vendor.orders) == ("unknown", [])
    assert row["backend_reports"][-1]["status"] == 503


@pytest.mark.parametrize("answered", list(Cancellation))
async def test_what_a_backend_answers_to_a_wish_to_cancel(stage: Scene, leases: Leases, answered: Cancellation) -> None:
    vendor = Vendor(Accepted({"job": 1}))
    vendor.cancellation = answered
    claim = await stage.claimed()
    running = asyncio.create_task(run.run(stage.services(vendor), leases, claim))
    await stage.until(lambda row: row["handle"] is not None)
    leases.ask_to_cancel(stage.id)
    stops = answered in (Cancellation.FREE, Cancellation.BILLED)
    if not stops:
        while not vendor.wishes:
            await asyncio.sleep(0.05)
        assert not running.done() and (await stage.row())["state"] == "running", "only its job tells"
        vendor.polled = (
            Completed(CLIP) if answered is Cancellation.TOO_LATE else Failed(FailureClass.CANCELED, "it was canceled")
        )
    await running
    row = await stage.row()
    assert row["state"] == ("completed" if answered is Cancellation.TOO_LATE else "canceled")
    losses = await stage.studio.rows("select reason, cost_nanos from losses where generation_id = %s", stage.id)
    assert losses == ([("canceled", None)] if answered is Cancellation.BILLED else [])
    outcomes = [report["outcome"] for report in row["backend_reports"] or []]
    assert outcomes == (["canceled"] if answered is Cancellation.BILLED else [])


async def test_a_failure_that_is_billed_is_one_loss(stage: Scene, leases: Leases) -> None:
    """One that was declined and the job that failed after it, each its own; then it is made elsewhere."""
    billed = Answer(is_billed=True, cost_nanos=3_000_000, request_id="vendor-8")
    declined = Failed(FailureClass.RATE_LIMITED, "", 0.05, billed)
    vendor = Vendor(declined, Accepted({"job": 1}), polled=Failed(FailureClass.PERMANENT, answer=billed))
    row = await ran(stage, leases, vendor)
    assert row["state"] == "failed"
    rows = await stage.studio.rows(
        "select reason, cost_nanos, request_id from losses where generation_id = %s order by id", stage.id
    )
    assert rows == [("failed", 3_000_000, "vendor-8")] * 2


async def test_a_file_that_cannot_be_kept_was_paid_for(stage: Scene, leases: Leases) -> None:
    row = await ran(stage, leases, Vendor(Completed((InlineBytes(b"<html>"),), Answer(cost_nanos=5))))
    assert row["state"] == "failed"
    rows = await stage.studio.rows("select reason, cost_nanos from losses where generation_id = %s", stage.id)
    assert rows == [("undelivered", 5)]
    assert msgspec.json.encode(row["backend_reports"]).count(b"undelivered") == 1


async def test_the_request_id_of_a_loss_is_kept_as_other_words_are(stage: Scene, leases: Leases) -> None:
    said = Answer(is_billed=True, request_id=f"vendor-\0{SECRET}" + "9" * 300)
    await ran(stage, leases, Vendor(Failed(FailureClass.BAD_INPUT, answer=said)))
    ((request_id,),) = await stage.studio.rows("select request_id from losses where generation_id = %s", stage.id)
    assert request_id.startswith("vendor-\N{REPLACEMENT CHARACTER}***999")
    assert len(request_id.encode()) == 200


@pytest.mark.parametrize("absurd", [-1, 2**62])
async def test_a_cost_that_no_order_has_is_not_told(stage: Scene, leases: Leases, absurd: int) -> None:
    row = await ran(stage, leases, Vendor(Completed(CLIP, Answer(cost_nanos=absurd))))
    assert (row["state"], row["cost_nanos"]) == ("completed", None)


async def test_what_too_many_runners_were_lost_on_may_have_been_made(stage: Scene, leases: Leases) -> None:
    vendor = Vendor(Unknown("the connection broke"))
    services = stage.services(vendor)
    clip = services.catalog.models["clip"]
    bindings = tuple(msgspec.structs.replace(binding, costs={None: 2_000_000}) for binding in clip.bindings)
    models = {"clip": msgspec.structs.replace(clip, bindings=bindings)}
    services = msgspec.structs.replace(services, catalog=msgspec.structs.replace(services.catalog, models=models))
    await run.run(services, leases, await stage.claimed())
    await stage.studio.rows("update generations set attempts = 20 where id = %s", stage.id)
    await run.run(services, leases, await stage.claimed())
    assert (await stage.row())["state"] == "failed"
    losses = await stage.studio.rows("select reason, cost_nanos from losses where generation_id = %s", stage.id)
    assert losses == [("unknown", 5 * 2_000_000)]


@pytest.mark.parametrize(
    "job", [f"job-{SECRET}", "job-\0", "9" * 1_000_000], ids=["with a secret", "with NUL", "too long"]
)
async def test_a_job_by_a_name_that_cannot_be_kept_is_unknown(stage: Scene, leases: Leases, job: str) -> None:
    vendor = Vendor(Accepted({"id": job}), polled=Completed(CLIP))
    row = await ran(stage, leases, vendor)
    assert (row["state"], row["handle"], len(vendor.orders)) == ("unknown", None, 1)
    assert "cannot be kept" in row["backend_reports"][-1]["detail"]


async def test_a_short_key_is_in_the_name_of_a_job_by_chance(stage: Scene, leases: Leases) -> None:
    class Local(Vendor):
        def open(self, connection: str) -> Backend:
            return Backend(connection=connection, provider=self, options=Options, secrets=("none",))

    row = await ran(stage, leases, Local(Accepted({"id": "nonesuch"}), polled=Completed(CLIP)))
    assert (row["state"], row["handle"]) == ("completed", {"id": "nonesuch"})


async def test_long_words_full_of_a_secret_leave_nothing_of_it(stage: Scene, leases: Leases) -> None:
    said = Answer(words=(f"{SECRET} " * 5000)[:4090], revised_prompt="x" * 50_000_000, seed=10**4000)
    (report,) = (await ran(stage, leases, Vendor(Completed(CLIP, said))))["backend_reports"]
    assert SECRET[:-2] not in report["words"]
    assert (len(report["revised_prompt"]), report.get("seed")) == (2048, None)
