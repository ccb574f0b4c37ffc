"""An image whose run another runner took over is waited for; what a failure leaves of its idempotency key."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from safelight.domain.errors import (
    ContentPolicyViolation,
    GenerationFailed,
    ImageGoesOn,
    InvalidParameter,
    SafelightError,
    ServiceUnavailable,
)
from safelight.domain.generations import GenerationType, State
from safelight.domain.request import Request
from safelight.domain.scope import Principal
from safelight.lifecycle import run, settle
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.bills import Loss
from safelight.lifecycle.make import Made, make_image
from safelight.lifecycle.reconcile import reconcile
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit
from tests.lifecycle.studio import Studio

pytestmark = pytest.mark.database


@pytest.fixture
async def runners(studio: Studio) -> AsyncIterator[tuple[Runner, Runner]]:
    """Those of two processes."""
    made = Runner(studio.parts.running), Runner(studio.parts.running)
    yield made
    for each in made:
        await each.close(10)


def submission(sender: Principal, model: str = "still", key: str | None = None, **fields: Any) -> Submission:
    request = Request(**{"type": GenerationType.IMAGE, "model": model, "prompt": "a hill", **fields})
    body = hashlib.sha256(secrets.token_bytes(8)).digest()
    return Submission(principal=sender, request=request, body_sha256=body, idempotency_key=key)


def making(studio: Studio, runner: Runner, asked: Submission) -> asyncio.Task[Made]:
    return asyncio.create_task(make_image(studio.parts.submitting, studio.parts.viewing, runner, asked))


async def begun(studio: Studio, sender: Principal) -> str:
    """Wait until an image of the workspace is on record; its id."""
    async with asyncio.timeout(60):
        while not (
            rows := await studio.rows("select id from generations where workspace_id = %s", sender.workspace_id)
        ):
            await asyncio.sleep(0.01)
    return str(rows[0][0])


async def let_it_be_taken(studio: Studio, generation_id: str) -> None:
    await studio.rows(
        "update generations set state = 'queued', run_token = null, lease_until = null where id = %s", generation_id
    )


async def test_an_image_that_was_taken_over_is_waited_for(studio: Studio, runners: tuple[Runner, Runner]) -> None:
    sender = await studio.workspace()
    asked = making(studio, runners[0], submission(sender, "still-slow"))
    generation_id = await begun(studio, sender)
    await let_it_be_taken(studio, generation_id)
    await runners[1].claim_and_run(generation_id)
    made = await asked
    assert (made.view.id, made.view.state, made.error) == (generation_id, State.COMPLETED, None)
    assert await studio.rows("select count(*) from transfers where generation_id = %s", generation_id) == [(2,)]


async def test_one_that_nobody_has_yet_is_waited_for(studio: Studio, runners: tuple[Runner, Runner]) -> None:
    """Its own run noticed first that it had lost the lease."""
    sender = await studio.workspace()
    asked = making(studio, runners[0], submission(sender, "still-slow"))
    generation_id = await begun(studio, sender)
    await let_it_be_taken(studio, generation_id)
    async with asyncio.timeout(60):
        while runners[0]._tasks:
            await asyncio.sleep(0.05)
    assert not asked.done()
    await runners[1].claim_and_run(generation_id)
    assert (await asked).view.state is State.COMPLETED


async def test_a_server_that_stops_says_that_the_image_goes_on(studio: Studio, runners: tuple[Runner, Runner]) -> None:
    sender = await studio.workspace()
    asked = making(studio, runners[0], submission(sender, "still-slow"))
    generation_id = await begun(studio, sender)
    async with asyncio.timeout(60):
        while not runners[0]._tasks:  # who put it on record has yet to hear that it is
            await asyncio.sleep(0)
    await runners[0].close(0)
    with pytest.raises(ImageGoesOn, match=generation_id) as caught:
        await asked
    assert caught.value.retryable
    await runners[1].claim_and_run(generation_id)
    assert await studio.rows("select state::text from generations where id = %s", generation_id) == [("completed",)]


# What a failure leaves of its key


async def accepted(studio: Studio, sender: Principal, key: str) -> Accepted:
    return await submit(studio.parts.submitting, submission(sender, key=key))


async def is_free(studio: Studio, sender: Principal, key: str) -> bool:
    query = "select 1 from idempotency_keys where workspace_id = %s and key = %s"
    return not await studio.rows(query, sender.workspace_id, key)


@pytest.mark.parametrize(
    ("error", "is_free_after"),
    [
        (ServiceUnavailable(), True),
        (GenerationFailed(), True),
        (ContentPolicyViolation(), False),
        (InvalidParameter(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, SafelightError) else None,
)
async def test_which_failures_use_up_a_key(studio: Studio, error: SafelightError, is_free_after: bool) -> None:
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    assert await settle.fail(studio.db, claim, error)
    assert await is_free(studio, sender, "k") is is_free_after


async def test_a_cancellation_uses_up_a_key(studio: Studio) -> None:
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    assert await settle.fail(studio.db, claim, GenerationFailed(), state=State.CANCELED)
    assert not await is_free(studio, sender, "k")


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_what_may_have_been_made_keeps_its_key(studio: Studio, withdrawn: bool) -> None:
    """Unless the intent to ask for it was withdrawn: then it certainly was not."""
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    if withdrawn:
        params = {"id": claim.id, "run_token": claim.run_token, "report": None, "loss": None, "tries": 1}
        assert await studio.db.run("withdraw_intent", params) == 1
    assert await settle.fail(studio.db, claim, GenerationFailed(), may_be_made=True)
    assert await is_free(studio, sender, "k") is withdrawn


async def test_a_loss_is_there_once_whoever_says_it_again(studio: Studio) -> None:
    """A runner that did not hear of its commit writes again; a deadline may pass while it does."""
    claim = (await accepted(studio, await studio.workspace(), "k")).claim
    assert claim
    loss = Loss(connection="noop", upstream_model="m", reason="failed", cost_nanos=7)
    params = {"id": claim.id, "run_token": claim.run_token, "report": None, "loss": Jsonb(loss), "tries": 1}
    for _ in range(2):
        assert await studio.db.run("withdraw_intent", params) == 1
    assert await settle.fail(studio.db, claim, GenerationFailed(), loss=msgspec.structs.replace(loss, reason="unknown"))
    assert await studio.rows("select reason, cost_nanos from losses where generation_id = %s", claim.id) == [
        ("failed", 7)
    ]


async def test_a_failure_frees_its_own_key_alone(studio: Studio) -> None:
    """Not those of others that were written at the very same time."""
    one, other = await studio.workspace(), await studio.workspace()
    claims = [(await accepted(studio, sender, key)).claim for sender, key in ((one, "k"), (one, "l"), (other, "k"))]
    assert claims[0]
    ids = [claim.id for claim in claims if claim]
    (at,) = await studio.rows("select created_at from generations where id = %s", ids[0])
    await studio.rows("update idempotency_keys set created_at = %s where generation_id = any(%s)", at[0], ids)
    assert await settle.fail(studio.db, claims[0], GenerationFailed())
    free = [await is_free(studio, sender, key) for sender, key in ((one, "k"), (one, "l"), (other, "k"))]
    assert free == [True, False, False]


async def test_a_runner_that_is_not_live_frees_no_key(studio: Studio) -> None:
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    await let_it_be_taken(studio, claim.id)
    assert await settle.fail(studio.db, claim, ServiceUnavailable()) is None
    assert not await is_free(studio, sender, "k")


async def test_one_that_nobody_ends_before_its_deadline(studio: Studio) -> None:
    """By the reconciler. The backend may be given the same order again, so there is nothing to be made twice."""
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    await studio.rows(
        "update generations set deadline = now(), lease_until = now() - interval '1 s' where id = %s", claim.id
    )
    await reconcile(studio.parts.running)
    assert await studio.rows("select state::text from generations where id = %s", claim.id) == [("failed",)]
    assert await is_free(studio, sender, "k")


async def test_a_backend_that_is_asked_once_may_have_made_it(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = await studio.workspace()
    claim = (await accepted(studio, sender, "k")).claim
    assert claim
    taken = await _taken(studio, claim.id)
    assert not run.was_asked_once(studio.parts.running, taken)
    provider = studio.parts.running.backends.open("noop").provider
    monkeypatch.setattr(type(provider), "repeatable", False)
    assert run.was_asked_once(studio.parts.running, taken)


async def _taken(studio: Studio, generation_id: str) -> Any:
    await let_it_be_taken(studio, generation_id)
    return await run.claim(studio.parts.running, generation_id)
