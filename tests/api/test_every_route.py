"""What holds on every route, whoever adds one: its methods, its HEAD, and headers given twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from safelight.api import health, hints
from safelight.api.app import make_app
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.openai.routes import DIALECT as OPENAI
from tests.api import planted
from tests.api.test_dialects import House
from tests.support.asgi import served

pytestmark = pytest.mark.database

ROUTES = (*health.ROUTES, *hints.ROUTES, *GETIMG.routes, *OPENAI.routes, *planted.DIALECT.routes)
PATHS = sorted({route.path for route in ROUTES})
READ = sorted({route.path for route in ROUTES if route.method == "GET"})
LINKS = ("/v2/downloads", "/v2/downloads/{id}/0", "/v2/downloads/{id}/0/thumbnail", "/v2/downloads/{id}/0/reference")
PATIENCE_SECONDS = 30.0
TWICE = ("Authorization", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Idempotency-Key")


@pytest.fixture(scope="module")
def house(database_url: str) -> House:
    return House(database_url)


@pytest.fixture(scope="module")
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(house.open_state, (GETIMG, OPENAI, planted.DIALECT), most_open=100, most_refusals=1000)
    async with served(app) as client:
        yield client


class Made(msgspec.Struct, frozen=True):
    """An image that is there, its links, and a video that no worker takes."""

    image: str
    url: str
    thumbnail_url: str
    video: str

    def path(self, pattern: str) -> str:
        video = "/videos/" in pattern
        query = {
            "/v2/billing/costs": "?start=2026-05-01T00:00:00Z&end=2026-05-02T00:00:00Z",
            "/v2/events": "?types=refused",  # a stream that is begun never ends
        }
        return pattern.replace("{id}", self.video if video else self.image).replace("{number}", self.image).replace(
            "{model}", "still"
        ).replace("{name:path}", "still") + query.get(pattern, "")


@pytest.fixture(scope="module")
async def made(http: httpx.AsyncClient, house: House) -> Made:
    image = (await http.post("/v2/images/generations", json=order("still"), headers=house.rich)).json()
    video = (await http.post("/v2/videos/generations", json=order("clip"), headers=house.rich)).json()
    file = image["data"][0]
    return Made(
        image=image["id"],
        url=file["url"].removeprefix("http://localhost"),
        thumbnail_url=file["thumbnail_url"].removeprefix("http://localhost"),
        video=video["id"],
    )


def order(model: str) -> dict[str, Any]:
    return {"model": model, "prompt": "a hill"}


@pytest.mark.parametrize("pattern", [*PATHS, *LINKS])
async def test_options_and_405_tell_the_same_methods(pattern: str, http: httpx.AsyncClient, made: Made) -> None:
    methods = {route.method for route in ROUTES if route.path == pattern} or {"GET"}
    expected = ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
    options = await http.options(made.path(pattern))
    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", expected)
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW"} - set(expected.split(", ")):
        refused = await http.request(method, made.path(pattern))
        assert (refused.status_code, refused.headers["allow"]) == (405, expected), method
        assert method == "HEAD" or f"Use: {expected}." in refused.text


@pytest.mark.parametrize("pattern", READ)
async def test_head_is_get_without_its_body(pattern: str, http: httpx.AsyncClient, house: House, made: Made) -> None:
    """For whoever may ask, for whom it is hidden from, and for nobody."""
    for headers in (house.rich, house.poor, {}):
        got = await http.get(made.path(pattern), headers=headers)
        headed = await http.head(made.path(pattern), headers=headers)
        assert (headed.status_code, headed.content) == (got.status_code, b"")
        assert got.content or got.is_redirect
        varying = {"x-request-id", "content-length"} if pattern == "/planted/broken" else {"x-request-id"}
        assert told(headed, varying) == told(got, varying)


def told(answer: httpx.Response, varying: set[str]) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in varying}


@pytest.mark.parametrize("what", ["/v2/generations/{}/events", "/v2/videos/generations/{}?wait=60"])
async def test_head_waits_for_nothing(what: str, http: httpx.AsyncClient, house: House, made: Made) -> None:
    path = what.format(made.video)
    async with asyncio.timeout(PATIENCE_SECONDS):
        headed = await http.head(path, headers=house.rich)
    assert (headed.status_code, headed.content) == (200, b"")
    with pytest.raises(TimeoutError):  # as GET does
        async with asyncio.timeout(0.2):
            await http.get(path, headers=house.rich)
    assert (await http.head(f"/v2/videos/generations/{made.video}?wait=61", headers=house.rich)).status_code == 400
    assert (await http.head(path, headers=house.poor)).status_code == 404


async def test_head_gets_no_stream_of_events_and_follows_nothing(http: httpx.AsyncClient, house: House) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        headed = await http.head("/v2/events", headers=house.rich)
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert await house.run("select count(*) from followed_workspaces") == [(0,)]
    with pytest.raises(TimeoutError):  # as GET does
        async with asyncio.timeout(0.2):
            await http.get("/v2/events", headers=house.rich)
    assert await house.run("select count(*) from followed_workspaces") == [(1,)]


@pytest.mark.parametrize("kind", ["image", "video"])
async def test_head_shows_nobody_what_a_repeat_may_join(
    kind: str, http: httpx.AsyncClient, house: House, made: Made
) -> None:
    id_ = getattr(made, kind)
    path = f"/v2/{kind}s/generations/{id_}"
    await house.run("update generations set unseen = true where id = %s", id_)
    assert (await http.head(path, headers=house.rich)).status_code == 200
    assert await house.run("select unseen from generations where id = %s", id_) == [(True,)]
    assert (await http.get(path, headers=house.rich)).status_code == 200
    assert await house.run("select unseen from generations where id = %s", id_) == [(False,)]


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize(
    "path",
    ["/v2/images/generations", "/v1/images/generations", "/planted/pictures", "/v2/downloads/x/0", "/healthz", "/x"],
)
async def test_a_header_that_means_one_thing_is_refused_twice(
    name: str, path: str, http: httpx.AsyncClient, house: House
) -> None:
    before = await house.run("select count(*) from generations")
    given = {"Content-Length": "33", "Host": "localhost", "Authorization": house.rich["authorization"]}
    value = given.get(name, "x")
    headers = [*house.rich.items(), (name, value), (name.lower(), value)]
    answer = await http.post(path, headers=headers, content=b'{"model":"still","prompt":"hill"}')
    assert answer.status_code == 400, answer.text
    assert f"The {name} header is given twice. Send it once." in answer.text
    if "error" in answer.json():
        assert (answer.json()["error"]["code"], answer.json()["error"]["param"]) == ("invalid_parameter", name)
    assert await house.run("select count(*) from generations") == before


async def test_a_list_may_come_in_several_lines(http: httpx.AsyncClient, made: Made) -> None:
    etag = (await http.head(made.url)).headers["etag"]
    lists = [("Accept", "image/png"), ("Accept", "*/*"), ("If-None-Match", '"a"'), ("If-None-Match", etag)]
    assert (await http.get(made.url, headers=lists)).status_code == 304
