"""The guarded client against a server on loopback that misbehaves to order."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from safelight.outbound import client as client_module
from safelight.outbound.client import GuardedClient
from safelight.outbound.policy import OutboundPolicy
from safelight.outbound.resolver import OutboundRefused, approved
from tests.outbound.servers import Authority, Script, Server, answer, redirect

HOST = "images.test"


class Names:
    """Answers look-ups from a list, one entry a time and the last one for ever, and counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers) or [["127.0.0.1"]]
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def server(authority: Authority) -> AsyncIterator[Server]:
    server = Server({})
    await server.listen("127.0.0.1", context=authority.server_context(HOST))
    yield server
    await server.close()


@pytest.fixture
async def client(server: Server, authority: Authority) -> AsyncIterator[GuardedClient]:
    client = _client(server, authority)
    yield client
    await client.close()


def _client(server: Server, authority: Authority, names: Names | None = None) -> GuardedClient:
    policy = OutboundPolicy.parse([f"{HOST}:{server.port}"])
    return GuardedClient(policy, lookup=names or Names(), ssl_context=authority.client_context())


async def _get(client: GuardedClient, server: Server, path: str, seconds: float = 20, max_bytes: int = 1000) -> bytes:
    url = f"https://{HOST}:{server.port}{path}"
    return (await client.get(url, max_bytes=max_bytes, deadline_seconds=seconds)).body


async def test_a_plain_answer(client: GuardedClient, server: Server) -> None:
    server.scripts["/a"] = answer(b"picture", x_one="1")
    got = await client.get(f"https://{HOST}:{server.port}/a?sig=%2F+", max_bytes=7, deadline_seconds=20)
    assert (got.status, got.body, got.headers["x-one"]) == (200, b"picture", "1")
    [request] = server.requests
    assert request.startswith("GET /a?sig=%2F+ HTTP/1.1\r\n")
    assert "accept-encoding: identity\r\n" in request.lower()
    assert f"host: {HOST}:{server.port}\r\n" in request.lower()


async def _endless_body(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()


async def _endless_chunks(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"1\r\nx\r\n" * 1000)
        await writer.drain()


async def _endless_headers(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"x-more: 1\r\n" * 1000)
        await writer.drain()


async def _endless_header(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx-long: ")
    while not writer.is_closing():
        writer.write(b"x" * 65536)
        await writer.drain()


async def _silence(writer) -> None:
    await asyncio.sleep(3600)


async def _drip(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _endless_hundreds(writer) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


MISBEHAVIOUR: dict[str, tuple[Script, set[str]]] = {
    "endless body": (_endless_body, {"too_large"}),
    "endless chunks": (_endless_chunks, {"too_large"}),
    "endless headers": (_endless_headers, {"broken_answer"}),
    "endless header": (_endless_header, {"broken_answer"}),
    "one byte over": (answer(b"x" * 1001), {"too_large"}),
    "announces too much": (answer(b"x", content_length="1001"), {"too_large"}),
    "announces more than it sends": (answer(b"x", content_length="2"), {"broken_answer"}),
    "no length that is one": (answer(b"x", content_length="-1"), {"broken_answer"}),
    "two lengths": (answer(b"xy", content_length="1\r\ncontent-length: 2"), {"broken_answer"}),
    "length and chunks": (answer(b"0\r\n\r\n", transfer_encoding="chunked"), {"broken_answer"}),
    "gzip": (answer(b"\x1f\x8b" + b"x" * 50, content_encoding="gzip"), {"encoded"}),
    "gzip twice": (answer(b"\x1f\x8b", content_encoding="identity, gzip"), {"encoded"}),
    "unknown coding": (answer(b"x", content_encoding="zstd"), {"encoded"}),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", {"broken_answer"}),
    "nothing": (b"", {"broken_answer"}),
    "half a head": (b"HTTP/1.1 200 OK\r\n", {"broken_answer"}),
    "redirect to nowhere": (redirect("https://./x"), {"bad_redirect"}),
    "redirect to plain": (redirect("http://images.test/x"), {"bad_redirect"}),
    "redirect to a file": (redirect("file:///etc/passwd"), {"bad_redirect"}),
    "redirect to the metadata": (redirect("https://169.254.169.254/latest"), {"denied_address"}),
    "redirect to loopback": (redirect("https://127.0.0.1/"), {"denied_address"}),
    "redirect to loopback spelled": (redirect("https://2130706433/"), {"bad_redirect"}),
    "redirect to another port": (redirect("https://images.test:8443/"), {"bad_redirect"}),
    "redirect to a user": (redirect("https://a:b@images.test/"), {"bad_redirect"}),
    "redirect to a broken address": (redirect("https://[::1/"), {"bad_redirect"}),
    "redirect to a broken address, without scheme": (redirect("//[::1/"), {"bad_redirect"}),
    "redirect to another host, without scheme": (redirect("//10.0.0.1/"), {"denied_address", "bad_redirect"}),
    "redirect with a tab": (redirect("https://images\t.test/"), {"bad_redirect"}),
    "redirect without slashes": (redirect("https:images.test"), {"bad_redirect"}),
    "redirect with backslashes": (redirect("\\\\10.0.0.1\\x"), {"bad_redirect"}),
    "redirect in latin-1": (redirect("/\xe9"), {"bad_redirect"}),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
async def test_misbehaviour_is_refused(client: GuardedClient, server: Server, name: str) -> None:
    server.scripts["/a"], reasons = MISBEHAVIOUR[name]
    with pytest.raises(OutboundRefused) as caught:
        await _get(client, server, "/a?sig=secret")
    assert caught.value.reason in reasons, caught.value
    assert "secret" not in caught.value.target
    assert set(server.paths()) == {"/a?sig=secret"}  # aiohttp asks twice where a GET got no answer at all


@pytest.mark.parametrize("script", [_silence, _drip, _endless_hundreds])
async def test_the_deadline_spans_everything(client: GuardedClient, server: Server, script: Script) -> None:
    server.scripts["/a"] = script
    with pytest.raises(OutboundRefused) as caught:
        await _get(client, server, "/a", seconds=0.3)
    assert caught.value.reason == "timeout"


async def test_a_name_that_takes_for_ever_is_late(server: Server, authority: Authority) -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    client = GuardedClient(OutboundPolicy(), lookup=never)
    with pytest.raises(OutboundRefused) as caught:
        await client.get("https://example.com/", max_bytes=10, deadline_seconds=0.1)
    assert caught.value.reason == "timeout"
    await client.close()


async def test_three_redirects_and_no_more(client: GuardedClient, server: Server) -> None:
    server.scripts |= {
        f"/{n}": redirect(f"/{n + 1}", f"{status} Moved") for n, status in enumerate((301, 302, 303, 307))
    }
    server.scripts["/4"] = answer(b"end")
    assert await _get(client, server, "/1") == b"end"
    server.requests.clear()
    with pytest.raises(OutboundRefused) as caught:
        await _get(client, server, "/0")
    assert caught.value.reason == "too_many_redirects"
    assert server.paths() == ["/0", "/1", "/2", "/3"]


async def test_headers_stay_with_their_origin(server: Server, authority: Authority) -> None:
    other = Server({"/b": answer(b"there")})
    await other.listen("127.0.0.1", context=authority.server_context("other.test"))
    policy = OutboundPolicy.parse([f"{HOST}:{server.port}", f"other.test:{other.port}"])
    client = GuardedClient(policy, lookup=Names(), ssl_context=authority.client_context())
    server.scripts |= {"/a": redirect("/aa"), "/aa": redirect(f"https://other.test:{other.port}/b")}
    url = f"https://{HOST}:{server.port}/a"
    got = await client.get(url, max_bytes=10, deadline_seconds=20, headers={"Authorization": "Bearer canary"})
    assert got.body == b"there"
    assert all("canary" in request for request in server.requests)
    assert not any("canary" in request for request in other.requests)
    await client.close()
    await other.close()


async def test_nothing_is_taken_from_the_environment(
    client: GuardedClient, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {HOST} login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    server.scripts["/a"] = answer(b"x", set_cookie="canary=1")
    for _ in range(2):
        assert await _get(client, server, "/a") == b"x"
    assert not any("canary" in request or "ookie" in request for request in server.requests)


async def test_the_servers_name_is_verified(server: Server, authority: Authority) -> None:
    stranger = Server({})
    await stranger.listen("127.0.0.1", context=authority.server_context("other.test", "127.0.0.1"))
    for context in (authority.client_context(), None):
        policy = OutboundPolicy.parse([f"{HOST}:{stranger.port}"])
        client = GuardedClient(policy, lookup=Names(), ssl_context=context)
        with pytest.raises(OutboundRefused) as caught:
            await client.get(f"https://{HOST}:{stranger.port}/", max_bytes=10, deadline_seconds=20)
        assert caught.value.reason == "tls"
        await client.close()
    assert stranger.requests == []
    await stranger.close()


async def test_plain_http_where_it_is_opened(authority: Authority) -> None:
    server = Server({"/a": answer(b"plain")})
    await server.listen("127.0.0.1")
    client = GuardedClient(OutboundPolicy.parse(["127.0.0.0/8"]))
    got = await client.get(f"http://127.0.0.1:{server.port}/a", max_bytes=10, deadline_seconds=20)
    assert got.body == b"plain"
    await client.close()
    await server.close()


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["2606:4700::1111", "::1"],
        ["fe80::1%1"],
    ],
)
async def test_one_denied_address_refuses_the_whole_answer(found: list[str]) -> None:
    client = GuardedClient(OutboundPolicy(), lookup=Names(found))
    with pytest.raises(OutboundRefused) as caught:
        await client.get("https://example.com/", max_bytes=10, deadline_seconds=20)
    assert caught.value.reason == "denied_address"
    await client.close()


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "unresolved"),
        ([f"8.8.8.{n}" for n in range(33)], "unresolved"),
        (["not an address"], "denied_address"),
    ],
)
async def test_answers_that_make_no_sense(found: list[str], reason: str) -> None:
    client = GuardedClient(OutboundPolicy(), lookup=Names(found))
    with pytest.raises(OutboundRefused) as caught:
        await client.get("https://example.com/", max_bytes=10, deadline_seconds=20)
    assert caught.value.reason == reason
    await client.close()


async def test_a_name_is_looked_up_once_a_connection(server: Server, authority: Authority) -> None:
    server.scripts["/a"] = answer(b"x")
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    client = _client(server, authority, names)
    assert await _get(client, server, "/a") == b"x"
    assert names.asked == [HOST]
    assert server.reached == ["127.0.0.1"]
    await client.close()


async def test_a_socket_is_made_for_checked_addresses_only(
    client: GuardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the checks before it to fail, the last one holds."""
    monkeypatch.setattr(client._resolver, "approve", lambda host, port, addresses: None)
    with pytest.raises(OutboundRefused) as caught:
        await _get(client, server, "/a")
    assert caught.value.reason == "unreachable"
    assert server.connections == 0
    assert approved.get(None) is None


async def test_posts_follow_no_redirect(client: GuardedClient, server: Server) -> None:
    server.scripts["/hook"] = redirect("/elsewhere", "307 Temporary Redirect")
    url = f"https://{HOST}:{server.port}/hook"
    got = await client.post(
        url, b"{}", headers={"webhook-id": "msg"}, deadline_seconds=20, max_bytes=100, body_seconds=20
    )
    assert got.status == 307
    assert server.paths() == ["/hook"]
    assert "content-length: 2\r\n" in server.requests[0].lower()


async def test_a_posts_long_answer_is_cut(client: GuardedClient, server: Server) -> None:
    server.scripts["/hook"] = _endless_body
    url = f"https://{HOST}:{server.port}/hook"
    got = await client.post(url, b"{}", headers={}, deadline_seconds=20, max_bytes=100, body_seconds=20)
    assert (got.status, got.body) == (200, b"x" * 100)


async def test_a_large_answer_is_streamed(client: GuardedClient, server: Server) -> None:
    size_bytes = 5_000_000
    server.scripts["/a"] = answer(b"x" * size_bytes)
    received = 0
    url = f"https://{HOST}:{server.port}/a"
    async with client.stream(url, max_bytes=size_bytes, deadline_seconds=20) as got:
        assert got.status == 200
        async for chunk in got.chunks():
            assert len(chunk) <= 65536
            received += len(chunk)
    assert received == size_bytes


async def test_errors_of_the_reader_are_its_own(client: GuardedClient, server: Server) -> None:
    server.scripts["/a"] = answer(b"x")
    with pytest.raises(TimeoutError):
        async with client.stream(f"https://{HOST}:{server.port}/a", max_bytes=10, deadline_seconds=20):
            raise TimeoutError


def test_the_authorities_are_read_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fetch of a file makes a client: reading them each time took more than all the rest of it."""
    read: list[int] = []
    monkeypatch.setattr(
        client_module.ssl, "create_default_context", lambda: read.append(1) or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    client_module._of_the_system.cache_clear()
    try:
        for _ in range(3):
            GuardedClient(OutboundPolicy.parse([], setting="x"))
        assert len(read) == 1
    finally:
        client_module._of_the_system.cache_clear()
