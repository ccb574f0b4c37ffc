"""Who may do what, over every route there is: a route that is added is tried as all others are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest

from safelight.api.dialect import Route
from safelight.dashboard.routes import ROUTES
from safelight.domain.roles import OF_KEYS, Role
from tests.contract.accounts import Account
from tests.dashboard.conftest import House, Visitor

NEVER_WAS = "req-00000000000000000000000000"
WRITES = [route for route in ROUTES if route.method not in ("GET", "HEAD")]
READS = [route for route in ROUTES if route.method == "GET"]
STREAMS = ("/dashboard/live",)
"""They have no end."""
FOR_SOME = [route for route in ROUTES if route.needs_key and route.path not in STREAMS]
OTHER_SITES = {
    "cross-site": {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
    "a subdomain": {"sec-fetch-site": "same-site", "origin": "http://evil.127.0.0.1"},
    "an old browser elsewhere": {"origin": "https://evil.example"},
    "a page without an origin": {"origin": "null"},
    "an origin that is none": {"origin": "http://["},
    "nobody says": {},
}


def told(route: Route) -> str:
    return f"{route.method} {route.path}"


def filled(route: Route, value: str = NEVER_WAS) -> str:
    """Its path, with this in the place of each parameter."""
    return re.sub(r"\{\w+(:path)?\}", value, route.path)


@pytest.fixture(scope="module")
def account(house: House) -> Account:
    return house.create()


@pytest.fixture(scope="module")
def people(house: House, account: Account) -> Iterator[dict[Role, Visitor]]:
    """One of each role in one workspace, and an operator."""
    entered = {role: Visitor(house.base_url, house.key_with(account, role).key) for role in OF_KEYS}
    entered[Role.OPERATOR] = Visitor(house.base_url, house.code())
    yield entered
    for each in entered.values():
        each.close()


def state_of(house: House) -> list[tuple[object, ...]]:
    """What is on record, but for when somebody was last seen."""
    counted = [
        "api_keys where revoked_at is null",
        "audit_log",
        "deliveries",
        "events",
        "generations",
        "login_links",
        "transfers",
        "webhook_endpoints",
        "workspaces",
    ]
    return [house.run(f"select count(*) from {each}")[0] for each in counted]


@pytest.mark.parametrize("site", OTHER_SITES)
@pytest.mark.parametrize("route", WRITES, ids=told)
def test_no_other_site_can_have_a_browser_send_a_write(
    route: Route, site: str, house: House, people: dict[Role, Visitor]
) -> None:
    cookies = dict(people[Role.OPERATOR].cookies)
    with httpx.Client(base_url=house.base_url, cookies=cookies, headers=OTHER_SITES[site]) as client:
        answer = client.request(route.method, filled(route), data={"secret": house.server.key, "theme": "dark"})
    assert answer.status_code == 403, answer.text
    assert "another site" in answer.text and "set-cookie" not in answer.headers


def test_an_old_browser_on_the_page_itself_is_let_in(house: House) -> None:
    with httpx.Client(base_url=house.base_url, headers={"origin": house.base_url}) as client:
        answer = client.post("/dashboard/login", data={"secret": house.server.key})
    assert answer.status_code == 303


@pytest.mark.parametrize("route", FOR_SOME, ids=told)
def test_each_route_is_for_its_role_and_those_above(route: Route, people: dict[Role, Visitor], house: House) -> None:
    before = state_of(house)
    for role, visitor in people.items():
        if role.includes(route.role) and route.method != "GET":
            continue  # what they may do is tried where it is made
        answer = visitor.request(route.method, filled(route), data={} if route.method == "POST" else None)
        assert (answer.status_code == 403) != role.includes(route.role), (role, answer.status_code, answer.text)
        assert answer.status_code < 500, answer.text
    assert state_of(house) == before, "a page that is only looked at, or is refused, changes nothing"


@pytest.mark.parametrize("route", [each for each in ROUTES if each.needs_key], ids=told)
def test_nobody_is_let_in_unknown(route: Route, visitor: Callable[..., Visitor], account: Account) -> None:
    unknown = visitor()
    for headers in ({}, account.headers):  # no page reads a key
        answer = unknown.request(route.method, filled(route), headers=headers)
        assert answer.status_code == 303 and "/dashboard/login" in answer.headers["location"]
        assert answer.content == b""


@pytest.mark.parametrize("query", ["workspace=a%00", "model=%00", "end_user=%00", "q=%00", "workspace=%ff"])
def test_what_no_text_can_have_is_refused(query: str, people: dict[Role, Visitor]) -> None:
    for page in ("jobs", "spend", "keys", "gallery", "operator/workspaces"):
        answer = people[Role.OPERATOR].get(f"/dashboard/{page}?{query}")
        assert answer.status_code in ((404,) if "workspace" in query else (200, 400)), page
    operator = people[Role.OPERATOR]
    assert operator.post("/dashboard/workspace", data={"workspace": "a\0"}).status_code == 404
    assert (
        operator.get("/dashboard", headers={"cookie": f'{_cookie(operator)}; safelight-workspace="\\000"'}).status_code
        == 200
    )


def _cookie(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


@pytest.mark.parametrize("route", [each for each in READS if each.path not in STREAMS], ids=told)
def test_every_page_says_what_a_browser_may_do(route: Route, people: dict[Role, Visitor]) -> None:
    answer = people[Role.OPERATOR].get(filled(route))
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|javascript:|\shx-on", answer.text)
