"""The API as it is spoken: orders, jobs, refusals. The pipelines are stand-ins."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from safelight.domain.generations import GenerationType
from safelight.model_server.app import make_app
from safelight.model_server.bodies import Refused, read_order
from safelight.model_server.forms import read_form
from safelight.model_server.work import REPLICA_LOST, NotMade, PipelineState
from safelight.outbound.multipart import FilePart, multipart
from tests.model_server.stand_in import ModelServer, StandIn, fault, serve
from tests.providers.openai.media import picture
from tests.support.asgi import served

KEY = {"Authorization": "Bearer sk-1"}
ASYNC = {"Prefer": "wait=1, Respond-Async"}
IMAGE = {"model": "fake-image", "prompt": "a hill"}
VIDEO = {"model": "fake-video", "prompt": "a hill"}


@pytest.fixture
def runner() -> StandIn:
    return StandIn()


@pytest.fixture
async def client(runner: StandIn) -> AsyncIterator[httpx.AsyncClient]:
    async with served(make_app(runner, None)) as opened:
        yield opened


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def ended(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def is_over() -> bool:
        found.update((await client.get(path)).json())
        return found["status"] not in ("queued", "in_progress")

    await until(is_over)
    return found


def error_of(reply: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = reply.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


async def test_a_picture_comes_in_the_answer(client: httpx.AsyncClient, runner: StandIn) -> None:
    body = {**IMAGE, "size": "64x128", "seed": 7, "steps": 3, "guidance": 2, "negative_prompt": "fog", "user": "me"}
    reply = await client.post("/v1/images/generations", json={**body, "n": 1, "output_format": "webp"})
    document = reply.json()
    made = Image.open(io.BytesIO(base64.b64decode(document["data"][0]["b64_json"])))
    assert (made.size, made.format) == ((64, 128), "WEBP")
    assert (document["seed"], document["size"], document["inference_time_s"]) == (7, "64x128", 0.25)
    (work,) = runner.works
    assert (work.seed, work.steps, work.guidance, work.negative_prompt) == (7, 3, 2.0, "fog")


async def test_a_picture_may_be_a_job(client: httpx.AsyncClient, runner: StandIn) -> None:
    runner.is_held = True
    reply = await client.post("/v1/images/generations", json=IMAGE, headers=ASYNC)
    assert (reply.status_code, reply.headers["preference-applied"]) == (202, "respond-async")
    path = reply.headers["location"]

    async def has_begun() -> bool:
        return (await client.get(path)).json()["progress"] > 0

    await until(has_begun)
    document = (await client.get(path)).json()
    assert (document["status"], document["object"], document["progress"]) == ("in_progress", "image", 24)
    assert document["steps"] == {"done": 1, "total": 4} and document["replica"] == {"node": "here", "pid": 7}
    assert error_of(await client.get(f"{path}/content"))["code"] == "not_ready"
    runner.is_held = False
    done = await ended(client, path)
    assert (done["status"], done["progress"], done["seed"]) == ("completed", 100, runner.works[0].seed)
    file = await client.get(f"{path}/content")
    assert file.headers["content-type"] == "image/png" and Image.open(io.BytesIO(file.content)).size == (64, 64)
    assert (await client.delete(path)).json()["deleted"]
    assert (await client.get(path)).status_code == 404
    assert (await client.get(path.replace("images", "videos"))).status_code == 404


async def test_a_job_is_stopped(client: httpx.AsyncClient, runner: StandIn) -> None:
    runner.is_held = True
    job_id = (await client.post("/v1/videos", json=VIDEO)).json()["id"]

    async def has_begun() -> bool:
        return bool(runner.works)

    await until(has_begun)
    assert (await client.delete(f"/v1/videos/{job_id}")).json()["status"] == "cancelled"
    assert (await client.get(f"/v1/videos/{job_id}")).json()["status"] == "cancelled"

    async def is_stopped() -> bool:
        return runner.stopped == [job_id]

    await until(is_stopped)
    assert error_of(await client.get(f"/v1/videos/{job_id}/content"))["code"] == "not_ready"


async def test_the_same_order_under_a_key_is_made_once(client: httpx.AsyncClient, runner: StandIn) -> None:
    first, again = [await client.post("/v1/videos", json=VIDEO, headers={"Idempotency-Key": "key-1"}) for _ in range(2)]
    assert first.json()["id"] == again.json()["id"] == "key-1"
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    other = await client.post("/v1/videos", json={**VIDEO, "seed": 1}, headers={"Idempotency-Key": "key-1"})
    assert (other.status_code, error_of(other)["code"]) == (409, "idempotency_key_reused")
    assert (await ended(client, "/v1/videos/key-1"))["status"] == "completed"
    assert len(runner.works) == 1
    wrong = await client.post("/v1/videos", json=VIDEO, headers={"Idempotency-Key": "../x"})
    assert error_of(wrong)["param"] == "Idempotency-Key"


async def test_whoever_leaves_has_nothing_made_unless_it_can_be_found(runner: StandIn) -> None:
    runner.is_held = True
    async with served(make_app(runner, None)) as client:
        for headers in ({}, {"Idempotency-Key": "mine"}):
            asking = asyncio.create_task(client.post("/v1/images/generations", json=IMAGE, headers=headers))

            async def has_begun(wanted: int = len(runner.works) + 1) -> bool:
                return len(runner.works) == wanted

            await until(has_begun)
            asking.cancel()
            await asyncio.wait([asking])
        left, kept = runner.works

        async def is_stopped() -> bool:
            return runner.stopped == [left.id]

        await until(is_stopped)
        runner.is_held = False
        assert kept.id == "mine" and (await ended(client, "/v1/images/mine"))["status"] == "completed"


async def test_more_than_may_wait_is_refused() -> None:
    few = {"name": "fake-image", "source": "a/b", "tasks": ["text-to-image"], "max_queued": 1, "replicas": 2}
    runner = StandIn([few])
    runner.is_held = True
    async with served(make_app(runner, None)) as client:
        replies = [await client.post("/v1/images/generations", json=IMAGE, headers=ASYNC) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [202, 202, 202, 429]
        assert error_of(replies[-1])["code"] == "queue_full" and int(replies[-1].headers["retry-after"]) > 0
        await client.delete(replies[0].headers["location"])
        assert (await client.post("/v1/images/generations", json=IMAGE, headers=ASYNC)).status_code == 202


async def test_what_ended_long_ago_is_gone(runner: StandIn) -> None:
    async with served(make_app(runner, None, keep_seconds=0)) as client:
        path = (await client.post("/v1/images/generations", json=IMAGE, headers=ASYNC)).headers["location"]

        async def is_gone() -> bool:
            return (await client.get(path)).status_code == 404

        await until(is_gone)


async def test_the_key_is_asked_for(runner: StandIn) -> None:
    async with served(make_app(runner, "sk-1")) as client:
        for headers in ({}, {"Authorization": "Bearer sk-2"}, {"Authorization": "sk-1"}):
            reply = await client.get("/v1/models", headers=headers)
            assert (reply.status_code, error_of(reply)["code"]) == (401, "invalid_api_key")
            assert (await client.post("/v1/videos", json=VIDEO, headers=headers)).status_code == 401
            assert "models" not in (await client.get("/health", headers=headers)).json()
        assert (await client.get("/v1/models", headers=KEY)).status_code == 200
        assert not runner.works


async def test_how_pipelines_stand_is_told(client: httpx.AsyncClient, runner: StandIn) -> None:
    assert ((reply := await client.get("/health")).status_code, reply.json()["status"]) == (200, "ok")
    why = "model fake-image does not fit: needs about 24.00 GB, has 8.00 GB"
    runner.standing["fake-image"] = PipelineState(state="failed", trouble=why)
    assert ((reply := await client.get("/health")).status_code, reply.json()["status"]) == (200, "degraded")
    assert reply.json()["models"]["fake-image"] == {"status": "failed", "message": why}
    refusal = await client.post("/v1/images/generations", json=IMAGE)
    assert (refusal.status_code, error_of(refusal)["message"]) == (503, why)
    assert int(refusal.headers["retry-after"]) > 0
    runner.standing["fake-video"] = PipelineState(state="starting")
    assert (await client.get("/health")).status_code == 503
    (image, video) = (await client.get("/v1/models")).json()["data"]
    assert (image["status"], image["message"], video["status"], video["fps"]) == ("failed", why, "starting", 8)
    assert (await client.post("/v1/videos", json=VIDEO)).status_code == 200, "it waits for its pipeline"


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (NotMade(fault("moderation_blocked")), 400, "moderation_blocked"),
        (NotMade(REPLICA_LOST), 503, "replica_lost"),
        (RuntimeError("of the runner"), 500, "server_error"),
    ],
)
async def test_what_comes_to_nothing_is_told(
    client: httpx.AsyncClient, runner: StandIn, end: NotMade | Exception, status: int, code: str
) -> None:
    runner.comes_to = [end, end]
    reply = await client.post("/v1/images/generations", json=IMAGE)
    assert (reply.status_code, error_of(reply)["code"]) == (status, code)
    job = await ended(client, f"/v1/videos/{(await client.post('/v1/videos', json=VIDEO)).json()['id']}")
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert "of the runner" not in str(job)


REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"prompt": None}, "prompt", "missing_required_parameter"),
    ({"model": None}, "model", "missing_required_parameter"),
    ({"model": "no-such"}, "model", "model_not_found"),
    ({"model": "fake-video"}, "model", "unsupported_task"),
    ({"size": "63x64"}, "size", "invalid_size"),
    ({"size": "1024"}, "size", "invalid_size"),
    ({"size": "9000x64"}, "size", "invalid_size"),
    ({"seed": -1}, "seed", "invalid_value"),
    ({"seed": True}, "seed", "invalid_value"),
    ({"steps": 501}, "num_inference_steps", "invalid_value"),
    ({"strength": 0.5}, "strength", "unsupported_parameter"),
    ({"n": 2}, "n", "unsupported_parameter"),
    ({"response_format": "url"}, "response_format", "unsupported_parameter"),
    ({"quality": "high"}, "quality", "unsupported_parameter"),
    ({"output_format": "gif"}, "output_format", "invalid_value"),
    ({"mask": "x"}, "mask", "unknown_parameter"),
    ({"image": "https://example.com/a.png"}, "image", "invalid_image"),
    ({"image": "data:image/png;base64,%%"}, "image", "invalid_image"),
    ({"image": ["data:image/png;base64,AAAA"] * 3}, "image", "too_many_images"),
]


@pytest.mark.parametrize(("body", "param", "code"), REFUSED, ids=[str(body) for body, _, _ in REFUSED])
async def test_what_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient, runner: StandIn, body: dict[str, Any], param: str | None, code: str
) -> None:
    reply = await client.post("/v1/images/generations", json={**IMAGE, **body})
    assert reply.status_code == (404 if code == "model_not_found" else 400)
    assert (error_of(reply)["param"], error_of(reply)["code"]) == (param, code)
    assert not runner.works


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"seconds": "0"}, "seconds"),
        ({"seconds": "1", "num_frames": 9}, "num_frames"),
        ({"num_frames": 10}, "num_frames"),
        ({"generate_audio": True}, "generate_audio"),
        ({"input_reference": "data:image/png;base64,AAAA", "max_sequence_length": 3}, "max_sequence_length"),
        ({"output_format": "png"}, "output_format"),
    ],
)
async def test_what_cannot_be_of_a_clip_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    reply = await client.post("/v1/videos", json={**VIDEO, **body})
    assert (reply.status_code, error_of(reply)["param"]) == (400, param)


async def test_an_option_that_is_allowed_reaches_the_pipeline(client: httpx.AsyncClient, runner: StandIn) -> None:
    assert (await client.post("/v1/videos", json={**VIDEO, "max_sequence_length": 16})).status_code == 200

    async def is_begun() -> bool:
        return bool(runner.works)

    await until(is_begun)
    assert runner.works[0].options == {"max_sequence_length": 16}


@pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/images/generations", "/v1/videos/none/content"])
async def test_what_is_not_there_is_told_in_the_same_shape(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert reply.status_code in (404, 405)
    assert error_of(reply)["code"] == "not_found"


def test_the_official_client_speaks_to_it() -> None:
    with serve(ModelServer()) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0)
        assert [model.id for model in client.models.list()] == ["fake-image", "fake-video"]
        made = client.images.generate(model="fake-image", prompt="a hill", size="1024x1024", extra_body={"seed": 3})
        assert made.data and made.data[0].b64_json
        files = [("a.png", picture(16, 16, seed=each)) for each in (1, 2)]
        edited = client.images.edit(model="fake-image", prompt="a hill", image=files, size="256x256")
        assert edited.data and server.runner.works[-1].images == (files[0][1], files[1][1])
        job = client.videos.create_and_poll(
            model="fake-video", prompt="a hill", seconds="4", size="1280x720", input_reference=files[0]
        )
        assert (job.status, job.seconds, job.size, job.progress) == ("completed", "4", "1280x720", 100)
        assert b"ftyp" in client.videos.download_content(job.id).content[:12]
        assert client.videos.delete(job.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.videos.retrieve(job.id)
        with pytest.raises(openai.BadRequestError) as refused:
            client.images.generate(model="fake-image", prompt="a hill", size="1792x1024", quality="high")
        assert (refused.value.param, refused.value.code) == ("quality", "unsupported_parameter")


def test_a_form_is_read_as_it_was_written() -> None:
    nasty = b"\r\n--x\r\n\r\n\x00\xff--\r\n"
    body, content_type = multipart([("prompt", "a\r\nhill é")], [FilePart('i"m', "ä.png", "image/png", nasty)])
    text, file = read_form(body, content_type)
    assert (text.name, text.data.decode(), text.is_file) == ("prompt", "a\r\nhill é", False)
    assert (file.data, file.is_file) == (nasty, True)


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
_NAMES = st.sampled_from(["model", "prompt", "size", "seed", "seconds", "image", "steps", "n", "quality", "x"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_NAMES, _JSON, max_size=6) | _JSON, st.sampled_from(list(GenerationType)))
def test_whatever_comes_is_an_order_or_is_refused(document: Any, makes: GenerationType) -> None:
    try:
        read_order(json.dumps(document).encode(), "application/json", makes, needs_image=False)
    except Refused as refusal:
        assert refusal.fault.status == 400


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_form_comes_is_read_or_refused(body: bytes) -> None:
    for whole in (body, b"--b\r\n" + body + b"\r\n--b--\r\n"):
        try:
            read_order(whole, "multipart/form-data; boundary=b", GenerationType.IMAGE, needs_image=False)
        except Refused as refusal:
            assert refusal.fault.status == 400
