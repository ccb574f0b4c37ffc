"""What a key may do, by its role: every route of every dialect with every role, and the way in that goes on record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from safelight.accounts.keys import create_key, list_keys
from safelight.api import health, hints
from safelight.api.app import make_app
from safelight.api.dialect import Dialect, Route
from safelight.api.getimg.openapi import document
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.api.mcp.routes import open_dialect
from safelight.api.openai.routes import DIALECT as OPENAI
from safelight.domain.errors import InvalidApiKey, InvalidParameter
from safelight.domain.ids import new_generation_id
from safelight.domain.roles import OF_KEYS, Role
from safelight.domain.scope import WorkspaceScope
from safelight.node.settings import load_settings
from tests.api.test_dialects import House
from tests.mcp.test_http import modern, modern_headers
from tests.support.asgi import served

pytestmark = pytest.mark.database

MCP = open_dialect(load_settings({}))
DIALECTS: tuple[Dialect, ...] = (GETIMG, OPENAI, MCP)
KEYED = [route for dialect in DIALECTS for route in dialect.routes if route.needs_key]
ASKING = {"/v2/images/generations/quote", "/v2/videos/generations/quote", "/mcp"}
"""What is posted to and changes nothing: a tool's call is a request of its own, with the same key."""


class Keys(msgspec.Struct, frozen=True):
    """The headers of a workspace's keys, by role."""

    scope: WorkspaceScope
    headers: dict[Role, dict[str, str]]


@pytest.fixture(scope="module")
def house(database_url: str) -> House:
    return House(database_url)


@pytest.fixture(scope="module")
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app(house.open_state, DIALECTS, most_open=100, most_refusals=1000)
    async with served(app) as client:
        yield client


@pytest.fixture(scope="module")
async def keys(http: httpx.AsyncClient, house: House) -> Keys:
    """Of a workspace with money."""
    secret = house.rich["authorization"].removeprefix("Bearer ")
    sender = await house.state.authenticator.authenticate(f"Bearer {secret}")
    made = {role: await create_key(sender.scope, house.state.keeping.db, role=role) for role in OF_KEYS}
    headers = {role: {"authorization": f"Bearer {key.secret}"} for role, key in made.items()}
    return Keys(sender.scope, headers)


def path_of(route: Route) -> str:
    """Of a thing that is not there: what is refused is refused before anybody looks."""
    path = route.path.replace("{id}", new_generation_id()).replace("{name:path}", "still").replace("{model}", "still")
    query = {"/v2/events": "?types=refused"}  # a stream that is begun never ends
    return path + (query.get(route.path, "") if route.method == "GET" else "")


def changes(route: Route) -> bool:
    return route.method not in ("GET", "HEAD") and route.path not in ASKING


def code_of(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return str(error["code"] if error["code"] != -32600 else error["data"]["code"])


@pytest.mark.parametrize("route", KEYED, ids=lambda route: f"{route.method} {route.path}")
async def test_every_route_is_served_or_refused_by_the_role(
    route: Route, http: httpx.AsyncClient, house: House, keys: Keys
) -> None:
    before = await house.run("select count(*) from generations")
    for role, headers in keys.headers.items():
        answer = await http.request(route.method, path_of(route), headers=headers)
        if role.includes(route.role):
            assert answer.status_code not in (401, 403), answer.text
            continue
        assert (answer.status_code, code_of(answer)) == (403, "forbidden")
        assert f"needs '{route.role}'" in answer.text and f"keys create --role {route.role}" in answer.text
    assert await house.run("select count(*) from generations") == before


@pytest.mark.parametrize("route", KEYED, ids=lambda route: f"{route.method} {route.path}")
async def test_what_changes_something_is_not_for_a_key_that_reads(
    route: Route, http: httpx.AsyncClient, keys: Keys
) -> None:
    """By the method, not by what the route says of itself."""
    answer = await http.request(route.method, path_of(route), headers=keys.headers[Role.READ])
    assert (answer.status_code == 403) == changes(route), answer.text


@pytest.mark.parametrize("route", [*health.ROUTES, *hints.ROUTES, *GETIMG.routes, *OPENAI.routes, *MCP.routes])
def test_what_needs_no_key_needs_no_role(route: Route) -> None:
    assert route.needs_key or route.role is Role.READ


def test_the_description_names_the_403_where_it_can_come() -> None:
    paths = document()["paths"]
    for route in GETIMG.routes:
        if route.needs_key:
            answers = paths[route.path][route.method.lower()]["responses"]
            assert ("403" in answers) == (route.role is not Role.READ), route.path


async def test_a_body_is_not_read_and_nothing_held_of_what_is_refused(http: httpx.AsyncClient, keys: Keys) -> None:
    answer = await http.post("/v2/images/generations", headers=keys.headers[Role.READ], content=b"{")
    assert answer.status_code == 403
    balance = await http.get("/v2/billing/balance", headers=keys.headers[Role.READ])
    assert balance.status_code == 200 and "x-ratelimit-limit" not in answer.headers


async def test_a_tool_is_refused_in_the_same_words(http: httpx.AsyncClient, house: House, keys: Keys) -> None:
    before = await house.run("select count(*) from generations")
    said = await call(http, keys.headers[Role.READ], "generate_image", {"model": "still", "prompt": "a hill"})
    assert said["isError"] and "needs 'generate'" in str(said["content"])
    assert not (await call(http, keys.headers[Role.READ], "get_balance", {})).get("isError")
    assert await house.run("select count(*) from generations") == before


async def call(http: httpx.AsyncClient, headers: dict[str, str], tool: str, arguments: dict[str, Any]) -> Any:
    own = {**modern_headers(tool), **headers, "host": "127.0.0.1:8484"}
    answer = await http.post("/mcp", headers=own, json=modern(tool, arguments))
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


async def test_the_way_in_goes_on_record(http: httpx.AsyncClient, house: House, keys: Keys) -> None:
    headers = keys.headers[Role.GENERATE]
    order = {"model": "still", "prompt": "a hill"}
    for path in ("/v2/images/generations", "/v1/images/generations"):
        assert (await http.post(path, headers=headers, json=order)).status_code == 200
    assert not (await call(http, headers, "generate_image", order)).get("isError")
    assert (await http.post("/v1/videos", headers=headers, json={"model": "clip", "prompt": "a"})).status_code == 200
    rows = await house.run(
        "select type::text, way_in from generations where workspace_id = %s order by created_at",
        keys.scope.workspace_id,
    )
    assert rows == [("image", "v2"), ("image", "openai"), ("image", "mcp"), ("video", "openai")]


async def test_keys_say_their_role_and_no_key_is_an_operator_s(
    http: httpx.AsyncClient, house: House, keys: Keys
) -> None:
    db = house.state.keeping.db
    assert [key.role for key in await list_keys(keys.scope, db)][-3:] == list(OF_KEYS)
    assert (await create_key(keys.scope, db, name="usual")).id
    assert (await list_keys(keys.scope, db))[-1].role is Role.GENERATE
    with pytest.raises(InvalidParameter, match=r"No key has the role operator\. Use one of: read, generate, admin"):
        await create_key(keys.scope, db, role=Role.OPERATOR)
    for role, headers in keys.headers.items():
        found = await house.state.authenticator.authenticate(headers["authorization"])
        assert found.role is role
    with pytest.raises(InvalidApiKey):
        await house.state.authenticator.authenticate("Bearer nothing")
