"""The watch over this process's connections: real sockets of several clients, on a listener of the test's own."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import sys
from collections.abc import Iterator

import pytest

from safelight.node import connections
from safelight.node.connections import Connections, client_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there is no watch elsewhere")


class Door:
    """A listener, and both ends of the connections that were made to it."""

    def __init__(self, stack: contextlib.ExitStack, host: str = "127.0.0.1") -> None:
        self._stack = stack
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = stack.enter_context(socket.socket(family))
        self.listener.bind((host, 0))
        self.listener.listen(64)
        self.port: int = self.listener.getsockname()[1]
        self.accepted: dict[socket.socket, socket.socket] = {}

    def come(self, address: str, count: int = 1) -> list[socket.socket]:
        """Connections from an address, in the order in which they came."""
        came = []
        for _ in range(count):
            client = socket.create_connection(self.listener.getsockname()[:2], source_address=(address, 0), timeout=30)
            self.accepted[client] = self.listener.accept()[0]
            self._stack.enter_context(client)
            self._stack.enter_context(self.accepted[client])
            came.append(client)
        return came


@pytest.fixture
def door() -> Iterator[Door]:
    with contextlib.ExitStack() as stack:
        yield Door(stack)


def open_ones(clients: list[socket.socket]) -> list[bool]:
    """Which are open still: of one that was closed the end of the stream is there to be read."""
    ended = select.select(clients, [], [], 0)[0]
    return [client not in ended for client in clients]


def peer(client: socket.socket) -> tuple[str, int]:
    host, port = client.getsockname()[:2]
    return host, port


def test_what_is_too_much_of_one_client_is_closed_and_the_longest_idle_goes_first(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=3)
    greedy, other = door.come("127.0.0.2", 3), door.come("127.0.0.3", 3)
    assert watch.look() == 0
    greedy += door.come("127.0.0.2", 2)
    assert watch.look() == 2
    assert open_ones(greedy) == [False, False, True, True, True]
    assert all(open_ones(other))


def test_who_came_since_the_last_look_may_still_say_what_they_want(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=1)
    new = door.come("127.0.0.2", 5)
    assert watch.look() == 0
    assert all(open_ones(new))
    assert watch.look() == 4


def test_a_request_under_way_keeps_its_connection_and_its_end_makes_that_the_newest(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=1)
    came = door.come("127.0.0.2", 3)
    with watch.answering(peer(came[1])), watch.answering(peer(came[0])):
        watch.look()
        assert watch.look() == 0  # one is idle
    assert watch.look() == 2
    assert open_ones(came) == [False, True, False]


def test_a_house_that_is_more_than_half_full_has_no_patience(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_PATIENCE_SECONDS", 0.0)
    watch = Connections(door.port, capacity=8, most=50)
    came = [client for number in range(2, 6) for client in door.come(f"127.0.0.{number}")]
    watch.look()
    assert watch.look() == 0
    came += door.come("127.0.0.6")
    watch.look()
    assert watch.look() >= 4
    assert not any(open_ones(came[:4]))


def test_the_greedy_lose_first_where_all_have_more_than_there_is(door: Door) -> None:
    watch = Connections(door.port, capacity=40, most=100)
    door.come("127.0.0.2", 30)
    modest = door.come("127.0.0.3", 4)
    watch.look()
    assert watch.look() == 12  # 18 for the greedy, and 18 left
    assert all(open_ones(modest))


def test_a_proxy_may_have_any_number(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=1, exempt=["127.0.1.0/24"])
    proxied, others = door.come("127.0.1.9", 5), door.come("127.0.0.2", 3)
    watch.look()
    assert watch.look() == 2
    assert all(open_ones(proxied))
    assert open_ones(others).count(True) == 1


def test_what_this_process_opened_itself_is_let_be(door: Door) -> None:
    watch = Connections(1, capacity=100, most=1)
    came = door.come("127.0.0.2", 5)
    watch.look()
    assert watch.look() == 0
    assert all(open_ones(came))


def test_a_number_that_is_anothers_by_now_is_not_closed(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=1)
    old = door.come("127.0.0.2", 2)
    watch.look()
    found = watch._by_peer[peer(old[0])]
    innocent = door.come("127.0.0.3")[0]
    door.accepted[old[0]].close()
    with socket.socket(fileno=socket.dup(door.accepted[innocent].fileno())) as moved:
        assert moved.fileno() == found.number  # the lowest that is free
        assert not watch._close(found)
    assert all(open_ones([innocent]))


def test_a_reader_that_takes_nothing_is_given_up(door: Door) -> None:
    watch = Connections(door.port, capacity=100, most=10, reader_seconds=0.5)
    watch.look()
    client = door.come("127.0.0.2")[0]
    sending = door.accepted[client]
    sending.settimeout(60)
    with pytest.raises(TimeoutError) as caught:
        while True:
            sending.send(b"x" * 65536)
    assert caught.value.errno == errno.ETIMEDOUT  # the kernel's, and not this test's


def test_an_ipv6_client_is_its_network() -> None:
    assert client_of("2001:db8:1:2:3::4") == client_of("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert client_of("2001:db8:1:3::9") != client_of("2001:db8:1:2::9")
    assert client_of("::ffff:192.0.2.7") == client_of("192.0.2.7") == "192.0.2.7"
    assert client_of("") == ""


def test_connections_of_ipv6_are_seen() -> None:
    with contextlib.ExitStack() as stack:
        try:
            door = Door(stack, "::1")
        except OSError:
            pytest.skip("this machine has no IPv6")
        watch = Connections(door.port, capacity=100, most=1)
        came = door.come("::1", 3)
        watch.look()
        assert watch.look() == 2
        assert open_ones(came) == [False, False, True]
