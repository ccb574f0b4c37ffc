"""Two tabs of one browser, each at another workspace: a form acts on the one that its page showed."""

from __future__ import annotations

import re
from html import unescape

import pytest

from safelight.domain.ids import new_ulid
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House, Visitor

OF_NO_WORKSPACE = ("/dashboard/login", "/dashboard/logout", "/dashboard/theme", "/dashboard/workspace")
"""And what is below ``/dashboard/operator`` has the name in its path."""


@pytest.fixture(scope="module")
def shown(house: House) -> Account:
    return house.key_with(house.create(), "admin")


@pytest.fixture(scope="module")
def other(house: House) -> Account:
    return house.key_with(house.create(), "admin")


@pytest.fixture(scope="module")
def pages(house: House, shown: Account) -> list[str]:
    """Those with forms, on which there is something."""
    with shown.http() as http:
        still = http.post("/v2/images/generations", json={"model": "still", "prompt": "a"}).json()["id"]
        clip = http.post("/v2/videos/generations", json={"model": "endless-clip", "prompt": "a"}).json()["id"]
    endpoint = house.run(
        "insert into webhook_endpoints (workspace_id, url, secret) "
        "select id, 'https://a.example/', 'whsec_aaaa' from workspaces where name = %s returning id",
        shown.workspace,
    )[0][0]
    below = [
        *(f"/playground?run={clip}", "/gallery", f"/gallery/{still}", f"/jobs/{still}", f"/jobs/{clip}"),
        *("/keys/new", f"/keys/{shown.key_id}", "/keys/sessions", "/webhooks/new", f"/webhooks/{endpoint}"),
    ]
    return [f"/dashboard{path}" for path in below]


@pytest.fixture(params=["an operator", "who has a key"])
def looks(request: pytest.FixtureRequest, house: House, visitor: Enter, shown: Account) -> Visitor:
    """Somebody who looks at the workspace that is shown, and whose addresses do not say so."""
    if request.param == "who has a key":
        return visitor(shown.key)
    operator = visitor(house.code())
    assert operator.post("/dashboard/workspace", data={"workspace": shown.workspace}).status_code == 303
    return operator


def test_every_form_names_its_workspace(looks: Visitor, pages: list[str], shown: Account) -> None:
    for page in pages:
        answer = looks.get(page)
        assert answer.status_code == 200, page
        posts = re.findall(r'<form\b[^>]*method="post"[^>]*action="([^"]*)"', answer.text)
        actions = {unescape(each) for each in [*posts, *re.findall(r'hx-post="([^"]*)"', answer.text)]}
        own = [each for each in actions if not each.startswith(OF_NO_WORKSPACE)]
        assert own, f"{page} has no form"
        assert [each for each in own if f"workspace={shown.workspace}" not in each] == [], page


def test_a_run_is_ordered_for_the_workspace_that_was_shown(
    house: House, visitor: Enter, shown: Account, other: Account
) -> None:
    operator = visitor(house.code())
    operator.post("/dashboard/workspace", data={"workspace": shown.workspace})
    form = operator.get("/dashboard/playground").text
    action = unescape(re.findall(r'<form id="ask"[^>]*action="([^"]*)"', form)[0])
    operator.post("/dashboard/workspace", data={"workspace": other.workspace})  # in another tab
    before, theirs = house.traces(shown)[0], house.traces(other)
    answer = operator.post(action, data={"model": "still", "prompt": "a", "run": new_ulid(), "do": "run"})
    assert answer.status_code == 303, answer.text
    assert house.traces(shown)[0] == before + 1
    assert house.traces(other) == theirs
    assert operator.get(answer.headers["location"]).status_code == 200
    (line,) = house.run("select action, target from audit_log order by id desc limit 1")
    assert line[0] == "generation.create" and line[1] in answer.headers["location"]


def test_a_form_of_the_workspace_that_one_was_in_before_does_nothing_in_the_next(
    house: House, visitor: Enter, shown: Account, other: Account
) -> None:
    person = visitor(shown.key)
    form = person.get("/dashboard/keys/new").text
    action = unescape(re.findall(r'action="(/dashboard/keys/new[^"]*)"', form)[0])
    person.post("/dashboard/login", data={"secret": other.key})  # in another tab
    counted = "select count(*) from api_keys"
    before = house.run(counted)
    answer = person.post(action, data={"name": "a", "role": "admin", "form_id": new_ulid()})
    assert answer.status_code == 404 and "another workspace" in answer.text
    assert house.run(counted) == before
