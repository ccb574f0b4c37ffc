"""Each guard of a run by itself, one test each: who writes, who calls a backend, what is on record meanwhile."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from collections.abc import AsyncIterator, Callable
from importlib import resources
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Handle,
    InlineBytes,
    Pending,
    PollOutcome,
    RemoteFile,
    SubmitOutcome,
    Unknown,
)
from safelight.domain.ports import Backend, Job
from safelight.domain.request import Order
from safelight.domain.scope import Principal
from safelight.lifecycle import leases as leases_module
from safelight.lifecycle import run, turns
from safelight.lifecycle.cancel import cancel
from safelight.lifecycle.claims import Claim
from safelight.lifecycle.leases import LeaseLost, Leases
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import RunServices
from safelight.providers.noop import Options, mp4
from tests.lifecycle.studio import Studio
from tests.outbound.servers import Server, answer

pytestmark = pytest.mark.database

LONG_LEASE_SECONDS = 3600
PATIENCE_SECONDS = 60


class Stub:
    """A backend that answers as it is told, and notes who asked."""

    is_sizeless = True
    is_algorithmic = True  # its grey clips are what was ordered

    def __init__(self, *answers: SubmitOutcome, polled: PollOutcome | None = None, stops: bool = False) -> None:
        self.answers = list(answers)
        self.polled = polled or Pending(poll_after_seconds=0.2)
        self.stops = stops
        self.orders: list[str] = []
        self.on_submit: Callable[[], Any] = lambda: None

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome:
        self.orders.append(job.id)
        await asyncio.sleep(0)
        self.on_submit()
        return self.answers.pop(0)

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        return self.polled

    async def cancel(self, handle: Handle, job: Job[Any]) -> Cancellation:
        return Cancellation.FREE if self.stops else Cancellation.ASKED

    async def close(self) -> None: ...

    def open(self, connection: str) -> Backend:
        return Backend(connection=connection, provider=self, options=Options)


class Stage:
    """A video that waits, and the parts to run it on a stub."""

    def __init__(self, studio: Studio, owner: Principal, generation_id: str) -> None:
        self.studio, self.owner, self.id = studio, owner, generation_id

    def services(self, stub: Stub) -> RunServices:
        running = self.studio.parts.running
        limits = msgspec.structs.replace(running.limits, lease_seconds=LONG_LEASE_SECONDS)
        return msgspec.structs.replace(running, backends=stub, limits=limits)

    async def claimed(self) -> Claim:
        claim = await run.claim(self.services(Stub()), self.id)
        assert claim is not None
        return claim

    async def row(self) -> dict[str, Any]:
        ((row,),) = await self.studio.rows("select to_jsonb(g) from generations g where id = %s", self.id)
        return dict(row)

    async def taken_by_another(self) -> None:
        await self.studio.rows("update generations set run_token = %s where id = %s", uuid.uuid4(), self.id)

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(row := await self.row()):
                await asyncio.sleep(0.05)
            return row


@pytest.fixture
async def stage(studio: Studio) -> Stage:
    owner = await studio.workspace()
    return Stage(studio, owner, await studio.submit_video(owner))


@pytest.fixture
async def leases(studio: Studio) -> AsyncIterator[Leases]:
    made = Leases(studio.db, LONG_LEASE_SECONDS)
    yield made
    await made.close()


WRITES: dict[str, dict[str, object]] = {
    "record_intent": {
        "connection": "noop",
        "upstream_model": "clip",
        "binding_options": Jsonb({}),
        "binding": 0,
    },
    "record_handle": {"handle": Jsonb({"job": 1})},
    "withdraw_intent": {"report": None, "loss": None, "tries": 1},
    "record_unknown": {"counts": 1, "first_look_seconds": 1.0, "report": None},
    "leave_to_others": {"report": Jsonb({"outcome": "left", "detail": "why"})},
    "hand_back": {},
    "settle": {
        "state": "failed",
        "unseen": False,
        "sent_after_seconds": None,
        "charged_nanos": 0,
        "charged_thousandths": 0,
        "error_code": "generation_failed",
        "error_message": "It failed.",
        "report": None,
        "frees_key": False,
        "may_be_made": False,
        "cost_nanos": None,
        "seed": None,
        "loss": None,
        "media": Jsonb([]),
    },
    "record_progress": {"progress": [0.5], "stages": [None], "places": [None]},
    "renew_leases": {"lease_seconds": 1000},
}
OF_MANY = ("record_progress", "renew_leases")


@pytest.mark.parametrize("name", WRITES)
async def test_only_the_live_runner_writes(stage: Stage, name: str) -> None:
    claim = await stage.claimed()
    await stage.studio.rows("update generations set submitted_at = now(), named_at = now(), connection = 'noop',"
        " upstream_model = 'clip', binding_options = '{}' where id = %s", stage.id)  # fmt: skip

    def params(token: uuid.UUID) -> dict[str, object]:
        if name in OF_MANY:
            return {"ids": [stage.id], "run_tokens": [token], **WRITES[name]}
        return {"id": stage.id, "run_token": token, **WRITES[name]}

    before = await stage.row()
    assert await stage.studio.db.run(name, params(uuid.uuid4())) == 0
    assert await stage.row() == before
    assert await stage.studio.db.run(name, params(claim.run_token)) == 1
    assert await stage.row() != before, "it does write"


async def test_a_lease_that_may_have_run_out_keeps_from_calling(stage: Stage, leases: Leases) -> None:
    """The process stood still after its claim: by its own clock the lease is over, whatever the row says."""
    claim, stub = await stage.claimed(), Stub(Accepted({"job": 1}))
    late = msgspec.structs.replace(claim, claimed_at=time.monotonic() - LONG_LEASE_SECONDS - 1)
    await run.run(stage.services(stub), leases, late)
    assert stub.orders == []
    assert (await stage.row())["run_token"] == str(claim.run_token), "nobody else had it: the row alone would allow it"


async def test_the_lease_is_known_by_its_own_clock(
    stage: Stage, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, now = await stage.claimed(), [time.monotonic()]
    async with leases.held(claim):
        monkeypatch.setattr(leases_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
        leases.check(claim)
        now[0] += LONG_LEASE_SECONDS + 5
        with pytest.raises(LeaseLost):
            leases.check(claim)
        await leases._renew()
        leases.check(claim)
        with pytest.raises(LeaseLost):
            leases.check(msgspec.structs.replace(claim, run_token=uuid.uuid4()))
    with pytest.raises(LeaseLost):
        leases.check(claim)


async def test_a_lease_that_is_lost_ends_its_run(stage: Stage, leases: Leases) -> None:
    claim, stub = await stage.claimed(), Stub(Accepted({"job": 1}))
    running = asyncio.create_task(run.run(stage.services(stub), leases, claim))
    await stage.until(lambda row: row["handle"] is not None)
    await stage.taken_by_another()
    before = await stage.row()
    await leases._renew()
    await asyncio.wait([running], timeout=PATIENCE_SECONDS)
    assert running.done()
    assert await stage.row() == before


async def test_a_run_is_not_stopped_by_its_own_end(stage: Stage, leases: Leases) -> None:
    """A renewal that comes as it is written, or right after, finds its lease gone. What is written tells by itself."""
    claim = await stage.claimed()

    async def ends() -> int:
        await stage.taken_by_another()
        await leases._renew()
        await asyncio.sleep(0)
        return 1

    async with leases.held(claim):
        assert await leases.written(claim, ends) == 1
        leases.let_go(claim)
        await leases._renew()
        await asyncio.sleep(0)


async def test_a_wish_to_cancel_that_nobody_heard_of_is_found_at_the_renewal(stage: Stage, leases: Leases) -> None:
    async with leases.held(await stage.claimed()) as asked:
        await leases._renew()
        assert not asked.done()
        await stage.studio.rows("update generations set cancel_requested_at = now() where id = %s", stage.id)
        await leases._renew()
        assert asked.done()


async def test_an_end_that_comes_too_late_changes_nothing(stage: Stage, leases: Leases) -> None:
    """Nobody has told the run yet that its lease is lost: what it would write last is refused by the row."""
    claim, stub = await stage.claimed(), Stub(Completed((InlineBytes(mp4(5)),)))
    loop = asyncio.get_running_loop()
    steals: list[asyncio.Task[None]] = []
    stub.on_submit = lambda: steals.append(loop.create_task(stage.taken_by_another()))
    assert await run.run(stage.services(stub), leases, claim) is None
    await asyncio.gather(*steals)
    row = await stage.row()
    assert (row["state"], row["charged_nanos"]) == ("running", None)
    assert row["run_token"] != str(claim.run_token)
    assert await stage.studio.rows("select from media where generation_id = %s", stage.id) == []


async def test_what_was_refused_is_off_the_record_at_once(
    stage: Stage, leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes it over while the backend is left alone must not believe that it may hold the job."""
    seen: list[dict[str, Any]] = []

    async def sleep(_: float) -> None:
        seen.append(await stage.row())

    monkeypatch.setattr(turns, "asyncio", SimpleNamespace(sleep=sleep))
    refusal = Failed(FailureClass.RATE_LIMITED, retry_after_seconds=0.01)
    stub = Stub(refusal, refusal, Completed((InlineBytes(mp4(5)),)))
    await run.run(stage.services(stub), leases, await stage.claimed())
    assert (await stage.row())["state"] == "completed"
    assert [(row["submitted_at"], row["handle"]) for row in seen] == [(None, None)] * len(seen)
    assert {row["tries"] for row in seen} == {1, 2}
    assert stub.orders == [stage.id, f"{stage.id}.1", f"{stage.id}.2"], "each order has an id of its own"


@pytest.mark.parametrize("at_first", [Unknown(), Pending()], ids=["unknown", "pending"])
async def test_a_backend_that_does_not_say_now_where_its_file_is_is_asked_again(
    stage: Stage, leases: Leases, at_first: PollOutcome
) -> None:
    """The job is done, and its file's address good no more: what was made is not given up for one lost answer."""
    server, clip = Server({}), mp4(5)
    await server.listen("127.0.0.1")
    server.scripts |= {"/old": answer(status="403 Forbidden"), "/new": answer(clip)}
    old, new = (
        Completed((RemoteFile(f"http://127.0.0.1:{server.port}/{name}", {}, (f"127.0.0.1:{server.port}",)),))
        for name in ("old", "new")
    )
    stub = Stub(Accepted({"job": 1}))
    said = [old, at_first, new]

    async def poll(handle: Handle, job: Job[Any]) -> PollOutcome:
        return said.pop(0)

    stub.poll = poll  # type: ignore[method-assign]
    try:
        await run.run(stage.services(stub), leases, await stage.claimed())
    finally:
        await server.close()
    assert (await stage.row())["state"] == "completed"
    assert server.paths() == ["/old", "/new"]


@pytest.mark.parametrize(("told", "kept"), [(math.nan, 0), (-1, 0), (math.inf, 1), (-math.inf, 0), (7, 1), (0.5, 0.5)])
async def test_progress_is_between_nothing_and_all(stage: Stage, leases: Leases, told: float, kept: float) -> None:
    async with leases.held(await stage.claimed()):
        leases.note_progress(stage.id, told)
        await leases._record_progress()
    assert ((await stage.row())["progress"] or 0) == kept


async def test_a_wish_to_cancel_is_heard_of_before_the_lease_is_renewed(stage: Stage) -> None:
    """The lease is renewed after many minutes here: only the notification is quicker."""
    stub = Stub(Accepted({"job": 1}), stops=True)
    services = stage.services(stub)
    runner = Runner(services)
    try:
        running = asyncio.create_task(runner.claim_and_run(stage.id))
        await stage.until(lambda row: row["handle"] is not None)
        await cancel(services, stage.studio.parts.viewing, stage.owner.workspace_id, stage.id, GenerationType.VIDEO)
        assert (await stage.until(lambda row: row["state"] != "running"))["state"] == "canceled"
        await running
    finally:
        await runner.close(0)


def test_every_statement_of_a_runner_is_tried() -> None:
    files = list(resources.files("safelight.db").joinpath("sql").iterdir())
    written_by_runners = {file.name for file in files if "run_token" in file.read_text()}
    others = {
        "claim",
        "submit",
        "requeue_due",
        "list_overdue",
        "request_cancel",
        "absent_runners",
        "count_under_way",
        "list_processes",
        "list_under_way",
        "take_from_runners",
    }  # they give, take, look
    assert written_by_runners == {f"{name}.sql" for name in {*WRITES, *others}}
