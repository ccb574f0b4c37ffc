"""Clips: interactions of either platform, and operations of Vertex."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    Completed,
    Failed,
    FailureClass,
    LocalFile,
    Pending,
    RemoteFile,
    Stage,
    Unknown,
)
from safelight.outbound.backend_api import Reply
from safelight.providers.google import generate_content, interactions, veo
from safelight.providers.google.provider import GoogleProvider
from safelight.providers.noop import mp4
from tests.providers.google.fake import KEY, FakeGoogle
from tests.providers.google.studio import IMAGE, PICTURE, VIDEO, bytes_of, job, order, provider_of

POLICY, PERMANENT, TRANSIENT = FailureClass.CONTENT_POLICY, FailureClass.PERMANENT, FailureClass.TRANSIENT
QUOTA, AUTH, LIMITED, BAD = FailureClass.QUOTA, FailureClass.AUTH, FailureClass.RATE_LIMITED, FailureClass.BAD_INPUT
DATA = base64.b64encode(PICTURE).decode()
WAYS = [("gemini", "gemini-omni", {}), ("vertex", "veo-3", {}), ("vertex", "gemini-omni", {"api": "interactions"})]


async def ordered(provider: GoogleProvider, workdir: Path, platform: str = "gemini", **more: Any) -> Any:
    """A job that was taken, by the platform's own API: its handle and what it is asked about with."""
    asked = job(workdir, VIDEO, "gemini-omni" if platform == "gemini" else "veo-3", **more)
    outcome = await provider.submit(order(VIDEO), asked)
    assert isinstance(outcome, Accepted), outcome
    return outcome.handle, asked


@pytest.mark.parametrize(("platform", "model", "options"), WAYS)
async def test_a_clip_is_ordered_and_asked_about(
    fake: FakeGoogle, tmp_path: Path, platform: str, model: str, options: dict[str, Any]
) -> None:
    fake.video = mp4(2) + bytes(100_000)
    fake.is_held = True
    asked = job(tmp_path, VIDEO, model, options={"delivery": "inline", **options})
    async with provider_of(fake, platform, poll_seconds=7) as provider:
        outcome = await provider.submit(order(VIDEO), asked)
        assert isinstance(outcome, Accepted), outcome
        pending = await provider.poll(outcome.handle, asked)
        assert isinstance(pending, Pending) and pending.poll_after_seconds == 7
        fake.is_held = False
        made = await provider.poll(outcome.handle, asked)
    assert isinstance(made, Completed) and isinstance(made.media[0], LocalFile), "a long one goes to disk as it comes"
    assert bytes_of(made) == fake.video
    assert made.answer.request_id


@pytest.mark.parametrize(
    ("roles", "task"),
    [
        ([], "text_to_video"),
        (["first_frame"], "image_to_video"),
        (["reference_image", "reference_image"], "reference_to_video"),
    ],
)
async def test_an_interaction_in_its_own_words(
    fake: FakeGoogle, tmp_path: Path, roles: list[ReferenceRole], task: str
) -> None:
    async with provider_of(fake) as provider:
        await provider.submit(order(VIDEO, *roles, seed=7), job(tmp_path, VIDEO))
    (call,) = fake.orders()
    assert call.path == "/v1/interactions"
    assert call.body == {
        "model": "gemini-omni",
        "input": [
            {"type": "text", "text": "a red fox"},
            *({"type": "image", "data": DATA, "mime_type": "image/png"} for _ in roles),
        ],
        "response_format": {
            "type": "video",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "duration": "2s",
            "delivery": "uri",
        },
        "generation_config": {"seed": 7, "video_config": {"task": task}},
        "background": True,
        "store": True,
    }


@pytest.mark.parametrize(("duration", "told"), [("8s", "2s"), ("8", "2"), ("none", None)])
async def test_how_seconds_are_written_is_an_option(
    fake: FakeGoogle, tmp_path: Path, duration: str, told: str | None
) -> None:
    asked = job(tmp_path, VIDEO, options={"duration": duration, "task": "none"})
    async with provider_of(fake) as provider:
        await provider.submit(order(VIDEO), asked)
    body = fake.orders()[-1].body
    assert (body["response_format"].get("duration"), body.get("generation_config")) == (told, None)


async def test_a_picture_by_an_interaction(fake: FakeGoogle, tmp_path: Path) -> None:
    asked = job(tmp_path, IMAGE, options={"api": "interactions"})
    async with provider_of(fake, api_revision="2026-05-20") as provider:
        outcome = await provider.submit(order(IMAGE, "reference_image"), asked)
        assert isinstance(outcome, Accepted)
        made = await provider.poll(outcome.handle, asked)
    assert bytes_of(made) == PICTURE
    assert isinstance(made, Completed) and made.answer.usage is not None
    assert (made.answer.usage.output_tokens, made.answer.usage.raw["output_tokens_by_modality"]) == (
        5000,
        {"video": 5000},
    )
    body = fake.orders()[-1].body
    assert body["response_format"] == {"type": "image", "aspect_ratio": "16:9", "image_size": "2K"}
    assert fake.calls[-1].headers["api-revision"] == "2026-05-20"


@pytest.mark.parametrize(
    ("roles", "instance"),
    [
        ([], {}),
        (["first_frame"], {"image"}),
        (["first_frame", "last_frame"], {"image", "lastFrame"}),
        (["reference_image", "reference_image"], {"referenceImages"}),
    ],
)
async def test_an_operation_in_its_own_words(
    fake: FakeGoogle, tmp_path: Path, roles: list[ReferenceRole], instance: set[str]
) -> None:
    asked = order(VIDEO, *roles, seed=7, negative_prompt="fog", sound=False)
    async with provider_of(fake, "vertex") as provider:
        outcome = await provider.submit(asked, job(tmp_path, VIDEO, "veo-3"))
    assert isinstance(outcome, Accepted)
    (call,) = fake.orders()
    assert call.path.endswith("/publishers/google/models/veo-3:predictLongRunning")
    told = call.body["instances"][0]
    assert told.keys() == {"prompt", *instance}
    if "referenceImages" in instance:
        picture = {"bytesBase64Encoded": DATA, "mimeType": "image/png"}
        assert told["referenceImages"] == [{"image": picture, "referenceType": "ASSET"}] * 2
    assert call.body["parameters"] == {
        "sampleCount": 1,
        "durationSeconds": 2,
        "aspectRatio": "16:9",
        "resolution": "720p",
        "seed": 7,
        "negativePrompt": "fog",
        "generateAudio": False,
    }


@pytest.mark.parametrize(("sound", "told"), [(None, False), (False, False), (True, True)])
async def test_what_an_order_says_wins_over_the_binding(
    fake: FakeGoogle, tmp_path: Path, sound: bool | None, told: bool
) -> None:
    asked = job(tmp_path, VIDEO, "veo-3", options={"body": {"parameters": {"generateAudio": False}}})
    async with provider_of(fake, "vertex") as provider:
        assert isinstance(await provider.submit(order(VIDEO, sound=sound), asked), Accepted)
    assert fake.orders()[-1].body["parameters"]["generateAudio"] is told


@pytest.mark.parametrize(
    ("platform", "model", "roles", "spec", "options"),
    [
        ("gemini", "gemini-omni", ["first_frame", "last_frame"], {}, {}),
        ("gemini", "gemini-omni", ["first_frame", "reference_image"], {}, {}),
        ("gemini", "gemini-omni", [], {"negative_prompt": "fog"}, {}),
        ("gemini", "gemini-omni", [], {"sound": False}, {}),
        ("gemini", "gemini-omni", [], {"sound": True}, {}),
        ("gemini", "veo-3", [], {}, {"api": "veo"}),
        ("gemini", "gemini-image", [], {}, {"api": "generate-content"}),
        ("gemini", "gemini-omni", [], {}, {"storage_uri": "gs://a/b"}),
        ("vertex", "veo-3", ["first_frame", "reference_image"], {}, {}),
        ("vertex", "veo-3", ["last_frame"], {}, {}),
        ("vertex", "gemini-omni", [], {}, {"api": "interactions", "delivery": "uri"}),
    ],
)
async def test_what_it_cannot_be_told_is_not_ordered(
    fake: FakeGoogle,
    tmp_path: Path,
    platform: str,
    model: str,
    roles: list[ReferenceRole],
    spec: dict[str, Any],
    options: dict[str, Any],
) -> None:
    async with provider_of(fake, platform) as provider:
        outcome = await provider.submit(order(VIDEO, *roles, **spec), job(tmp_path, VIDEO, model, options=options))
    assert isinstance(outcome, Failed) and outcome.reason is PERMANENT and outcome.detail
    assert fake.calls == []


INTERACTIONS: list[tuple[dict[str, Any], FailureClass]] = [
    ({"status": "failed"}, PERMANENT),
    ({"status": "failed", "errors": [{"code": "content_policy", "message": "no"}]}, POLICY),
    ({"status": "failed", "errors": [{"code": "x/safety_blocked", "message": f"no {KEY}"}]}, POLICY),
    ({"status": "failed", "errors": [{"code": "resource_exhausted", "message": "slow down"}]}, LIMITED),
    ({"status": "failed", "errors": [{"code": "unavailable", "message": "later"}]}, TRANSIENT),
    ({"status": "failed", "errors": [{"code": "invalid_argument", "message": "odd"}]}, BAD),
    ({"status": "failed", "errors": "odd"}, PERMANENT),
    ({"status": "failed", "steps": [{"type": "model_output", "error": {"code": 13, "message": "oh"}}]}, TRANSIENT),
    ({"status": "failed", "steps": [{"type": "model_output", "error": {"code": 3, "message": "odd"}}]}, BAD),
    ({"status": "incomplete"}, PERMANENT),
    ({"status": "requires_action"}, PERMANENT),
    ({"status": "requires_continuation"}, PERMANENT),
    ({"status": "budget_exceeded"}, QUOTA),
    ({"status": "budget_exceeded", "errors": [{"code": "budget", "message": "over"}]}, QUOTA),
    ({"status": "cancelled"}, FailureClass.CANCELED),
    ({"status": "completed"}, POLICY),
    ({"status": "completed", "steps": None}, POLICY),
    ({"status": "completed", "steps": [{"type": "user_input", "content": [{"type": "image", "data": DATA}]}]}, POLICY),
    ({"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "text", "text": "no"}]}]}, POLICY),
    ({"status": "completed", "errors": [{"code": "internal", "message": "oh"}]}, TRANSIENT),
    (
        {"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "video", "data": "!!!"}]}]},
        PERMANENT,
    ),
    (
        {"status": "completed", "steps": [{"type": "model_output", "content": [{"type": "image", "data": DATA}]}]},
        PERMANENT,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("state", "reason"), INTERACTIONS)
async def test_an_interaction_that_made_nothing_says_why(
    fake: FakeGoogle, tmp_path: Path, state: dict[str, Any], reason: FailureClass
) -> None:
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        fake.states = [state]
        outcome = await provider.poll(handle, asked)
    assert isinstance(outcome, Failed) and outcome.reason is reason, outcome


OPERATIONS: list[tuple[dict[str, Any], FailureClass]] = [
    ({"done": True, "error": {"code": 3, "message": "odd"}}, BAD),
    ({"done": True, "error": {"code": 3, "message": "Against Vertex AI's usage guidelines: 1"}}, POLICY),
    ({"done": True, "error": {"code": 4, "message": "too late"}}, TRANSIENT),
    ({"done": True, "error": {"code": 8, "message": "Quota exceeded"}}, LIMITED),
    ({"done": True, "error": {"code": 8, "message": "Your prepayment credits are depleted."}}, QUOTA),
    ({"done": True, "error": {"code": 13, "message": "internal"}}, TRANSIENT),
    ({"done": True, "error": {"code": 14, "message": "unavailable"}}, TRANSIENT),
    ({"done": True, "error": {"code": 99, "message": "of tomorrow"}}, PERMANENT),
    ({"done": True, "response": {"raiMediaFilteredCount": 1, "raiMediaFilteredReasons": ["Support code 1"]}}, POLICY),
    ({"done": True, "response": {"raiMediaFilteredReasons": "odd", "videos": []}}, POLICY),
    ({"done": True, "response": {"videos": [{"mimeType": "video/mp4"}, None]}}, PERMANENT),
    ({"done": True, "error": {"details": []}}, PERMANENT),
    ({"done": True, "response": None}, POLICY),
    ({"done": True, "response": {"videos": [{"bytesBase64Encoded": "!!!"}]}}, PERMANENT),
    ({"done": True, "response": {"videos": [{"gcsUri": "gs://"}]}}, PERMANENT),
]  # fmt: skip


@pytest.mark.parametrize(("state", "reason"), OPERATIONS)
async def test_an_operation_that_made_nothing_says_why(
    fake: FakeGoogle, tmp_path: Path, state: dict[str, Any], reason: FailureClass
) -> None:
    async with provider_of(fake, "vertex") as provider:
        handle, asked = await ordered(provider, tmp_path, "vertex")
        fake.states = [state]
        outcome = await provider.poll(handle, asked)
    assert isinstance(outcome, Failed) and outcome.reason is reason, outcome


@pytest.mark.parametrize(
    "state",
    [{"status": "idle"}, {"status": "of_tomorrow"}, {"status": None}, {"status": 7}, {"status": "in_progress"}],
)
async def test_a_word_that_nobody_knows_is_no_end(fake: FakeGoogle, tmp_path: Path, state: dict[str, Any]) -> None:
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        fake.states = [state]
        outcome = await provider.poll(handle, asked)
    assert isinstance(outcome, Pending)
    assert outcome.stage is (Stage.RUNNING if state["status"] == "in_progress" else None)


async def test_what_an_unfinished_job_shows_does_not_pile_up_on_disk(fake: FakeGoogle, tmp_path: Path) -> None:
    shown = {"type": "model_output", "content": [{"type": "image", "data": "QUFB" * 30_000}]}
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        fake.states = [{"status": "in_progress", "steps": [shown]}]
        assert isinstance(await provider.poll(handle, asked), Pending)
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@pytest.mark.parametrize("done", [None, False, "true", 1])
async def test_an_operation_is_done_when_it_says_so(fake: FakeGoogle, tmp_path: Path, done: Any) -> None:
    async with provider_of(fake, "vertex") as provider:
        handle, asked = await ordered(provider, tmp_path, "vertex")
        fake.states = [{"done": done, "metadata": {"progressPercentage": 250}}]
        outcome = await provider.poll(handle, asked)
    assert isinstance(outcome, Pending) and outcome.progress == 1.0


@pytest.mark.parametrize("platform", ["gemini", "vertex"])
async def test_a_server_in_trouble_says_nothing_of_a_job(fake: FakeGoogle, tmp_path: Path, platform: str) -> None:
    async with provider_of(fake, platform) as provider:
        handle, asked = await ordered(provider, tmp_path, platform)
        fake.is_held = True
        fake.states = [500, 503, 404, 404, "<html>", 404, 404, 429, 404, 410, 404]
        answers = [await provider.poll(handle, asked) for _ in range(11)]
    kinds = [Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Pending, Unknown, Unknown, Failed]
    assert [type(answer) for answer in answers] == kinds, "gone is what is not there three times in a row"


async def test_the_last_clip_counts(fake: FakeGoogle, tmp_path: Path) -> None:
    """As the official client has it."""
    content = [{"type": kind, "data": base64.b64encode(data).decode()} for kind, data in
        (("video", b"a draft"), ("video", mp4(2)), ("image", PICTURE))]  # fmt: skip
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        fake.states = [{"status": "completed", "steps": [{"type": "model_output", "content": content}]}]
        assert bytes_of(await provider.poll(handle, asked)) == mp4(2)


async def test_a_clip_behind_the_api_is_fetched_with_the_key(fake: FakeGoogle, tmp_path: Path) -> None:
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        outcome = await provider.poll(handle, asked)
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile)
    assert file.url == f"{fake.base_url}/v1/files/file1:download?alt=media"
    assert file.headers == {"x-goog-api-key": KEY}


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("{base}/v1beta/files/abc", "{base}/v1/files/abc:download?alt=media"),
        ("files/abc", "{base}/v1/files/abc:download?alt=media"),
        # Behind a proxy, Google tells its own address.
        (
            "https://generativelanguage.googleapis.com/v1beta/files/abc:download?alt=media",
            "{base}/v1/files/abc:download?alt=media",
        ),
        ("https://generativelanguage.googleapis.com/v1beta/other/abc", None),
        ("https://generativelanguage.googleapis.com.cdn.example/files/abc", ""),
        ("https://cdn.example/files/abc.mp4", ""),
        ("{base}/v1/other/abc", None),
        ("{base}/v1/files/../models", None),
        ("http://cdn.example/abc.mp4", None),
        ("gs://bucket/abc.mp4", None),
        ("https://[::1", None),
    ],
)
async def test_the_key_goes_to_the_apis_files_alone(
    fake: FakeGoogle, tmp_path: Path, uri: str, url: str | None
) -> None:
    output = {"type": "video", "uri": uri.replace("{base}", fake.base_url)}
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        fake.states = [{"status": "completed", "steps": [{"type": "model_output", "content": [output]}]}]
        outcome = await provider.poll(handle, asked)
    if url is None:
        assert isinstance(outcome, Failed) and outcome.reason is PERMANENT
        return
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile) and file.url == (url.replace("{base}", fake.base_url) or uri)
    assert bool(file.headers) == bool(url), "elsewhere it is fetched without the key"


async def test_a_clip_in_a_bucket_is_fetched_with_the_token(fake: FakeGoogle, tmp_path: Path) -> None:
    options = {"storage_uri": "gs://studio/clips"}
    async with provider_of(fake, "vertex", user_project="payer-1") as provider:
        handle, asked = await ordered(provider, tmp_path, "vertex", options=options)
        outcome = await provider.poll(handle, asked)
    assert fake.orders()[-1].body["parameters"]["storageUri"] == "gs://studio/clips"
    assert isinstance(outcome, Completed)
    (file,) = outcome.media
    assert isinstance(file, RemoteFile)
    assert file.url == f"{fake.base_url}/storage/v1/b/studio/o/clips%2Fa%20b%2Fmade.mp4?alt=media"
    assert file.headers == {"Authorization": f"Bearer {fake.tokens[-1]}", "x-goog-user-project": "payer-1"}
    assert fake.orders()[-1].headers["x-goog-user-project"] == "payer-1"
    async with aiohttp.ClientSession() as session, session.get(file.url, headers=file.headers) as answer:
        assert (answer.status, await answer.read()) == (200, mp4(2))


async def test_a_wish_to_cancel(fake: FakeGoogle, tmp_path: Path) -> None:
    fake.is_held = True
    async with provider_of(fake) as provider:
        handle, asked = await ordered(provider, tmp_path)
        assert await provider.cancel(handle, asked) is Cancellation.ASKED
        outcome = await provider.poll(handle, asked)
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.CANCELED
        assert await provider.cancel(handle, asked) is Cancellation.TOO_LATE
    async with provider_of(fake, "vertex") as provider:
        handle, asked = await ordered(provider, tmp_path, "vertex")
        before = len(fake.calls)
        assert await provider.cancel(handle, asked) is Cancellation.TOO_LATE
        assert len(fake.calls) == before


@pytest.mark.parametrize("platform", ["gemini", "vertex"])
@pytest.mark.parametrize("fault", ["drop", "late", "page"])
async def test_an_order_without_a_clear_answer_may_have_been_taken(
    fake: FakeGoogle, tmp_path: Path, platform: str, fault: str
) -> None:
    fake.behave(fault)
    model = "gemini-omni" if platform == "gemini" else "veo-3"
    async with provider_of(fake, platform) as provider:
        assert isinstance(await provider.submit(order(VIDEO), job(tmp_path, VIDEO, model)), Unknown)
    assert len(fake.orders()) == 1, "never a second"


@pytest.mark.parametrize(
    ("platform", "answer"),
    [("gemini", "empty"), ("gemini", "array"), ("gemini", "page_in_200"), ("vertex", "empty"), ("vertex", "array")],
)
async def test_an_order_that_was_taken_without_an_id_is_unknown(
    fake: FakeGoogle, tmp_path: Path, platform: str, answer: str
) -> None:
    fake.behave(answer)
    model = "gemini-omni" if platform == "gemini" else "veo-3"
    async with provider_of(fake, platform) as provider:
        assert isinstance(await provider.submit(order(VIDEO), job(tmp_path, VIDEO, model)), Unknown)


async def test_an_operation_elsewhere_than_at_a_model_is_not_asked_about_there() -> None:
    names = ["projects/p/locations/l/publishers/google/models/m/operations/o", "https://evil/operations/o", "../x", 7]
    found = [veo.operation_of(Reply(200, {}, repr({"name": name}).replace("'", '"').encode())) for name in names]
    assert found == [names[0], None, None, None]
    assert veo.model_of(str(names[0])) == "projects/p/locations/l/publishers/google/models/m"


_NAMES = st.sampled_from(
    (
        *("status", "steps", "errors", "error", "type", "content", "data", "uri", "code", "message", "done"),
        *("response", "videos", "bytesBase64Encoded", "gcsUri", "raiMediaFilteredReasons", "candidates", "parts"),
        *("inlineData", "usage", "usageMetadata", "promptFeedback", "finishReason", "details", "id", "name", "outputs"),
    )
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just("completed"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(document=st.dictionaries(_NAMES, _JSON, max_size=6))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_document_is_a_surprise(fake: FakeGoogle, tmp_path: Path, document: dict[str, Any]) -> None:
    reply = Reply(200, {}, msgspec.json.encode(document))
    async with provider_of(fake) as provider:
        known, files = provider._settings, await provider._files()
        outcomes = [
            interactions.state_of(reply, VIDEO, known, files),
            veo.state_of(reply, "projects/p/o", known, files),
            generate_content.picture_of(reply, order(), job(tmp_path), known, files),
            await provider._interaction_taken(reply, order(VIDEO)),
            provider._operation_taken(reply),
        ]
    assert all(isinstance(each, Completed | Failed | Unknown | Pending | Accepted) for each in outcomes)
