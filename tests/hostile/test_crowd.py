"""Crowds at a running server: each bound refuses with its remedy and frees its place, and health answers meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.hostile.impatient import BODIES_BYTES
from tests.support import server as servers
from tests.support.postgres import on_database
from tests.support.server import Server, eventually, open_folder
from tests.support.tenants import Tenant, another_key, make_tenant_at

ADDRESS, OTHER, PROXY = "127.0.0.2", "127.0.0.3", "127.0.0.9"
OPEN, WAITS = 10, 3
IMAGES, VIDEOS = "/v2/images/generations", "/v2/videos/generations"
_ROOT = Path(__file__).parents[2]
_MODEL = """
[[models]]
id = "{type}"
name = "It takes its time"
type = "{type}"
created_at = 2026-01-02T03:04:05Z
aspect_ratios = ["1:1"]
resolutions = ["1K"]
{more}
rates = [{{ unit_price = "0.01" }}]
bindings = [{{ connection = "noop", options = {{ delay_seconds = 3600 }} }}]
sizes."1K" = {{ "1:1" = "64x64" }}
"""


class Answer(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return dict(json.loads(self.body)["error"])


class House:
    """The server, and requests to it from many addresses."""

    def __init__(self, server: Server, database_url: str) -> None:
        self.port = server.port
        self._database_url = database_url

    def tenant(self) -> Tenant:
        return make_tenant_at(self._database_url)

    def another_key(self, tenant: Tenant) -> Tenant:
        return on_database(self._database_url, lambda db: another_key(db, tenant.name))

    def in_flight(self, tenant: Tenant) -> int:
        with psycopg.connect(self._database_url) as connection:
            row = connection.execute("select in_flight from accounts where workspace_id = %s", [tenant.id]).fetchone()
        return int(row[0]) if row else 0

    def video(self, tenant: Tenant) -> str:
        answer = self.ask(VIDEOS, tenant, body={"model": "video", "prompt": "x"})
        return str(json.loads(answer.body)["id"])

    def connect(self, address: str = ADDRESS) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), source_address=(address, 0), timeout=60)

    def send(self, path: str, tenant: Tenant | None, *, address: str = ADDRESS, body: bytes = b"", **more: str) -> Open:
        """Begin a request; its connection. A body is announced longer than it is where ``more`` says so."""
        head = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: x"]
        head += [f"Authorization: Bearer {tenant.key}"] if tenant else []
        head += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        connection = self.connect(address)
        connection.sendall("\r\n".join([*head, "\r\n"]).encode() + body)
        return Open(connection)

    def ask(
        self, path: str, tenant: Tenant | None = None, *, address: str = ADDRESS, body: object = None, **more: str
    ) -> Answer:
        raw = b"" if body is None else json.dumps(body).encode()
        more |= {"Content_Length": str(len(raw))} if raw else {}
        with self.send(path, tenant, address=address, body=raw, Connection="close", **more) as begun:
            return begun.answer()

    def stream(self, video: str, tenant: Tenant, *, address: str = ADDRESS) -> Open:
        return self.send(f"/v2/generations/{video}/events", tenant, address=address)

    def poll(self, video: str, tenant: Tenant, seconds: int = 60, *, address: str = ADDRESS) -> Open:
        return self.send(f"{VIDEOS}/{video}?wait={seconds}", tenant, address=address)


class Open:
    """A request under way, over with its block."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def answer(self) -> Answer:
        with http.client.HTTPResponse(self.connection) as response:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            is_stream = headers["content-type"].startswith("text/event-stream")
            return Answer(response.status, headers, response.read1() if is_stream else response.read())

    def is_answered(self) -> bool:
        return bool(select.select([self.connection], [], [], 0)[0])

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


@pytest.fixture(scope="module")
def house(database_url: str) -> Iterator[House]:
    with open_folder() as folder, pytest.MonkeyPatch.context() as patch:
        command = folder / "impatient"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.hostile.impatient "$@"\n')
        command.chmod(0o755)
        catalog = folder / "catalog.toml"
        more = "durations = [1]"
        catalog.write_text(_MODEL.format(type="image", more="") + _MODEL.format(type="video", more=more))
        patch.setattr(servers, "COMMAND", str(command))
        environment = {
            "PYTHONPATH": str(_ROOT),
            "SAFELIGHT_DATABASE_URL": database_url,
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_ADDRESS_CONCURRENCY": str(OPEN),
            "SAFELIGHT_KEY_WAITS": str(WAITS),
            "SAFELIGHT_PROXIES": PROXY,
            "SAFELIGHT_PROVENANCE": "off",
            "SAFELIGHT_SHUTDOWN": "2s",
        }
        server = Server(folder / "data", command="serve", env=environment)
        try:
            yield House(server.wait_until_ready(), database_url)
            server.stop()
        finally:
            server.kill_everything()


def refused_as_crowded(answer: Answer, *says: str) -> None:
    assert (answer.status, answer.error["code"]) == (429, "rate_limit"), answer
    assert int(answer.headers["retry-after"]) >= 1
    for words in says:
        assert words in answer.error["message"]


def health_answers(house: House, address: str) -> None:
    assert [house.ask(path, address=address).status for path in ("/healthz", "/readyz")] == [200, 200]


@pytest.mark.parametrize(
    "said", [b"", b"G", b"PRI * HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\nX: ", b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_a_connection_without_a_request_is_closed(house: House, said: bytes) -> None:
    with house.connect() as connection:
        connection.sendall(said)
        while connection.recv(65536):
            pass


def test_of_one_address_some_idle_connections_stay_and_the_others_do_not(house: House) -> None:
    with contextlib.ExitStack() as stack:
        came = [stack.enter_context(house.connect()) for _ in range(200)]
        began = came[0]
        began.settimeout(60)
        assert began.recv(1) == b""
        health_answers(house, ADDRESS)
        health_answers(house, OTHER)


@pytest.mark.parametrize("kind", ["stream", "poll"])
def test_waits_of_a_key_are_bounded_and_a_client_that_leaves_frees_its_place(house: House, kind: str) -> None:
    tenant = house.tenant()
    video = house.video(tenant)
    begin: Callable[[str, Tenant], Open] = house.stream if kind == "stream" else house.poll

    def is_refused() -> bool:
        with house.stream(video, tenant) as asked:
            return asked.answer().status == 429

    with contextlib.ExitStack() as stack:
        for _ in range(WAITS - 1):
            assert stack.enter_context(house.stream(video, tenant)).answer().status == 200
        last = stack.enter_context(begin(video, tenant))
        assert kind == "poll" or last.answer().status == 200

        def is_full() -> bool:
            nonlocal last
            if is_refused():
                return True
            if kind == "poll" and last.is_answered():  # the question above had taken its place
                last = stack.enter_context(begin(video, tenant))
            return False

        eventually(is_full, "all places are taken")
        refused_as_crowded(house.poll(video, tenant).answer(), "API key", "poll without wait")
        assert house.ask(f"{VIDEOS}/{video}", tenant).status == 200  # which does not wait
        last.connection.close()
        eventually(lambda: not is_refused(), "a place is free")


def test_waits_of_a_workspace_are_bounded_over_all_its_keys(house: House) -> None:
    tenant = house.tenant()
    video, other = house.video(tenant), house.tenant()
    keys = [tenant, house.another_key(tenant), house.another_key(tenant)]
    with contextlib.ExitStack() as stack:
        for key in keys[:2]:
            for _ in range(WAITS):
                assert stack.enter_context(house.stream(video, key, address=OTHER)).answer().status == 200
        refused_as_crowded(house.stream(video, keys[2], address=OTHER).answer(), "workspace", "poll without wait")
        with house.stream(house.video(other), other) as others:
            assert others.answer().status == 200


def test_a_repeat_that_waits_for_a_run_is_a_wait_too(house: House) -> None:
    tenant = house.tenant()
    image: dict[str, Any] = {"path": IMAGES, "tenant": tenant, "Idempotency_Key": "once"}
    body = json.dumps({"model": "image", "prompt": "x"}).encode()

    def repeat() -> Open:
        return house.send(**image, body=body, Content_Length=str(len(body)), address=OTHER)

    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(repeat())]  # which makes it

        def is_refused() -> bool:
            waiting.append(stack.enter_context(repeat()))
            answered = [asked for asked in waiting if asked.is_answered()]
            return bool(answered) and len(waiting) - len(answered) == 1 + WAITS

        eventually(is_refused, "as many wait as may, and one is refused")
        refusals = [asked.answer() for asked in waiting if asked.is_answered()]
        assert {answer.status for answer in refusals} == {429}
        assert any("API key" in answer.error["message"] for answer in refusals)


def test_requests_of_an_address_are_bounded_and_health_is_not(house: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(OPEN // 2):
            tenant = house.tenant()
            video = house.video(tenant)
            for _ in range(2):
                assert stack.enter_context(house.stream(video, tenant)).answer().status == 200
        answer = house.ask("/v2/models", tenant)
        refused_as_crowded(answer, "this address")
        assert answer.headers["connection"] == "close"
        health_answers(house, ADDRESS)
        assert house.ask("/v2/models", tenant, address=OTHER).status == 200
    eventually(lambda: house.ask("/v2/models", tenant).status == 200, "the address may ask again")


def test_behind_a_proxy_the_client_is_the_one_it_names_and_nobody_else_may_name_one(house: House) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(OPEN // 2):
            tenant = house.tenant()
            path = f"/v2/generations/{house.video(tenant)}/events"
            for _ in range(2):
                begun = house.send(path, tenant, address=PROXY, X_Forwarded_For="1.1.1.1, 192.0.2.1")
                assert stack.enter_context(begun).answer().status == 200

        def models(client: str, address: str) -> int:
            return house.ask("/v2/models", tenant, address=address, X_Forwarded_For=client).status

        assert models("192.0.2.1", PROXY) == 429
        assert models("192.0.2.2", PROXY) == 200
        assert models("192.0.2.1", ADDRESS) == 200  # this one's word is not believed
        health_answers(house, PROXY)


def test_a_body_that_stops_arriving_is_given_up(house: House) -> None:
    tenant = house.tenant()
    with house.send(IMAGES, tenant, body=b'{"prompt": "', Content_Length="1000") as begun:
        answer = begun.answer()
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")


def test_a_body_that_drips_is_given_up(house: House) -> None:
    with house.send(IMAGES, house.tenant(), body=b'{"prompt": "', Content_Length="1000") as begun:
        for _ in range(900):
            if select.select([begun.connection], [], [], 0.1)[0]:
                break
            begun.connection.sendall(b"x")
        else:
            pytest.fail("it may drip for as long as it likes")
        answer = begun.answer()
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")


def test_a_body_takes_no_memory_while_its_image_is_made(house: House) -> None:
    tenant = house.tenant()
    body = json.dumps({"model": "image", "prompt": "x"}).encode() + b" " * (BODIES_BYTES * 2 // 5)

    def begin(path: str) -> Open:
        return house.send(path, tenant, body=body, Content_Length=str(len(body)))

    def is_taken() -> bool:
        with begin(f"{IMAGES}/quote") as asked:
            return asked.answer().status == 200

    with begin(IMAGES) as making:
        eventually(lambda: house.in_flight(tenant) == 1, "it is accepted")
        eventually(is_taken, "there is room for another body")
        assert not making.is_answered()


def test_bodies_on_their_way_are_bounded_by_memory_which_they_give_back(house: House) -> None:
    tenant, other = house.tenant(), house.tenant()
    large = b'{"prompt": "' + b"x" * (BODIES_BYTES // 2)
    with house.send(IMAGES, tenant, body=large, Content_Length=str(BODIES_BYTES)) as begun:
        answer = begun.answer()
    assert (answer.status, answer.error["code"]) == (503, "service_unavailable")
    assert "send fewer at once" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "true" and int(answer.headers["retry-after"]) >= 1
    half = b'{"prompt": "' + b"x" * (BODIES_BYTES * 2 // 5) + b'"}'
    for sender in (tenant, other, tenant, other, tenant):  # each fits, once the one before is done with
        begun = house.send("/v2/images/generations/quote", sender, body=half, Content_Length=str(len(half)))
        with begun:
            assert begun.answer().status == 400  # for its length


def test_a_body_without_a_key_is_not_waited_for(house: House) -> None:
    with house.send(IMAGES, None, body=b"{", Content_Length=str(20 * 1024 * 1024)) as begun:
        assert begun.answer().status == 401


@pytest.mark.parametrize(
    "head",
    [
        "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + "a" * 200_000,
        "GET /" + "a" * 200_000 + " HTTP/1.1\r\nHost: x",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n" + "\r\n".join(f"X-{number}: a" for number in range(5000)),
    ],
)
def test_heads_of_absurd_size_are_refused(house: House, head: str) -> None:
    with house.connect() as connection:
        with contextlib.suppress(ConnectionError):  # it need not be read to its end
            connection.sendall(head.encode() + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert connection.recv(4096).split(b" ")[1][:1] == b"4"
    health_answers(house, ADDRESS)


def test_an_upgrade_is_not_taken(house: House) -> None:
    for protocol in ("websocket", "h2c"):
        answer = house.ask("/v2/models", house.tenant(), Upgrade=protocol, Sec_WebSocket_Key="x")
        assert answer.status in (200, 400)
