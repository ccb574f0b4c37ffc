"""What a backend made is fetched as long as there is time, from a server that breaks off, is away, or moves it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest

from safelight.domain.errors import MediaError, ServiceUnavailable
from safelight.domain.outcomes import RemoteFile
from safelight.lifecycle import fetch as module
from safelight.lifecycle import pauses
from safelight.lifecycle.fetch import FreshAddress, fetch
from safelight.lifecycle.pauses import Pauses
from tests.outbound.servers import Script, Server, answer, redirect

FILE = bytes(range(256)) * 8192  # more than lies between two sockets
HALF = len(FILE) // 2
TAG = '"one"'
WHOLE = answer(FILE, etag=TAG)
AWAY = answer(status="503 Service Unavailable")
Get = Callable[..., Awaitable[bytes]]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "_PAUSES_SECONDS", (0.01,))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server({})
    await server.listen("127.0.0.1")
    yield server
    await server.close()


@pytest.fixture
def get(server: Server, tmp_path: Path) -> Get:
    async def get(
        path: str = "/a",
        *,
        fresh: FreshAddress | None = None,
        seconds: float = 20,
        max_bytes: int = len(FILE),
        headers: dict[str, str] | None = None,
    ) -> bytes:
        item = at(server, path, headers)
        await fetch(item, tmp_path / "got", max_bytes=max_bytes, pauses=Pauses(time.monotonic() + seconds), fresh=fresh)
        return (tmp_path / "got").read_bytes()

    return get


def at(server: Server, path: str, headers: dict[str, str] | None = None) -> RemoteFile:
    return RemoteFile(f"http://127.0.0.1:{server.port}{path}", headers or {}, (f"127.0.0.1:{server.port}",))


Step = bytes | Callable[[int], bytes] | Callable[[asyncio.StreamWriter], Awaitable[None]]


def in_turn(server: Server, *steps: Step) -> Script:
    """One answer after the other, and the last one for ever. Some depend on the byte that is asked for first."""
    left = list(steps)

    async def play(writer: asyncio.StreamWriter) -> None:
        step = left.pop(0) if len(left) > 1 else left[0]
        if not isinstance(step, bytes):
            begin = asked(server, "range")[-1]
            if asyncio.iscoroutinefunction(step):
                await step(writer)
                return
            step = step(int((begin or "bytes=0-")[6:-1]))
        writer.write(step)

    return play


def cut(whole: bytes, body_bytes: int) -> bytes:
    """An answer that breaks off after so many bytes of its body."""
    head_bytes = whole.index(b"\r\n\r\n") + 4
    return whole[: head_bytes + body_bytes]


def rest(begin: int, *, tag: str = TAG, total: int = len(FILE), file: bytes = FILE) -> bytes:
    ranged = f"bytes {begin}-{len(file) - 1}/{total}"
    return answer(file[begin:], "206 Partial Content", etag=tag, content_range=ranged)


def asked(server: Server, header: str) -> list[str | None]:
    found = [re.search(rf"^{header}: (.*)\r$", request, re.I | re.M) for request in server.requests]
    return [match and match[1] for match in found]


@pytest.mark.parametrize(
    "failure",
    [
        AWAY,
        answer(status="500 Internal Server Error"),
        answer(status="502 Bad Gateway"),
        answer(status="408 Request Timeout"),
        answer(status="429 Too Many Requests", retry_after="0"),
        answer(status="425 Too Early"),
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"no HTTP at all\r\n\r\n",
        cut(answer(FILE), 0),
        cut(answer(FILE), HALF),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nxxxxx\r\n",
    ],
    ids=[
        "503",
        "500",
        "502",
        "408",
        "429",
        "425",
        "closed",
        "half a head",
        "noise",
        "no body",
        "half",
        "half, chunked",
    ],
)
async def test_a_failure_that_passes(server: Server, get: Get, failure: bytes) -> None:
    server.scripts["/a"] = in_turn(server, failure, failure, failure, WHOLE)
    assert await get() == FILE
    assert len(server.requests) == 4


@pytest.mark.parametrize("written", ["a number", "a number with zeros", "a date"])
async def test_a_server_that_says_when(server: Server, get: Get, written: str) -> None:
    """In either of the two ways that RFC 9110, section 10.2.3, has for it."""
    date = formatdate(time.time() + 2, usegmt=True)  # cut to the second
    field = {"a number": "1", "a number with zeros": "0" * 5000 + "1", "a date": date}[written]
    server.scripts["/a"] = in_turn(server, answer(status="503 Service Unavailable", retry_after=field), WHOLE)
    began = time.monotonic()
    assert await get() == FILE
    assert 0.9 < time.monotonic() - began < 10


@pytest.mark.parametrize("field", ["9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_server_that_says_not_before_the_time_is_up(server: Server, get: Get, field: str) -> None:
    server.scripts["/a"] = answer(status="503 Service Unavailable", retry_after=field)
    with pytest.raises(MediaError, match="HTTP 503"):
        await get()
    assert len(server.requests) == 1


async def test_a_server_that_is_not_there_yet(server: Server, get: Get) -> None:
    await server.close()
    getting = asyncio.create_task(get())
    await asyncio.sleep(0)
    server.scripts["/a"] = WHOLE
    await server.listen("127.0.0.1", server.port)
    assert await getting == FILE


async def test_the_rest_alone_is_asked_for(server: Server, get: Get) -> None:
    server.scripts["/a"] = in_turn(server, cut(WHOLE, HALF), AWAY, lambda begin: cut(rest(begin), HALF // 2), rest)
    assert await get() == FILE
    none, first, same, second = begins(server)
    assert (none, same) == (0, first)
    assert 0 < first <= HALF
    assert first <= second <= first + HALF // 2
    assert asked(server, "if-range") == [None, TAG, TAG, TAG]


async def test_without_a_tag_the_time_of_change_names_the_file(server: Server, get: Get) -> None:
    changed = "Tue, 24 Nov 2026 10:00:00 GMT"
    whole = answer(FILE, last_modified=changed, etag='W/"weak"')
    server.scripts["/a"] = in_turn(server, cut(whole, HALF), lambda begin: rest(begin, tag='W/"weak"'))
    assert await get() == FILE
    assert asked(server, "if-range") == [None, changed]


async def test_what_has_no_name_is_fetched_whole_again(server: Server, get: Get) -> None:
    server.scripts["/a"] = in_turn(server, cut(answer(FILE), HALF), answer(FILE))
    assert await get() == FILE
    assert asked(server, "range") == [None, None]


def begins(server: Server) -> list[int]:
    return [int((value or "bytes=0-")[6:-1]) for value in asked(server, "range")]


OTHER = bytes(reversed(FILE))


@pytest.mark.parametrize(
    "second",
    [
        lambda _: answer(OTHER, etag='"two"'),
        lambda begin: rest(begin, tag='"two"', file=OTHER),
        lambda begin: rest(begin, total=len(FILE) + 1),
        lambda begin: rest(begin - 1),
        lambda begin: answer(FILE[begin:], "206 Partial Content", etag=TAG),
        lambda begin: answer(FILE[begin:], "206 Partial Content", etag=TAG, content_range="bytes nonsense"),
        lambda begin: answer(status="416 Range Not Satisfiable", content_range=f"bytes */{begin}"),
    ],
    ids=["whole", "another's rest", "another length", "another place", "no place", "nonsense", "no such range"],
)
async def test_a_file_that_has_changed_is_fetched_whole(server: Server, get: Get, second: Step) -> None:
    server.scripts["/a"] = in_turn(server, cut(WHOLE, HALF), second, answer(OTHER, etag='"two"'))
    assert await get() == OTHER


async def test_a_rest_that_is_too_short_is_asked_for_again(server: Server, get: Get) -> None:
    """Its head agrees with itself, but not with what was announced of the whole."""

    def short(begin: int) -> bytes:
        ranged = f"bytes {begin}-{len(FILE) - 11}/*"
        return answer(FILE[begin:-10], "206 Partial Content", etag=TAG, content_range=ranged)

    server.scripts["/a"] = in_turn(server, cut(WHOLE, HALF), short, rest)
    assert await get() == FILE
    assert begins(server)[-1] == len(FILE) - 10


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 Forbidden", "404 Not Found", "410 Gone", "204 None"])
async def test_what_gets_no_better_ends_at_once(server: Server, get: Get, status: str) -> None:
    server.scripts["/a"] = answer(status=status)
    with pytest.raises(MediaError, match=status[:3]):
        await get()
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["400 Bad", "401 No", "403 Forbidden", "404 Not Found", "410 Gone"])
async def test_an_address_that_is_good_no_more_is_exchanged(server: Server, get: Get, status: str) -> None:
    """The half that came from the first address is kept."""
    server.scripts["/a"] = in_turn(server, cut(WHOLE, HALF), answer(status=status))
    server.scripts["/b"] = in_turn(server, rest)

    async def fresh() -> RemoteFile:
        return at(server, "/b")

    assert await get(fresh=fresh) == FILE
    assert server.paths() == ["/a", "/a", "/b"]


@pytest.mark.parametrize("addresses", [["/a"], [None], ["/b", "/c", "/d", "/e", "/f", "/g"]])
async def test_addresses_that_are_no_better_come_to_an_end(
    server: Server, get: Get, addresses: Sequence[str | None]
) -> None:
    left = list(addresses)

    async def fresh() -> RemoteFile | None:
        path = left.pop(0)
        return path and at(server, path)  # type: ignore[return-value]

    with pytest.raises(MediaError, match="404"):
        await get(fresh=fresh)
    assert len(server.requests) <= 4


async def test_a_backend_that_cannot_say_now_is_asked_again(server: Server, get: Get) -> None:
    server.scripts["/b"], calls = WHOLE, []

    async def fresh() -> RemoteFile:
        calls.append(1)
        if len(calls) < 3:
            raise ConnectionError("away")
        return at(server, "/b")

    assert await get(fresh=fresh) == FILE
    assert len(calls) == 3


async def test_a_file_that_is_there_a_little_later(server: Server, get: Get) -> None:
    """The backend has no other address, and says that the file lies there: its store is only behind."""
    server.scripts["/a"] = in_turn(server, answer(status="404 Not Found"), answer(status="403 Forbidden"), WHOLE)

    async def fresh() -> RemoteFile:
        return at(server, "/a")

    assert await get(fresh=fresh) == FILE


async def test_the_last_of_the_time_is_tried_too(server: Server, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that would end after it is cut short, unless the server asked for it."""
    monkeypatch.setattr(pauses, "_PAUSES_SECONDS", (0.01, 60))
    server.scripts["/a"] = in_turn(server, AWAY, AWAY, AWAY, WHOLE)
    assert await get(seconds=2) == FILE
    server.scripts["/a"] = in_turn(server, answer(status="503 Service Unavailable", retry_after="2"), WHOLE)
    with pytest.raises(MediaError, match="503"):
        await get(seconds=2)


@pytest.mark.parametrize("is_date", [False, True], ids=["seconds", "date"])
@pytest.mark.parametrize("status", ["503 Service Unavailable", "429 Too Many Requests"])
async def test_a_pause_that_is_asked_for_is_kept_to(server: Server, get: Get, status: str, is_date: bool) -> None:
    begun = time.time()
    wished = format_datetime(datetime.fromtimestamp(begun + 2, UTC), usegmt=True) if is_date else "2"
    server.scripts["/a"] = in_turn(server, answer(status=status, retry_after=wished), WHOLE)
    assert await get() == FILE
    assert time.time() - begun >= (1 if is_date else 2)  # a date has no fraction of a second


@pytest.mark.parametrize("wished", ["-1", "NaN", "inf", "soon", "", "Sat, 99 May 2026 12:00:00 GMT"])
async def test_a_pause_that_is_none_is_ours(server: Server, get: Get, wished: str) -> None:
    server.scripts["/a"] = in_turn(server, answer(status="503 Service Unavailable", retry_after=wished), WHOLE)
    assert await get(seconds=5) == FILE


def drip(head: bytes, body: bytes, pieces: int) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for place in range(pieces):
            writer.write(body[place * len(body) // pieces : (place + 1) * len(body) // pieces])
            await writer.drain()
            await asyncio.sleep(0.05)

    return play


@pytest.mark.parametrize("ranges", ["", "bytes", "none"])
async def test_what_comes_slowly_comes_whole(
    server: Server, get: Get, monkeypatch: pytest.MonkeyPatch, ranges: str
) -> None:
    """A server that cannot send the rest alone is not left in the middle: it would begin anew for ever."""
    monkeypatch.setattr(module, "_TRY_SECONDS", 0.3)
    whole = answer(FILE, etag=TAG, accept_ranges=ranges)
    server.scripts["/a"] = in_turn(server, drip(cut(whole, 0), FILE, 20), rest if ranges == "bytes" else whole)
    assert await get() == FILE
    assert len(server.requests) == (2 if ranges == "bytes" else 1)


async def test_it_ends_when_the_time_is_up(server: Server, get: Get) -> None:
    server.scripts["/a"] = AWAY
    with pytest.raises(MediaError, match="503"):
        await get(seconds=1.5)
    assert len(server.requests) > 1


async def test_silence_is_no_answer(server: Server, get: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.1)

    async def silent(writer: asyncio.StreamWriter) -> None:
        writer.write(cut(WHOLE, HALF))
        await writer.drain()
        await asyncio.sleep(60)

    server.scripts["/a"] = in_turn(server, silent, rest)
    assert await get() == FILE


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (redirect("http://10.0.0.1/secret"), "bad_redirect"),
        (redirect("/a"), "too_many_redirects"),
        (answer(FILE, content_encoding="gzip"), "encoded"),
        (answer(FILE + b"x", etag=TAG), "too_large"),
    ],
)
@pytest.mark.parametrize("first", [AWAY, cut(WHOLE, HALF)], ids=["away", "half"])
async def test_every_try_is_checked_as_the_first(
    server: Server, get: Get, first: bytes, second: bytes, reason: str
) -> None:
    server.scripts["/a"] = in_turn(server, first, second)
    with pytest.raises(MediaError, match=reason):
        await get()
    assert len(server.requests) <= 5


async def test_a_file_that_grows_without_end_by_its_rests_is_capped(server: Server, get: Get) -> None:
    head = f"HTTP/1.1 200 OK\r\netag: {TAG}\r\ntransfer-encoding: chunked\r\n\r\n{HALF:x}\r\n".encode()

    def more(begin: int) -> bytes:
        return answer(FILE, "206 Partial Content", etag=TAG, content_range=f"bytes {begin}-{begin + len(FILE) - 1}/*")

    server.scripts["/a"] = in_turn(server, head + FILE[:HALF], more)
    with pytest.raises(MediaError, match="too_large"):
        await get()


async def test_the_rest_is_asked_for_behind_a_redirect_and_no_key_is_told_there(server: Server, tmp_path: Path) -> None:
    other = Server({})
    other.scripts["/b"] = in_turn(other, cut(WHOLE, HALF), rest)
    await other.listen("127.0.0.1")
    try:
        server.scripts["/a"] = redirect(f"http://127.0.0.1:{other.port}/b")
        item = RemoteFile(
            f"http://127.0.0.1:{server.port}/a",
            {"Authorization": "Bearer secret"},
            (f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}"),
        )
        target = tmp_path / "got"
        await fetch(item, target, max_bytes=len(FILE), pauses=Pauses(time.monotonic() + 20))
        assert target.read_bytes() == FILE
        assert 0 < begins(other)[-1] <= HALF
        assert asked(other, "authorization") == [None, None]
        assert asked(server, "authorization") == ["Bearer secret"] * 2
    finally:
        await other.close()


async def test_a_disk_that_does_not_take_it_is_no_fault_of_the_network(server: Server, tmp_path: Path) -> None:
    server.scripts["/a"] = WHOLE
    with pytest.raises(ServiceUnavailable, match="disk"):
        await fetch(
            at(server, "/a"), tmp_path / "absent" / "got", max_bytes=10**6, pauses=Pauses(time.monotonic() + 20)
        )
    assert len(server.requests) == 1


async def test_a_servers_own_words_are_not_logged(server: Server, get: Get, capsys: pytest.CaptureFixture[str]) -> None:
    """They may hold the key that it was asked with."""
    server.scripts["/a"] = in_turn(server, b"HTTP/1.1 200 OK\r\nk-canary-4711\r\n\r\n", WHOLE)
    assert await get() == FILE
    logged = capsys.readouterr().out
    assert "broken_answer" in logged and "k-canary" not in logged


@pytest.mark.parametrize("tag", ['"\udcff\udcfe"', '"caf\xe9"', '"a\x7f"'])
async def test_a_tag_that_makes_no_header_is_not_sent_back(server: Server, get: Get, tag: str) -> None:
    odd = answer(FILE, etag="ODD").replace(b"ODD", tag.encode("utf-8", "surrogateescape"))
    server.scripts["/a"] = in_turn(server, cut(odd, HALF), WHOLE)
    assert await get() == FILE
    assert asked(server, "if-range") == [None, None]
