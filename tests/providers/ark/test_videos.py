"""Clips: what a task is told, how it is seen through, stopped, found, and how it may end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

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
    RemoteFile,
    Stage,
    Unknown,
)
from safelight.domain.ports import Asked, Callback
from safelight.providers.ark.orders import safety_identifier
from safelight.providers.ark.settings import Options
from tests.providers.ark.fake import FakeArk
from tests.providers.ark.faults import error
from tests.providers.ark.studio import FLEX, VIDEO, VIDEO_MODEL, accepted, job_of, provider_of, references, video_order


async def polled(provider: Any, asked: Asked) -> PollOutcome:
    outcome: PollOutcome = await provider.poll(asked.handle, asked.job)
    return outcome


async def test_a_task_is_seen_through_and_its_address_is_fresh_each_time(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider, "first_frame", "last_frame", seed=7)
        fake.states = [{"status": "queued"}]
        seen = [await polled(provider, asked) for _ in range(4)]
    url = references("first_frame")[0].data_url()
    assert fake.orders == [
        {
            "model": VIDEO_MODEL,
            "content": [
                {"type": "text", "text": "a red fox"},
                {"type": "image_url", "image_url": {"url": url}, "role": "first_frame"},
                {"type": "image_url", "image_url": {"url": url}, "role": "last_frame"},
            ],
            "resolution": "720p",
            "ratio": "16:9",
            "duration": 5,
            "seed": 7,
            "generate_audio": False,
            "watermark": False,
        }
    ]
    assert fake.headers[0]["x-client-request-id"] == "req-1"
    assert [(each.stage, each.poll_after_seconds) for each in seen if isinstance(each, Pending)] == [
        (Stage.QUEUED, 5.0),
        (Stage.RUNNING, 5.0),
    ]
    first, second = seen[2:]
    assert isinstance(first, Completed) and isinstance(second, Completed)
    assert first.media != second.media, "asked again, it tells another address"
    (file,) = first.media
    assert isinstance(file, RemoteFile) and file.headers == {}, "the key goes to the API alone"
    usage = first.answer.usage
    assert usage is not None and usage.output_tokens == 108900 and usage.images is None
    assert (first.answer.seed, first.answer.request_id) == (7, "ark-4")


async def test_what_a_binding_says_is_told(fake: FakeArk) -> None:
    options = Options(
        service_tier="flex", execution_expires_after=7200, watermark=True, body={"camera_fixed": True, "priority": 3}
    )
    async with provider_of(fake, callbacks=True, find_by_safety_identifier=True, references="link") as provider:
        job = job_of(VIDEO, "req-2", options, size_word="1080p 21:9")
        order = video_order("reference_image", sound=True, provider_options={"priority": 5})
        outcome = await provider.submit(order, job)
    assert isinstance(outcome, Accepted) and outcome.handle["tier"] == "flex"
    told = fake.orders[0]
    assert (told["resolution"], told["ratio"], told["generate_audio"]) == ("1080p", "21:9", True)
    assert (told["service_tier"], told["execution_expires_after"], told["watermark"]) == ("flex", 7200, True)
    assert (told["camera_fixed"], told["priority"]) == (True, 5)
    assert told["callback_url"] == "https://safelight.example/req-2/callback"
    assert told["safety_identifier"] == safety_identifier(job) and len(told["safety_identifier"]) <= 64
    assert told["content"][1] == {
        "type": "image_url",
        "image_url": {"url": "https://safelight.example/req-2/0/reference"},
        "role": "reference_image",
    }


@pytest.mark.parametrize(
    ("options", "roles", "ratio"),
    [
        (Options(), ("first_frame",), "16:9"),
        (Options(ratio_with_frames="adaptive"), ("first_frame",), "adaptive"),
        (Options(ratio_with_frames="none"), ("first_frame",), None),
        (Options(ratio_with_frames="adaptive"), ("reference_image",), "16:9"),
        (Options(ratio_with_frames="none"), (), "16:9"),
    ],
)
async def test_the_ratio_beside_a_frame(fake: FakeArk, options: Options, roles: Any, ratio: str | None) -> None:
    async with provider_of(fake) as provider:
        await accepted(provider, *roles, options=options)
    assert fake.orders[0].get("ratio") == ratio


async def test_a_model_without_the_switch_is_told_nothing_of_sound(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        await accepted(provider, options=Options(audio_switch=False), sound=None)
        await accepted(provider, sound=None)
        outcome = await provider.submit(video_order(sound=True), job_of(VIDEO, options=Options(audio_switch=False)))
    assert "generate_audio" not in fake.orders[0] and fake.orders[1]["generate_audio"] is False
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT and len(fake.orders) == 2


@pytest.mark.parametrize(
    ("spec", "job"),
    [
        ({"provider_options": {"frames": 29}}, {}),
        ({"provider_options": {"ratio": "1:1"}}, {}),
        ({"negative_prompt": "fog"}, {}),
        ({}, {"size_word": "1080p 16:9 fast"}),
        ({"prompt": "a fox --dur 12"}, {}),
        ({"prompt": "a fox\n--Resolution 1080p"}, {}),
        ({"prompt": "a fox,--rs=1080p"}, {}),
        ({"prompt": "a fox --wm true"}, {}),
    ],
)
async def test_what_cannot_be_said_is_not_ordered(fake: FakeArk, spec: Any, job: Any) -> None:
    async with provider_of(fake) as provider:
        assert isinstance(await provider.submit(video_order(**spec), job_of(VIDEO, **job)), Failed)
    assert fake.orders == []


@pytest.mark.parametrize(
    "fault",
    [
        *("drop", "gateway", "timed_out", "timed_out_500", "timed_out_200"),
        *("conflict", "bare_500", "page", "empty", "list", "no_id", "odd_id"),
    ],
)
async def test_what_leaves_it_open_is_unknown(fake: FakeArk, fault: str) -> None:
    async with provider_of(fake) as provider:
        fake.next = fault
        assert isinstance(await provider.submit(video_order(), job_of(VIDEO)), Unknown)
    assert len(fake.orders) == 1 and fake.questions == 0


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("policy_in_200", FailureClass.CONTENT_POLICY),
        ("policy_face", FailureClass.CONTENT_POLICY),
        ("quota", FailureClass.QUOTA),
        ("queue_is_full", FailureClass.RATE_LIMITED),
        ("broken", FailureClass.TRANSIENT),
    ],
)
async def test_an_order_that_is_declined(fake: FakeArk, fault: str, reason: FailureClass) -> None:
    async with provider_of(fake) as provider:
        fake.next = fault
        outcome = await provider.submit(video_order(), job_of(VIDEO))
    assert isinstance(outcome, Failed) and outcome.reason is reason


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"status": "failed", **error("OutputVideoSensitiveContentDetected", "no")}, FailureClass.CONTENT_POLICY),
        ({"status": "failed", **error("OutputAudioSensitiveContentDetected.X", "no")}, FailureClass.CONTENT_POLICY),
        ({"status": "failed", **error("InternalServiceError", "no")}, FailureClass.TRANSIENT),
        ({"status": "failed", **error("ServerOverloaded", "no")}, FailureClass.RATE_LIMITED),
        ({"status": "failed", **error("ModelAccountTpmRateLimitExceeded", "no")}, FailureClass.RATE_LIMITED),
        ({"status": "failed", **error("AccountOverdueError", "no")}, FailureClass.QUOTA),
        ({"status": "failed", **error("InvalidParameter.TaskTypeMismatch", "no")}, FailureClass.BAD_INPUT),
        ({"status": "failed", **error("InvalidParameter", "`duration` is not valid")}, FailureClass.PERMANENT),
        ({"status": "failed", **error("OfTomorrow", "no")}, FailureClass.PERMANENT),
        ({"status": "failed", "error": None}, FailureClass.PERMANENT),
        ({"status": "failed", "error": "no"}, FailureClass.PERMANENT),
        ({"status": "failed", "error": {"code": 5, "message": None}}, FailureClass.PERMANENT),
        ({"status": "FAILED"}, FailureClass.PERMANENT),
        ({"status": "expired"}, FailureClass.PERMANENT),
        ({"status": "cancelled"}, FailureClass.CANCELED),
        ({"status": "canceled"}, FailureClass.CANCELED),
        ({"status": "succeeded", "content": {"video_url": "http://[::1"}}, FailureClass.PERMANENT),
    ],
    ids=str,
)  # fmt: skip
async def test_a_task_fails_for_its_own_reason(fake: FakeArk, state: dict[str, Any], reason: FailureClass) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        fake.states = [state]
        outcome = await polled(provider, asked)
    assert isinstance(outcome, Failed) and outcome.reason is reason


async def test_the_clip_is_taken_of_all_that_a_task_made(fake: FakeArk) -> None:
    content = {"last_frame_url": "https://a.example/l.png", "file_url": None, "video_url": "https://a.example/v.mp4"}
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        fake.states = [{"status": "succeeded", "content": content, "revised_prompt": "a red fox at dawn"}]
        outcome = await polled(provider, asked)
    assert isinstance(outcome, Completed) and outcome.answer.revised_prompt == "a red fox at dawn"
    assert [file.url for file in outcome.media if isinstance(file, RemoteFile)] == ["https://a.example/v.mp4"]


async def test_a_task_that_made_nothing_is_a_refusal(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        contents: list[Any] = [{"video_url": None}, {"video_url": ""}, [], "x"]
        for content in contents:
            fake.states = [{"status": "succeeded", "content": content}]
            outcome = await polled(provider, asked)
            assert isinstance(outcome, Completed) and outcome.media == (), content
            assert outcome.answer.is_billed is None
        fake.states = [{"status": "succeeded", "content": {}, "usage": {"completion_tokens": 108900}}]
        assert (await polled(provider, asked)).answer.is_billed is True, "it was made, and is charged for"
        fake.states = [{"status": "succeeded", "content": {"video_url": "http://[::1"}}]
        outcome = await polled(provider, asked)
        assert isinstance(outcome, Failed) and outcome.answer.is_billed is True


@pytest.mark.parametrize("status", ["simmering", "queued", "PENDING"])
async def test_a_word_that_nobody_knows_is_waited_out(fake: FakeArk, status: str) -> None:
    async with provider_of(fake, poll_seconds=0) as provider:
        asked = await accepted(provider)
        fake.states = [{"status": status}]
        outcome = await polled(provider, asked)
    assert isinstance(outcome, Pending) and outcome.poll_after_seconds is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((429, error("RateLimitExceeded", "slow")), Pending),
        ((500, error("InternalServiceError", "no")), Unknown),
        ((401, error("AuthenticationError", "no")), Unknown),
        ((200, "<html></html>"), Unknown),
        ((200, []), Unknown),
        ((200, {"id": "cgt-another", "status": "failed"}), Unknown),
        ((200, {"status": None}), Unknown),
        ((200, {"id": None, "status": "running"}), Pending),
        ((200, error("InternalServiceError", "no")), Unknown),
    ],
    ids=str,
)
async def test_an_answer_that_says_nothing_of_the_task_ends_nothing(fake: FakeArk, answer: Any, kind: type) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        fake.answers = [answer]
        outcome = await polled(provider, asked)
        assert isinstance(outcome, kind), outcome
        if answer[0] == 429:
            assert isinstance(outcome, Pending) and outcome.poll_after_seconds == 9
        fake.states = [{"status": "succeeded"}]
        assert isinstance(await polled(provider, asked), Completed)


async def test_a_task_that_is_not_there_is_gone_the_third_time(fake: FakeArk) -> None:
    missing = (404, error("NotFound.task", "no"))
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        fake.answers = [missing, missing, None, missing, missing, missing]
        seen = [type(await polled(provider, asked)) for _ in range(6)]
    assert seen == [Unknown, Unknown, Pending, Unknown, Unknown, Failed]


# Stopped.


@pytest.mark.parametrize(
    ("status", "becomes", "answers", "wanted", "is_deleted"),
    [
        ("queued", None, [None], Cancellation.FREE, False),
        ("running", None, [None], Cancellation.TOO_LATE, False),
        ("succeeded", None, [None], Cancellation.TOO_LATE, False),
        ("failed", None, [None], Cancellation.TOO_LATE, False),
        ("cancelled", None, [None], Cancellation.FREE, False),
        ("queued", "running", [None], Cancellation.TOO_LATE, False),
        ("queued", "succeeded", [None, None], Cancellation.BILLED, True),
        ("queued", None, [None, (500, "x")], Cancellation.ASKED, False),
        ("queued", None, [(500, "x")], Cancellation.ASKED, False),
        ("queued", None, [(404, "x")], Cancellation.TOO_LATE, False),
    ],
)
async def test_a_wish_to_cancel(
    fake: FakeArk, status: str, becomes: str | None, answers: Any, wanted: Cancellation, is_deleted: bool
) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        fake.tasks[asked.handle["id"]]["status"] = fake.held = status
        fake.on_delete, fake.answers = [becomes] if becomes else [], answers
        assert await provider.cancel(asked.handle, asked.job) is wanted
    assert bool(fake.deleted) is is_deleted, "a record is deleted in the race alone"


async def test_a_wish_to_cancel_that_reaches_nobody_may_still_come_true(fake: FakeArk) -> None:
    async with provider_of(fake) as provider:
        asked = await accepted(provider)
        await fake.close()
        assert await provider.cancel(asked.handle, asked.job) is Cancellation.ASKED


# Told.


@pytest.mark.parametrize(
    ("body", "is_news"),
    [
        (b'{"id": "cgt-20261129-abcde", "status": "running", "content": null}', True),
        (b'{"id": "cgt-20261129-abcde", "status": "of_tomorrow"}', True),
        (b'{"id": "cgt-20261129-abcde"}', False),
        (b'{"id": "cgt-20261129-abcde", "status": null}', False),
        (b'{"id": "cgt-20261129-abcde", "status": "<script>"}', False),
        (b'{"id": "../x", "status": "running"}', False),
        (b'{"id": 5, "status": "running"}', False),
        (b"[]", False),
        (b"", False),
        (b"\xff", False),
        (b"[" * 100_000, False),
        (b'{"id": "cgt-1", "status": "running"}' + b" " * 2**20, False),
    ],
)
async def test_what_is_news(fake: FakeArk, body: bytes, is_news: bool) -> None:
    async with provider_of(fake, callbacks=True) as provider:
        assert await provider.hint(Callback(job_id="req-1", headers={}, body=body)) is is_news
    assert fake.headers == [], "nothing is fetched for it"


# Found.


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def test_an_order_whose_answer_is_lost_is_found(fake: FakeArk) -> None:
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        for options in (Options(), FLEX):
            fake.next = "drop"
            job = job_of(VIDEO, f"req-{options.service_tier}", options)
            outcome = await provider.submit(video_order(), job)
            newest = list(fake.tasks)[-1]
            assert isinstance(outcome, Accepted) and outcome.handle["id"] == newest
            found = await provider.find(job)
            assert isinstance(found, Found) and found.outcome == Accepted(outcome.handle)
            await accepted(provider, id_="req-other")


async def test_an_order_is_found_where_the_gateway_gave_up(fake: FakeArk) -> None:
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        job = job_of(VIDEO)
        await provider.submit(video_order(), job)
        for fault in ("gateway", "bare_500", "broken", "page", "no_id"):
            fake.next = fault
            assert isinstance(await provider.submit(video_order(), job), Accepted), fault
        fake.next, fake.answers = "drop", [(429, {})]
        assert isinstance(await provider.submit(video_order(), job), Unknown)


@pytest.mark.parametrize(
    ("age", "others", "wanted"),
    [
        (600, "ours", NeverTaken),
        (600, "strangers", CannotTell),
        (600, "none", CannotTell),
        (30, "ours", CannotTell),
        (8 * 86400, "ours", CannotTell),
    ],
)
async def test_that_it_is_not_there_counts_where_it_is_proven(
    fake: FakeArk, age: float, others: str, wanted: type
) -> None:
    async with provider_of(fake, find_by_safety_identifier=others != "strangers") as provider:
        if others != "none":
            await accepted(provider, id_="req-other")
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        assert isinstance(await provider.find(job_of(VIDEO, submitted_at=ago(age))), wanted)


@pytest.mark.parametrize(
    "answer",
    [(429, {}), (500, "x"), (200, []), (200, {"items": None}), (200, {"items": [], "total": None}), (200, "<html>")],
    ids=str,
)
async def test_a_list_that_is_none_tells_nothing(fake: FakeArk, answer: Any) -> None:
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        await accepted(provider, id_="req-other")
        fake.answers = [answer] * 3
        assert isinstance(await provider.find(job_of(VIDEO, submitted_at=ago(600))), CannotTell)
        await fake.close()
        assert isinstance(await provider.find(job_of(VIDEO, submitted_at=ago(600))), CannotTell)


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([100, -700, -2000], NeverTaken),
        ([100, -300, -500], CannotTell),
        ([100, -2000, -700], CannotTell),
        ([100, None, -2000], CannotTell),
    ],
)
async def test_a_list_too_long_to_walk_has_to_go_back_to_the_order(fake: FakeArk, times: Any, wanted: type) -> None:
    submitted_at = ago(600)
    items = [
        {"id": "cgt-1", "safety_identifier": "safelight-x", "created_at": at and submitted_at.timestamp() + at}
        for at in times
    ]
    fake.answers = [(200, {"total": 10**6, "items": items})] * 3
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        assert isinstance(await provider.find(job_of(VIDEO, submitted_at=submitted_at)), wanted)


async def test_a_picture_is_not_looked_for(fake: FakeArk) -> None:
    async with provider_of(fake, find_by_safety_identifier=True) as provider:
        assert isinstance(await provider.find(job_of()), CannotTell)
    assert fake.questions == 0


@pytest.mark.parametrize(
    "count", [10**400, 2**60, -1, 1.5, True, "108900", None, [], {}], ids=lambda count: str(count)[:9]
)
async def test_a_count_that_is_none_is_not_told(fake: FakeArk, count: Any) -> None:
    task = {"id": "cgt-1", "status": "failed", "seed": count, "usage": {"completion_tokens": count, "other_tokens": 5}}
    async with provider_of(fake) as provider:
        asked = Asked({"id": "cgt-1"}, job_of(VIDEO))
        fake.answers = [(200, task)]
        outcome = await polled(provider, asked)
    assert isinstance(outcome, Failed) and outcome.answer.usage is not None
    assert (outcome.answer.usage.output_tokens, outcome.answer.seed) == (None, None)
    raw = outcome.answer.usage.raw
    assert raw["other_tokens"] == 5 and ("completion_tokens" in raw) is (count in (-1, 1.5))
