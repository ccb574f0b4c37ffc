"""Buckets that fail: what is retried, told and never shown. The faults come from a scripted server."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from aiohttp import web

from safelight.blobs import open_store, remote, store_urls
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ports import BlobStore
from tests.blobs import seaweed

Write = Callable[..., Path]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ACCESS_KEY, SECRET_KEY = "AKEXAMPLE12345", "c2VjcmV0LWtleS1mb3ItdGVzdHM"


class Faulty:
    """A server that answers as a test's ``handler`` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.handler: Handler
        self.endpoint = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        await request.read()
        return await self.handler(request)

    def open(self) -> BlobStore:
        return open_store(
            f"s3://bucket/p?endpoint={self.endpoint}&allow_http=true&region=us-east-1"
            f"&access_key_id={ACCESS_KEY}&secret_access_key={SECRET_KEY}"
        )


@pytest.fixture
async def faulty(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Faulty]:
    quick = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5), "base": 2}
    monkeypatch.setattr(store_urls, "_RETRIES", {**store_urls._RETRIES, "backoff": quick})
    faulty = Faulty()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", faulty.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    faulty.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield faulty
    await runner.cleanup()


def fault(status: int, code: str, message: str = "it failed", extra: str = "") -> web.Response:
    text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message>{extra}</Error>'
    return web.Response(status=status, text=text, content_type="application/xml")


def serving(content: bytes, cut_after: int, e_tags: tuple[str, ...] = ('"one"',)) -> Handler:
    """Sends ``cut_after`` bytes of each answer, then breaks off. The object changes by ``e_tags``."""
    tags = iter(e_tags)
    current = next(tags)

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal current
        if request.headers.get("If-Match", current) != current:
            return fault(412, "PreconditionFailed")
        first, last = (int(text) for text in re.findall(r"\d+", request.headers["Range"]))
        piece = content[first : last + 1]
        response = web.StreamResponse(status=206)
        response.content_length = len(piece)
        response.headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        response.headers["ETag"] = current
        response.headers["Last-Modified"] = "Sat, 02 May 2026 12:30:00 GMT"
        await response.prepare(request)
        await response.write(piece[:cut_after])
        current = next(tags, current)
        if cut_after < len(piece):
            await asyncio.sleep(0.02)
            assert request.transport is not None
            request.transport.abort()
        return response

    return handler


async def test_a_broken_download_goes_on_where_it_stopped(faulty: Faulty) -> None:
    content = secrets.token_bytes(1_000_000)
    faulty.handler = serving(content, cut_after=300_000)
    read = b"".join([chunk async for chunk in faulty.open().stream("object", 5, 999_999)])
    assert read == content[5:999_999]
    assert len(faulty.requests) >= 4


async def test_a_download_that_gets_nowhere_is_given_up(faulty: Faulty) -> None:
    faulty.handler = serving(bytes(1000), cut_after=0)
    with pytest.raises(ServiceUnavailable, match="object store failed"):
        await anext(faulty.open().stream("object", 0, 1000))
    assert len(faulty.requests) == 12


async def test_one_that_hangs_is_not_waited_for(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for an object may be waiting; an upload may take its time."""
    over = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        await over.wait()
        return web.Response()

    faulty.handler = handler
    monkeypatch.setattr(remote, "_ANSWER_SECONDS", 0.2)
    store = faulty.open()
    async with asyncio.timeout(30):  # a minute is the store's own limit
        for ask in (store.get("object"), store.exists("object"), anext(store.stream("object", 0, 10))):
            with pytest.raises(ServiceUnavailable, match=r"no answer in 0\.2 s") as away:
                await ask
            assert away.value.retry_after_seconds == 5
    over.set()


async def test_a_continuation_of_another_object_is_refused(faulty: Faulty) -> None:
    faulty.handler = serving(secrets.token_bytes(1_000_000), cut_after=400_000, e_tags=('"one"', '"two"'))
    with pytest.raises(ServiceUnavailable):
        async for _ in faulty.open().stream("object", 0, 1_000_000):
            pass


async def test_a_busy_store_is_asked_again(faulty: Faulty, write: Write) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if len(faulty.requests) < 4:
            return fault(503, "SlowDown")
        return web.Response(headers={"ETag": '"one"'})

    faulty.handler = handler
    await faulty.open().put("object", write(b"content"), mime_type="image/png")
    assert [request.method for request in faulty.requests] == ["PUT"] * 4
    assert faulty.requests[-1].headers["Content-Type"] == "image/png"


async def test_a_store_that_stays_busy_is_given_up(faulty: Faulty, write: Write) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return fault(503, "SlowDown", "Please reduce your request rate.")

    faulty.handler = handler
    source = write(b"content")
    with pytest.raises(ServiceUnavailable, match=r"503 Service Unavailable: SlowDown: Please reduce"):
        await faulty.open().put("object", source, mime_type="image/png", consume=True)
    assert len(faulty.requests) == 6
    assert source.exists()


async def test_an_upload_that_fails_takes_its_parts_back(faulty: Faulty, write: Write) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(text="<R><Bucket>b</Bucket><Key>k</Key><UploadId>u1</UploadId></R>")
        if request.method == "PUT":
            return fault(403, "AccessDenied", "Access Denied")
        return web.Response(status=204)

    faulty.handler = handler
    with pytest.raises(ServiceUnavailable, match="AccessDenied"):
        await faulty.open().put("object", write(bytes(remote.PART_BYTES + 1)), mime_type="video/mp4")
    assert ("DELETE", "u1") in [(request.method, request.query.get("uploadId")) for request in faulty.requests]


async def test_no_error_shows_a_credential(faulty: Faulty) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        message = f"The key {ACCESS_KEY} with {SECRET_KEY} is unknown"
        return fault(403, "InvalidAccessKeyId", message, f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId>")

    faulty.handler = handler
    with pytest.raises(ServiceUnavailable) as caught:
        await faulty.open().get("object")
    assert str(caught.value) == (
        "The object store failed: 403 Forbidden: InvalidAccessKeyId: The key *** with *** is unknown."
    )


async def test_a_key_that_could_not_be_deleted_is_told(faulty: Faulty) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(
            text="<DeleteResult><Deleted><Key>p/a</Key></Deleted>"
            "<Error><Key>p/b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"
        )

    faulty.handler = handler
    with pytest.raises(ServiceUnavailable):
        await faulty.open().delete(["a", "b"])


async def test_a_batch_that_stops_at_an_absent_object_is_finished_one_by_one(
    s3_server: seaweed.Server, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3_server.url("media", f"p-{secrets.token_hex(8)}"))
    for key in ("a", "c"):
        await store.put(key, write(b"content"), mime_type="image/png")
    real = obstore.delete_async

    async def stopping(bucket: remote.Bucket, keys: str | list[str]) -> None:
        """As Google's and Azure's do."""
        for key in [keys] if isinstance(keys, str) else keys:
            await obstore.head_async(bucket, key)
            await real(bucket, key)

    monkeypatch.setattr(obstore, "delete_async", stopping)
    await store.delete(["a", "b", "c", "d"])
    assert [facts.key async for facts in store.walk("")] == []


def every_read(store: BlobStore) -> list[Callable[[], Awaitable[object]]]:
    async def walk() -> None:
        async for _ in store.walk(""):
            pass

    return [
        lambda: store.get("a/b"),
        lambda: anext(store.stream("a/b", 0, 1)),
        lambda: store.exists("a/b"),
        lambda: store.delete(["a/b"]),
        walk,
    ]


async def test_a_missing_bucket_is_not_a_missing_object(s3_server: seaweed.Server) -> None:
    """Or a wrong setting would look like media deleted on time."""
    for attempt in every_read(open_store(s3_server.url("never-made"))):
        with pytest.raises(ServiceUnavailable, match="NoSuchBucket"):
            await attempt()


async def test_wrong_keys_are_told(s3_server: seaweed.Server) -> None:
    url = s3_server.url("media").replace(s3_server.secret_key, "wrong-secret")
    store = open_store(url)
    for attempt in [*every_read(store), store.probe]:
        with pytest.raises(ServiceUnavailable, match="SignatureDoesNotMatch") as caught:
            await attempt()
        assert "wrong-secret" not in str(caught.value)
        assert s3_server.access_key not in str(caught.value)


async def test_nobody_there_is_told(faulty: Faulty) -> None:
    faulty.endpoint = "http://127.0.0.1:1"
    with pytest.raises(ServiceUnavailable, match="object store failed"):
        await faulty.open().probe()
