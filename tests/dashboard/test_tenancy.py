"""Another workspace's things are nowhere: over every route there is, they look as what never was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest

from safelight.api.dialect import Route
from safelight.dashboard.routes import ROUTES
from safelight.domain.roles import Role
from tests.contract.accounts import Account
from tests.dashboard.conftest import House, Visitor

MARK = "aubergine"
STREAMS = ("/dashboard/live",)
OURS = [each for each in ROUTES if each.needs_key and each.role is not Role.OPERATOR and each.path not in STREAMS]
WITH_THINGS = [each for each in OURS if "{" in each.path]
OF_ALL = [each for each in OURS if "{" not in each.path and each.method == "GET"]


class Things(msgspec.Struct):
    """What somebody has, by the names that routes have for it."""

    id: str
    key: int
    endpoint: int
    delivery: int

    def fill(self, route: Route, kind: str = "csv") -> str:
        values = {**msgspec.structs.asdict(self), "kind": kind, "index": 0}
        return re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), route.path)


NOBODYS = Things(id="req-00000000000000000000000000", key=999_999_991, endpoint=999_999_992, delivery=999_999_993)


@pytest.fixture(scope="module")
def theirs(house: House) -> Things:
    """A workspace with one of everything, marked wherever a text is kept."""
    for table in ("api_keys", "webhook_endpoints", "deliveries"):  # numbers that nothing else on a page has
        house.run(f"select setval(pg_get_serial_sequence('{table}', 'id'), greatest(max(id), 700000000)) from {table}")
    account = house.create()
    with account.http() as http:
        made = http.post("/v2/images/generations", json={"model": "still", "prompt": f"an {MARK}"}).json()["id"]
    house.run("update api_keys set name = %s where id = %s", MARK, account.key_id)
    (endpoint,) = house.run(
        "insert into webhook_endpoints (workspace_id, url, secret) "
        "select id, %s, 'whsec_aaaa' from workspaces where name = %s returning id, workspace_id",
        f"https://{MARK}.example/",
        account.workspace,
    )
    event = house.run(
        "insert into events (workspace_id, generation_id, type, payload) values (%s, %s, 'generation.completed', '{}') "
        "returning id",
        endpoint[1],
        made,
    )[0][0]
    delivery = house.run(
        "insert into deliveries (event_id, endpoint_id, lane, state, ended_at) values (%s, %s, 'x', 'failed', now()) "
        "returning id",
        event,
        endpoint[0],
    )[0][0]
    return Things(id=made, key=account.key_id, endpoint=endpoint[0], delivery=delivery)


@pytest.fixture(scope="module")
def stranger(house: House) -> Account:
    return house.key_with(house.create(), "admin")


@pytest.fixture(scope="module")
def reader(house: House, stranger: Account) -> Iterator[Visitor]:
    client = Visitor(house.base_url, stranger.key)
    yield client
    client.close()


def plain(text: str, things: Things) -> str:
    """A page without what differs from one answer to the next: the ids that were asked for, times, form ids."""
    for value in map(str, msgspec.structs.asdict(things).values()):
        text = text.replace(value, "ID")
    text = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?Z?", "TIME", text)
    return re.sub(r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "ULID", text)


@pytest.mark.parametrize("route", WITH_THINGS, ids=lambda route: f"{route.method} {route.path}")
def test_a_thing_of_another_workspace_is_as_one_that_never_was(
    route: Route, theirs: Things, reader: Visitor, house: House
) -> None:
    kept = "select count(*) from audit_log", "select count(*) from deliveries", "select count(*) from webhook_endpoints"
    before = [house.run(each) for each in kept]
    answers = []
    for things in (theirs, NOBODYS):
        answer = reader.request(
            route.method, things.fill(route), data={"name": MARK, "word": MARK} if route.method == "POST" else None
        )
        answers.append((answer.status_code, plain(answer.text, things)))
    assert answers[0] == answers[1]
    assert [house.run(each) for each in kept] == before
    if re.search(r"\{(id|key|endpoint|delivery)\}", route.path):
        assert answers[0][0] in (400, 404), answers[0]


@pytest.mark.parametrize("route", OF_ALL, ids=lambda route: route.path)
def test_no_list_tells_of_another_workspace(route: Route, theirs: Things, reader: Visitor) -> None:
    for query in (
        "",
        f"?key={theirs.key}",
        f"?from={theirs.id}",
        f"?run={theirs.id}",
        f"?after={theirs.id}",
        "?workspace=default",
    ):
        answer = reader.get(f"{route.path}{query}", follow_redirects=True)
        assert answer.status_code < 500, answer.text
        assert MARK not in answer.text, query
        if theirs.id not in query:
            assert theirs.id not in answer.text
        if query == "?workspace=default" and "login" not in route.path:
            assert answer.status_code == 404, query
