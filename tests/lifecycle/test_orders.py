"""Which orders are given: to no other backend what the client did wrong, and nothing once it is canceled."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator

import msgspec
import pytest

from safelight.domain.errors import GenerationFailed, QuotaExceeded, SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Accepted, Failed, FailureClass
from safelight.domain.request import ImageInput, Request
from safelight.lifecycle import make, settle
from safelight.lifecycle.breaker import Breakers
from safelight.lifecycle.cancel import cancel
from safelight.lifecycle.dispatch import Dispatch
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.services import RunServices
from safelight.lifecycle.submit import Submission, submit
from tests.lifecycle.studio import Studio
from tests.lifecycle.test_guards_of_a_run import Stage, Stub
from tests.references import files

pytestmark = pytest.mark.database

CODES = {FailureClass.CONTENT_POLICY: "content_policy_violation", FailureClass.BAD_INPUT: "invalid_parameter"}


@pytest.fixture
async def stage(studio: Studio) -> Stage:
    owner = await studio.workspace()
    return Stage(studio, owner, await studio.submit_video(owner))


@pytest.fixture
async def runners() -> AsyncIterator[list[Runner]]:
    made: list[Runner] = []
    yield made
    for each in made:
        await each.close(0)


def on_two_backends(stage: Stage, stub: Stub) -> RunServices:
    """The model has another connection beside its own; nothing is known of either."""
    services = stage.services(stub)
    clip = services.catalog.models["clip"]
    bindings = (*clip.bindings, msgspec.structs.replace(clip.bindings[0], connection="another"))
    models = {**services.catalog.models, "clip": msgspec.structs.replace(clip, bindings=bindings)}
    return msgspec.structs.replace(
        services, catalog=msgspec.structs.replace(services.catalog, models=models), breakers=Breakers()
    )


@pytest.mark.parametrize("reason", CODES)
async def test_what_the_client_did_wrong_is_asked_of_nobody_else(
    stage: Stage, runners: list[Runner], reason: FailureClass
) -> None:
    stub = Stub(Failed(reason), Accepted({"job": 1}))
    services = on_two_backends(stage, stub)
    for _ in range(4):
        services.breakers.failed("noop")
    runners.append(Runner(services))
    await runners[0].claim_and_run(stage.id)
    row = await stage.row()
    assert (row["state"], row["error_code"]) == ("failed", CODES[reason])
    assert stub.orders == [stage.id]
    assert services.breakers.allows("noop"), "it answered well"


async def test_what_another_may_do_better_is_asked_of_the_next(stage: Stage, runners: list[Runner]) -> None:
    stub = Stub(Failed(FailureClass.PERMANENT), Failed(FailureClass.PERMANENT))
    services = on_two_backends(stage, stub)
    runners.append(Runner(services))
    await runners[0].claim_and_run(stage.id)
    assert stub.orders == [stage.id, f"{stage.id}.1"]
    assert (await stage.row())["error_code"] == "generation_failed"


async def test_an_order_that_was_canceled_meanwhile_is_not_given(
    stage: Stage, runners: list[Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is told as its order is about to be given; it goes on until the cancellation is on record."""
    about_to, canceled = asyncio.Event(), asyncio.Event()
    record, fail = Dispatch._record_intent, settle.fail

    async def held_up(self: Dispatch) -> None:
        await record(self)
        about_to.set()
        await canceled.wait()

    async def slowly(*args: object, **more: object) -> object:
        canceled.set()
        await asyncio.sleep(0.3)
        return await fail(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Dispatch, "_record_intent", held_up)
    monkeypatch.setattr(settle, "fail", slowly)
    stub = Stub(Accepted({"job": 1}))
    services = stage.services(stub)
    runners.append(Runner(services))
    running = asyncio.create_task(runners[0].claim_and_run(stage.id))
    async with asyncio.timeout(60):
        await about_to.wait()
        await cancel(services, stage.studio.parts.viewing, stage.owner.workspace_id, stage.id, GenerationType.VIDEO)
        await running
    assert (await stage.row())["state"] == "canceled"
    assert stub.orders == []


@pytest.mark.parametrize(
    ("usd", "has_left", "refusal"), [("0.01", False, QuotaExceeded), ("10", True, GenerationFailed)]
)
async def test_pictures_of_a_request_that_is_refused_are_not_kept(
    studio: Studio, usd: str, has_left: bool, refusal: type[SafelightError]
) -> None:
    store = studio.parts.keeping.store
    sender, before = await studio.workspace(usd), {facts.key async for facts in store.walk("inputs")}
    picture = ImageInput(url="data:image/png;base64," + base64.b64encode(files.png()).decode())
    kept: list[str] = []
    put = store.put

    async def noted(key: str, *args: object, **more: object) -> None:
        kept.append(key)
        await put(key, *args, **more)  # type: ignore[arg-type]

    store.put = noted  # type: ignore[method-assign]
    try:
        with pytest.raises(refusal):
            await studio.make(sender, images=(picture, picture), has_left=lambda: has_left)
    finally:
        store.put = put  # type: ignore[method-assign]
    assert len(kept) == 2, "they were there"
    assert {facts.key async for facts in store.walk("inputs")} == before


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_its_client_left_at_the_last_moment_is_unseen(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    """A repeat joins it, as long as nobody has seen it."""
    left: list[bool] = []
    told = make.view_of_completed

    def leaving(*args: object) -> object:
        left.append(leaves)
        return told(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(make, "view_of_completed", leaving)
    made = await studio.make(await studio.workspace(), has_left=lambda: any(left))
    assert left == [leaves]
    ((unseen,),) = await studio.rows("select unseen from generations where id = %s", made.view.id)
    assert unseen is leaves


@pytest.mark.parametrize("late_seconds", [0, 10])
async def test_what_the_database_records_late_is_unseen(studio: Studio, late_seconds: int) -> None:
    """Whoever waited was told to repeat the request meanwhile: the statement says when it was sent."""
    sender = await studio.workspace()
    request = Request(type=GenerationType.IMAGE, model="still", prompt="a hill")
    asked = Submission(principal=sender, request=request, body_sha256=secrets.token_bytes(32), retry_count=1)
    accepted = await submit(studio.parts.submitting, asked)
    assert accepted.claim is not None
    await studio.rows(
        "update generations set created_at = created_at - make_interval(secs => %s) where id = %s",
        late_seconds,
        accepted.id,
    )
    settled = await settle.complete(studio.db, accepted.claim, ())
    assert settled is not None and settled.unseen is bool(late_seconds)
    again = await submit(studio.parts.submitting, asked)
    assert again.is_replay is bool(late_seconds)
