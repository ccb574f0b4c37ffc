"""Where a backend tells that something happened to a job: who is heard, and all that comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from safelight.api.app import make_app
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.hints import MAX_BODY_BYTES
from safelight.domain.connections import NoOptions
from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted, Completed, Handle, InlineBytes, Pending, PollOutcome, SubmitOutcome
from safelight.domain.ports import Backend, Callback, Job
from safelight.domain.request import Order
from safelight.lifecycle.hints import pause
from safelight.providers.noop import NoopProvider, png
from tests.api.test_dialects import House
from tests.lifecycle.virtual import in_virtual_time
from tests.support.asgi import served

pytestmark = pytest.mark.database

EXP = 9_999_999_999
PATIENCE_SECONDS = 30.0
ID, OTHER = "req-01JZ0000000000000000000000", "req-01JZ0000000000000000000001"


class Telling:
    """A backend that is asked once a minute, and tells when it is done."""

    def __init__(self) -> None:
        self.heard: list[Callback] = []
        self.asked = asyncio.Event()
        self.is_done = False
        self.callback_url = ""

    async def submit(self, order: Order, job: Job[Any]) -> SubmitOutcome:
        self.callback_url = job.callback_url
        return Accepted({"job": 1})

    async def poll(self, handle: Handle, job: Job[Any]) -> PollOutcome:
        self.asked.set()
        return Completed((InlineBytes(png()),)) if self.is_done else Pending(poll_after_seconds=60)

    async def hint(self, callback: Callback) -> bool:
        self.heard.append(callback)
        if callback.body == b"break":
            raise RuntimeError
        return callback.body == b"news"

    async def close(self) -> None: ...


class Backends:
    """Whatever connection is asked for is ``telling``; but ``quiet`` tells nothing, and ``gone`` is not there."""

    def __init__(self, telling: Telling) -> None:
        self.telling = telling

    def open(self, connection: str) -> Backend:
        if connection == "gone":
            raise ConfigurationError
        provider: Any = NoopProvider() if connection == "quiet" else self.telling
        return Backend(connection=connection, provider=provider, options=NoOptions)


@pytest.fixture(scope="module")
def house(database_url: str) -> House:
    return House(database_url)


@pytest.fixture(scope="module")
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(house.open_state, (GETIMG,), most_open=100, most_refusals=1000)
    async with served(app) as client:
        yield client


@pytest.fixture
def telling(http: httpx.AsyncClient, house: House) -> Telling:
    made = Telling()
    msgspec.structs.force_setattr(house.state.running, "backends", Backends(made))
    return made


def address(house: House, connection: str = "back", job_id: str = ID, exp: int = EXP) -> str:
    return house.state.keeping.signer.hint_url(connection, job_id, exp)


async def test_news_of_a_job_has_it_asked_about_at_once(
    http: httpx.AsyncClient, house: House, telling: Telling
) -> None:
    """It is asked about once a minute; nobody waits here for half of one."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        order = {"model": "still", "prompt": "a hill"}
        made = asyncio.create_task(http.post("/v2/images/generations", json=order, headers=house.rich))
        await telling.asked.wait()
        telling.is_done = True
        answer = await http.post(telling.callback_url, content=b"news", headers={"X-Vendor": "a"})
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await made).status_code == 200
    (heard,) = telling.heard
    assert (heard.job_id, heard.headers["x-vendor"]) == (telling.callback_url.split("/")[-1].partition("?")[0], "a")


async def test_only_news_wakes_and_nothing_is_told(http: httpx.AsyncClient, house: House, telling: Telling) -> None:
    """What is no news, breaks the adapter, or is for a connection that does not tell, or is gone."""
    changes = house.state.running.changes
    with changes.hinted(ID) as woken, changes.hinted(OTHER) as woken_last, changes.subscribed(ID) as looked:
        for connection, body in (("back", b"no news"), ("back", b"break"), ("quiet", b"news"), ("gone", b"news")):
            answer = await http.post(address(house, connection), content=body)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await http.post(address(house, job_id=f"{OTHER}.2"), content=b"news")).status_code == 204
        async with asyncio.timeout(PATIENCE_SECONDS):
            await woken_last.wait()
        assert not woken.is_set()
        await http.post(address(house), content=b"news")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await woken.wait()
        assert not looked.is_set(), "who waits for a change has nothing to look at"


async def test_a_wrong_address_tells_nothing(http: httpx.AsyncClient, house: House, telling: Telling) -> None:
    """Of another job or connection, past its time, unsigned, unknown: the same answer, byte for byte."""
    path, _, query = address(house).partition("?")
    wrong = [
        path,
        f"{path}?exp={EXP}&sig={'0' * 64}",
        f"{path}.1?{query}",
        f"{path.replace('/back/', '/gone/')}?{query}",
        f"{path}?{query}&exp=1",
        address(house, exp=1_000_000_000),
        f"{path.replace(ID, OTHER)}?{query}",
    ]
    answers = [await http.post(each, content=b"news" * 20_000) for each in wrong]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1
    assert telling.heard == []


async def test_a_body_has_2_mib_at_most(http: httpx.AsyncClient, house: House, telling: Telling) -> None:
    assert (await http.post(address(house), content=b"x" * MAX_BODY_BYTES)).status_code == 204
    refused = await http.post(address(house), content=b"x" * (MAX_BODY_BYTES + 1))
    assert (refused.status_code, len(telling.heard)) == (413, 1)


def test_a_pause_ends_with_a_hint_but_not_within_a_second() -> None:
    async def paused(hint_at: float | None, seconds: float) -> float:
        loop, hinted = asyncio.get_running_loop(), asyncio.Event()
        begun = loop.time()
        if hint_at is not None:
            loop.call_later(hint_at, hinted.set)
        await pause(hinted, seconds)
        return loop.time() - begun

    for hint_at, seconds, lasted in ((None, 60, 60), (7, 60, 7), (0.1, 60, 1), (0.1, 0.5, 0.5)):
        assert in_virtual_time(paused(hint_at, seconds)) == pytest.approx(lasted), (hint_at, seconds)
