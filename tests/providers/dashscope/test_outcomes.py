"""What the API answers, and what that means: nothing is called failed that may be made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.domain.connections import Secret
from safelight.domain.outcomes import (
    Accepted,
    Answer,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    Pending,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.domain.ports import BatchPollable, Cancelable, Checkable, Findable, Hintable, Pollable
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.providers.dashscope.answers import Rules, made, refusal_of, state_of, taken
from safelight.providers.dashscope.settings import Settings
from tests.providers.dashscope.fake import KEY, WORDS, Fake
from tests.providers.dashscope.studio import IMAGE, VIDEO, catalog_of, job, order, provider_of

TASK = job(VIDEO, "wan2.6-t2v")
PICTURE_TASK = job(IMAGE, "wan2.2-t2i-flash")


async def polled(fake: Fake, *states: Any, model: str = "wan2.6-t2v") -> Any:
    """What the last of so many questions about a new task brings."""
    type_ = VIDEO if "v" in model.rpartition("-")[2] else IMAGE
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(type_), job(type_, model))
        assert isinstance(outcome, Accepted), outcome
        fake.states = list(states)
        for _ in range(max(len(states), 1)):
            answered = await provider.poll(outcome.handle, job(type_, model))
    return answered


async def test_it_can_what_the_api_can(fake: Fake) -> None:
    async with provider_of(fake) as provider:
        assert isinstance(provider, Pollable) and isinstance(provider, Cancelable) and isinstance(provider, Checkable)
        assert not isinstance(provider, Findable | BatchPollable | Hintable)


async def test_a_picture_comes_in_the_answer(fake: Fake) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(), job())
    assert outcome == Completed(
        (RemoteFile(f"{fake.root}/media/task-1-0.png?Signature=1", allow=(f"127.0.0.1:{fake.port}",)),),
        Answer(status=200, request_id="request-1", usage=Usage(raw={"image_count": 1}, images=1)),
    )


async def test_a_task_is_asked_about_and_its_address_is_fresh_each_time(fake: Fake) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(VIDEO), TASK)
        assert isinstance(outcome, Accepted)
        assert outcome.handle == {"id": "task-1"}
        assert outcome.answer.request_id == "request-1"
        fake.states = ["PENDING", "SUSPENDED", "RUNNING", "SIMMERING", "succeeded"]
        answers = [await provider.poll(outcome.handle, TASK) for _ in range(6)]
    assert [answer.stage for answer in answers if isinstance(answer, Pending)] == [
        Stage.QUEUED,
        Stage.QUEUED,
        Stage.RUNNING,
        None,
    ]
    *_, first, second = answers
    assert isinstance(second, Completed)
    (file,) = second.media
    assert isinstance(file, RemoteFile)
    assert (file.url, file.headers) == (f"{fake.root}/media/task-1-0.mp4?Signature=7", {}), "the key stays at home"
    assert second.answer.usage == Usage(raw={"video_count": 1, "video_duration": 2, "SR": 720})
    assert isinstance(first, Completed | Pending)


async def test_a_prompt_that_was_rewritten_is_told(fake: Fake) -> None:
    for model, type_ in (("wan2.2-t2i-flash", IMAGE), ("wan2.6-t2v", VIDEO)):
        given = job(type_, model, options={"prompt_extend": True})
        async with provider_of(fake) as provider:
            outcome = await provider.submit(order(type_), given)
            assert isinstance(outcome, Accepted)
            answered = await provider.poll(outcome.handle, given)
        assert isinstance(answered, Completed)
        assert answered.answer.revised_prompt == "a fox, in the best light"
    answered = await polled(fake)
    assert answered.answer.revised_prompt is None


@pytest.mark.parametrize(
    ("word", "reason", "retry_after"),
    [
        ("refused", FailureClass.CONTENT_POLICY, None),
        ("refused2", FailureClass.CONTENT_POLICY, None),
        ("infringing", FailureClass.CONTENT_POLICY, None),
        ("badinput", FailureClass.BAD_INPUT, None),
        ("badimage", FailureClass.BAD_INPUT, None),
        ("unfetched", FailureClass.BAD_INPUT, None),
        ("nokey", FailureClass.AUTH, None),
        ("denied", FailureClass.AUTH, None),
        ("nomodel", FailureClass.PERMANENT, None),
        ("debt", FailureClass.QUOTA, None),
        ("overdue", FailureClass.QUOTA, None),
        ("freetier", FailureClass.QUOTA, None),
        ("allocation", FailureClass.QUOTA, None),
        ("often", FailureClass.RATE_LIMITED, 7),
        ("oftener", FailureClass.RATE_LIMITED, None),
        ("bare429", FailureClass.RATE_LIMITED, None),
        ("broken", FailureClass.TRANSIENT, None),
        ("internal", FailureClass.TRANSIENT, None),
        ("serving", FailureClass.TRANSIENT, None),
        ("refusal200", FailureClass.CONTENT_POLICY, None),
        ("strange200", FailureClass.PERMANENT, None),
    ],
)
@pytest.mark.parametrize("model", ["qwen-image-plus", "wan2.2-t2i-flash"])
async def test_what_declines_is_told_by_its_code(
    fake: Fake, model: str, word: str, reason: FailureClass, retry_after: float | None
) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(prompt=f"{word} fox"), job(model=model))
    assert isinstance(outcome, Failed), outcome
    assert (outcome.reason, outcome.retry_after_seconds) == (reason, retry_after)
    if word in WORDS:
        status, code, _ = WORDS[word]
        assert (outcome.answer.status, outcome.answer.code) == (status, code or None)
        assert outcome.answer.request_id == "request-1" and outcome.answer.words
    assert fake.taken == 0


@pytest.mark.parametrize("model", ["qwen-image-plus", "wan2.2-t2i-flash"])
@pytest.mark.parametrize(
    "word", ["lost", "gateway", "page", "empty", "list", "nothing", "outage200", "timedout", "timedout400", "slow"]
)
async def test_an_order_without_a_clear_answer_may_have_been_taken(fake: Fake, model: str, word: str) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(prompt=f"{word} fox"), job(model=model))
    assert isinstance(outcome, Unknown), outcome
    assert len(fake.sent) == 1, "it is sent once"


async def test_nobody_there_has_taken_nothing(fake: Fake) -> None:
    await fake.close()
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(), job())
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.TRANSIENT


async def test_an_allocation_may_be_one_that_passes(fake: Fake) -> None:
    async with provider_of(fake, retry_allocation_quota=True) as provider:
        outcome = await provider.submit(order(prompt="allocation fox"), job())
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.RATE_LIMITED
        outcome = await provider.submit(order(prompt="freetier fox"), job())
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.QUOTA


@pytest.mark.parametrize("word", ["badimage", "unfetched"])
async def test_a_link_that_is_not_fetched_is_not_the_clients_fault(fake: Fake, word: str) -> None:
    async with provider_of(fake, references="link") as provider:
        outcome = await provider.submit(order(IMAGE, "reference_image", prompt=f"{word} fox"), job())
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("FAILED:DataInspectionFailed", FailureClass.CONTENT_POLICY),
        ("FAILED:InternalError.Algo.DataInspectionFailed", FailureClass.CONTENT_POLICY),
        ("FAILED:InvalidParameter.FileDownload", FailureClass.BAD_INPUT),
        ("FAILED:InternalError.Timeout", FailureClass.TRANSIENT),
        ("FAILED:Throttling.ServiceOverloaded", FailureClass.RATE_LIMITED),
        ("FAILED:WordOfTomorrow", FailureClass.PERMANENT),
        ("FAILED", FailureClass.PERMANENT),
        ("CANCELED", FailureClass.CANCELED),
        ("CANCELLED", FailureClass.CANCELED),
        (
            {"task_status": "FAILED", "results": [{"code": "DataInspectionFailed", "message": "no"}]},
            FailureClass.CONTENT_POLICY,
        ),
        (
            {"task_status": "SUCCEEDED", "results": [{"code": "DataInspectionFailed", "message": "no"}]},
            FailureClass.CONTENT_POLICY,
        ),
        ({"task_status": "SUCCEEDED", "results": [{"code": "WordOfTomorrow"}]}, FailureClass.PERMANENT),
        ({"task_status": "SUCCEEDED", "code": "DataInspectionFailed", "results": []}, FailureClass.CONTENT_POLICY),
        ({"task_status": "SUCCEEDED", "video_url": "http://[::1"}, FailureClass.PERMANENT),
        ({"task_status": "SUCCEEDED", "video_url": "data:video/mp4;base64,A"}, FailureClass.PERMANENT),
    ],
)
async def test_a_task_that_failed_is_told_by_its_code(fake: Fake, state: Any, reason: FailureClass) -> None:
    outcome = await polled(fake, state)
    assert isinstance(outcome, Failed), outcome
    assert outcome.reason is reason


async def test_the_results_of_a_task_that_partly_failed_are_taken(fake: Fake) -> None:
    results = [{"code": "InternalError", "message": "no"}, {"url": "https://cdn.example/a.png", "actual_prompt": "b"}]
    outcome = await polled(fake, {"task_status": "SUCCEEDED", "results": results})
    assert isinstance(outcome, Completed)
    assert [file.url for file in outcome.media if isinstance(file, RemoteFile)] == ["https://cdn.example/a.png"]
    assert outcome.answer.revised_prompt == "b"


@pytest.mark.parametrize(
    "output",
    [
        {"results": [{"url": "https://cdn.example/a"}]},
        {"results": {"video_url": "https://cdn.example/a"}},
        {"choices": [{"message": {"content": [{"type": "image", "image": "https://cdn.example/a"}]}}]},
        {
            "choices": [
                {"message": {"content": "words"}},
                {"message": {"content": [{"image": "https://cdn.example/a"}]}},
            ]
        },
        {"video_url": "https://cdn.example/a", "results": []},
    ],
)
async def test_a_file_is_found_wherever_the_api_has_it(fake: Fake, output: dict[str, Any]) -> None:
    outcome = await polled(fake, {"task_status": "SUCCEEDED", **output})
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url == "https://cdn.example/a"


async def test_a_picture_may_come_as_base64(fake: Fake) -> None:
    outcome = await polled(fake, {"task_status": "SUCCEEDED", "results": [{"url": "data:image/png;base64,aGVsbG8="}]})
    assert isinstance(outcome, Completed)
    assert outcome.media == (InlineBytes(b"hello"),)


@pytest.mark.parametrize("model", ["qwen-image-plus", "wan2.2-t2i-flash"])
async def test_nothing_in_a_success_is_how_it_refuses(fake: Fake, model: str) -> None:
    async with provider_of(fake) as provider:
        outcome: Any = await provider.submit(order(prompt="blank fox"), job(model=model))
        if isinstance(outcome, Accepted):
            outcome = await provider.poll(outcome.handle, job(model=model))
    assert isinstance(outcome, Completed) and outcome.media == ()


async def test_a_result_that_says_why_it_is_none_is_believed(fake: Fake) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(prompt="partial fox"), PICTURE_TASK)
        assert isinstance(outcome, Accepted)
        answered = await provider.poll(outcome.handle, PICTURE_TASK)
    assert isinstance(answered, Failed) and answered.reason is FailureClass.CONTENT_POLICY


async def test_an_answer_about_another_task_is_none(fake: Fake) -> None:
    answered = await polled(fake, {"task_id": "task-2", "task_status": "SUCCEEDED", "video_url": "https://a.example/"})
    assert isinstance(answered, Unknown)


@pytest.mark.parametrize("made", [{"video_url": "http://[::1"}, {"video_url": "data:;base64,%"}, {}])
async def test_what_is_counted_and_cannot_be_had_is_billed(fake: Fake, made: dict[str, Any]) -> None:
    body = {"output": {"task_status": "SUCCEEDED", **made}, "usage": {"video_duration": 5}}
    fetch = BackendApi(Settings(key=Secret("env:K")), {}).file
    outcome = state_of(Reply(200, {}, json.dumps(body).encode()), Rules(), fetch, "task-1")
    assert isinstance(outcome, Completed | Failed) and outcome.answer.is_billed is True


async def test_a_server_in_trouble_says_nothing_of_a_task(fake: Fake) -> None:
    gone, busy = {"task_status": "UNKNOWN"}, {"task_status": "RUNNING"}
    fake.states = [500, 401, gone, 404, busy, gone, gone, 429, 410, gone, 404]
    async with provider_of(fake) as provider:
        answers = [await provider.poll({"id": "task-9"}, TASK) for _ in range(11)]
    kinds = [type(answer) for answer in answers]
    assert kinds == [Unknown, Unknown, *[Pending] * 8, Failed], kinds
    assert answers[7].poll_after_seconds == 2  # type: ignore[union-attr]
    last = answers[-1]
    assert isinstance(last, Failed) and last.reason is FailureClass.PERMANENT


async def test_a_server_that_is_gone_says_nothing_of_a_task(fake: Fake) -> None:
    await fake.close()
    async with provider_of(fake) as provider:
        assert isinstance(await provider.poll({"id": "task-1"}, TASK), Unknown)
        assert await provider.cancel({"id": "task-1"}, TASK) is Cancellation.TOO_LATE


async def test_an_id_is_only_a_part_of_an_address(fake: Fake) -> None:
    async with provider_of(fake) as provider:
        assert isinstance(await provider.poll({"id": "../models?x=/y"}, TASK), Pending)
    assert fake.asked == 1


async def test_a_task_that_waits_is_stopped_and_one_that_runs_is_not(fake: Fake) -> None:
    fake.is_held = True
    async with provider_of(fake) as provider:
        outcome = await provider.submit(order(VIDEO), TASK)
        assert isinstance(outcome, Accepted)
        assert await provider.cancel(outcome.handle, TASK) is Cancellation.FREE
        assert await provider.cancel(outcome.handle, TASK) is Cancellation.TOO_LATE
        answered = await provider.poll(outcome.handle, TASK)
        assert isinstance(answered, Failed) and answered.reason is FailureClass.CANCELED
        fake.is_held = False
        outcome = await provider.submit(order(VIDEO), TASK)
        assert isinstance(outcome, Accepted)
        assert await provider.cancel(outcome.handle, TASK) is Cancellation.TOO_LATE
        assert isinstance(await provider.poll(outcome.handle, TASK), Completed)


@pytest.mark.parametrize(
    ("model", "levels"),
    [("qwen-image-plus", ["ok", "ok"]), ("no-such-model", ["ok", "warning"])],
)
async def test_a_look_orders_nothing(fake: Fake, model: str, levels: list[str]) -> None:
    entry = catalog_of(binding={"model": model}).models["ours"]
    async with provider_of(fake) as provider:
        found = await provider.check(entry, entry.bindings[0])
    assert [finding.level for finding in found] == levels
    assert all(finding.remedy for finding in found if finding.level != "ok")
    assert not fake.sent


async def test_a_look_finds_a_wrong_key_an_address_of_something_else_and_nobody(fake: Fake) -> None:
    entry = catalog_of(references={"reference_image": 1}, binding={"model": "wan2.2-t2i-flash"}).models["ours"]
    binding = entry.bindings[0]
    fake.key = "another"
    async with provider_of(fake) as provider:
        fake.key = KEY
        found = await provider.check(entry, binding)
        assert [(finding.subject, finding.level) for finding in found] == [("key", "problem"), ("inputs", "problem")]
        assert KEY not in repr(found)
    async with provider_of(fake, base_url=f"{fake.root}/v2") as provider:
        first, *_ = await provider.check(entry, binding)
        assert first.level == "warning"
    await fake.close()
    async with provider_of(fake) as provider:
        first, *_ = await provider.check(entry, binding)
        assert (first.subject, first.level) == ("connection", "problem")


_WORDS = (
    "output task_id task_status results choices message content url image code usage image_count request_id error "
    "actual_prompt video_url SUCCEEDED FAILED UNKNOWN data:image/png;base64,AA"
)
WORDS_OF_BOTH = st.sampled_from(_WORDS.split())
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS_OF_BOTH,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS_OF_BOTH, inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(body=DOCUMENTS | st.fixed_dictionaries({"output": DOCUMENTS, "usage": DOCUMENTS}), status=st.integers(100, 599))
def test_no_document_breaks_it(body: Any, status: int) -> None:
    said = Reply(status, {}, json.dumps(body).encode())
    fetch = RemoteFile
    assert isinstance(taken(said, Rules()), Accepted | Failed | Unknown)
    assert isinstance(made(said, Rules(), fetch, "a fox"), Accepted | Completed | Failed | Unknown)
    assert isinstance(state_of(said, Rules(), fetch, "task-1"), Completed | Pending | Failed | Unknown | None)
    assert isinstance(refusal_of(said, Rules()), Failed | Unknown)


def test_numbers_beyond_reason_are_not_counted() -> None:
    usage = {"image_count": 10**30, "input_tokens": -1, "output_tokens": 7, "size": KEY, "is": True, "more": None}
    body = {"output": {"task_id": 12, "task_status": "PENDING"}, "usage": usage, "request_id": ["x"]}
    outcome = taken(Reply(200, {"x-request-id": "r-1"}, json.dumps(body).encode()), Rules())
    assert outcome == Accepted(
        {"id": "12"}, Answer(status=200, request_id="r-1", usage=Usage(raw={"output_tokens": 7}, output_tokens=7))
    )
