"""A file that is delivered once gets to one download whole, however many there are and in however many processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx

from tests.delivery.house import House
from tests.support.server import eventually

SIZE_BYTES = 32 << 20
AT_ONCE = 6


def is_purged(house: House, generation_id: str) -> bool:
    return house.sql("select deleted_at is not null from media where generation_id = %s", generation_id) == [(True,)]


def test_of_large_downloads_that_all_began_one_ends(house: House) -> None:
    planted = house.plant(os.urandom(SIZE_BYTES), is_stored=False)
    path = planted.url.removeprefix(house.server.base_url)
    with house.beside({}) as other:
        all_began = Barrier(AT_ONCE)

        def download(port: int) -> bytes:
            with socket.create_connection(("127.0.0.1", port), 60) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                received = [connection.recv(4096)]
                assert received[0].startswith(b"HTTP/1.1 200")
                all_began.wait(60)
                while piece := connection.recv(1 << 20):
                    received.append(piece)
            return b"".join(received).partition(b"\r\n\r\n")[2]

        with ThreadPoolExecutor(AT_ONCE) as threads:
            bodies = list(threads.map(download, [house.server.port, other.server.port] * (AT_ONCE // 2)))
    assert [body == planted.content for body in bodies].count(True) == 1
    assert all(planted.content.startswith(body) for body in bodies)
    eventually(lambda: is_purged(house, planted.id), "it is deleted")
    assert house.get(planted.url).status_code == 410
    assert "Traceback" not in house.server.log


def test_of_small_downloads_one_is_answered(house: House) -> None:
    with house.beside({}) as other:
        for _ in range(5):
            planted = house.plant(b"small", is_stored=False)
            path = planted.url.removeprefix(house.server.base_url)
            begin = Barrier(AT_ONCE)

            def download(get: Callable[[str], httpx.Response]) -> tuple[int, bytes]:
                begin.wait(60)  # noqa: B023  (it is called in this round)
                answer = get(path)  # noqa: B023
                return answer.status_code, answer.content

            with ThreadPoolExecutor(AT_ONCE) as threads:
                answers = list(threads.map(download, [house.get, other.get] * (AT_ONCE // 2)))
            assert answers.count((200, b"small")) == 1
            assert {status for status, _ in answers} == {200, 410}


def test_a_process_that_dies_before_the_last_of_it_loses_nothing(house: House) -> None:
    """As it leaves the row: marked. For a minute it may still be there; then others may try."""
    planted = house.plant(b"small", is_stored=False)
    mark = "update media set tombstoned_at = now() - %s * interval '1 s' where generation_id = %s"
    house.sql(mark, 1, planted.id)
    refused = house.get(planted.url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (410, "download_expired")
    assert "another download was first" in refused.json()["error"]["message"]
    assert house.get(planted.url, range="bytes=0-1").content == b"sm"
    house.sql(mark, 61, planted.id)
    assert house.get(planted.url).content == b"small"
    eventually(lambda: is_purged(house, planted.id), "it is deleted")
