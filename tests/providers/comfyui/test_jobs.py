"""Orders to a ComfyUI server and what becomes of them, on the fake; ``tests/real`` runs the same on a real one."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from PIL import Image

from safelight.domain.generations import GenerationType
from safelight.domain.media import Reference
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    NeverTaken,
    Pending,
    RemoteFile,
    Stage,
)
from safelight.domain.ports import Asked
from safelight.media.measure import measure
from tests.providers.comfyui.exchange import paint
from tests.providers.comfyui.orders import CLIP, EDIT, PATIENCE_SECONDS, Desk, order
from tests.providers.comfyui.servers import ComfyServer
from tests.support.server import eventually

LONG = {"seconds": 120.0}


def color(seed: int) -> tuple[int, int, int]:
    return seed & 255, seed >> 8 & 255, seed >> 16 & 255


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (10, 200, 30)).save(content, "png")
    return content.getvalue()


@asynccontextmanager
async def busy(desk: Desk, comfy: ComfyServer) -> AsyncIterator[str]:
    """A server that has a long job to do; that job's id, which is gone at the end."""
    job = desk.job()
    handle = await desk.taken(job, provider_options=LONG)
    await until(lambda: comfy.queue()[0] == [handle["prompt_id"]])
    try:
        yield handle["prompt_id"]
    finally:
        await desk.provider.cancel(handle, job)
        await until(lambda: comfy.queue() == ([], []))


async def until(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, holds, "the server got there")


async def test_a_picture_is_what_was_ordered(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job()
    handle = await desk.taken(job, prompt="a fox", negative_prompt="a hare", seed=0x123456, width=96, height=32)
    assert handle == {"prompt_id": job.idempotency_key, "seed": 0x123456}
    assert handle["prompt_id"] == str(uuid.UUID(handle["prompt_id"]))
    outcome = await desk.ended(handle, job)
    assert isinstance(outcome, Completed)
    assert outcome.answer.seed == 0x123456
    with Image.open(await desk.file(outcome)) as image:
        assert image.size == (96, 32)
        assert image.convert("RGB").getpixel((5, 5)) == color(0x123456)
    asked = comfy.ask(f"/history/{handle['prompt_id']}")[handle["prompt_id"]]["prompt"][2]
    assert (asked["3"]["inputs"]["prompt"], asked["3"]["inputs"]["negative"]) == ("a fox", "a hare")
    assert asked["9"]["inputs"]["filename_prefix"] == job.id


async def test_a_seed_is_chosen_anew_and_told(desk: Desk) -> None:
    outcomes = [await desk.made(desk.job()) for _ in range(2)]
    seeds = [outcome.answer.seed for outcome in outcomes]
    assert None not in seeds
    assert seeds[0] != seeds[1]
    for outcome, seed in zip(outcomes, seeds, strict=True):
        with Image.open(await desk.file(outcome)) as image:
            assert image.convert("RGB").getpixel((0, 0)) == color(seed or 0)


async def test_what_is_left_out_stays_as_the_workflow_has_it(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job(desk.options(paint("x", negative="smoke", width=32, seed=77), prompt="3.prompt"))
    outcome = await desk.made(job, prompt="a fox")
    assert outcome.answer.seed is None
    inputs = comfy.ask(f"/history/{job.idempotency_key}")[job.idempotency_key]["prompt"][2]["3"]["inputs"]
    assert (inputs["prompt"], inputs["negative"], inputs["width"], inputs["seed"]) == ("a fox", "smoke", 32, 77)


async def test_references_are_uploaded_and_used(desk: Desk) -> None:
    job = desk.job(desk.options(EDIT, references=["10.image"]))
    outcome = await desk.made(job, references=(Reference(role="reference_image", mime_type="image/png", data=png()),))
    with Image.open(await desk.file(outcome)) as image:
        assert image.size == (40, 30)
        assert image.convert("RGB").getpixel((1, 1)) == (10, 200, 30)


@pytest.mark.parametrize("count", [0, 1, 2])
async def test_a_workflow_does_without_images_that_it_need_not_have(desk: Desk, comfy: ComfyServer, count: int) -> None:
    graph = paint("x", image1=["12", 0], image2=["11", 0]) | {
        "10": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "11": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "12": {"class_type": "ImageInvert", "inputs": {"image": ["10", 0]}},
    }
    job = desk.job(desk.options(graph, references=["10.image", "11.image"], output="9"))
    images = (Reference(role="reference_image", mime_type="image/png", data=png()),) * count
    await desk.made(job, references=images)
    asked = comfy.ask(f"/history/{job.idempotency_key}")[job.idempotency_key]["prompt"][2]
    assert asked.keys() == {"3", "9", *(["10", "12"] if count else []), *(["11"] if count == 2 else [])}
    assert [name for name in ("image1", "image2") if name in asked["3"]["inputs"]] == ["image1", "image2"][:count]


async def test_a_place_without_its_image_is_refused(desk: Desk) -> None:
    job = desk.job(desk.options(EDIT, references=["10.image"]))
    outcome = await desk.provider.submit(order(job), job)
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.BAD_INPUT
    assert "reference_image" in outcome.detail


@pytest.mark.parametrize(("step", "frames"), [(1, 16), (4, 17)])
async def test_a_clip_has_the_frames_of_its_seconds(desk: Desk, step: int, frames: int) -> None:
    fields = {"seed": "3.seed", "width": "3.width", "height": "3.height", "frames": "3.frames", "fps": "5.fps"}
    job = desk.job(desk.options(CLIP, frames_step=step, output="9", **fields), type_=GenerationType.VIDEO)
    path = await desk.file(await desk.made(job))
    facts = measure(path)
    assert (facts.mime_type, facts.width, facts.height, facts.fps) == ("video/mp4", 64, 48, 8.0)
    assert facts.duration_seconds == pytest.approx(frames / 8, abs=0.01)


async def test_a_graph_that_is_run_in_part_is_a_failure_and_stopped(desk: Desk, comfy: ComfyServer) -> None:
    graph = paint("x", seconds=120.0) | {
        "10": {"class_type": "LoadImage", "inputs": {"image": "absent.png"}},
        "11": {"class_type": "SaveImage", "inputs": {"images": ["10", 0], "filename_prefix": "x"}},
    }
    job = desk.job(desk.options(graph, prompt="3.prompt"))
    outcome = await desk.provider.submit(order(job), job)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.status) == (FailureClass.PERMANENT, 200)
    assert "node 10 (LoadImage)" in (outcome.answer.words or "")
    await until(lambda: comfy.queue() == ([], []))


async def test_a_graph_that_is_refused_is_told_node_by_node(desk: Desk) -> None:
    job = desk.job()
    outcome = await desk.provider.submit(order(job, width=9999, provider_options={"breaks": "maybe"}), job)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.status) == (FailureClass.PERMANENT, 400)
    assert outcome.answer.code == "prompt_outputs_failed_validation"
    words = outcome.answer.words or ""
    assert "node 3 (SafelightPaint): Value 9999 bigger than max of 4096: width" in words
    assert "breaks: 'maybe' not in" in words


@pytest.mark.parametrize(("breaks", "reason"), [("value", FailureClass.PERMANENT), ("memory", FailureClass.TRANSIENT)])
async def test_a_node_that_breaks_is_told(desk: Desk, breaks: str, reason: FailureClass) -> None:
    job = desk.job()
    handle = await desk.taken(job, prompt="a secret hill", provider_options={"breaks": breaks})
    outcome = await desk.ended(handle, job)
    assert isinstance(outcome, Failed)
    assert outcome.reason is reason
    words = outcome.answer.words or ""
    assert words.startswith("node 3 (SafelightPaint): ")
    assert {"value": "ValueError: the paint has dried", "memory": "OutOfMemoryError: Allocation"}[breaks] in words
    assert "secret hill" not in str(outcome)


async def test_a_workflow_that_saves_nothing_of_the_kind_is_a_failure(desk: Desk) -> None:
    job = desk.job(desk.options(prompt="3.prompt"), type_=GenerationType.VIDEO)
    outcome = await desk.ended(await desk.taken(job), job)
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.PERMANENT
    assert f"{job.id}_00001_.png" in (outcome.answer.words or "")


async def test_jobs_in_line_are_told_their_places(desk: Desk, comfy: ComfyServer) -> None:
    async with busy(desk, comfy) as running:
        jobs = [desk.job() for _ in range(3)]
        asked = [Asked(await desk.taken(job, provider_options=LONG), job) for job in jobs]
        stages = await desk.provider.poll_many([Asked({"prompt_id": running}, desk.job()), *asked])
        told = [(outcome.stage, outcome.place) for outcome in stages if isinstance(outcome, Pending)]
        assert told == [(Stage.RUNNING, None), *((Stage.QUEUED, place) for place in (1, 2, 3))]
        assert await desk.provider.cancel(asked[0].handle, jobs[0]) is Cancellation.FREE
        second = await desk.provider.poll(asked[1].handle, jobs[1])
        assert isinstance(second, Pending)
        assert second.place == 1
        for each in asked[1:]:
            assert await desk.provider.cancel(each.handle, each.job) is Cancellation.FREE


async def test_progress_only_grows(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job()
    handle = await desk.taken(job, provider_options={"seconds": 3.0, "steps": 30})
    seen: list[float] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while isinstance(outcome := await desk.provider.poll(handle, job), Pending):
            if outcome.progress is not None:
                seen.append(outcome.progress)
            await asyncio.sleep(0.1)
    assert isinstance(outcome, Completed)
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert all(0 <= fraction < 1 for fraction in seen)


async def test_a_job_that_waits_is_taken_away_for_nothing(desk: Desk, comfy: ComfyServer) -> None:
    async with busy(desk, comfy) as running:
        job = desk.job()
        handle = await desk.taken(job)
        assert await desk.provider.cancel(handle, job) is Cancellation.FREE
        assert comfy.queue() == ([running], [])
        assert await desk.provider.cancel(handle, job) is Cancellation.FREE  # once more, as after a crash


async def test_a_job_that_runs_is_interrupted(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job()
    handle = await desk.taken(job, provider_options=LONG)
    await until(lambda: comfy.queue()[0] == [handle["prompt_id"]])
    assert await desk.provider.cancel(handle, job) is Cancellation.ASKED
    outcome = await desk.ended(handle, job)
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.CANCELED
    assert await desk.provider.cancel(handle, job) is Cancellation.FREE


async def test_a_job_that_is_done_cannot_be_stopped(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job()
    handle = await desk.taken(job)
    await desk.ended(handle, job)
    async with busy(desk, comfy) as running:
        assert await desk.provider.cancel(handle, job) is Cancellation.TOO_LATE
        assert comfy.queue()[0] == [running]


async def test_a_job_is_found_wherever_it_stands(desk: Desk, comfy: ComfyServer) -> None:
    async with busy(desk, comfy):
        job = desk.job()
        handle = await desk.taken(job, seed=11)
        assert await desk.provider.find(job) == Found(Accepted(handle, Answer(seed=11)))
    found = await _found_at_the_end(desk, job)
    assert isinstance(found, Completed)
    assert found.answer.seed == 11
    broken = desk.job()
    await desk.ended(await desk.taken(broken, provider_options={"breaks": "value"}), broken)
    assert isinstance(await _found_at_the_end(desk, broken), Failed)


async def test_an_order_that_never_came_is_known_after_a_while(desk: Desk) -> None:
    assert isinstance(await desk.provider.find(desk.job()), CannotTell)
    assert await desk.provider.find(desk.job(age_seconds=120)) == NeverTaken()


async def test_jobs_survive_a_server_that_is_killed_as_far_as_their_files_do(desk: Desk, comfy: ComfyServer) -> None:
    done, clip = desk.job(age_seconds=120), desk.job(desk.options(CLIP, output="9"), type_=GenerationType.VIDEO)
    lost = desk.job(age_seconds=120)
    handle = await desk.taken(done, seed=5)
    await desk.ended(handle, done)
    clip_handle = await desk.taken(clip)
    await desk.ended(clip_handle, clip)
    lost_handle = await desk.taken(lost, provider_options=LONG)
    await until(lambda: comfy.queue()[0] == [lost_handle["prompt_id"]])
    comfy.kill()
    away = await desk.provider.poll(handle, done)
    assert not isinstance(away, Completed | Failed)
    assert isinstance(await desk.provider.find(done), CannotTell)
    assert await desk.provider.cancel(lost_handle, lost) is Cancellation.TOO_LATE
    refused = await desk.provider.submit(order(desk.job()), desk.job())
    assert isinstance(refused, Failed)
    assert refused.reason is FailureClass.TRANSIENT
    comfy.start()
    assert comfy.ask(f"/history/{handle['prompt_id']}") == {}
    outcome = await desk.provider.poll(handle, done)
    assert isinstance(outcome, Completed)
    assert outcome.answer.seed == 5
    with Image.open(await desk.file(outcome)) as image:
        assert image.convert("RGB").getpixel((0, 0)) == color(5)
    assert await desk.provider.find(done) == Found(Completed(outcome.media))
    by_name = await desk.provider.poll(clip_handle, clip)
    assert isinstance(by_name, Completed)
    assert measure(await desk.file(by_name)).mime_type == "video/mp4"
    looks = [await desk.provider.poll(lost_handle, lost) for _ in range(3)]
    assert looks[:2] == [Pending(), Pending()]
    assert isinstance(looks[2], Failed)
    assert looks[2].reason is FailureClass.TRANSIENT
    assert await desk.provider.find(lost) == NeverTaken()


async def test_what_somebody_else_interrupts_is_not_given_again(desk: Desk, comfy: ComfyServer) -> None:
    job = desk.job()
    handle = await desk.taken(job, provider_options=LONG)
    await until(lambda: comfy.queue()[0] == [handle["prompt_id"]])
    httpx.post(f"{comfy.base_url}/interrupt", json={})
    outcome = await desk.ended(handle, job)
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.CANCELED


async def test_files_are_served_with_what_they_tell_and_it_is_ours_to_strip(desk: Desk) -> None:
    """So that the tests of what is delivered stand on files that do tell something."""
    outcome = await desk.made(desk.job(), prompt="a telltale hill")
    (item,) = outcome.media
    assert isinstance(item, RemoteFile)
    with Image.open(await desk.file(outcome)) as image:
        assert "a telltale hill" in json.dumps(image.info)


async def _found_at_the_end(desk: Desk, job: object) -> object:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = await desk.provider.find(job)  # type: ignore[arg-type]
            if isinstance(found, Found) and not isinstance(found.outcome, Accepted):
                return found.outcome
            await asyncio.sleep(0.05)
