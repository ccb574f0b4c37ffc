"""Orders that are jobs: what SD.Next is told, where a job stands, and how it ends."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Pending,
    RemoteFile,
    Stage,
    Unknown,
)
from safelight.domain.ports import Cancelable, Findable, Pollable
from safelight.providers.a1111.settings import Options
from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.faults import Fault, refused
from tests.providers.a1111.media import picture
from tests.providers.a1111.studio import MODEL, PROMPT, image_order, job_of, jobs_of, video_order

Start = Callable[..., FakeServer]
CLIPS = Options(engine="WAN Video", fps=8, frames_step=4)


@pytest.fixture
def server(fake: Start) -> FakeServer:
    return fake("sdnext")


async def test_a_picture_is_a_job_that_is_seen_through(server: FakeServer, tmp_path: Path) -> None:
    order = image_order(width=128, negative_prompt="fog", seed=7, provider_options={"steps": 4})
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted) and accepted.handle["seed"] == 7
        settings = {"sd_model_checkpoint": MODEL}
        assert server.orders()[-1].body == {
            "type": "generate", "prompt": PROMPT, "negative_prompt": "fog", "width": 128, "height": 64, "seed": 7,
            "width_before": 128, "height_before": 64, "batch_size": 1, "batch_count": 1, "save_images": True,
            "steps": 4, "extra": settings, "override_settings": settings,
        }  # fmt: skip
        seen = [await provider.poll(accepted.handle, job_of(order, tmp_path)) for _ in range(3)]
    first, second, done = seen
    assert isinstance(first, Pending) and first.stage is Stage.QUEUED
    assert isinstance(second, Pending) and (second.stage, second.progress) == (Stage.RUNNING, 0.5)
    assert isinstance(done, Completed) and done.answer.usage is not None
    assert (done.answer.seed, done.answer.usage.compute_seconds) == (7, 2.0)
    (file,) = done.media
    assert (
        isinstance(file, RemoteFile) and file.url == f"{server.base_url}/sdapi/v2/jobs/{accepted.handle['id']}/images/0"
    )
    assert httpx.get(file.url, headers=file.headers).content == picture(128, 64, 7, PROMPT)
    assert httpx.get(file.url).status_code == 401, "it is fetched with the key"


async def test_what_an_unfinished_job_shows_does_not_pile_up_on_disk(server: FakeServer, tmp_path: Path) -> None:
    order = image_order()
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted)
        server.jobs[accepted.handle["id"]]["states"] = [{"status": "running", "preview": "QUFB" * 30_000}]
        assert isinstance(await provider.poll(accepted.handle, job_of(order, tmp_path)), Pending)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


async def test_a_seed_of_our_own_is_sent_as_none_is_told(server: FakeServer) -> None:
    async with jobs_of(server) as provider:
        orders = [image_order(), image_order()]
        one, other = [await provider.submit(order, job_of(order, id_=f"req-{at}")) for at, order in enumerate(orders)]
    assert isinstance(one, Accepted) and isinstance(other, Accepted)
    assert one.handle["seed"] == server.orders()[0].body["seed"] != other.handle["seed"]


async def test_references_are_inputs_and_as_many_as_the_connection_says(server: FakeServer) -> None:
    two = image_order("reference_image", "reference_image")
    async with jobs_of(server) as provider:
        assert isinstance(await provider.submit(two, job_of(two)), Failed)
    async with jobs_of(server, max_references=2) as provider:
        assert isinstance(await provider.submit(two, job_of(two)), Accepted)
    body = server.orders()[-1].body
    assert [base64.b64decode(each) for each in body["inputs"]] == [picture(16, 16, at) for at in range(2)]
    assert (body["resize_mode_before"], body["resize_name_before"]) == (2, "Lanczos")


async def test_a_clip_is_told_in_frames(server: FakeServer, tmp_path: Path) -> None:
    order = video_order("first_frame", "last_frame", negative_prompt="fog", seed=9, sound=False)
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order, model="fake-clip", options=CLIPS))
        assert isinstance(accepted, Accepted)
        body = dict(server.orders()[-1].body)
        frames = [base64.b64decode(body.pop(name)) for name in ("init_image", "last_image")]
        assert frames == [picture(16, 16, at) for at in range(2)]
        assert body == {
            "type": "video", "engine": "WAN Video", "model": "fake-clip", "prompt": PROMPT, "negative": "fog",
            "width": 128, "height": 72, "frames": 17, "fps": 8, "seed": 9, "format": "mp4", "save_video": True,
        }  # fmt: skip
        server.jobs[accepted.handle["id"]]["states"] = []
        done = await provider.poll(accepted.handle, job_of(order, tmp_path, model="fake-clip"))
    assert isinstance(done, Completed) and isinstance(done.media[0], RemoteFile)
    made = httpx.get(done.media[0].url, headers=done.media[0].headers).content
    assert b"ftyp" in made[:12], "the clip, and not the picture of it beside it"


async def test_sound_is_said_where_there_is_a_switch(server: FakeServer) -> None:
    loud, still = video_order("first_frame", sound=True), video_order(sound=False)
    async with jobs_of(server) as provider:
        assert isinstance(await provider.submit(loud, job_of(loud, options=CLIPS)), Failed)
        for order in (loud, still):
            job = job_of(order, model="LTX", options=Options(job="ltx", frames_step=8))
            assert isinstance(await provider.submit(order, job), Accepted)
    first, second = (call.body for call in server.orders())
    assert (first["audio_enable"], second["audio_enable"], first["frames"]) == (True, False, 49)
    assert "condition_image" in first and "engine" not in first


async def test_what_a_video_cannot_be_told_is_not_left_out(server: FakeServer) -> None:
    reference, twice = video_order("reference_image"), video_order("first_frame", "first_frame")
    async with jobs_of(server) as provider:
        for order, options in ((reference, CLIPS), (twice, CLIPS), (video_order(), Options())):
            outcome = await provider.submit(order, job_of(order, options=options))
            assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT
    assert server.orders() == []


STATES: list[tuple[dict[str, Any], Any]] = [
    ({"status": "simmering", "progress": 3}, Pending),
    ({"status": "running", "progress": None}, Pending),
    ({"status": "running", "progress": "half"}, Pending),
    ({"status": "running", "progress": 10**400}, Pending),
    ({"status": None}, Unknown),
    ({"status": 7}, Pending),
    ({"status": "cancelled"}, FailureClass.CANCELED),
    ({"status": "failed", "error": "OutOfMemoryError: CUDA out of memory"}, FailureClass.TRANSIENT),
    ({"status": "failed", "error": "Server restarted"}, FailureClass.TRANSIENT),
    ({"status": "failed", "error": "RuntimeError: something"}, FailureClass.TRANSIENT),
    ({"status": "failed", "error": None}, FailureClass.TRANSIENT),
    ({"status": "failed", "error": {"odd": 1}}, FailureClass.TRANSIENT),
    ({"status": "failed", "error": "ValueError: Unknown job type: generate"}, FailureClass.PERMANENT),
    ({"status": "failed", "error": "HTTPException: 500: Invalid encoded image"}, FailureClass.BAD_INPUT),
    ({"status": "completed", "result": None}, FailureClass.TRANSIENT),
    ({"status": "completed", "result": {"images": []}}, FailureClass.TRANSIENT),
    ({"status": "completed", "result": {"images": [None, 7, {"format": "mp4"}]}}, FailureClass.TRANSIENT),
    ({"status": "completed", "result": {"images": [{"index": "x", "format": "png"}]}}, Completed),
    ({"status": "COMPLETED", "result": {"images": [{}]}, "started_at": "x", "completed_at": 7}, Completed),
    ({"raw": Fault(200, "<html>", {"Content-Type": "text/html"})}, Unknown),
    ({"raw": Fault(200, [])}, Unknown),
    ({"raw": Fault(500, {"error": "KeyError"})}, Unknown),
    ({"raw": Fault(502, "")}, Unknown),
    ({"raw": refused(401, "no")}, Unknown),
    ({"raw": Fault(429, {"detail": "rate limit exceeded"}, {"Retry-After": "4"})}, Pending),
]


@pytest.mark.parametrize(("state", "wanted"), STATES)
async def test_a_state_is_what_it_is(server: FakeServer, tmp_path: Path, state: dict[str, Any], wanted: Any) -> None:
    order = image_order()
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted)
        server.jobs[accepted.handle["id"]] |= {"states": [state], "is_odd": True}
        outcome = await provider.poll(accepted.handle, job_of(order, tmp_path))
    if isinstance(wanted, FailureClass):
        assert isinstance(outcome, Failed) and outcome.reason is wanted, outcome
    else:
        assert isinstance(outcome, wanted), outcome
    if isinstance(outcome, Pending) and outcome.progress is not None:
        assert 0 <= outcome.progress <= 1
    if "raw" in state and isinstance(outcome, Pending):
        assert outcome.poll_after_seconds == 4


async def test_what_the_client_chose_decides_whose_fault_it_is(server: FakeServer, tmp_path: Path) -> None:
    for options, reason in (({}, FailureClass.PERMANENT), ({"steps": 4}, FailureClass.BAD_INPUT)):
        order = image_order(provider_options=options)
        async with jobs_of(server) as provider:
            accepted = await provider.submit(order, job_of(order))
            assert isinstance(accepted, Accepted)
            error = {"status": "failed", "error": "TypeError: '<' not supported"}
            server.jobs[accepted.handle["id"]]["states"] = [error]
            outcome = await provider.poll(accepted.handle, job_of(order, tmp_path))
        assert isinstance(outcome, Failed) and outcome.reason is reason


async def test_a_job_is_gone_if_it_is_missing_three_times_in_a_row(server: FakeServer, tmp_path: Path) -> None:
    order = image_order()
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted)
        job = server.jobs[accepted.handle["id"]]
        job |= {"is_gone": True, "states": [{"status": "running"}] * 9}
        seen = [await provider.poll(accepted.handle, job_of(order, tmp_path)) for _ in range(2)]
        job["is_gone"] = False
        seen.append(await provider.poll(accepted.handle, job_of(order, tmp_path)))
        job["is_gone"] = True
        seen += [await provider.poll(accepted.handle, job_of(order, tmp_path)) for _ in range(3)]
    assert [type(each) for each in seen] == [Pending] * 5 + [Failed]
    assert isinstance(seen[-1], Failed) and seen[-1].reason is FailureClass.TRANSIENT


async def test_a_job_is_stopped_unless_it_is_done(server: FakeServer, tmp_path: Path) -> None:
    order = image_order()
    async with jobs_of(server) as provider:
        assert isinstance(provider, Cancelable) and isinstance(provider, Pollable)
        assert not isinstance(provider, Findable)
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted)
        assert await provider.cancel(accepted.handle, job_of(order)) is Cancellation.FREE
        assert server.jobs[accepted.handle["id"]]["status"] == "cancelled"
        assert await provider.cancel(accepted.handle, job_of(order)) is Cancellation.TOO_LATE
        assert await provider.cancel({"id": "none/../such"}, job_of(order)) is Cancellation.TOO_LATE
        server.port = 9
    async with jobs_of(server) as provider:
        assert await provider.cancel(accepted.handle, job_of(order)) is Cancellation.TOO_LATE


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (Fault(404, {"detail": "Not Found"}), FailureClass.PERMANENT),
        (Fault(400, {"error": "HTTPException", "detail": "Invalid job type: generate"}), FailureClass.PERMANENT),
        (Fault(429, {"detail": "rate limit exceeded"}), FailureClass.RATE_LIMITED),
        (Fault(202, {"status": "pending"}), None),
        (Fault(202, {"id": None}), None),
        (Fault(202, {"id": True}), None),
        (Fault(202, []), None),
        (Fault(502, ""), None),
        ("drop", None),
    ],
)
async def test_an_order_that_is_not_taken(server: FakeServer, answer: Any, wanted: FailureClass | None) -> None:
    server.behave(answer)
    order = image_order()
    async with jobs_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    if wanted is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Failed) and outcome.reason is wanted
    assert len(server.orders()) == 1


async def test_an_id_is_never_a_path(server: FakeServer, tmp_path: Path) -> None:
    async with jobs_of(server) as provider:
        await provider.poll({"id": "../v1/options?x=#"}, job_of(image_order(), tmp_path))
    assert server.calls[-1].path == "/sdapi/v2/jobs/../v1/options?x=#", "one part, and no other call"
    assert server.calls[-1].query == {}


async def test_a_job_that_the_api_answers_with_an_address_elsewhere_is_fetched_from_its_own(
    server: FakeServer, tmp_path: Path
) -> None:
    order = image_order()
    async with jobs_of(server) as provider:
        accepted = await provider.submit(order, job_of(order))
        assert isinstance(accepted, Accepted)
        image = {"index": 3, "url": "https://elsewhere.example/x", "format": "png"}
        state = {"status": "completed", "result": {"images": [image]}}
        server.jobs[accepted.handle["id"]] |= {"states": [state], "is_odd": True}
        done = await provider.poll(accepted.handle, job_of(order, tmp_path))
    assert isinstance(done, Completed) and isinstance(done.media[0], RemoteFile)
    assert done.media[0].url == f"{server.base_url}/sdapi/v2/jobs/{accepted.handle['id']}/images/3"
