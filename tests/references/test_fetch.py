from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog

from safelight.domain.errors import InvalidParameter
from safelight.outbound.policy import OutboundPolicy
from safelight.references.data_url import MAX_IMAGE_BYTES
from safelight.references.fetch import NOT_FETCHED, ReferenceFetcher
from tests.outbound.servers import Authority, Server, answer, redirect
from tests.outbound.spellings import REFUSED_URLS

HOST, PARAM = "images.test", "images[2].url"


async def _loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Server]:
    server = Server({"/ok": answer(b"picture")})
    await server.listen("127.0.0.1", context=authority.server_context(HOST))
    yield server
    await server.close()


@pytest.fixture
async def fetcher(server: Server, authority: Authority) -> AsyncIterator[ReferenceFetcher]:
    fetcher = ReferenceFetcher(
        OutboundPolicy.parse([f"{HOST}:{server.port}"]),
        lookup=_loopback,
        ssl_context=authority.client_context(),
        deadline_seconds=2,
    )
    yield fetcher
    await fetcher.close()


async def test_the_bytes_come_back(fetcher: ReferenceFetcher, server: Server) -> None:
    assert await fetcher.fetch(f"https://{HOST}:{server.port}/ok?sig=x", PARAM) == b"picture"
    assert "accept: image/png, image/jpeg, image/webp\r\n" in server.requests[0].lower()


async def _hang(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


ALIKE = {
    "not found": answer(status="404 Not Found"),
    "forbidden": answer(b"<Error>AccessDenied</Error>", "403 Forbidden"),
    "server error": answer(status="500 Internal Server Error"),
    "no content": answer(status="204 No Content"),
    "part of it": answer(b"x", "206 Partial Content"),
    "never ends": _hang,
    "cut off": answer(b"x", content_length="10"),
    "compressed, and not found": answer(b"x", "404 Not Found", content_encoding="br"),
    "too large, and not found": answer(bytes(MAX_IMAGE_BYTES + 1), "404 Not Found"),
    "no HTTP": b"hello\r\n\r\n",
    "redirect to a private address": redirect("https://10.0.0.1/"),
    "redirect to plain HTTP": redirect("http://images.test/"),
    "redirect to itself": redirect("/a"),
    "redirect to a name that is denied": redirect("https://internal.example.com/"),
    "redirect without a place": answer(status="302 Found"),
}


@pytest.mark.parametrize("name", ALIKE)
async def test_failures_look_alike_and_the_log_tells(fetcher: ReferenceFetcher, server: Server, name: str) -> None:
    server.scripts["/a"] = ALIKE[name]
    with structlog.testing.capture_logs() as logs, pytest.raises(InvalidParameter) as caught:
        await fetcher.fetch(f"https://{HOST}:{server.port}/a?X-Signature=canary", PARAM)
    assert (caught.value.message, caught.value.param) == (NOT_FETCHED, PARAM)
    [line] = [line for line in logs if line["event"] == "reference.not_fetched"]
    assert line["reason"]
    assert line["target"].startswith("https://")
    assert "canary" not in str(line)


@pytest.mark.parametrize("coding", ["br", "gzip", "identity, GZIP", "aws-chunked,zstd"])
async def test_a_coding_is_named(fetcher: ReferenceFetcher, server: Server, coding: str) -> None:
    server.scripts["/a"] = answer(b"x", content_encoding=coding)
    with pytest.raises(InvalidParameter, match=f"coding '{coding.lower().split(',')[-1].strip()}'.*Content-Encoding"):
        await fetcher.fetch(f"https://{HOST}:{server.port}/a", PARAM)


@pytest.mark.parametrize("coding", ["", "identity", "aws-chunked", "Identity, aws-chunked", " , "])
async def test_what_codes_nothing_is_nothing(fetcher: ReferenceFetcher, server: Server, coding: str) -> None:
    server.scripts["/a"] = answer(b"picture", content_encoding=coding)
    assert await fetcher.fetch(f"https://{HOST}:{server.port}/a", PARAM) == b"picture"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://any.example.com/",
    ],
)
async def test_denied_addresses_look_like_any_failure(fetcher: ReferenceFetcher, url: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        await fetcher.fetch(url, PARAM)
    assert (caught.value.message, caught.value.param) == (NOT_FETCHED, PARAM)


@pytest.mark.parametrize("url", REFUSED_URLS)
async def test_spellings_are_refused_before_anything_is_looked_up(url: str, authority: Authority) -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        raise AssertionError(f"looked up {host}")

    fetcher = ReferenceFetcher(lookup=lookup, ssl_context=authority.client_context())
    with pytest.raises(InvalidParameter) as caught:
        await fetcher.fetch(url, PARAM)
    assert caught.value.param == PARAM
    await fetcher.close()


async def test_ten_mebibytes_and_one_byte_more(fetcher: ReferenceFetcher, server: Server) -> None:
    server.scripts["/a"] = answer(bytes(MAX_IMAGE_BYTES))
    assert len(await fetcher.fetch(f"https://{HOST}:{server.port}/a", PARAM)) == MAX_IMAGE_BYTES
    for length in (str(MAX_IMAGE_BYTES + 1), ""):
        server.scripts["/a"] = answer(bytes(MAX_IMAGE_BYTES + 1), content_length=length)
        with pytest.raises(InvalidParameter, match="10 MiB"):
            await fetcher.fetch(f"https://{HOST}:{server.port}/a", PARAM)


async def test_waiting_for_a_turn_ends_at_the_deadline(server: Server, authority: Authority) -> None:
    server.scripts["/a"] = _hang
    fetcher = ReferenceFetcher(
        OutboundPolicy.parse([f"{HOST}:{server.port}"]),
        lookup=_loopback,
        ssl_context=authority.client_context(),
        deadline_seconds=0.3,
        max_concurrent=2,
    )
    results = await asyncio.gather(
        *[fetcher.fetch(f"https://{HOST}:{server.port}/a", PARAM) for _ in range(6)], return_exceptions=True
    )
    assert all(isinstance(result, InvalidParameter) and result.message == NOT_FETCHED for result in results)
    assert server.connections <= 4
    await fetcher.close()
