"""Two dialects on one frame: each with its own words, both with the same use cases."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from structlog.testing import capture_logs

from safelight.accounts.keys import Authenticator, create_key
from safelight.api.app import make_app
from safelight.api.auth import ApiState
from safelight.api.bodies import MAX_BODY_BYTES
from safelight.api.dialect import Dialect
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.domain.ids import new_api_key
from safelight.lifecycle.runner import Runner
from tests.api import planted
from tests.lifecycle.studio import open_studio
from tests.support.asgi import served
from tests.support.server import open_folder

pytestmark = pytest.mark.database

MOST_REFUSALS = 5


class House:
    """An app in this process. ``rich`` and ``poor`` are the headers of two workspaces."""

    def __init__(self, database_url: str, **settings: str) -> None:
        self._database_url = database_url
        self._settings = settings
        self.rich: dict[str, str] = {}
        self.poor: dict[str, str] = {}
        self.state: ApiState
        self._rows: Callable[..., Awaitable[list[tuple[Any, ...]]]]

    async def run(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """A statement on the database, while the app is open."""
        return await self._rows(query, *params)

    @asynccontextmanager
    async def open_state(self) -> AsyncIterator[ApiState]:
        with open_folder() as folder:
            async with open_studio(self._database_url, folder, **self._settings) as studio:
                parts, runner = studio.parts, Runner(studio.parts.running)
                for headers, usd in ((self.rich, "10"), (self.poor, "0.01")):
                    sender = await studio.workspace(usd)
                    key = await create_key(sender.scope, studio.db)
                    headers["authorization"] = f"Bearer {key.secret}"
                self._rows = studio.rows
                self.state = ApiState(
                    submitting=parts.submitting,
                    running=parts.running,
                    viewing=parts.viewing,
                    keeping=parts.keeping,
                    runner=runner,
                    authenticator=Authenticator(studio.db),
                )
                yield self.state
                await runner.close(1)


@pytest.fixture(scope="module")
def house(database_url: str) -> House:
    return House(database_url)


@pytest.fixture(scope="module")
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(house.open_state, (GETIMG, planted.DIALECT), most_open=100, most_refusals=MOST_REFUSALS)
    async with served(app) as client:
        yield client


async def both_shapes(
    http: httpx.AsyncClient, method: str, ours: str, theirs: str, status: int, **request: Any
) -> None:
    """The same error, as each dialect puts it."""
    first = await http.request(method, ours, **request)
    second = await http.request(method, theirs, **request)
    assert (first.status_code, second.status_code) == (status, status), (first.text, second.text)
    assert list(first.json()) == ["error"] and list(first.json()["error"]) == ["message", "type", "param", "code"]
    assert list(second.json()) == ["fault", "says"]
    assert second.json()["fault"] == first.json()["error"]["code"]
    for name in ("www-authenticate", "x-should-retry", "allow"):
        assert (name in first.headers) == (name in second.headers)


async def test_the_same_use_case_in_both(http: httpx.AsyncClient, house: House) -> None:
    made = await http.post("/planted/pictures", json={"words": "a hill"}, headers=house.rich)
    assert made.status_code == 201, made.text
    number = made.json()["number"]
    assert made.json() == {"number": number, "words": "a hill"}
    assert {"x-ratelimit-limit", "x-request-id"} <= set(made.headers)
    assert (await http.get(f"/planted/pictures/{number}", headers=house.rich)).json() == made.json()
    as_ours = (await http.get(f"/v2/images/generations/{number}", headers=house.rich)).json()
    assert (as_ours["id"], as_ours["status"], as_ours["model"]) == (number, "completed", "still")


async def test_a_file_as_the_answer_of_a_route(http: httpx.AsyncClient, house: House) -> None:
    made = (
        await http.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"}, headers=house.rich)
    ).json()
    path = f"/planted/pictures/{made['id']}/file"
    by_link = await http.get(made["data"][0]["url"].removeprefix("http://localhost"))
    whole = await http.get(path, headers=house.rich)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, by_link.content, by_link.headers["etag"])
    part = await http.get(path, headers={**house.rich, "range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, whole.content[3:10])
    hidden = await http.get(path, headers=house.poor)
    assert (hidden.status_code, list(hidden.json())) == (404, ["fault", "says"])
    await http.delete(f"/v2/generations/{made['id']}/media", headers=house.rich)
    gone = await http.get(path, headers=house.rich)
    assert (gone.status_code, gone.json()["fault"]) == (410, "download_expired")


async def test_a_repeat_under_one_key(http: httpx.AsyncClient, house: House) -> None:
    keyed = {**house.rich, "idempotency-key": "planted"}
    first = await http.post("/planted/pictures", json={"words": "a lake"}, headers=keyed)
    again = await http.post("/planted/pictures", json={"words": "a lake"}, headers=keyed)
    other = await http.post("/planted/pictures", json={"words": "a sea"}, headers=keyed)
    assert (first.content, again.headers["idempotent-replayed"]) == (again.content, "true")
    assert (other.status_code, other.json()["fault"]) == (409, "idempotency_conflict")


async def test_errors_of_a_route(http: httpx.AsyncClient, house: House) -> None:
    images, pictures = "/v2/images/generations", "/planted/pictures"
    await both_shapes(http, "POST", images, pictures, 400, headers=house.rich, json={"nothing": 1})
    await both_shapes(http, "POST", images, pictures, 400, headers=house.rich, content=b"{")
    await both_shapes(http, "POST", images, pictures, 413, headers=house.rich, content=b" " * (MAX_BODY_BYTES + 1))
    await both_shapes(http, "GET", f"{images}/nothing", f"{pictures}/nothing", 404, headers=house.rich)
    poor = await http.post(pictures, json={"words": "x"}, headers=house.poor)
    assert (poor.status_code, poor.json()["fault"]) == (402, "quota_exceeded")
    assert "x-ratelimit-remaining" in poor.headers
    broken = await http.post(pictures, json={"words": "x", "by": "still-broken"}, headers=house.rich)
    assert (broken.status_code, broken.json()["fault"], broken.headers["x-should-retry"]) == (
        502,
        "generation_failed",
        "true",
    )


async def test_errors_where_no_route_is(http: httpx.AsyncClient, house: House) -> None:
    await both_shapes(http, "GET", "/v2/nothing", "/planted/nothing", 404)
    await both_shapes(http, "GET", "/plantedly", "/planted", 404)
    await both_shapes(http, "PUT", "/v2/models", "/planted/pictures", 405)
    assert (await http.put("/planted/pictures/x")).headers["allow"] == "GET, HEAD, OPTIONS"
    options = await http.options("/planted/pictures")
    assert (options.status_code, options.headers["allow"]) == (204, "OPTIONS, POST")
    assert (await http.get("/planted//pictures/x/", headers=house.rich)).json()["fault"] == "not_found"


async def test_a_bug_is_told_by_the_requests_id_alone(http: httpx.AsyncClient) -> None:
    with capture_logs() as logged:
        answer = await http.get("/planted/broken")
    assert (answer.status_code, answer.json()["fault"], answer.headers["x-should-retry"]) == (
        500,
        "internal_error",
        "false",
    )
    assert answer.headers["x-request-id"] in answer.json()["says"]
    assert "planted" not in answer.text and "ZeroDivision" not in answer.text
    (entry,) = logged
    assert isinstance(entry["exc_info"], ZeroDivisionError)


async def test_each_speaks_of_wrong_keys_and_of_too_many_in_its_own_words(
    http: httpx.AsyncClient, house: House
) -> None:
    """At the end: from here on this address is suspect."""
    wrong = {"authorization": f"Bearer {new_api_key()}"}
    await both_shapes(http, "GET", "/v2/models", "/planted/pictures/x", 401, headers=wrong)
    for _ in range(MOST_REFUSALS):
        await http.get("/v2/models", headers=wrong)
    await both_shapes(http, "GET", "/v2/models", "/planted/pictures/x", 429, headers=wrong)
    assert (await http.get("/planted/pictures/x", headers=house.rich)).status_code == 404  # a key that was right before


@pytest.mark.parametrize("path", ["/v2/models", "/planted/pictures/x"])
async def test_too_many_open_requests_are_refused_in_the_dialects_words(path: str, house: House) -> None:
    app = make_app(house.open_state, (GETIMG, planted.DIALECT), most_open=0, most_refusals=1)
    async with served(app) as client:
        answer = await client.get(path)
    assert answer.status_code == 429
    assert re.search(r'"(code|fault)":"rate_limit"', answer.text)
    assert ("fault" in answer.json()) == path.startswith("/planted")


@pytest.mark.parametrize(
    ("dialects", "says"),
    [
        ((), "Give one an empty prefix"),
        ((planted.DIALECT,), "Give one an empty prefix"),
        (
            (GETIMG, msgspec.structs.replace(planted.DIALECT, prefix="/other/")),
            "/planted/pictures is not below /other/",
        ),
    ],
)
def test_no_route_is_left_without_its_errors(dialects: tuple[Dialect, ...], says: str, house: House) -> None:
    with pytest.raises(ValueError, match=says):
        make_app(house.open_state, dialects, most_open=1, most_refusals=1)
