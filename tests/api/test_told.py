"""Whether an answer arrived: real sockets, each end in the test's hands, and an application of a few lines."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from safelight.api import told
from safelight.api.auth import STATE
from safelight.api.told import Told
from safelight.domain.errors import ServiceUnavailable
from safelight.node import arrivals
from safelight.node.arrivals import arrived
from safelight.node.connections import Connections, Peer, peer_of
from tests.hostile.test_connections import Door, peer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing can be told elsewhere")

Leave = Callable[[socket.socket], None]
STANDS_SECONDS = 0.2


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_STANDS_SECONDS", STANDS_SECONDS)


@pytest.fixture(params=["127.0.0.1", "::1"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    with contextlib.ExitStack() as stack:
        try:
            yield Door(stack, request.param)
        except OSError:
            pytest.skip("this machine has no IPv6")


@pytest.fixture
def client(door: Door) -> socket.socket:
    return door.come(door.listener.getsockname()[0])[0]


@pytest.fixture
def watch(door: Door) -> Connections:
    return Connections(door.port, capacity=10_000, most=10_000)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def answered(door: Door, client: socket.socket, watch: Connections) -> asyncio.Task[bool]:
    """Give the client an answer, which it takes; whether it arrived is being found out."""
    door.accepted[client].sendall(b"an answer")
    assert client.recv(100) == b"an answer"
    return asyncio.create_task(arrived(watch, peer(client)))


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
async def test_who_stays_has_it(door: Door, client: socket.socket, watch: Connections, is_known: bool) -> None:
    if is_known:
        watch.look()
    assert await (await answered(door, client, watch))


@pytest.mark.parametrize(
    "leave", [socket.socket.close, reset, lambda client: client.shutdown(socket.SHUT_WR)], ids=["FIN", "RST", "half"]
)
@pytest.mark.parametrize("is_early", [True, False], ids=["at once", "soon"])
async def test_whose_connection_ends_has_not(
    door: Door, client: socket.socket, watch: Connections, leave: Leave, is_early: bool
) -> None:
    end = peer(client)
    door.accepted[client].sendall(b"an answer")
    client.recv(100)
    if is_early:
        leave(client)
    finding = asyncio.create_task(arrived(watch, end))
    await asyncio.sleep(STANDS_SECONDS / 4)
    if not is_early:
        leave(client)
    assert not await finding


async def test_one_that_the_server_closed_meanwhile_is_lost(
    door: Door, client: socket.socket, watch: Connections
) -> None:
    watch.look()
    door.accepted[client].close()
    assert not await arrived(watch, peer(client))


@pytest.mark.parametrize("server_is_faster", [True, False])
async def test_who_sends_the_next_request_at_once_has_it(
    door: Door, client: socket.socket, watch: Connections, server_is_faster: bool
) -> None:
    finding = await answered(door, client, watch)
    await asyncio.sleep(STANDS_SECONDS / 4)
    client.sendall(b"the next")
    if server_is_faster:
        door.accepted[client].recv(100)
    assert await finding


async def test_a_slow_reader_is_waited_for(door: Door, client: socket.socket, watch: Connections) -> None:
    """The answer is larger than what lies between; what is acknowledged late arrived all the same."""
    serving = door.accepted[client]
    serving.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += serving.send(b"x" * 65536)
    finding = asyncio.create_task(arrived(watch, peer(client)))
    await asyncio.sleep(3 * STANDS_SECONDS)
    assert not finding.done(), "it is not acknowledged yet"
    loop, taken = asyncio.get_running_loop(), 0
    client.setblocking(False)
    while taken < sent:
        taken += len(await loop.sock_recv(client, 1 << 20))
    assert await finding


async def test_a_reader_that_leaves_in_the_middle_has_nothing(
    door: Door, client: socket.socket, watch: Connections
) -> None:
    serving = door.accepted[client]
    serving.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            serving.send(b"x" * 65536)
    finding = asyncio.create_task(arrived(watch, peer(client)))
    await asyncio.sleep(2 * STANDS_SECONDS)
    client.recv(100)
    client.close()
    assert not await finding


async def test_who_never_takes_it_is_given_up(
    door: Door, client: socket.socket, watch: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_MOST_SECONDS", 2 * STANDS_SECONDS)
    serving, before = door.accepted[client], open_files()
    serving.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            serving.send(b"x" * 65536)
    assert not await arrived(watch, peer(client))
    assert open_files() == before


async def test_no_handle_is_left_of_many(door: Door, watch: Connections) -> None:
    host = door.listener.getsockname()[0]
    clients = [client for _ in range(4) for client in door.come(host, 50)]
    before = open_files()
    for _ in range(2):
        finding = [asyncio.create_task(arrived(watch, peer(client))) for client in clients]
        await asyncio.sleep(STANDS_SECONDS / 2)
        watch.look()  # which sees the handles, and must not mistake them for connections
        assert await asyncio.gather(*finding) == [True] * len(clients)
    assert open_files() == before
    for client in clients[::2]:
        client.close()
    assert await asyncio.gather(*(arrived(watch, peer(client)) for client in clients[1::2])) == [True] * 100


async def test_a_handle_taken_for_the_connection_misleads_nobody(
    door: Door, client: socket.socket, watch: Connections
) -> None:
    """The watch may have a handle's number on record, which is nobody's, or another's, by the time it is asked."""
    handle = await watch.own_socket(peer(client))
    assert handle is not None
    watch.look()
    watch._by_peer[peer(client)].number = handle.fileno()
    handle.close()
    again = await watch.own_socket(peer(client))
    assert again is not None
    with again:
        assert again.getpeername()[:2] == peer(client)


async def test_one_that_is_known_is_found_without_looking_at_all(
    door: Door, client: socket.socket, watch: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.look()
    monkeypatch.setattr(watch, "_found_socket", lambda _: pytest.fail("it looked at every connection"))
    with await watch.own_socket(peer(client)) or pytest.fail("it is there"):
        pass


async def test_the_client_hears_of_the_end_at_once(door: Door, client: socket.socket, watch: Connections) -> None:
    """A server that closes says so to the other end, whoever has a handle besides."""
    finding = await answered(door, client, watch)
    await asyncio.sleep(STANDS_SECONDS / 4)
    door.accepted[client].shutdown(socket.SHUT_WR)  # as the server does it
    door.accepted[client].close()
    client.setblocking(False)
    async with asyncio.timeout(STANDS_SECONDS / 2):
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    await finding


# What tells of which answer


class House:
    """``Told`` around an application; ``lost`` is what it recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, arrives: bool) -> None:
        self.lost: list[str] = []
        self.asked: list[Peer] = []
        self.database_is_away = False

        async def note_lost(_: object, generation_ids: list[str]) -> None:
            if self.database_is_away:
                raise ServiceUnavailable
            self.lost += generation_ids

        async def finds_out(_: object, peer: Peer) -> bool:
            self.asked.append(peer)
            return arrives

        monkeypatch.setattr(told, "note_lost", note_lost)
        monkeypatch.setattr(told, "arrived", finds_out)

    async def serve(self, *messages: Message | type[BaseException], **scope: Any) -> list[Message]:
        """Answer a request, which tells of two images; what was sent."""
        sent: list[Message] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["client"] = ("203.0.113.7", 0)  # as a proxy's word on whom it speaks for
            told.tells(SimpleNamespace(scope=scope), ["one", "two"])  # type: ignore[arg-type]
            for message in messages:
                if isinstance(message, type):
                    raise message
                await send(message)

        async def send(message: Message) -> None:
            sent.append(message)

        asked: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "headers": [],
            "client": ("192.0.2.1", "4711"),
            "state": {STATE: SimpleNamespace(viewing=None)},
        }
        wrapped = Told(app, None)  # type: ignore[arg-type]
        await wrapped(asked | scope, None, send)  # type: ignore[arg-type]
        while wrapped._watching:
            await asyncio.wait(wrapped._watching)
        return sent


START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b"{}"}
MORE: Message = {**END, "more_body": True}
ERROR: Message = {**START, "status": 503}


@pytest.fixture(params=[True, False], ids=["arrives", "is lost"])
async def house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    yield House(monkeypatch, arrives=request.param)


async def test_what_was_lost_is_on_record(house: House, request: pytest.FixtureRequest) -> None:
    is_lost = "is lost" in request.node.name
    assert await house.serve(START, MORE, END) == [START, MORE, END]
    assert house.lost == (["one", "two"] if is_lost else [])
    assert house.asked == [("192.0.2.1", 4711)], "the connection as it is, whoever it speaks for"


@pytest.mark.parametrize(
    "messages",
    [(ERROR, END), (RuntimeError,), (START, RuntimeError), (START, MORE, RuntimeError), (START, MORE)],
    ids=["an error", "nothing", "a beginning", "a piece", "no end"],
)
@pytest.mark.parametrize("headers", [[], [(b"connection", b"close")]], ids=["stays", "closes"])
async def test_an_answer_that_came_to_nothing_is_lost_whatever_the_network_says(
    house: House, messages: tuple[Any, ...], headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(RuntimeError) if RuntimeError in messages else contextlib.nullcontext():
        await house.serve(*messages, headers=headers)
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "arrival"))
    assert house.lost == ["one", "two"]
    assert house.asked == []


@pytest.mark.parametrize(
    "scope",
    [
        {"headers": [(b"connection", b"Keep-Alive, Close")]},
        {"headers": [(b"connection", b"te"), (b"connection", b"close")]},
        {"http_version": "1.0"},
        {"client": None},
        {"client": ("unix:", None)},
    ],
    ids=["close", "in a second header", "1.0", "nobody", "a path"],
)
async def test_where_the_end_of_a_connection_tells_nothing_nothing_is_asked(
    house: House, scope: dict[str, Any]
) -> None:
    await house.serve(START, END, **scope)
    assert (house.asked, house.lost) == ([], [])


async def test_who_leaves_while_it_is_recorded_that_they_see_is_on_record_as_gone(house: House) -> None:
    """The record is not broken off, and what comes last on it is that the answer was lost."""
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def see() -> None:
        begun.set()
        await may_end.wait()
        house.lost.append("seen")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await told.tells_seen(SimpleNamespace(scope=scope), ["one"], see())  # type: ignore[arg-type]

    scope = {"type": "http", "http_version": "1.1", "headers": [], "state": {STATE: SimpleNamespace(viewing=None)}}
    answering = asyncio.create_task(Told(app, None)(scope, None, None))  # type: ignore[arg-type]
    await begun.wait()
    answering.cancel()
    await asyncio.wait([answering])
    watches = [task for task in asyncio.all_tasks() if task.get_name() == "arrival"]
    await asyncio.wait(watches, timeout=0.05)
    may_end.set()
    await asyncio.gather(*watches)
    assert house.lost == ["seen", "one"]


async def test_an_old_connection_that_is_kept_is_asked_about(house: House) -> None:
    await house.serve(START, END, http_version="1.0", headers=[(b"connection", b"keep-alive")])
    assert len(house.asked) == 1


async def test_a_database_that_is_away_ends_no_request(house: House) -> None:
    house.database_is_away = True
    assert await house.serve(START, END) == [START, END]


def test_a_port_may_come_as_text() -> None:
    assert peer_of({"client": ("::1", "80")}) == peer_of({"client": ["::1", 80]}) == ("::1", 80)
    assert peer_of({"client": None}) is peer_of({}) is peer_of({"client": ("unix:", None)}) is None


@pytest.mark.parametrize("loop", ["uvloop"])
def test_it_works_on_the_servers_own_loop(loop: str) -> None:
    library = pytest.importorskip(loop)

    async def both() -> tuple[bool, bool, int]:
        with contextlib.ExitStack() as stack:
            door = Door(stack)
            watch = Connections(door.port, capacity=1000, most=1000)
            stays, leaves = door.come("127.0.0.1", 2)
            await asyncio.to_thread(int)  # which makes a thread
            before = open_files()
            finding = [asyncio.create_task(arrived(watch, peer(client))) for client in (stays, leaves)]
            await asyncio.sleep(STANDS_SECONDS / 4)
            leaves.close()
            first, second = await asyncio.gather(*finding)
            return first, second, open_files() - before

    with asyncio.Runner(loop_factory=library.new_event_loop) as runner:
        assert runner.run(both()) == (True, False, -1)
