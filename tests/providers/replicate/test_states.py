"""Where a prediction stands, what is in its output, and what stopping it costs."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.domain.connections import Secret
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    Handle,
    InlineBytes,
    Pending,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.domain.ports import Asked
from safelight.outbound.backend_api import Reply
from safelight.providers.noop import png
from safelight.providers.replicate.failures import problem_in, refusal_of
from safelight.providers.replicate.predictions import page_in, prediction_in
from safelight.providers.replicate.provider import ReplicateProvider
from safelight.providers.replicate.settings import Settings
from tests.providers.replicate.fake import KEY, LOG, FakeReplicate
from tests.providers.replicate.studio import IMAGE, VIDEO, job, opened, order

DATA_URL = "data:image/png;base64," + base64.b64encode(png()).decode()


async def taken(provider: ReplicateProvider, type_: Any = IMAGE, id_: str = "req-1") -> Handle:
    outcome = await provider.submit(order(type_, resolution="1K"), job(type_, id_))
    assert isinstance(outcome, Accepted)
    return outcome.handle


async def test_a_prediction_is_asked_about_until_it_has_ended(fake: FakeReplicate) -> None:
    fake.states = [{}, {"status": "processing"}, {"status": "booting_in_words_of_tomorrow"}, {"status": None}]
    async with opened(fake) as provider:
        handle = await taken(provider)
        answers = [await provider.poll(handle, job()) for _ in range(6)]
    assert [type(each) for each in answers] == [Pending] * 4 + [Completed] * 2
    stages = [(each.stage, each.progress) for each in answers if isinstance(each, Pending)]
    assert stages == [(Stage.QUEUED, None), (Stage.RUNNING, 0.5), (None, 0.5), (None, 0.5)]
    first, second = answers[4:]
    assert isinstance(first, Completed) and isinstance(second, Completed)
    (file,) = first.media
    assert isinstance(file, RemoteFile)
    assert file.url.startswith(f"http://{fake.files_host}/out/") and file.headers == {}
    assert first.media != second.media, "the address of each answer is its own"
    assert first.answer.request_id == handle["id"]
    assert first.answer.seed == 4711
    assert first.answer.usage == Usage(raw={"predict_time": 1.25, "image_count": 1}, images=1, compute_seconds=1.25)


async def test_an_output_that_is_there_while_it_runs_is_not_taken(fake: FakeReplicate) -> None:
    fake.states = [{"status": "processing", "output": ["https://example.com/unfinished.png"]}]
    async with opened(fake) as provider:
        handle = await taken(provider)
        assert isinstance(await provider.poll(handle, job()), Pending)


@pytest.mark.parametrize(
    ("type_", "output", "ends"),
    [
        (IMAGE, "{files}/a.png", "/a.png"),
        (IMAGE, ["{files}/a.png"], "/a.png"),
        (IMAGE, ["{files}/a.webp", "{files}/b.webp"], "/a.webp"),
        (IMAGE, {"seed": 7, "text": "a hill", "images": [{"url": "{files}/c.png?x=1#y"}]}, "/c.png?x=1#y"),
        (IMAGE, {"thumbnail": "{files}/t.mp4", "image": "{files}/a.png"}, "/a.png"),
        (VIDEO, {"preview": "{files}/p.png", "video": "{files}/v.mp4"}, "/v.mp4"),
        (VIDEO, ["{files}/p.png", "{files}/without-a-name"], "/without-a-name"),
        (VIDEO, ["{files}/only.gif"], "/only.gif"),
        (IMAGE, [None, 7, True, [], {}, "", [["{files}/deep.png"]]], "/deep.png"),
    ],
)
async def test_the_file_is_found_in_an_output_of_any_shape(
    fake: FakeReplicate, type_: Any, output: Any, ends: str
) -> None:
    fake.output = output
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider, type_), job(type_))
    assert isinstance(outcome, Completed), outcome
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url == f"http://{fake.files_host}/out{ends}"


@pytest.mark.parametrize(
    ("path", "ends"),
    [("images.0", "/a.png"), ("images.-1", "/b.png"), ("mask", "/m.png"), ("images.2", None), ("x.y", None)],
)
async def test_a_binding_says_which_file_it_is(fake: FakeReplicate, path: str, ends: str | None) -> None:
    fake.output = {"mask": "{files}/m.png", "images": ["{files}/a.png", "{files}/b.png"], "x": "text"}
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job(options={"output": path}))
    if ends is None:
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT
    else:
        assert isinstance(outcome, Completed) and isinstance(outcome.media[0], RemoteFile)
        assert outcome.media[0].url.endswith(ends)


async def test_a_file_within_the_output(fake: FakeReplicate) -> None:
    fake.output = [DATA_URL]
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Completed) and outcome.media == (InlineBytes(png()),)


@pytest.mark.parametrize(
    ("address", "has_key"),
    [
        ("{base}/files/file-1/download", True),
        ("{base}/account", False),
        ("{base}/files/../account", True),  # the origin is the API's, whatever the path leads to
        ("{root}@evil.example/v1/files/file-1", False),
        ("https://evil.example/v1/files/file-1", False),
        ("https://evil.example/?{base}/files/", False),
    ],
)
async def test_the_key_goes_to_the_apis_own_files_alone(fake: FakeReplicate, address: str, has_key: bool) -> None:
    fake.output = address.format(base=fake.base_url, root=fake.root_url)
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Completed) and isinstance(outcome.media[0], RemoteFile)
    assert outcome.media[0].headers == ({"Authorization": f"Bearer {KEY}"} if has_key else {})


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"output": "a poem about a hill"}, FailureClass.PERMANENT),
        ({"output": "NSFW content detected"}, FailureClass.CONTENT_POLICY),
        ({"output": "http://[::1"}, FailureClass.PERMANENT),
        ({"output": "data:image/png,%89PNG"}, FailureClass.PERMANENT),
        ({"output": "data:image/png;base64,!!"}, FailureClass.PERMANENT),
        ({"output": None, "data_removed": True}, FailureClass.PERMANENT),
    ],
)
async def test_what_is_no_file_is_told(fake: FakeReplicate, state: dict[str, Any], reason: FailureClass) -> None:
    fake.states = [{"status": "succeeded", **state}]
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Failed) and outcome.reason is reason
    assert outcome.answer.is_billed is True, "it ran to its end"
    if state.get("data_removed"):
        assert "deleted" in outcome.detail


@pytest.mark.parametrize("output", [None, [], {}, "", [None], "data:image/png;base64,"])
async def test_nothing_at_all_is_how_some_models_refuse(fake: FakeReplicate, output: Any) -> None:
    fake.states = [{"status": "succeeded", "output": output}]
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Completed) and outcome.media == () and outcome.answer.is_billed is True


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        ("NSFW content detected. Try running it again, or try a different prompt.", FailureClass.CONTENT_POLICY, None),
        ("Prediction failed: possible nsfw", FailureClass.CONTENT_POLICY, None),
        (
            "The input or output was flagged as sensitive. Please try again with different inputs. (E005) (uIJ6l3ruRD)",
            FailureClass.CONTENT_POLICY,
            "E005",
        ),
        ("Something. (E005)", FailureClass.CONTENT_POLICY, "E005"),
        ("Violates our Usage Policies", FailureClass.CONTENT_POLICY, None),
        ("Blocked: naughty words", FailureClass.CONTENT_POLICY, None),
        ("Prediction interrupted; please retry (code: PA)", FailureClass.TRANSIENT, "PA"),
        ("Director: unexpected error handling prediction (E9828)", FailureClass.TRANSIENT, "E9828"),
        ("E6716 timed out", FailureClass.TRANSIENT, "E6716"),
        ("Service is temporarily unavailable. (E004)", FailureClass.TRANSIENT, "E004"),
        ("Queue is full", FailureClass.TRANSIENT, None),
        ("The moon is in the way", FailureClass.TRANSIENT, None),
        ("You have insufficient credit", FailureClass.QUOTA, None),
        ("Rate limit exceeded upstream", FailureClass.RATE_LIMITED, None),
        ("The input was invalid. (E006)", FailureClass.BAD_INPUT, "E006"),
        ("CUDA out of memory (E1001)", FailureClass.PERMANENT, "E1001"),
        ("'NoneType' object is not subscriptable", FailureClass.PERMANENT, None),
        ("", FailureClass.PERMANENT, None),
        (None, FailureClass.PERMANENT, None),
        ({"message": "content policy"}, FailureClass.CONTENT_POLICY, None),
        (["queue full"], FailureClass.TRANSIENT, None),
        (7, FailureClass.PERMANENT, None),
    ],
)
async def test_why_a_prediction_failed(fake: FakeReplicate, error: Any, reason: FailureClass, code: str | None) -> None:
    fake.states = [{"status": "failed", "error": error}]
    async with opened(fake, refusal_words=["NAUGHTY"], transient_words=["the moon"]) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.code) == (reason, code)
    assert outcome.answer.usage is not None and outcome.answer.usage.compute_seconds == 1.25


@pytest.mark.parametrize(("word", "is_billed"), [("canceled", True), ("aborted", False), (" Canceled ", True)])
async def test_one_that_was_stopped(fake: FakeReplicate, word: str, is_billed: bool) -> None:
    fake.states = [{"status": word}]
    async with opened(fake) as provider:
        outcome = await provider.poll(await taken(provider), job())
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.is_billed) == (FailureClass.CANCELED, is_billed)


async def test_a_server_in_trouble_says_nothing_of_a_job(fake: FakeReplicate) -> None:
    fake.is_held = True
    async with opened(fake) as provider:
        handle = await taken(provider)
        fake.questions_get = [500, 401, 404, 404]
        answers = [await provider.poll(handle, job()) for _ in range(5)]
        fake.questions_get = [404, 410, 429, 404, 404, 404]
        answers += [await provider.poll(handle, job()) for _ in range(6)]
    kinds = [Unknown, Unknown, Unknown, Unknown, Pending, Unknown, Unknown, Pending, Unknown, Unknown, Failed]
    assert [type(each) for each in answers] == kinds, "gone is what is not there three times in a row"
    assert isinstance(answers[7], Pending) and answers[7].poll_after_seconds == 9
    assert isinstance(answers[10], Failed) and answers[10].reason is FailureClass.PERMANENT


async def test_another_prediction_is_not_taken_for_it(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        handle = await taken(provider)
        fake.newest()["id"] = "another"
        assert isinstance(await provider.poll(handle, job()), Unknown)


@pytest.mark.parametrize(
    ("has_begun", "answer", "stopped"),
    [
        (False, None, Cancellation.FREE),
        (True, None, Cancellation.BILLED),
        (True, "succeeded", Cancellation.TOO_LATE),
        (True, "failed", Cancellation.TOO_LATE),
        (True, "processing", Cancellation.ASKED),
        (True, "canceling", Cancellation.ASKED),
        (True, 500, Cancellation.ASKED),
        (True, 429, Cancellation.ASKED),
        (True, 404, Cancellation.TOO_LATE),
        (True, 401, Cancellation.TOO_LATE),
        (True, 200, Cancellation.ASKED),
    ],
)
async def test_what_stopping_it_costs(
    fake: FakeReplicate, has_begun: bool, answer: int | str | None, stopped: Cancellation
) -> None:
    fake.is_held, fake.has_begun = True, has_begun
    async with opened(fake) as provider:
        handle = await taken(provider)
        fake.cancels_get = [] if answer is None else [answer]
        assert await provider.cancel(handle, job()) is stopped


async def test_several_are_looked_for_in_one_list(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        ids = [f"req-{at}" for at in range(4)]
        asked = [Asked(await taken(provider, id_=id_), job(id_=id_)) for id_ in ids]
        made = list(fake.predictions.values())
        made[0]["states"] = [{"status": "processing"}] * 9
        made[1]["states"] = [{"status": "failed", "error": "nsfw"}]
        made[2]["states"] = [{"status": "succeeded", "output": ["x"] * 3, "metrics": "odd"}]
        before = len(fake.asked())
        answers = await provider.poll_many([*asked, asked[3]])
    assert [type(each) for each in answers] == [Pending, Failed, Failed, Completed, Completed]
    assert len(fake.asked()) == before + 1
    assert fake.calls[-1].path == "/v1/predictions"


async def test_one_alone_is_asked_about_by_itself_as_the_list_has_no_logs(fake: FakeReplicate) -> None:
    fake.is_held = True
    async with opened(fake) as provider:
        asked = Asked(await taken(provider), job())
        (answer, same) = await provider.poll_many([asked, asked])
        assert list(await provider.poll_many([])) == []
    assert answer == same and isinstance(answer, Pending) and answer.progress == 0.5
    assert [call.path for call in fake.asked()] == [f"/v1/predictions/{asked.handle['id']}"]


async def test_those_that_are_not_listed_are_asked_about_one_by_one(fake: FakeReplicate) -> None:
    fake.page_size = 2
    async with opened(fake) as provider:
        ids = [f"req-{at}" for at in range(9)]
        asked = [Asked(await taken(provider, id_=id_), job(id_=id_)) for id_ in ids]
        del fake.predictions[asked[0].handle["id"]]
        answers = await provider.poll_many(asked)
        assert [type(each) for each in answers] == [Unknown] + [Completed] * 8, "one's trouble is not the others'"
        assert len(fake.asked()) == 3 + 3, "three pages of two, and three that are older"
        fake.questions_get = [500]
        assert [type(each) for each in await provider.poll_many(asked)] == [Unknown] + [Completed] * 8
        gone = (await provider.poll_many(asked))[0]
    assert isinstance(gone, Failed), "not there three times in a row"


async def test_a_batch_asks_about_some_of_many_that_are_not_listed(fake: FakeReplicate) -> None:
    fake.page_size = 1
    async with opened(fake) as provider:
        asked = [Asked(await taken(provider, id_=f"req-{at}"), job(id_=f"req-{at}")) for at in range(30)]
        rounds = [await provider.poll_many(asked) for _ in range(2)]
    kinds = [[type(each) for each in answers] for answers in rounds]
    assert [each.count(Completed) for each in kinds] == [27, 27], "three pages of one, and 24 by themselves"
    assert {each for answers in kinds for each in answers} == {Completed, Unknown}


async def test_a_list_that_is_to_be_left_alone_is_asked_about_no_more(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        asked = [Asked(await taken(provider, id_=id_), job(id_=id_)) for id_ in ("req-1", "req-2")]
        fake.questions_get = [429]
        answers = await provider.poll_many(asked)
    assert [(type(each), getattr(each, "poll_after_seconds", None)) for each in answers] == [(Pending, 9)] * 2
    assert len(fake.asked()) == 1


async def test_a_list_without_outputs_tells_only_what_has_not_ended(fake: FakeReplicate) -> None:
    fake.lists_outputs = False
    async with opened(fake) as provider:
        asked = [Asked(await taken(provider, id_=id_), job(id_=id_)) for id_ in ("req-1", "req-2")]
        next(iter(fake.predictions.values()))["states"] = [{"status": "processing"}] * 9
        answers = await provider.poll_many(asked)
    assert [type(each) for each in answers] == [Pending, Completed]
    assert len(fake.asked()) == 2


def test_a_page_of_a_million_entries_is_not_read_to_its_end() -> None:
    page = page_in(Reply(200, {}, b'{"results":[' + b'{"id":"a"},' * 2000 + b'{"id":"b"}]}'))
    assert page is not None and len(page.predictions) == 1000


async def test_a_list_that_does_not_tell_why_one_failed_is_not_the_last_word(fake: FakeReplicate) -> None:
    fake.lists_errors = False
    async with opened(fake) as provider:
        asked = [Asked(await taken(provider, id_=id_), job(id_=id_)) for id_ in ("req-1", "req-2")]
        for made in fake.predictions.values():
            made["states"] = [{"status": "failed", "error": "NSFW content detected"}]
        answers = await provider.poll_many(asked)
    assert [isinstance(each, Failed) and each.reason for each in answers] == [FailureClass.CONTENT_POLICY] * 2


# What no server should say.

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_prediction = st.fixed_dictionaries(
    {"id": st.just("p1")},
    optional={
        "status": st.sampled_from(["starting", "succeeded", "failed", "canceled", "aborted", "odd"]) | _json,
        **dict.fromkeys(("output", "error", "logs", "metrics", "data_removed", "created_at", "webhook"), _json),
    },
)


@pytest.fixture
def silent() -> ReplicateProvider:
    return ReplicateProvider(Settings(base_url="https://a.example/v1", key=Secret("env:KEY")), "k", None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=_prediction | _json)
def test_no_answer_is_a_surprise(silent: ReplicateProvider, document: Any) -> None:
    reply = Reply(200, {}, msgspec.json.encode(document))
    prediction = prediction_in(reply)
    if prediction is not None:
        outcome = silent._state(prediction, reply, job())
        assert isinstance(outcome, Completed | Pending | Failed)
    page_in(Reply(200, {}, msgspec.json.encode({"results": [document, 7, None], "next": document})))
    problem_in(document)
    for status in (400, 422, 429, 500):
        told = Reply(status, {}, reply.body)
        assert isinstance(refusal_of(told, silent._settings, ("prompt",)), Failed | Unknown)


@pytest.mark.parametrize(
    ("logs", "progress"),
    [
        (LOG, 0.5),
        ("  5%|5 | 1/20\r 10%|1 | 2/20\r\n", 0.1),
        ("Sampling: 30%|### | 3/10", 0.3),
        ("999%|x| 1/1", 1.0),
        ("50% of all\n", None),
        ("x" * 100_000 + "\n 70%|#| 7/10", 0.7),
        ("70%|#| 7/10\n" + "x" * 100_000, None),
        (["7%|"], None),
        (None, None),
    ],
)
def test_progress_is_the_last_bar_of_the_log(silent: ReplicateProvider, logs: Any, progress: float | None) -> None:
    reply = Reply(200, {}, msgspec.json.encode({"id": "p", "status": "processing", "logs": logs}))
    prediction = prediction_in(reply)
    assert prediction is not None
    outcome = silent._state(prediction, reply, job())
    assert isinstance(outcome, Pending) and outcome.progress == progress


@pytest.mark.parametrize(
    ("metrics", "usage"),
    [
        ({"predict_time": 2, "total_time": 3.5, "key": "r8_x", "is": True}, {"predict_time": 2, "total_time": 3.5}),
        ({"predict_time": -1, "video_output_duration_seconds": 5}, {"video_output_duration_seconds": 5}),
        ({"predict_time": 10**400}, None),
        ({"predict_time": "1.0"}, None),
        ([], None),
        (None, None),
    ],
)
def test_only_numbers_are_kept_of_what_was_used(
    silent: ReplicateProvider, metrics: Any, usage: dict[str, Any] | None
) -> None:
    text = (
        str(metrics["predict_time"]) if isinstance(metrics, dict) and metrics.get("predict_time") == 10**400 else None
    )
    body = (
        b'{"id":"p","metrics":{"predict_time":' + text.encode() + b"}}"
        if text
        else msgspec.json.encode({"id": "p", "metrics": metrics})
    )
    reply = Reply(200, {}, body)
    prediction = prediction_in(reply)
    told = None if prediction is None else silent._state(prediction, reply, job()).answer.usage
    assert (None if told is None else told.raw) == usage
