"""Videos: what each flavor is told, how a job is seen through, and how it may end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    Pending,
    PollOutcome,
    RemoteFile,
    Stage,
    Unknown,
)
from safelight.domain.ports import Cancelable, Checkable, Findable, Pollable, Repeatable
from safelight.outbound.backend_api import Reply
from safelight.providers.openai.answers import state_of
from safelight.providers.openai.provider import OpenAiProvider
from safelight.providers.openai.settings import FLAVORS
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.media import clip
from tests.providers.openai.studio import PROMPT, job_of, provider_of, video_order

Start = Callable[..., FakeServer]


async def accepted(provider: OpenAiProvider, *roles: Any, **spec: Any) -> Accepted:
    order = video_order(*roles, **spec)
    outcome = await provider.submit(order, job_of(order, model="fake-video"))
    assert isinstance(outcome, Accepted), outcome
    return msgspec.structs.replace(outcome, handle=msgspec.json.decode(msgspec.json.encode(outcome.handle)))


async def polled(provider: OpenAiProvider, taken: Accepted) -> PollOutcome:
    return await provider.poll(taken.handle, job_of(video_order(), model="fake-video"))


async def ended(provider: OpenAiProvider, taken: Accepted) -> PollOutcome:
    for _ in range(9):
        if not isinstance(outcome := await polled(provider, taken), Pending):
            return outcome
    raise AssertionError("it does not end")


async def test_a_job_is_seen_through_and_its_file_fetched_with_the_key(fake: Start) -> None:
    server = fake()
    server.headers["openai-poll-after-ms"] = "2500"
    async with provider_of(server) as provider:
        taken = await accepted(provider)
        seen = [await polled(provider, taken) for _ in range(3)]
    assert server.posts()[0].is_form and server.posts()[0].body == {
        "model": "fake-video", "prompt": PROMPT, "size": "128x72", "seconds": "2"
    }  # fmt: skip
    assert [(one.stage, one.progress, one.poll_after_seconds) for one in seen[:2] if isinstance(one, Pending)] == [
        (Stage.QUEUED, 0.0, 2.5), (Stage.RUNNING, 0.5, 2.5)
    ]  # fmt: skip
    assert isinstance(seen[2], Completed)
    (file,) = seen[2].media
    assert isinstance(file, RemoteFile) and file.url == f"{server.base_url}/videos/video_1/content"
    assert file.headers == {"Authorization": f"Bearer {server.key}"}


async def test_vllm_omni_is_told_more_and_stops_a_job(fake: Start) -> None:
    server = fake("vllm-omni")
    async with provider_of(server) as provider:
        taken = await accepted(provider, "first_frame", seed=3, negative_prompt="blur", sound=False)
        call = server.posts()[0]
        assert (call.body["seed"], call.body["negative_prompt"], call.body["generate_sound"]) == ("3", "blur", "false")
        assert [part.field for part in call.files] == ["input_reference"]
        assert await provider.cancel(taken.handle, job_of(video_order())) is Cancellation.FREE
        assert await provider.cancel(taken.handle, job_of(video_order())) is Cancellation.TOO_LATE
    assert server.jobs["video_1"]["is_gone"]


async def test_what_a_server_computed_is_told_and_its_paths_are_not(fake: Start) -> None:
    server = fake("vllm-omni")
    async with provider_of(server) as provider:
        outcome = await ended(provider, await accepted(provider))
    assert isinstance(outcome, Completed) and outcome.answer.usage and outcome.answer.usage.compute_seconds == 7.5
    assert "secret.mp4" not in repr(outcome)


@pytest.mark.parametrize("roles", [(), ("first_frame",), ("reference_image",)])
async def test_sglang_gets_json_unless_there_is_a_file(fake: Start, roles: tuple[Any, ...]) -> None:
    server = fake("sglang")
    async with provider_of(server) as provider:
        taken = await accepted(provider, *roles)
        assert await provider.cancel(taken.handle, job_of(video_order())) is Cancellation.TOO_LATE
    call = server.posts()[0]
    assert call.is_form is bool(roles) and call.body["seconds"] == ("2" if roles else 2) and call.body["seed"]
    assert [call.method for call in server.calls] == ["POST"]  # its DELETE would stop nothing, and lose the file


@pytest.mark.parametrize("flavor", ["openai", "xai", "openrouter"])
async def test_a_job_that_no_call_stops_is_not_deleted(fake: Start, flavor: str) -> None:
    """A DELETE takes the file of a job that is done, and stops none that runs."""
    server = fake(flavor)
    async with provider_of(server) as provider:
        taken = await accepted(provider)
        assert await provider.cancel(taken.handle, job_of(video_order())) is Cancellation.TOO_LATE
    assert [call.method for call in server.calls] == ["POST"]


async def test_localai_answers_with_the_clip_itself(fake: Start) -> None:
    server, order = fake("localai"), video_order("first_frame", "last_frame")
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert isinstance(outcome, Completed) and outcome.media == (InlineBytes(clip(128, 72, 2)),)
    call = server.calls[-1]
    assert call.path == "/video" and (call.body["num_frames"], call.body["fps"]) == (48, 24)
    assert not call.body["start_image"].startswith("data:") and call.body["end_image"]


async def test_xai(fake: Start) -> None:
    server = fake("xai")
    async with provider_of(server) as provider:
        taken = await accepted(provider, "first_frame")
        outcome = await ended(provider, taken)
        await accepted(provider, "reference_image", "reference_image")
    first, second = server.posts()
    assert first.path == "/v1/videos/generations" and first.body["resolution"] == "720p" and first.body["duration"] == 2
    assert first.body["image"]["url"].startswith("data:") and len(second.body["reference_images"]) == 2
    assert isinstance(outcome, Completed) and outcome.answer.cost_nanos == 50_000_000
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url == f"{server.root_url}/files/video_1.mp4"


async def test_xai_holds_a_clip_back(fake: Start) -> None:
    server = fake("xai")
    server.states = [{"status": "done", "video": {"url": "", "respect_moderation": False}}]
    async with provider_of(server) as provider:
        outcome = await ended(provider, await accepted(provider))
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.CONTENT_POLICY


async def test_openrouter(fake: Start) -> None:
    server = fake("openrouter")
    async with provider_of(server) as provider:
        taken = await accepted(provider, "first_frame", "last_frame", "reference_image", sound=True, seed=2)
        pending, outcome = await polled(provider, taken), await ended(provider, taken)
    body = server.posts()[0].body
    assert [frame["frame_type"] for frame in body["frame_images"]] == ["first_frame", "last_frame"]
    assert len(body["input_references"]) == 1 and body["generate_audio"] is True and body["seed"] == 2
    assert isinstance(pending, Pending) and pending.poll_after_seconds == 10.0
    assert isinstance(outcome, Completed) and outcome.answer.cost_nanos == 500_000_000
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url.endswith("/api/v1/videos/video_1/content?index=0") and file.headers


@pytest.mark.parametrize(
    ("flavor", "roles"),
    [
        ("openai", ("first_frame", "last_frame")),
        ("openai", ("last_frame",)),
        ("sglang", ("reference_image", "reference_image")),
        ("xai", ("last_frame",)),
        ("xai", ("first_frame", "reference_image")),
        ("localai", ("reference_image",)),
        ("sd-server", ()),
    ],
)
async def test_pictures_that_cannot_be_said_are_not_left_out(fake: Start, flavor: str, roles: tuple[Any, ...]) -> None:
    server, order = fake(flavor), video_order(*roles)
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT and "video" in outcome.detail
    assert not server.calls


WORDS = {"message": "no"}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"status": "failed", "error": {**WORDS, "code": "moderation_blocked"}}, FailureClass.CONTENT_POLICY),
        ({"status": "failed", "error": {**WORDS, "code": "insufficient_quota"}}, FailureClass.QUOTA),
        ({"status": "failed", "error": {**WORDS, "code": "internal_error"}}, FailureClass.TRANSIENT),
        ({"status": "failed", "error": {**WORDS, "code": 503}}, FailureClass.TRANSIENT),
        ({"status": "failed", "error": {**WORDS, "code": 422}}, FailureClass.BAD_INPUT),
        ({"status": "failed", "error": {**WORDS, "code": 429}}, FailureClass.RATE_LIMITED),
        ({"status": "FAILED", "error": WORDS}, FailureClass.PERMANENT),
        ({"status": "failed", "error": "no"}, FailureClass.PERMANENT),
        ({"status": "failed"}, FailureClass.PERMANENT),
        ({"status": "expired"}, FailureClass.PERMANENT),
        ({"status": "cancelled"}, FailureClass.CANCELED),
        ({"status": "deleted"}, FailureClass.CANCELED),
    ],
)
async def test_a_job_fails_for_its_own_reason(fake: Start, state: dict[str, Any], reason: FailureClass) -> None:
    server = fake()
    server.states = [{"status": "queued"}, state]
    async with provider_of(server) as provider:
        outcome = await ended(provider, await accepted(provider))
    assert isinstance(outcome, Failed) and outcome.reason is reason
    assert outcome.answer.words == ("no" if state.get("error") else None)


async def test_a_failed_job_says_when_to_order_again(fake: Start) -> None:
    server = fake()
    error = {"code": "rate_limit_exceeded", "message": "no", "headers": {"Retry-After": "12"}}
    server.states = [{"status": "failed", "error": error}]
    async with provider_of(server) as provider:
        outcome = await ended(provider, await accepted(provider))
    assert isinstance(outcome, Failed) and outcome.retry_after_seconds == 12


async def test_words_that_nobody_knows_are_waited_out_or_declared(fake: Start) -> None:
    server = fake()
    server.states = [
        {"status": "warming"},
        {"status": 7},
        {"status": None},
        {"status": "erledigt", "url": "/files/a.png"},
    ]
    async with provider_of(server) as provider:
        taken = await accepted(provider)
        seen = [await polled(provider, taken) for _ in range(2)]
    assert all(isinstance(one, Pending) and one.stage is None for one in seen)
    server.states = [{"status": "erledigt", "url": "/files/a.png"}, {"status": "kaputt", "error": {"message": "no"}}]
    async with provider_of(server, completed_words=["erledigt"], failed_words=["kaputt"]) as provider:
        done, failed = [await polled(provider, taken) for taken in [await accepted(provider)] * 2]
    assert isinstance(done, Completed) and isinstance(failed, Failed)
    assert isinstance(done.media[0], RemoteFile) and done.media[0].url == f"{server.root_url}/files/a.png"


async def test_a_job_that_is_not_there_is_gone_the_third_time(fake: Start) -> None:
    for flavor, reason in (("openai", FailureClass.PERMANENT), ("vllm-omni", FailureClass.TRANSIENT)):
        server = fake(flavor)
        async with provider_of(server) as provider:
            taken = await accepted(provider)
            job = server.jobs["video_1"]
            job["is_gone"] = True
            assert [type(await polled(provider, taken)) for _ in range(2)] == [Pending, Pending]
            del job["is_gone"]
            assert isinstance(await polled(provider, taken), Pending)  # it was only late
            job["is_gone"] = True
            assert [type(await polled(provider, taken)) for _ in range(2)] == [Pending, Pending]
            gone = await polled(provider, taken)
        assert isinstance(gone, Failed) and gone.reason is reason


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limited", Pending),
        ("html", Unknown),
        ("empty", Unknown),
        ("auth", Unknown),
        ("bad_request", Unknown),
        ("error_in_200", Unknown),
    ],
)
async def test_an_answer_that_says_nothing_of_the_job_ends_nothing(fake: Start, fault: str, kind: type) -> None:
    server = fake()
    server.states = [{"raw": fault}]
    async with provider_of(server) as provider:
        taken = await accepted(provider)
        outcome = await polled(provider, taken)
        assert isinstance(outcome, kind)
        assert not isinstance(outcome, Pending) or outcome.poll_after_seconds == 7
        assert isinstance(await ended(provider, taken), Completed)


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ("no_id", Unknown, None),
        ("drop", Unknown, None),
        ("gateway_timeout", Unknown, None),
        ("failed_at_once", Failed, FailureClass.CONTENT_POLICY),
        ("moderation_blocked", Failed, FailureClass.CONTENT_POLICY),
        ("error_in_200", Failed, FailureClass.CONTENT_POLICY),
        ("clip", Completed, None),
    ],
)
async def test_what_comes_of_an_order(fake: Start, answer: str, kind: type, reason: FailureClass | None) -> None:
    server, order = fake(), video_order()
    server.behave(answer)
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert isinstance(outcome, kind) and getattr(outcome, "reason", None) is reason
    assert len(server.posts()) == 1


async def test_a_handle_is_no_path_of_its_own(fake: Start) -> None:
    server = fake()
    async with provider_of(server) as provider:
        await provider.poll({"id": "../models?x=1"}, job_of(video_order()))
    assert not server.calls or server.calls[-1].path != "/v1/models"


async def test_it_says_what_it_can(fake: Start) -> None:
    for flavor, is_free in (("openai", False), ("xai", False), ("openrouter", False), ("sglang", True)):
        async with provider_of(fake(flavor)) as provider:
            assert (
                isinstance(provider, Pollable) and isinstance(provider, Cancelable) and isinstance(provider, Checkable)
            )
            assert isinstance(provider, Repeatable) and provider.repeatable is is_free
            assert not isinstance(provider, Findable)


@pytest.mark.parametrize(
    ("usage", "nanos"),
    [
        ({"cost": 0.06999999999999999}, 70_000_000),
        ({"cost": 0.30000000000000004}, 300_000_000),
        ({"cost": 6e-10}, 1),
        ({"cost_in_usd_ticks": 19}, 2),
        ({"cost": 0}, 0),
        ({"cost_in_usd_ticks": 0}, 0),
        ({"cost": 0, "is_byok": True}, None),
        ({"cost": -0.05}, None),
        ({"cost": 1e300}, None),
        ({"cost": True}, None),
        ({"cost": "0.05"}, None),
    ],
    ids=str,
)
def test_what_a_server_says_that_it_charges(usage: dict[str, Any], nanos: int | None) -> None:
    reply = Reply(200, {"content-type": "application/json"}, msgspec.json.encode({"status": "failed", "usage": usage}))
    outcome = state_of(reply, FLAVORS["openai"], RemoteFile, None)
    assert isinstance(outcome, Failed) and outcome.answer.cost_nanos == nanos
