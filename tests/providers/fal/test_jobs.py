"""Jobs in fal's queue: what is made of every answer about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    InlineBytes,
    LocalFile,
    Pending,
    PollOutcome,
    RemoteFile,
    Stage,
    Unknown,
    Usage,
)
from safelight.lifecycle.reports import may_be_kept
from safelight.outbound.backend_api import Reply
from safelight.providers.fal.answers import (
    answer_of,
    cancellation_in,
    error_in,
    failed,
    status_in,
    ticket_in,
    ticket_of,
)
from safelight.providers.fal.output import address_in, is_empty, is_flagged
from safelight.providers.fal.provider import FalProvider
from tests.providers.fal.fake import KEY, FakeFal
from tests.providers.fal.studio import IMAGE, VIDEO, job, open_provider, options, order
from tests.providers.openai.media import clip, picture

R = FailureClass


async def taken(provider: FalProvider, prompt: str, type_: GenerationType = IMAGE) -> dict[str, Any]:
    outcome = await provider.submit(order(prompt, type_), job(type_))
    assert isinstance(outcome, Accepted)
    return outcome.handle


async def seen_through(provider: FalProvider, handle: dict[str, Any], the_job: Any) -> PollOutcome:
    """Asked until it is neither waiting nor open, ten times at most."""
    for _ in range(10):
        outcome = await provider.poll(handle, the_job)
        if isinstance(outcome, Completed | Failed):
            return outcome
    return outcome


async def test_a_job_is_followed_to_its_file(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "a hill", VIDEO)
    waiting, running, made = [await provider.poll(handle, job(VIDEO)) for _ in range(3)]
    assert isinstance(waiting, Pending) and (waiting.stage, waiting.place) == (Stage.QUEUED, 2), "0 is the first there"
    assert isinstance(running, Pending) and (running.stage, running.place) == (Stage.RUNNING, None)
    assert isinstance(made, Completed)
    (file,) = made.media
    assert isinstance(file, RemoteFile) and file.headers == {} and file.url.startswith(f"{fake.base_url}/files/")
    assert made.answer.usage == Usage(raw={"billable_units": 1.5, "inference_time": 1.25}, compute_seconds=1.25)
    assert (made.answer.seed, made.answer.request_id) == (7, "019a-1")
    assert made.answer.revised_prompt == "a green hill, in motion"
    assert KEY not in str(made)


async def test_a_finished_job_tells_a_fresh_address(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "a hill")
    first, second = [await seen_through(provider, handle, job()) for _ in range(2)]
    assert isinstance(first, Completed) and isinstance(second, Completed)
    assert first.media != second.media
    assert len(fake.posts()) == 1


async def test_media_in_the_answer_go_to_disk_if_they_are_long(provider: FalProvider, tmp_path: Path) -> None:
    handle = await taken(provider, "inline hill")
    outcome = await seen_through(provider, handle, job(workdir=tmp_path))
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    data = picture(300, 300)
    assert isinstance(file, LocalFile if len(data) > 49152 else InlineBytes)
    assert (file.path.read_bytes() if isinstance(file, LocalFile) else file.data) == data
    handle = await taken(provider, "inline hill", VIDEO)
    outcome = await seen_through(provider, handle, job(VIDEO, workdir=tmp_path))
    assert isinstance(outcome, Completed) and isinstance(outcome.media[0], InlineBytes)
    assert outcome.media[0].data == clip(64, 64, 2)


ENDED: dict[str, tuple[FailureClass, str | None, bool | None]] = {
    "policy": (R.CONTENT_POLICY, "content_policy_violation", None),
    "nomedia": (R.CONTENT_POLICY, "no_media_generated", None),
    "oldpolicy": (R.CONTENT_POLICY, "value_error", None),
    "badinput": (R.BAD_INPUT, "image_too_small", None),
    "badduration": (R.PERMANENT, "literal_error", None),
    "unpaid": (R.QUOTA, None, None),
    "timeout": (R.TRANSIENT, "request_timeout", False),
    "crashed": (R.TRANSIENT, "runner_disconnected", False),
    "header": (R.TRANSIENT, "runner_server_error", False),
    "hopeless": (R.PERMANENT, "internal_server_error", False),
    "downstream": (R.PERMANENT, "downstream_service_error", None),
    "downstreamagain": (R.TRANSIENT, "downstream_service_error", None),
    "limitedthere": (R.RATE_LIMITED, "downstream_service_unavailable", None),
    "error200": (R.TRANSIENT, "runner_server_error", None),
    "vanished": (R.PERMANENT, None, None),
    "untyped": (R.PERMANENT, None, None),
    "nothing": (R.PERMANENT, None, True),
    "list": (R.PERMANENT, None, True),
    "badurl": (R.PERMANENT, None, True),
    "scheme": (R.PERMANENT, None, True),
    "badbase64": (R.PERMANENT, None, True),
    "unbilled": (R.PERMANENT, None, False),
}
"""The reason, fal's own code, and whether it bills it."""


@pytest.mark.parametrize("word", ENDED)
async def test_how_a_job_fails(fake: FakeFal, provider: FalProvider, word: str, tmp_path: Path) -> None:
    type_ = IMAGE if word in ("badurl", "scheme", "badbase64") else VIDEO
    outcome = await seen_through(provider, await taken(provider, f"{word} hill", type_), job(type_, workdir=tmp_path))
    assert isinstance(outcome, Failed), outcome
    assert (outcome.reason, outcome.answer.code, outcome.answer.is_billed) == ENDED[word]
    assert outcome.answer.request_id == "019a-1"
    assert len(fake.posts()) == 1


@pytest.mark.parametrize(
    ("fixed", "fields", "reason"),
    [
        ({"image_url": "https://ours.example/a.png"}, {"first_frame": "image_url"}, R.BAD_INPUT),
        ({"image_url": "https://ours.example/a.png"}, {}, R.PERMANENT),
        ({}, {"resolution": "image_url"}, R.PERMANENT),
        ({}, {}, R.BAD_INPUT),
    ],
)
async def test_whose_fault_an_input_is(
    provider: FalProvider, fixed: dict[str, Any], fields: dict[str, Any], reason: FailureClass
) -> None:
    """The client's if they chose it: by a part of the request, or by a provider option."""
    handle = await taken(provider, "badinput hill", VIDEO)
    outcome = await seen_through(provider, handle, job(VIDEO, options=options(VIDEO, input=fixed, fields=fields)))
    assert isinstance(outcome, Failed) and outcome.reason is reason


TYPES: dict[FailureClass, dict[int, str]] = {
    R.CONTENT_POLICY: {422: "content_policy_violation no_media_generated"},
    R.BAD_INPUT: {
        422: """one_of greater_than greater_than_equal less_than less_than_equal multiple_of sequence_too_short
            sequence_too_long image_too_small image_too_large image_load_error file_download_error file_too_large
            face_detection_error unsupported_image_format unsupported_video_format video_duration_too_long
            video_duration_too_short"""
    },
    R.TRANSIENT: {
        500: "runner_server_error internal_error internal_server_error generation_timeout downstream_service_error",
        502: "runner_incomplete_response",
        503: """runner_scheduling_failure runner_connection_timeout runner_disconnected runner_connection_refused
            runner_connection_error downstream_service_unavailable""",
        504: "request_timeout startup_timeout",
    },
    R.PERMANENT: {400: "bad_request", 499: "client_disconnected"},
    R.CANCELED: {499: "client_cancelled"},
}
"""The vendor's own words for what went wrong with a job, by its status."""


@pytest.mark.parametrize(
    ("reason", "status", "type_"),
    [(reason, status, word) for reason, of in TYPES.items() for status, words in of.items() for word in words.split()],
)
@pytest.mark.parametrize("is_listed", [True, False])
async def test_each_of_its_words_for_an_error_has_a_reason(
    provider: FalProvider, reason: FailureClass, status: int, type_: str, is_listed: bool
) -> None:
    """As one of a model's list, about the picture that the client gave, or as the platform's, beside a text."""
    one = {"loc": ["body", "image_urls", 0], "msg": "No.", "type": type_}
    body = {"detail": [one]} if is_listed else {"detail": "No.", "error_type": type_}
    reply = Reply(status, {"content-type": "application/json"}, msgspec.json.encode(body))
    answer = answer_of(reply, "019a-1", error=error_in(reply))
    outcome = failed(reply, error_in(reply), options(IMAGE), answer=answer, is_linked=False, status=status)
    assert (outcome.reason, outcome.answer.code) == (reason, type_)


@pytest.mark.parametrize("type_", [IMAGE, VIDEO])
async def test_no_media_is_how_some_refuse(provider: FalProvider, type_: GenerationType) -> None:
    outcome = await seen_through(provider, await taken(provider, "empty hill", type_), job(type_))
    assert isinstance(outcome, Completed) and outcome.media == ()


async def test_a_flagged_picture_is_a_refusal_unless_the_binding_says_otherwise(
    fake: FakeFal, provider: FalProvider
) -> None:
    handle = await taken(provider, "flagged hill")
    outcome = await seen_through(provider, handle, job())
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.is_billed) == (R.CONTENT_POLICY, True)
    fake.units = None
    outcome = await seen_through(provider, handle, job())
    assert isinstance(outcome, Failed) and outcome.answer.is_billed, "seconds alone say nothing of the bill"
    outcome = await seen_through(provider, handle, job(options=options(IMAGE, flagged="delivered")))
    assert isinstance(outcome, Completed) and len(outcome.media) == 1


@pytest.mark.parametrize(("word", "kind"), [("early", Pending), ("limited", Pending)])
async def test_a_result_that_is_late_is_waited_for(provider: FalProvider, word: str, kind: type) -> None:
    outcome = await seen_through(provider, await taken(provider, f"{word} hill"), job())
    assert isinstance(outcome, kind)


@pytest.mark.parametrize(
    ("said", "kind", "stage"),
    [
        ({"status": "IN_QUEUE", "queue_position": 0}, Pending, Stage.QUEUED),
        ({"status": "IN_QUEUE", "queue_position": None}, Pending, Stage.QUEUED),
        ({"status": "IN_QUEUE", "queue_position": 10**30}, Pending, Stage.QUEUED),
        ({"status": "IN_QUEUE", "queue_position": True}, Pending, Stage.QUEUED),
        ({"status": "SIMMERING"}, Pending, None),
        ({"status": ""}, Pending, None),
        ({"status": None}, Unknown, None),
        ({}, Unknown, None),
        ([], Unknown, None),
        ("<html></html>", Unknown, None),
    ],
)
async def test_a_word_that_nobody_knows_is_pending(
    fake: FakeFal, provider: FalProvider, said: Any, kind: type, stage: Stage | None
) -> None:
    handle = await taken(provider, "a hill")
    fake.statuses = [said]
    outcome = await provider.poll(handle, job())
    assert isinstance(outcome, kind)
    if isinstance(outcome, Pending):
        assert outcome.stage == stage
        assert outcome.place == (1 if isinstance(said, dict) and said.get("queue_position") == 0 else None)


@pytest.mark.parametrize(
    ("said", "reason", "code"),
    [
        (
            {"status": "COMPLETED", "error": "Boom", "error_type": "runner_disconnected"},
            R.TRANSIENT,
            "runner_disconnected",
        ),
        ({"status": "COMPLETED", "error": "Boom"}, R.PERMANENT, None),
        ({"status": "COMPLETED", "error": "Boom: NSFW content"}, R.CONTENT_POLICY, None),
        ({"status": "COMPLETED", "error_type": "client_cancelled"}, R.CANCELED, "client_cancelled"),
        ({"status": "FAILED", "error": {"message": "Boom"}}, R.PERMANENT, None),
        ({"status": "CANCELLED"}, R.CANCELED, "client_cancelled"),
    ],
)
async def test_done_with_an_error_is_failed_whatever_its_result_is(
    fake: FakeFal, provider: FalProvider, said: Any, reason: FailureClass, code: str | None
) -> None:
    handle = await taken(provider, "a hill")
    fake.statuses = [said]
    outcome = await provider.poll(handle, job())
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.code) == (reason, code)
    assert (outcome.answer.words or "")[:4] == ("Boom" if "error" in said else "")


async def test_a_server_in_trouble_says_nothing_of_a_job(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "a hill")
    fake.statuses = [500, 401, 404, 404, {"status": "IN_QUEUE"}, 404, 404, 429, 404, 404, 404]
    answers = [await provider.poll(handle, job()) for _ in range(11)]
    kinds = [Unknown, Unknown, Unknown, Unknown, Pending, Unknown, Unknown, Pending, Unknown, Unknown, Failed]
    assert [type(answer) for answer in answers] == kinds, "gone is what is not there three times in a row"
    assert isinstance(answers[7], Pending) and answers[7].poll_after_seconds == 9
    assert isinstance(answers[10], Failed) and answers[10].reason is R.PERMANENT
    await fake.close()
    assert isinstance(await provider.poll(handle, job()), Unknown)


async def test_a_result_that_only_its_server_declines_is_asked_for_again(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "vanished hill")
    answers = [await provider.poll(handle, job()) for _ in range(5)]
    assert [type(answer) for answer in answers] == [Pending, Pending, Unknown, Unknown, Failed]


@pytest.mark.parametrize("word", ["nginx", "gateway502", "lockedthen", "revoked", "limitedtype", "limited"])
async def test_what_a_finished_job_made_is_there_when_its_server_is_well_again(
    fake: FakeFal, provider: FalProvider, word: str
) -> None:
    """Were the job called failed meanwhile, another would be ordered, and paid for besides."""
    handle = await taken(provider, f"{word} hill")
    answers = [await provider.poll(handle, job()) for _ in range(9)][2:]
    assert {type(answer) for answer in answers} <= {Pending, Unknown}
    assert {answer.answer.is_billed for answer in answers if isinstance(answer, Unknown)} <= {None}
    next(iter(fake.jobs.values())).word = "well"
    assert isinstance(await provider.poll(handle, job()), Completed)


async def test_a_typed_trouble_is_the_jobs_at_once_only_if_its_status_says_so(
    fake: FakeFal, provider: FalProvider
) -> None:
    handle = await taken(provider, "crashed hill")
    fake.statuses = [{"status": "COMPLETED"}] * 3
    answers = [await provider.poll(handle, job()) for _ in range(3)]
    assert [type(answer) for answer in answers] == [Unknown, Unknown, Failed]


async def test_a_job_that_was_asked_to_stop_and_is_gone_was_stopped(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "a hill")
    assert await provider.cancel(handle, job()) is Cancellation.ASKED
    outcome = await provider.poll(handle, job())
    assert isinstance(outcome, Failed) and outcome.reason is R.CANCELED
    fake.statuses = [404, 404, 404]
    outcome = [await provider.poll(handle, job()) for _ in range(3)][-1]
    assert isinstance(outcome, Failed) and outcome.reason is R.CANCELED


@pytest.mark.parametrize(
    ("status", "said", "answered"),
    [
        (200, {"status": "OK"}, Cancellation.FREE),
        (202, {"status": "CANCELLATION_REQUESTED"}, Cancellation.ASKED),
        (400, {"status": "ALREADY_COMPLETED"}, Cancellation.TOO_LATE),
        (400, {"detail": "already completed"}, Cancellation.TOO_LATE),
        (404, {"status": "NOT_FOUND"}, Cancellation.ASKED),
        (500, {"status": "OK"}, Cancellation.ASKED),
        (200, {"status": "SOON"}, Cancellation.ASKED),
        (200, {"status": None}, Cancellation.ASKED),
        (200, [], Cancellation.ASKED),
        (429, "{", Cancellation.ASKED),
        (403, {"detail": "No."}, Cancellation.ASKED),
    ],
)
async def test_what_became_of_a_wish_to_cancel(
    fake: FakeFal, provider: FalProvider, status: int, said: Any, answered: Cancellation
) -> None:
    handle = await taken(provider, "a hill")
    fake.cancels = [(status, said)]
    assert await provider.cancel(handle, job()) is answered


async def test_a_wish_that_comes_as_the_job_ends_is_too_late(fake: FakeFal, provider: FalProvider) -> None:
    handle = await taken(provider, "a hill")
    made = await seen_through(provider, handle, job())
    assert isinstance(made, Completed)
    assert await provider.cancel(handle, job()) is Cancellation.TOO_LATE
    await fake.close()
    assert await provider.cancel(handle, job()) is Cancellation.ASKED


async def test_a_gateway_in_front_is_all_that_is_asked(fake: FakeFal) -> None:
    """The handle holds addresses of the connection alone, so a restart asks no one else."""
    fake.elsewhere = "https://queue.fal.run"
    provider = open_provider(fake)
    handle = await taken(provider, "a hill")
    fake.elsewhere = ""
    assert isinstance(await seen_through(provider, handle, job()), Completed)
    await provider.close()


async def test_a_job_is_followed_though_its_connection_has_another_address_now(fake: FakeFal) -> None:
    other = await FakeFal().open()
    provider = open_provider(other)
    other.jobs = fake.jobs
    handle = await taken(provider, "a hill")
    await provider.close()
    await other.close()
    provider = open_provider(fake)
    assert isinstance(await seen_through(provider, handle, job()), Completed)
    assert {each.headers.get("authorization") for each in fake.asked} == {f"Key {KEY}"}
    assert await provider.cancel(handle, job()) is Cancellation.TOO_LATE
    await provider.close()


@pytest.mark.parametrize("more", ["?" + "a" * 2000, "\0", " ", "\t", "é"])
def test_an_address_that_no_row_can_keep_is_built_instead(more: str) -> None:
    """An order that was taken would be lost otherwise."""
    here = "https://queue.fal.run/fal-ai/flux/requests/a"
    told = {"request_id": "a", "status_url": f"{here}/status{more}", "response_url": here + more, "cancel_url": more}
    ticket = ticket_in(Reply(200, {}, msgspec.json.encode(told)), "https://queue.fal.run", "fal-ai/flux/dev")
    assert ticket is not None and may_be_kept(msgspec.to_builtins(ticket), (KEY,))
    assert (ticket.status_url, ticket.response_url, ticket.cancel_url) == (f"{here}/status", here, f"{here}/cancel")


FILE = {"url": "https://v3.fal.media/a", "content_type": "image/png"}
CLIP = {"url": "https://v3.fal.media/b", "content_type": "video/mp4"}


@pytest.mark.parametrize(
    ("output", "type_", "place", "found"),
    [
        ({"images": [FILE, CLIP]}, IMAGE, None, "a"),
        ({"image": FILE}, IMAGE, None, "a"),
        ({"images": ["https://v3.fal.media/a"]}, IMAGE, None, "a"),
        ({"image": "https://v3.fal.media/a"}, IMAGE, None, "a"),
        ({"images": [], "image": FILE}, IMAGE, None, "a"),
        ({"video": {"url": "https://v3.fal.media/b"}}, VIDEO, None, "b"),
        ({"videos": [CLIP]}, VIDEO, None, "b"),
        ({"thumbnail": FILE, "clip": CLIP}, VIDEO, None, "b"),
        ({"thumbnail": FILE, "result": {"output": [{"file": CLIP}]}}, VIDEO, None, "b"),
        ({"mask": {"deep": FILE}, "output": {"images": [{**FILE, "url": "https://v3.fal.media/c"}]}}, IMAGE, None, "c"),
        ({"a": {"b": FILE}, "c": {**FILE, "url": "https://v3.fal.media/c"}}, IMAGE, None, "c"),
        ([FILE], IMAGE, None, "a"),
        ({"steps": [{"out": FILE}, CLIP]}, IMAGE, "steps.0.out", "a"),
        ({"steps": [{"out": FILE}]}, IMAGE, "steps.7.out", None),
        ({"images": [FILE]}, IMAGE, "other", None),
        ({"video": {"url": None}}, VIDEO, None, None),
        ({"video": FILE}, IMAGE, None, "a"),
        ({"audio": {"url": "https://v3.fal.media/x", "content_type": "audio/wav"}}, VIDEO, None, None),
        ({"file": {"url": 7, "content_type": "image/png"}}, IMAGE, None, None),
        ("text", IMAGE, None, None),
    ],
)
def test_where_the_file_is(output: Any, type_: GenerationType, place: str | None, found: str | None) -> None:
    assert address_in(output, type_, place) == (found and f"https://v3.fal.media/{found}")


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["detail", "status", "error", "images", "url", "type", "loc", "metrics", "request_id", "seed"]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(DOCUMENTS, st.sampled_from([200, 202, 400, 403, 422, 429, 500, 503]))
def test_nothing_that_it_may_say_is_a_surprise(document: Any, status: int) -> None:
    body = msgspec.json.encode(document)
    reply = Reply(status, {"content-type": "application/json", "x-fal-billable-units": "1e999"}, body)
    output = reply.json()
    assert isinstance(is_flagged(output), bool) and isinstance(is_empty(output, VIDEO), bool)
    for place in (None, "images", "images.0.url"):
        assert isinstance(address_in(output, IMAGE, place), str | None)
    told = status_in(reply)
    error = error_in(reply, told)
    assert isinstance(error.words, str | None) and isinstance(error.type, str | None)
    assert isinstance(cancellation_in(reply), Cancellation)
    ticket = ticket_in(reply, "https://queue.fal.run", "fal-ai/flux/dev")
    assert ticket is None or ticket.status_url.startswith("https://queue.fal.run/fal-ai/flux/requests/")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(DOCUMENTS, st.sampled_from([200, 400, 404, 422, 500]))
async def test_a_result_of_any_shape_is_an_outcome(provider: FalProvider, document: Any, status: int) -> None:
    reply = Reply(status, {"content-type": "application/json"}, msgspec.json.encode(document))
    told = status_in(Reply(200, {}, b'{"status": "COMPLETED"}'))
    assert told is not None
    outcome = provider._made(reply, told, ticket_of("a", {}, "https://queue.fal.run", "a/b"), job())
    assert isinstance(outcome, Completed | Failed | Unknown)
