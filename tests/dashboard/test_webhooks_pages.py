"""Webhook endpoints and their deliveries over HTTP: who may, what is refused, and what an answer leaves behind."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from safelight.domain.events import EventType
from safelight.domain.ids import new_ulid
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House, Visitor
from tests.dashboard.receiving import Receiver
from tests.support.server import eventually

SECRET = re.compile(r"whsec_[0-9A-Za-z+/=]{44}")


@pytest.fixture
def account(house: House) -> Account:
    """A workspace with a key that is its admin's."""
    return house.key_with(house.create(), "admin")


@pytest.fixture
def admin(visitor: Enter, account: Account) -> Visitor:
    return visitor(account.key)


def form(url: str, *events: str, **fields: str) -> dict[str, str | list[str]]:
    return {"form_id": new_ulid(), "url": url, "events": list(events), **fields}


def make(admin: httpx.Client, url: str, *events: str, **fields: str) -> tuple[int, str]:
    """An endpoint's number and secret."""
    answer = admin.post("/dashboard/webhooks/new", data=form(url, *events, **fields))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    (secret,) = SECRET.findall(answer.text)
    found = re.search(r"/dashboard/webhooks/(\d+)", answer.text)
    assert found is not None
    return int(found[1]), secret


def deliveries(admin: httpx.Client, endpoint: int, query: str = "") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = admin.get(f"/dashboard/webhooks/{endpoint}/deliveries.json{query}").json()
    return rows


def until_states(admin: httpx.Client, endpoint: int, *states: str) -> list[dict[str, object]]:
    """The log, newest first, once its states and attempts are these."""

    def has_come() -> bool:
        rows = deliveries(admin, endpoint)
        return [row["state"] for row in rows] == list(states) and all(row["last_status"] for row in rows)

    eventually(has_come, f"the log is {states}")
    return deliveries(admin, endpoint)


def test(admin: httpx.Client, type_: str = "balance.low") -> httpx.Response:
    return admin.post("/dashboard/webhooks/test", data={"event": type_})


test.__test__ = False  # type: ignore[attr-defined]


def test_each_type_is_sent_as_a_test_to_those_who_are_told_of_it(admin: Visitor, receiver: Receiver) -> None:
    endpoint, secret = make(admin, receiver.url)
    picky, _ = make(admin, receiver.url, "balance.low", "moderation.refused")
    for type_ in EventType:
        assert "said=test_sent" in test(admin, type_).headers["location"]
    eventually(lambda: len(receiver.received) == 7, "all are told")
    told = [each.json["type"] for each in receiver.received if each.is_signed_with(secret)]
    assert sorted(told) == sorted(EventType)
    until_states(admin, picky, "delivered", "delivered")
    assert {row["type"] for row in deliveries(admin, picky)} == {"balance.low", "moderation.refused"}
    assert [row["type"] for row in deliveries(admin, endpoint, "?type=balance.low")] == ["balance.low"]
    assert deliveries(admin, endpoint, "?state=failed") == []
    answer = test(admin, "nothing.happened")
    assert (answer.status_code, "invalid_parameter, event" in answer.text) == (400, True)
    assert '<td class="number">5</td>' in admin.get("/dashboard/webhooks").text


def test_nobody_listens(admin: Visitor) -> None:
    assert "said=nobody_listens" in test(admin).headers["location"]


def test_a_delivery_shows_its_request_and_answer(house: House, admin: Visitor, receiver: Receiver) -> None:
    receiver.status, receiver.body = 500, b"<b>it broke\x1b[2J</b> " + b"\xff" * 3 + b"x" * 5000
    endpoint, secret = make(admin, receiver.url, "balance.low")
    receiver.body = f"my secret is {secret} ".encode() + receiver.body
    test(admin)
    (row,) = until_states(admin, endpoint, "pending")
    page = admin.get(f"/dashboard/webhooks/deliveries/{row['id']}").text
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    assert any(all(f"{name}: {sent.headers[name]}" in page for name in names) for sent in receiver.received)
    assert "byte for byte what was sent" in page
    assert "&lt;b&gt;it broke\\u001b[2J&lt;/b&gt; \N{REPLACEMENT CHARACTER}" in page
    assert secret not in page
    assert "my secret is ***" in page
    assert "Next attempt" in page
    ((kept, took),) = house.run("select last_response, last_duration_ms from deliveries where id = %s", row["id"])
    assert len(kept.encode()) <= 2048
    assert took >= 0
    assert secret not in json.dumps(deliveries(admin, endpoint))
    house.run("update deliveries set state = 'failed', ended_at = now() where id = %s", row["id"])
    receiver.status, receiver.body = 200, b""
    again = admin.post(f"/dashboard/webhooks/deliveries/{row['id']}/resend")
    assert again.status_code == 303
    newer, older = until_states(admin, endpoint, "delivered", "failed")
    assert (newer["event_id"], newer["id"] != older["id"]) == (older["event_id"], True)
    assert str(newer["id"]) in again.headers["location"]


def test_a_body_that_is_no_more_what_was_sent_says_so(
    house: House, account: Account, admin: Visitor, receiver: Receiver
) -> None:
    endpoint, _ = make(admin, receiver.url, "generation.completed")
    with account.http() as client:
        made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a pier"}).json()["id"]
    (row,) = until_states(admin, endpoint, "delivered")
    address = f"/dashboard/webhooks/deliveries/{row['id']}"
    assert "byte for byte what was sent" in admin.get(address).text
    assert f"/dashboard/jobs/{made}" in admin.get(address).text
    house.run("update generations set model = 'another' where id = %s", made)
    page = admin.get(address).text
    assert "byte for byte" not in page
    assert "Its signature is not the one that was sent" in page


def test_a_disabled_endpoint_is_sent_nothing_again(house: House, admin: Visitor) -> None:
    endpoint, _ = make(admin, "https://app.example.com/hooks")
    house.run(
        "with event as (insert into events (workspace_id, type, payload)"
        " select workspace_id, 'balance.low', '{}' from webhook_endpoints where id = %s returning id)"
        " insert into deliveries (event_id, endpoint_id, lane) select id, %s, 'x' from event",
        endpoint,
        endpoint,
    )
    assert admin.post(f"/dashboard/webhooks/{endpoint}/disable").status_code == 303
    (row,) = deliveries(admin, endpoint)
    assert row["state"] == "failed"
    page = admin.get(f"/dashboard/webhooks/deliveries/{row['id']}").text
    assert "not while the endpoint is disabled" in page
    refused = admin.post(f"/dashboard/webhooks/deliveries/{row['id']}/resend")
    assert (refused.status_code, "Enable it first" in refused.text) == (403, True)


def test_all_that_failed_is_sent_again_once(house: House, admin: Visitor, receiver: Receiver) -> None:
    receiver.status = 410
    endpoint, _ = make(admin, receiver.url, "balance.low")
    test(admin)
    until_states(admin, endpoint, "failed")
    page = admin.get(f"/dashboard/webhooks/{endpoint}").text
    assert "it answered 410 Gone" in page
    assert "1 failed. Enable the endpoint first." in page
    nothing = admin.post(f"/dashboard/webhooks/{endpoint}/resend-failed")
    assert "said=nothing_resent" in nothing.headers["location"]
    receiver.status = 204
    assert admin.post(f"/dashboard/webhooks/{endpoint}/enable").status_code == 303
    assert "1 failed and was not sent again since" in admin.get(f"/dashboard/webhooks/{endpoint}").text
    again = admin.post(f"/dashboard/webhooks/{endpoint}/resend-failed")
    assert "said=resent_failed" in again.headers["location"]
    until_states(admin, endpoint, "delivered", "failed")
    assert "said=nothing_resent" in admin.post(f"/dashboard/webhooks/{endpoint}/resend-failed").headers["location"]
    assert admin.post(f"/dashboard/webhooks/{endpoint}/disable").status_code == 303
    assert "said=nobody_listens" in test(admin).headers["location"]


def test_a_secret_is_changed_once_a_form(admin: Visitor, receiver: Receiver) -> None:
    endpoint, first = make(admin, receiver.url, "balance.low")

    def seen() -> str:
        found = re.search(r'name="seen" value="([0-9a-f]{64})"', admin.get(f"/dashboard/webhooks/{endpoint}").text)
        assert found is not None
        return found[1]

    sent = {"seen": seen(), "keep_hours": "1"}
    changed = admin.post(f"/dashboard/webhooks/{endpoint}/rotate", data=sent)
    (second,) = SECRET.findall(changed.text)
    assert "The old secret signs as well until" in changed.text
    again = admin.post(f"/dashboard/webhooks/{endpoint}/rotate", data=sent)
    assert (again.status_code, SECRET.findall(again.text)) == (409, [])
    test(admin)
    eventually(lambda: bool(receiver.received), "it is told")
    assert receiver.received[0].is_signed_with(first)
    assert receiver.received[0].is_signed_with(second)
    (third,) = SECRET.findall(
        admin.post(f"/dashboard/webhooks/{endpoint}/rotate", data={"seen": seen(), "keep_hours": "0"}).text
    )
    test(admin)
    eventually(lambda: len(receiver.received) == 2, "it is told")
    assert [receiver.received[1].is_signed_with(each) for each in (first, second, third)] == [False, False, True]
    for fields, param in (({"seen": seen(), "keep_hours": "2"}, "keep_hours"), ({"keep_hours": "1"}, "seen")):
        answer = admin.post(f"/dashboard/webhooks/{endpoint}/rotate", data=fields)
        assert (answer.status_code, param in answer.text) == (400, True)
    (row, _) = until_states(admin, endpoint, "delivered", "delivered")
    assert "byte for byte" in admin.get(f"/dashboard/webhooks/deliveries/{row['id']}").text


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (form("http://app.example.com/"), "https"),
        (form("https://10.0.0.1/"), "address"),
        (form("https://localhost/"), "address"),
        (form("ftp://app.example.com/"), "https"),
        (form("https://user:word@app.example.com/"), ""),
        (form("x" * 5000), ""),
        (form(""), "Give the address"),
        (form("https://app.example.com/", for_requests="yes"), "not both"),
        (form("https://app.example.com/", "nothing.happened"), "There is no event"),
        ({**form("https://app.example.com/"), "form_id": "x"}, "Open its page again"),
    ],
)
def test_bad_input_makes_no_endpoint(admin: Visitor, sent: dict[str, str | list[str]], said: str) -> None:
    answer = admin.post("/dashboard/webhooks/new", data=sent)
    assert answer.status_code == 400
    assert said.lower() in answer.text.lower()
    assert 'role="alert"' in answer.text or 'aria-invalid="true"' in answer.text
    assert admin.get("/dashboard/webhooks.json").json() == []


def test_the_same_form_makes_one_endpoint(admin: Visitor) -> None:
    sent = form("https://app.example.com/hooks")
    answers = [admin.post("/dashboard/webhooks/new", data=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert not SECRET.findall(answers[1].text)
    assert len(admin.get("/dashboard/webhooks.json").json()) == 1


def test_the_secret_of_addresses_in_requests_is_made_once(admin: Visitor) -> None:
    endpoint, _ = make(admin, "", for_requests="yes")
    again = admin.post("/dashboard/webhooks/new", data=form("", for_requests="yes"))
    assert (again.status_code, "has a secret for addresses in requests already" in again.text) == (400, True)
    assert "Addresses that requests name" in admin.get(f"/dashboard/webhooks/{endpoint}").text
    assert admin.post(f"/dashboard/webhooks/{endpoint}/delete", data={"word": "requests"}).status_code == 303


def test_deleting_takes_the_host_s_name(house: House, admin: Visitor) -> None:
    endpoint, _ = make(admin, "https://app.example.com/hooks")
    refused = admin.post(f"/dashboard/webhooks/{endpoint}/delete", data={"word": "app"})
    assert (refused.status_code, "Type &#39;app.example.com&#39; here" in refused.text) == (400, True)
    assert admin.post(f"/dashboard/webhooks/{endpoint}/delete", data={"word": "app.example.com"}).status_code == 303
    assert admin.get(f"/dashboard/webhooks/{endpoint}").status_code == 404
    lines = house.run(
        "select action from audit_log where target = %s and action like 'endpoint%%' order by id", str(endpoint)
    )
    assert lines == [("endpoint.create",), ("endpoint.delete",)]


def test_the_log_goes_back_by_cursor(house: House, admin: Visitor) -> None:
    endpoint, _ = make(admin, "https://app.example.com/hooks")
    house.run(
        "with event as (insert into events (workspace_id, type, payload)"
        " select workspace_id, 'balance.low', '{}' from webhook_endpoints, generate_series(1, 120) where id = %s"
        " returning id) insert into deliveries (event_id, endpoint_id, lane, state, ended_at)"
        " select id, %s, 'x', 'failed', now() from event",
        endpoint,
        endpoint,
    )
    seen: list[str] = []
    address = f"/dashboard/webhooks/{endpoint}?state=failed&type=balance.low"
    while True:
        page = admin.get(address).text
        seen += re.findall(r'href="/dashboard/webhooks/deliveries/(\d+)[?"]', page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        if older is None:
            break
        address = f"/dashboard/webhooks/{endpoint}" + older[1].replace("&amp;", "&")
    assert [int(each) for each in seen] == sorted((int(each) for each in set(seen)), reverse=True)
    assert len(seen) == 120
    assert "120 failed and were not sent again since" in page
    assert len(deliveries(admin, endpoint)) == 120
    for query in ("state=x", "type=x", "before=x"):
        assert admin.get(f"/dashboard/webhooks/{endpoint}?{query}").status_code == 400


@pytest.mark.parametrize("role", ["read", "generate"])
def test_other_roles_see_and_change_nothing(
    house: House, account: Account, admin: Visitor, visitor: Enter, role: str
) -> None:
    endpoint, _ = make(admin, "https://app.example.com/hooks")
    other = visitor(house.key_with(account, role).key)
    for path in ("", ".csv", ".json", "/new", f"/{endpoint}", f"/{endpoint}/deliveries.csv", "/deliveries/1"):
        assert other.get(f"/dashboard/webhooks{path}").status_code == 403, path
    posts = ("new", "test", "deliveries/1/resend")
    posts += tuple(f"{endpoint}/{each}" for each in ("rotate", "enable", "disable", "delete", "resend-failed"))
    for path in posts:
        answer = other.post(f"/dashboard/webhooks/{path}", data={"word": "app.example.com", "event": "balance.low"})
        assert answer.status_code == 403, path
    (row,) = admin.get("/dashboard/webhooks.json").json()
    assert (row["id"], row["state"]) == (endpoint, "enabled")


def test_another_workspace_s_endpoints_and_deliveries_are_not_there(
    house: House, admin: Visitor, visitor: Enter, receiver: Receiver
) -> None:
    owner = visitor(house.key_with(house.create(), "admin").key)
    receiver.body = b"only for its owner"
    theirs, _ = make(owner, receiver.url, "balance.low")
    test(owner)
    (row,) = until_states(owner, theirs, "delivered")
    assert "only for its owner" in owner.get(f"/dashboard/webhooks/deliveries/{row['id']}").text
    for endpoint in (theirs, 999_999_999, "x"):
        for path in ("", "/deliveries.csv", "/deliveries.json"):
            assert admin.get(f"/dashboard/webhooks/{endpoint}{path}").status_code == 404
        for action in ("rotate", "enable", "disable", "delete", "resend-failed"):
            fields = {"word": "127.0.0.1", "seen": "00", "keep_hours": "0"}
            assert admin.post(f"/dashboard/webhooks/{endpoint}/{action}", data=fields).status_code == 404, action
    for delivery in (row["id"], 999_999_999, "x"):
        assert admin.get(f"/dashboard/webhooks/deliveries/{delivery}").status_code == 404
        assert admin.post(f"/dashboard/webhooks/deliveries/{delivery}/resend").status_code == 404
    assert admin.get("/dashboard/webhooks.json").json() == []
    assert len(receiver.received) == 1
    assert [each["state"] for each in owner.get("/dashboard/webhooks.json").json()] == ["enabled"]
