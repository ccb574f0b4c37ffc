"""What the flavor ``model-server`` of the kind ``openai`` does with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from safelight.domain.catalog import Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    NeverTaken,
    Pending,
    PollOutcome,
    Stage,
    Unknown,
)
from safelight.domain.ports import Findable, Job
from safelight.model_server.work import REPLICA_LOST, NotMade, PipelineState
from safelight.providers.openai.provider import FindableOpenAiProvider, OpenAiProvider
from safelight.providers.openai.settings import Options
from safelight.providers.registry import KINDS
from tests.model_server.stand_in import FACTS, ModelServer, StandIn, fault, serve
from tests.providers.openai.studio import image_order, job_of, provider_of, video_order


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(ModelServer()) as started:
        yield started


async def until_over(provider: OpenAiProvider, accepted: object, job: Job[Options]) -> PollOutcome:
    assert isinstance(accepted, Accepted), accepted
    async with asyncio.timeout(20):
        while isinstance(outcome := await provider.poll(accepted.handle, job), Pending):
            await asyncio.sleep(0.02)
    return outcome


async def test_a_picture_has_progress_and_is_stopped(server: ModelServer) -> None:
    server.runner.is_held = True
    order = image_order(seed=5)
    job = job_of(order)
    async with provider_of(server) as provider:
        accepted = await provider.submit(order, job)
        assert isinstance(accepted, Accepted) and accepted.handle == {"id": job.idempotency_key}
        async with asyncio.timeout(20):
            while not isinstance(told := await provider.poll(accepted.handle, job), Pending) or not told.progress:
                await asyncio.sleep(0.02)
        assert (told.stage, told.progress, told.answer.seed) == (Stage.RUNNING, 0.24, 5)
        assert told.poll_after_seconds == 0.25
        assert await provider.cancel(accepted.handle, job) is Cancellation.FREE
        outcome = await until_over(provider, accepted, job)
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.CANCELED
    assert server.runner.stopped == [job.idempotency_key]


async def test_an_order_given_again_finds_what_is_being_made(server: ModelServer) -> None:
    order = image_order()
    job = job_of(order)
    async with provider_of(server) as provider:
        server.faults.append("drop")
        assert isinstance(await provider.submit(order, job), Unknown)
        outcome = await until_over(provider, await provider.submit(order, job), job)
    assert isinstance(outcome, Completed) and outcome.answer.usage is not None
    assert outcome.answer.usage.compute_seconds == 0.25
    assert len(server.runner.works) == 1


async def test_a_job_is_found_by_our_id(server: ModelServer) -> None:
    order = video_order(width=128, height=64, duration_seconds=1)
    job, other = job_of(order, model="fake-video"), job_of(video_order(), id_="another", model="fake-video")
    async with provider_of(server, repeatable=False) as provider:
        assert isinstance(provider, FindableOpenAiProvider) and isinstance(provider, Findable)
        server.faults.append("drop")
        server.runner.is_held = True
        assert isinstance(await provider.submit(order, job), Unknown)
        found = await provider.find(job)
        assert isinstance(found, Found) and isinstance(found.outcome, Accepted)
        server.runner.is_held = False
        assert isinstance(await until_over(provider, found.outcome, job), Completed)
        again = await provider.find(job)
        assert isinstance(again, Found) and isinstance(again.outcome, Completed)
        answers = [type(await provider.find(other)) for _ in range(3)]
        assert answers == [CannotTell, CannotTell, NeverTaken]
    async with provider_of(server, flavor="openai") as plain:
        assert not isinstance(plain, Findable)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (NotMade(REPLICA_LOST), FailureClass.TRANSIENT),
        (NotMade(fault("moderation_blocked")), FailureClass.CONTENT_POLICY),
        (NotMade(fault("out_of_memory", type="server_error")), FailureClass.TRANSIENT),
        (NotMade(fault("invalid_image", param="image")), FailureClass.BAD_INPUT),
    ],
)
async def test_why_a_job_failed_is_told_apart(server: ModelServer, end: NotMade, reason: FailureClass) -> None:
    server.runner.comes_to.append(end)
    order = image_order()
    job = job_of(order)
    async with provider_of(server) as provider:
        outcome = await until_over(provider, await provider.submit(order, job), job)
    assert isinstance(outcome, Failed) and outcome.reason is reason


async def test_what_the_catalog_alone_can_mend_is_no_fault_of_the_client(server: ModelServer) -> None:
    order = image_order(width=60, height=64)
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT
    assert not server.runner.works


def model_of(server: ModelServer, **more: Any) -> Model:
    entry = {
        "id": "still",
        "name": "Still",
        "type": "image",
        "created_at": "2026-01-01T00:00:00Z",
        "aspect_ratios": ["1:1"],
        "resolutions": ["1K"],
        "sizes": {"1K": {"1:1": "64x64"}},
        "rates": [{"unit_price": "0.1"}],
        "bindings": [{"connection": "fake", "model": "fake-image", "provider_options": ["steps"]}],
        **more,
    }
    document = {"connections": [server.connection()], "models": [entry]}
    return read_catalog(document, source="shop.toml", kinds=KINDS).models["still"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"sizes": {"1K": {"1:1": "72x64"}}}, "72x64: fake-image makes sides that 16 divides"),
        ({"references": {"reference_image": 3}}, "fake-image takes 2 at most"),
        ({"bindings": [{"connection": "fake", "model": "fake-video"}]}, "fake-video makes no text-to-image there"),
        ({"bindings": [{"connection": "fake", "model": "nothing"}]}, "the server has no nothing"),
        (
            {"bindings": [{"connection": "fake", "model": "fake-image", "provider_options": ["eta"]}]},
            "fake-image takes no eta",
        ),
    ],
)
async def test_what_does_not_fit_is_found_without_an_order(
    server: ModelServer, more: dict[str, Any], told: str
) -> None:
    async with provider_of(server) as provider:
        good, wrong = model_of(server), model_of(server, **more)
        assert {finding.level for finding in await provider.check(good, good.bindings[0])} == {"ok"}
        found = [each for each in await provider.check(wrong, wrong.bindings[0]) if each.level != "ok"]
    assert told in found[0].text and found[0].remedy
    assert not server.runner.works


@pytest.mark.parametrize(("state", "level"), [("starting", "warning"), ("failed", "problem")])
async def test_how_it_stands_there_is_found(state: Any, level: str) -> None:
    runner = StandIn()
    runner.standing["fake-image"] = PipelineState(state=state, trouble="it does not fit", facts=FACTS)
    with serve(ModelServer(runner)) as server:
        async with provider_of(server) as provider:
            model = model_of(server)
            (found,) = [each for each in await provider.check(model, model.bindings[0]) if each.level != "ok"]
    assert (found.level, found.subject) == (level, "model") and "it does not fit" in found.text
    assert msgspec.json.encode(found)
