"""What is certain of a request to a backend: whether it went out, who gets the key, what a status means of an order."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Answer, Failed, FailureClass, InlineBytes, LocalFile, Pending, Unknown
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, Reply, failure_of, not_told

KEY = {"Authorization": "Bearer sk-1"}


class Backend:
    """Notes each request, and answers as its path says."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.peers: set[object] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        if request.path == "/v1/drop":
            request.transport.abort()
        if request.path == "/v1/away":
            return web.Response(status=307, headers={"Location": "http://127.0.0.1:1/other"})
        return web.json_response({"ok": True}, headers={"x-request-id": "r-1"})


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Backend, str]]:
    backend, app = Backend(), web.Application()
    app.router.add_route("*", "/{path:.*}", backend.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield backend, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(base_url: str, *allow: str) -> AsyncIterator[BackendApi]:
    api = BackendApi(HttpConnectionSettings(base_url=base_url, allow=allow), KEY)
    try:
        yield api
    finally:
        await api.close()


@contextmanager
def closed_port() -> Iterator[int]:
    """One that nobody listens at, and nobody else is given."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


async def test_what_nobody_heard_was_certainly_not_taken() -> None:
    with closed_port() as port:
        async with calling(f"http://127.0.0.1:{port}/v1") as api:
            exchange = await api.call("POST", "/images", json={})
    assert isinstance(exchange, NotSent)
    assert exchange.failed().reason is FailureClass.TRANSIENT


async def test_what_was_heard_and_not_answered_may_have_been_taken() -> None:
    async with serving() as (backend, url), calling(f"{url}/v1") as api:
        exchange = await api.call("POST", "/drop", json={})
        assert isinstance(exchange, NoReply)
        assert isinstance(exchange.unknown(), Unknown)
        assert len(backend.seen) == 1, "it is not sent again"


async def test_an_answer_that_is_too_large_may_be_of_work_that_was_done() -> None:
    async with serving() as (_, url), calling(f"{url}/v1") as api:
        assert isinstance(await api.call("POST", "/images", json={}, max_bytes=4), NoReply)


async def test_the_key_goes_to_its_own_origin_and_to_no_other() -> None:
    async with (
        serving() as (ours, url),
        serving() as (other, elsewhere),
        calling(f"{url}/v1", elsewhere.removeprefix("http://")) as api,
    ):
        await api.call("GET", "/models")
        await api.call("GET", f"{url}/v2/models")
        await api.call("GET", f"{elsewhere}/v1/models")
        assert [request.headers.get("Authorization") for request in ours.seen] == ["Bearer sk-1"] * 2
        assert "Authorization" not in other.seen[0].headers
        assert api.file("/files/1.png", with_key=True).headers == KEY
        assert api.file("/files/1.png").headers == {}
        assert api.file(f"{elsewhere}/1.png", with_key=True).headers == {}
        assert api.file("/files/1.png").url == f"{url}/files/1.png"


async def test_another_private_address_is_not_reached_unless_it_is_allowed() -> None:
    async with serving() as (_, url), serving() as (other, elsewhere), calling(f"{url}/v1") as api:
        assert isinstance(await api.call("GET", f"{elsewhere}/v1/models"), NotSent)
        assert other.seen == []


async def test_a_redirect_is_not_followed_as_an_order_is_given_once() -> None:
    async with serving() as (backend, url), calling(f"{url}/v1") as api:
        reply = await api.call("POST", "/away", json={})
        assert isinstance(reply, Reply) and reply.status == 307
        failure = failure_of(reply)
        assert isinstance(failure, Failed) and failure.reason is FailureClass.PERMANENT
        assert len(backend.seen) == 1


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with serving() as (backend, url), calling(f"{url}/v1") as api:
        for _ in range(5):
            assert isinstance(await api.call("POST", "/images", json={}), Reply)
        assert len(backend.peers) == 1


@pytest.mark.parametrize("key", ["a\nb", "schlüssel", "a\x7f"])
def test_a_key_that_makes_no_header_is_told_without_itself(key: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        BackendApi(HttpConnectionSettings(base_url="https://a.example"), {"Authorization": f"Bearer {key}"})
    assert key not in str(told.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert Reply(429, headers, b"").retry_after_seconds() == seconds


JSON, PAGE = b'{"error": "x"}', b"<html>"


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, JSON, FailureClass.BAD_INPUT),
        (413, JSON, FailureClass.BAD_INPUT),
        (422, JSON, FailureClass.BAD_INPUT),
        (401, JSON, FailureClass.AUTH),
        (403, PAGE, FailureClass.AUTH),
        (402, JSON, FailureClass.QUOTA),
        (404, JSON, FailureClass.PERMANENT),
        (429, PAGE, FailureClass.RATE_LIMITED),
        (500, JSON, FailureClass.TRANSIENT),
        (503, PAGE, FailureClass.TRANSIENT),
        (500, PAGE, None),
        (502, PAGE, None),
        (504, JSON, None),
        (408, JSON, None),
        (499, JSON, None),
        (524, PAGE, None),
    ],
)
def test_what_a_status_means_of_an_order(status: int, body: bytes, reason: FailureClass | None) -> None:
    """None: it says nothing of the order, which may be under way."""
    failure = failure_of(Reply(status, {}, body))
    assert (failure.reason if isinstance(failure, Failed) else None) is reason
    assert failure.answer.status == status


@pytest.mark.parametrize("part", [b"[],", b"0,", b"[[]],", b'{"a":0},'])
def test_a_document_of_endless_parts_is_not_read(part: bytes) -> None:
    """Of 192 MiB it would become gigabytes, while nothing else of the process goes on."""
    body = b"[" + part * 2_000_001 + b"0]"
    assert Reply(200, {}, body).json() is None


def test_a_large_picture_in_a_document_is_read() -> None:
    picture = "A" * 50_000_000
    assert Reply(200, {}, b'{"data":[{"b64_json":"%b"}]}' % picture.encode()).json() == {
        "data": [{"b64_json": picture}]
    }


async def test_an_answer_that_breaks_off_leaves_nothing_on_disk(tmp_path: Path) -> None:
    """It is asked for again, and each time would leave as much."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"video": "' + b"QUJD" * 100_000)
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/v1/job", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    folders: list[Path] = []
    try:
        async with calling(f"http://127.0.0.1:{runner.addresses[0][1]}/v1") as api:
            reply = await api.call("GET", "/job", media_in=lambda: folders.append(tmp_path) or tmp_path)
    finally:
        await runner.cleanup()
    assert isinstance(reply, NoReply)
    assert folders and list(tmp_path.iterdir()) == []


async def test_long_media_in_an_answer_are_on_disk_and_not_in_memory(tmp_path: Path) -> None:
    media = os.urandom(300_000)

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"video": base64.b64encode(media).decode(), "thumb": "QUJD", "id": "v.1"})

    app = web.Application()
    app.router.add_get("/v1/job", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with calling(f"http://127.0.0.1:{runner.addresses[0][1]}/v1") as api:
            reply = await api.call("GET", "/job", media_in=lambda: tmp_path)
    finally:
        await runner.cleanup()
    assert isinstance(reply, Reply) and len(reply.body) < 1000
    document = reply.json()
    found = reply.inline(document["video"])
    assert isinstance(found, LocalFile) and found.path.read_bytes() == media
    assert reply.inline(document["thumb"]) == InlineBytes(b"ABC")
    assert reply.inline(document["id"]) is None


@pytest.mark.parametrize("how", ["declined", "broken off", "no JSON", "read"])
async def test_media_that_nobody_will_read_do_not_stay_on_disk(tmp_path: Path, how: str) -> None:
    """A job that is asked about every few seconds would fill it."""
    body = b'{"video": "' + base64.b64encode(os.urandom(300_000)) + b'"'

    async def answer(request: web.Request) -> web.StreamResponse:
        if how != "broken off":
            return web.Response(status=500 if how == "declined" else 200, body=body + b"}" * (how != "no JSON"))
        response = web.StreamResponse(headers={"Content-Length": str(len(body) + 1)})
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_get("/v1/job", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made: list[Path] = []
    try:
        async with calling(f"http://127.0.0.1:{runner.addresses[0][1]}/v1") as api:
            reply = await api.call("GET", "/job", media_in=lambda: made.append(tmp_path) or tmp_path)  # type: ignore[func-returns-value]
    finally:
        await runner.cleanup()
    assert made and isinstance(reply, NoReply if how == "broken off" else Reply)
    assert len(list(tmp_path.iterdir())) == (how == "read")
    if isinstance(reply, Reply):
        reply.drop_media()
    assert not list(tmp_path.iterdir())


def test_one_that_is_to_be_left_alone_is_asked_about_later() -> None:
    reply, answer = Reply(429, {"retry-after": "7"}, b""), Answer(code="busy")
    assert not_told(reply, answer) == Pending(poll_after_seconds=7, answer=answer)
    assert not_told(reply, answer, wait_seconds=2) == Pending(poll_after_seconds=2, answer=answer)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 408, 500, 502, 503])
def test_an_answer_that_does_not_tell_how_a_job_stands_says_nothing_of_it(status: int) -> None:
    reply = Reply(status, {"retry-after": "7"}, b"oh")
    assert not_told(reply, noun="task") == Unknown(f"HTTP {status} says nothing of the task", reply.answer())
