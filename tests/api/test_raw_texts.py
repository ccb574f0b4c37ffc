"""No answer has a store's, a database's or a program's own words in it, whichever route meets them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import psycopg
import pytest
from obstore.exceptions import GenericError
from structlog.testing import capture_logs

from safelight.api import health
from safelight.api.app import make_app
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.openai.routes import DIALECT as OPENAI
from safelight.blobs.remote import RemoteStore
from safelight.domain.errors import ServiceUnavailable
from tests.api import planted
from tests.api.test_dialects import House
from tests.references import files
from tests.support.asgi import served

pytestmark = pytest.mark.database

CANARY = "canary-7d31 bucket=customers host=10.1.2.3"
ROUTES = (*health.ROUTES, *GETIMG.routes, *OPENAI.routes, *planted.DIALECT.routes)
IMAGE = {"model": "still", "prompt": "a hill"}
PICTURE = "data:image/png;base64," + base64.b64encode(files.png()).decode()


@pytest.fixture(scope="module")
async def opened(database_url: str) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    # An image waits for its store until its deadline.
    house = House(database_url, SAFELIGHT_IMAGE_DEADLINE="3s", SAFELIGHT_LEASE="2s")
    app = make_app(house.open_state, (GETIMG, OPENAI, planted.DIALECT), most_open=100, most_refusals=1000)
    async with served(app) as client:
        yield house, client


class BrokenStore:
    """A store of which every call raises."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*_: Any, **__: Any) -> Any:
            raise self._error()

        return call

    async def stream(self, *_: Any) -> AsyncIterator[bytes]:
        raise self._error()
        yield b""

    def local_path(self, _: str) -> None:
        return None


def bucket_error() -> Exception:
    """What a bucket's error becomes."""
    store = RemoteStore(None, hidden=())  # type: ignore[arg-type]
    try:
        with store._store_errors():
            raise GenericError(f"<Code>AccessDenied</Code><Message>{CANARY}</Message>")
    except ServiceUnavailable as error:
        return error


STORE_ERRORS = {
    "our own": lambda: ServiceUnavailable(detail=f"The object store failed: {CANARY}."),
    "a bucket's": bucket_error,
    "the system's": lambda: OSError(5, CANARY),
    "another": lambda: RuntimeError(CANARY),
}


@pytest.mark.parametrize("whose", STORE_ERRORS)
async def test_what_a_store_says_reaches_no_client(
    whose: str, opened: tuple[House, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, http = opened
    made = [(await http.post("/v2/images/generations", json=IMAGE, headers=house.rich)).json() for _ in range(2)]
    error = STORE_ERRORS[whose]
    store = house.state.keeping.store
    for name in ("put", "get", "stream", "delete", "exists", "present", "probe"):
        monkeypatch.setattr(store, name, getattr(BrokenStore(error), name))
    monkeypatch.setattr(store, "local_path", lambda _: None)
    links = [made[0]["data"][0][name].removeprefix("http://localhost") for name in ("url", "thumbnail_url")]
    with_picture = {**IMAGE, "images": [{"url": PICTURE}]}
    with capture_logs() as logged:
        answers = {
            "link": await http.get(links[0]),
            "range": await http.get(links[0], headers={"range": "bytes=0-3"}),
            "thumbnail": await http.get(links[1]),
            "deletion": await http.delete(f"/v2/generations/{made[1]['id']}/media", headers=house.rich),
            "file of a route": await http.get(f"/planted/pictures/{made[0]['id']}/file", headers=house.rich),
            "reference": await http.post("/v2/images/generations", json=with_picture, headers=house.rich),
            "image": await http.post("/v2/images/generations", json=IMAGE, headers=house.rich),
            "readiness": await http.get("/readyz"),
        }
        answers |= await every_route(house, http, made[0]["id"])
    for what, answer in answers.items():
        assert "canary" not in f"{answer.text}{answer.headers}", what
    away = {"link", "range", "thumbnail", "deletion", "file of a route", "reference"}
    expected = 503 if isinstance(error(), ServiceUnavailable) else 500
    assert {what: answers[what].status_code for what in away} == dict.fromkeys(away, expected)
    assert "canary" in str(logged), "the operator is told"


DATABASE_ERRORS = {
    "away": psycopg.OperationalError,
    "broken": psycopg.errors.UndefinedColumn,
    "another": RuntimeError,
}


@pytest.mark.parametrize("whose", DATABASE_ERRORS)
async def test_what_a_database_says_reaches_no_client(
    whose: str, opened: tuple[House, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, http = opened
    made = (await http.post("/v2/images/generations", json=IMAGE, headers=house.rich)).json()

    async def execute(*_: Any, **__: Any) -> Any:
        raise DATABASE_ERRORS[whose](CANARY)

    async def is_sound(*_: Any) -> bool:
        return True

    monkeypatch.setattr("safelight.db.pool.is_sound", is_sound)
    monkeypatch.setattr(psycopg.AsyncCursor, "execute", execute)
    with capture_logs():
        answers = await every_route(house, http, made["id"])
        for name in ("url", "thumbnail_url"):
            answers[name] = await http.get(made["data"][0][name].removeprefix("http://localhost"))
    for what, answer in answers.items():
        assert "canary" not in f"{answer.text}{answer.headers}", what
    assert {answer.status_code for answer in answers.values()} >= {503 if whose == "away" else 500}


async def every_route(house: House, http: httpx.AsyncClient, id_: str) -> dict[str, httpx.Response]:
    """An answer of each route, to whoever has a key."""
    answers = {}
    for route in ROUTES:
        path = route.path.replace("{id}", id_).replace("{number}", id_).replace("{model}", "still")
        path = path.replace("{name:path}", "still")
        path += {
            "/v2/billing/costs": "?start=2026-05-01T00:00:00Z&end=2026-05-02T00:00:00Z",
            "/v2/events": "?types=refused",  # a stream that is begun never ends
        }.get(path, "")
        body = {"words": "a hill"} if path.startswith("/planted") else IMAGE
        body = {**IMAGE, "image": PICTURE} if path.endswith("/edits") else body
        json = body if route.method == "POST" else None
        answers[f"{route.method} {path}"] = await http.request(route.method, path, json=json, headers=house.rich)
    return answers
