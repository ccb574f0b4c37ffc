"""What becomes of an answer: one that breaks off, or does not arrive, leaves its pictures to the repeat."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from safelight.api import submission, told
from safelight.api.app import make_app
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.openai import images
from safelight.api.openai.routes import DIALECT as OPENAI
from safelight.api.told import Told
from safelight.domain.errors import GenerationUnknown, ServiceUnavailable
from tests.api.test_dialects import House
from tests.support.asgi import served

PATIENCE_SECONDS = 30.0
UNSEEN = "select unseen from generations where id = any(%s)"


class NoSockets:
    """Of a client in this process there is no connection to look at."""

    def own_socket(self, peer: Any) -> socket.socket | None:
        return None


class Arrival:
    """What the network is made to say."""

    is_good = True

    async def __call__(self, sockets: Any, peer: Any) -> bool:
        return self.is_good


@pytest.fixture
def arrival(monkeypatch: pytest.MonkeyPatch) -> Arrival:
    made = Arrival()
    monkeypatch.setattr(told, "arrived", made)
    return made


@pytest.fixture
async def house(database_url: str) -> House:
    return House(database_url)


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(house.open_state, (GETIMG, OPENAI), most_open=100, most_refusals=1000)
    async with served(Told(app, NoSockets())) as client:
        yield client


async def ask(http: httpx.AsyncClient, house: House, retry: int = 0, **more: Any) -> httpx.Response:
    body = {"model": "still", "prompt": "a hill", **more}
    headers = {**house.rich, "x-stainless-retry-count": str(retry)}
    return await http.post("/v1/images/generations", json=body, headers=headers)


async def until(house: House, query: str, value: object, *params: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while [row[0] for row in await house.run(query, *params)] != value:
            await asyncio.sleep(0.01)


def ids(answer: httpx.Response) -> list[str]:
    return [each["id"] for each in answer.json()["data"]]


async def test_one_that_arrived_is_not_given_again(http: httpx.AsyncClient, house: House, arrival: Arrival) -> None:
    first = await ask(http, house, n=2)
    await until(house, UNSEEN, [False] * 2, ids(first))
    assert set(ids(await ask(http, house, 1, n=2))).isdisjoint(ids(first))


async def test_one_that_was_lost_is(http: httpx.AsyncClient, house: House, arrival: Arrival) -> None:
    arrival.is_good = False
    first = await ask(http, house, n=2)
    await until(house, UNSEEN, [True] * 2, ids(first))
    assert ids(await ask(http, house, 1, n=2)) == ids(first)


@pytest.mark.parametrize(("broken", "status"), [(1, 503), (2, 200)])
async def test_a_store_that_fails_in_between_costs_nothing_twice(
    broken: int, status: int, http: httpx.AsyncClient, house: House, arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first byte it is an error; after that the answer breaks off. Either way the repeat joins."""
    store, calls = house.state.keeping.store, 0
    stream = store.stream

    def failing(key: str, start: int, end: int) -> AsyncIterator[bytes]:
        nonlocal calls
        calls += 1
        if calls == broken:
            raise ServiceUnavailable
        return stream(key, start, end)

    with monkeypatch.context() as patch:
        patch.setattr(store, "stream", failing)
        cut = await ask(http, house, n=2)
    assert (cut.status_code, cut.headers.get("x-should-retry")) == (status, "true" if status == 503 else None)
    assert status == 503 or len(cut.content) < int(cut.headers["content-length"])
    made = [row[0] for row in await house.run("select id from generations order by id")][-2:]
    await until(house, UNSEEN, [True] * 2, made)
    again = await ask(http, house, 1, n=2)
    assert sorted(ids(again)) == made
    count = "select count(*) from generations where id >= %s"
    assert await house.run(count, made[0]) == [(2,)]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_nothing_is_seen_while_pictures_are_on_their_way(
    is_stream: bool, http: httpx.AsyncClient, house: House, arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take as long as their client does. A process that is killed meanwhile leaves them to the repeat."""
    store, newest = house.state.keeping.store, "select unseen from generations order by id desc limit 2"
    stream, looks = store.stream, []

    async def looking(key: str, start: int, end: int) -> AsyncIterator[bytes]:
        looks.append(await house.run(newest))
        async for piece in stream(key, start, end):
            yield piece

    monkeypatch.setattr(store, "stream", looking)
    assert (await ask(http, house, n=2, stream=is_stream)).is_success
    assert looks == [[(True,), (True,)]] * 2
    await until(house, newest, [False] * 2)


async def test_what_is_accepted_is_made_though_its_stream_never_begins(
    http: httpx.AsyncClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the client left while its request was accepted: nobody asks for the first event."""
    monkeypatch.setattr(images, "event_stream", lambda events: Response())
    assert (await ask(http, house, n=2, stream=True)).is_success
    await until(house, "select state::text from generations order by id desc limit 2", ["completed"] * 2)


async def test_what_is_delivered_once_goes_with_an_answer_that_arrived(
    http: httpx.AsyncClient, house: House, arrival: Arrival
) -> None:
    gone = "select deleted_at is not null from media where generation_id = any(%s)"
    arrival.is_good = False
    first = await ask(http, house, store=False)
    await until(house, UNSEEN, [True], ids(first))
    assert await house.run(gone, ids(first)) == [(False,)]
    arrival.is_good = True
    again = await ask(http, house, 1, store=False)
    assert ids(again) == ids(first)
    assert again.json()["data"][0]["b64_json"] == first.json()["data"][0]["b64_json"]
    await until(house, gone, [True], ids(first))


async def test_a_link_to_what_is_delivered_once_is_good_for_one(
    http: httpx.AsyncClient, house: House, arrival: Arrival
) -> None:
    answer = await ask(http, house, store=False, response_format="url")
    url = answer.json()["data"][0]["url"]
    assert (await http.get(url)).status_code == 200
    assert (await http.get(url)).status_code == 410


async def test_a_key_outlives_the_file_and_says_so(http: httpx.AsyncClient, house: House, arrival: Arrival) -> None:
    key = {**house.rich, "Idempotency-Key": "once"}
    body = {"model": "still", "prompt": "a hill"}
    first = await http.post("/v1/images/generations", json=body, headers=key)
    deleted = await http.delete(f"/v2/generations/{ids(first)[0]}/media", headers=house.rich)
    assert deleted.is_success
    again = await http.post("/v1/images/generations", json=body, headers=key)
    assert (again.status_code, again.json()["error"]["code"]) == (410, "download_expired")


async def test_another_workspaces_repeat_joins_nothing(http: httpx.AsyncClient, house: House, arrival: Arrival) -> None:
    arrival.is_good = False
    first = await ask(http, house)
    await until(house, UNSEEN, [True], ids(first))
    headers = {**house.poor, "x-stainless-retry-count": "1"}
    other = await http.post("/v1/images/generations", json={"model": "still", "prompt": "a hill"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (429, "insufficient_quota")
    seen = await http.get(f"/v2/images/generations/{ids(first)[0]}", headers=house.poor)
    assert seen.status_code == 404


async def test_a_quiet_stream_is_kept_open(
    http: httpx.AsyncClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_HEARTBEAT_SECONDS", 0.1)
    answer = await ask(http, house, model="still-slow", stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    quiet, _, told_ = answer.text.partition("event: ")
    assert quiet.count(": still there") > 1
    assert told_.startswith("image_generation.completed")


async def test_an_unknown_end_of_one_tells_of_all(
    http: httpx.AsyncClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said to be failed that may yet be made, and each can be asked for."""

    async def unknown(*_: Any, **__: Any) -> None:
        raise GenerationUnknown("The outcome of one is not known yet.")

    monkeypatch.setattr(submission, "outcomes", unknown)
    answer = await ask(http, house, n=2)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    made = [row[0] for row in await house.run("select id from generations order by id")][-2:]
    said = answer.json()["error"]["message"]
    assert [id_ for id_ in made if id_ in said] == made
    assert said.startswith("The outcome of one is not known yet. Asked for together: ")
    streamed = await ask(http, house, n=2, stream=True)
    assert "generation_unknown" in streamed.text
