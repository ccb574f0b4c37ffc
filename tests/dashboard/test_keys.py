"""Keys and open sessions over HTTP: who may, what is refused and names its field, and what another workspace sees."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from safelight.domain.ids import new_ulid
from tests.contract.accounts import Account
from tests.dashboard.conftest import Enter, House, Visitor

SECRET = re.compile(r"sk_[0-9A-Za-z]{49}")


@pytest.fixture
def account(house: House) -> Account:
    """A workspace with a key that is its admin's."""
    return house.key_with(house.create(), "admin")


@pytest.fixture
def admin(visitor: Enter, account: Account) -> Visitor:
    return visitor(account.key)


def form(**fields: str) -> dict[str, str]:
    return {"form_id": new_ulid(), "name": "a robot", "role": "generate", "spend_cap": "", "expires": "", **fields}


def make(admin: httpx.Client, **fields: str) -> tuple[int, str]:
    """A key's number and secret."""
    answer = admin.post("/dashboard/keys/new", data=form(**fields))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    (secret,) = SECRET.findall(answer.text)
    found = re.search(r"/dashboard/keys/(\d+)", answer.text)
    assert found is not None
    return int(found[1]), secret


def actions(house: House, account: Account) -> list[tuple[str, str]]:
    return house.run(
        "select action, target from audit_log a join workspaces w on w.id = a.workspace_id where w.name = %s"
        " and action <> 'session.begin' order by a.id",
        account.workspace,
    )  # type: ignore[return-value]


def test_a_key_is_made_changed_and_revoked(house: House, account: Account, admin: Visitor) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    id_, secret = make(admin, name="a <robot>", role="read", spend_cap="12.5", expires=day.isoformat())
    page = admin.get(f"/dashboard/keys/{id_}")
    assert "a &lt;robot&gt;" in page.text
    assert "$0.00 of $12.50" in page.text
    assert secret not in page.text
    row = "select role, spend_cap_nanos, expires_at, name from api_keys where id = %s"
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    assert house.run(row, id_) == [("read", 12_500_000_000, midnight, "a <robot>")]
    change = {"name": "robot", "spend_cap": "", "expires": day.isoformat()}
    assert admin.post(f"/dashboard/keys/{id_}/change", data=change).status_code == 303
    assert house.run(row, id_) == [("read", None, midnight, "robot")]
    assert admin.post(f"/dashboard/keys/{id_}/revoke", data={"word": "robot"}).status_code == 303
    assert "revoked" in admin.get(f"/dashboard/keys/{id_}").text
    again = admin.post(f"/dashboard/keys/{id_}/change", data=change)
    assert again.status_code == 404, "nothing is changed of a key that has ended"
    assert actions(house, account) == [("key.create", str(id_)), ("key.change", str(id_)), ("key.revoke", str(id_))]
    told = house.run("select string_agg(detail::text, '') from audit_log where target = %s", str(id_))
    assert secret[7:-4] not in str(told)


def test_the_same_form_makes_one_key(house: House, account: Account, admin: Visitor, visitor: Enter) -> None:
    """A reload of the answer, or a double click."""
    sent = form()
    first = admin.post("/dashboard/keys/new", data=sent)
    again = admin.post("/dashboard/keys/new", data=sent)
    assert (first.status_code, again.status_code) == (200, 409)
    assert "made key" in again.text
    assert not SECRET.findall(again.text)
    counted = "select count(*) from api_keys k join workspaces w on w.id = k.workspace_id where w.name = %s"
    assert house.run(counted, account.workspace) == [(3,)]
    elsewhere = visitor(house.key_with(house.create(), "admin").key)
    assert elsewhere.post("/dashboard/keys/new", data=sent).status_code == 200, "a form's id is its workspace's own"


@pytest.mark.parametrize(
    ("fields", "at_fault", "said"),
    [
        ({"name": "  "}, "name", "1 to 100 characters"),
        ({"name": "x" * 101}, "name", "1 to 100 characters"),
        ({"name": "a\x1bb"}, "name", "control character"),
        ({"spend_cap": "-1"}, "spend_cap", "not an amount"),
        ({"spend_cap": "1e9"}, "spend_cap", "not an amount"),
        ({"spend_cap": "9999999999"}, "spend_cap", "more than"),
        ({"expires": "2001-01-01"}, "expires", "today or later"),
        ({"expires": "9999-12-31"}, "expires", "within 100 years"),
        ({"expires": "soon"}, "expires", "no date"),
        ({"role": "operator"}, "role", "one of these roles"),
        ({"role": ""}, "role", "one of these roles"),
        ({"form_id": ""}, "form_id", "Open its page again"),
    ],
)
def test_bad_input_names_its_field_and_keeps_the_rest(
    house: House, account: Account, admin: Visitor, fields: dict[str, str], at_fault: str, said: str
) -> None:
    answer = admin.post("/dashboard/keys/new", data=form(**{"name": "kept", **fields}))
    assert answer.status_code == 400
    assert said in answer.text
    assert not SECRET.findall(answer.text)
    if at_fault not in ("form_id", "role"):
        assert re.search(rf'name="{at_fault}"[^>]*aria-invalid="true"[^>]*autofocus', answer.text)
        assert answer.text.count(said) == 1, "beside the field, and nowhere else"
    if at_fault != "name":
        assert 'value="kept"' in answer.text
    assert actions(house, account) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"name": ""}, "1 to 100"), ({"spend_cap": "x"}, "not an amount"), ({"expires": "2001-01-01"}, "today or later")],
)
def test_a_bad_change_changes_nothing(
    house: House, account: Account, admin: Visitor, fields: dict[str, str], said: str
) -> None:
    answer = admin.post(
        f"/dashboard/keys/{account.key_id}/change", data={"name": "other", "spend_cap": "", "expires": "", **fields}
    )
    assert answer.status_code == 400
    assert said in answer.text
    assert house.run("select name from api_keys where id = %s", account.key_id) == [("default",)]


def test_an_expiry_to_the_second_is_kept_where_its_day_is(house: House, account: Account, admin: Visitor) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    house.run("update api_keys set expires_at = %s where id = %s", at, account.key_id)
    change = {"name": "other", "spend_cap": "", "expires": at.date().isoformat()}
    assert admin.post(f"/dashboard/keys/{account.key_id}/change", data=change).status_code == 303
    assert house.run("select name, expires_at from api_keys where id = %s", account.key_id) == [("other", at)]


def test_another_word_revokes_nothing(house: House, account: Account, admin: Visitor) -> None:
    answer = admin.post(f"/dashboard/keys/{account.key_id}/revoke", data={"word": "Default"})
    assert answer.status_code == 400
    assert "Type &#39;default&#39; here" in answer.text
    assert "the key that you signed in with" in answer.text
    assert house.run("select revoked_at from api_keys where id = %s", account.key_id) == [(None,)]


@pytest.mark.parametrize("role", ["read", "generate"])
def test_other_roles_see_and_change_nothing(house: House, account: Account, visitor: Enter, role: str) -> None:
    other = visitor(house.key_with(account, role).key)
    for path in ("keys", "keys.csv", "keys.json", "keys/new", f"keys/{account.key_id}", "keys/sessions"):
        assert other.get(f"/dashboard/{path}").status_code == 403, path
    for path in ("new", f"{account.key_id}/change", f"{account.key_id}/revoke", "sessions/end"):
        assert other.post(f"/dashboard/keys/{path}", data=form(word="default")).status_code == 403, path
    assert actions(house, account) == []


def test_another_workspace_s_keys_and_sessions_are_not_there(house: House, admin: Visitor, visitor: Enter) -> None:
    theirs = house.key_with(house.create(), "admin")
    visitor(theirs.key)
    ((session,),) = house.run(
        "select encode(sha256, 'hex') from dashboard_sessions where api_key_id = %s", theirs.key_id
    )
    for id_ in (theirs.key_id, 999_999_999, "x", 10**30):
        answers = [
            admin.get(f"/dashboard/keys/{id_}"),
            admin.post(f"/dashboard/keys/{id_}/change", data=form()),
            admin.post(f"/dashboard/keys/{id_}/revoke", data={"word": "default"}),
        ]
        assert [answer.status_code for answer in answers] == [404, 404, 404]
    for each in (session, "00" * 32, "x", ""):
        assert admin.post("/dashboard/keys/sessions/end", data={"session": each}).status_code == 404
    assert session not in admin.get("/dashboard/keys/sessions").text
    assert admin.get(f"/dashboard/keys?workspace={theirs.workspace}").status_code == 404


def test_keys_are_found_sorted_and_exported(house: House, account: Account, admin: Visitor) -> None:
    for number, name in enumerate(("zebra", "Ant", "bee")):
        id_, _ = make(admin, name=name, spend_cap="5")
        house.run(
            "insert into daily_usage (workspace_id, date, type, model, api_key_id, completed, cost_nanos)"
            " select workspace_id, '2026-01-01', 'image', 'still', id, 1, %s from api_keys where id = %s",
            10**9 * (3 - number),
            id_,
        )
    house.run("update api_keys set expires_at = now() where name = 'bee'")

    def names(query: str) -> list[str]:
        rows = admin.get(f"/dashboard/keys.json{query}").json()
        return [row["name"] for row in rows if row["name"] != "default"]

    assert names("?sort=name") == ["Ant", "bee", "zebra"]
    assert names("?sort=-name") == ["zebra", "bee", "Ant"]
    assert names("?sort=spent") == ["bee", "Ant", "zebra"]
    assert names("?sort=-spent") == ["zebra", "Ant", "bee"]
    assert names("?sort=created") == ["zebra", "Ant", "bee"]
    assert names("") == ["bee", "Ant", "zebra"]
    assert names("?q=AN") == ["Ant"]
    assert names("?state=expired") == ["bee"]
    assert names("?state=active&sort=name") == ["Ant", "zebra"]
    assert names("?q=%25") == [], "no wildcard"
    (last_four,) = [row["last_four"] for row in admin.get("/dashboard/keys.json?q=zebra").json()]
    assert names(f"?q={last_four}") == ["zebra"]
    used = admin.get("/dashboard/keys.json?sort=-used").json()
    assert {row["name"] for row in used if row["last_used_at"]} <= {"default"}
    assert 'aria-sort="ascending"' in admin.get("/dashboard/keys?sort=name").text
    for query, param in (("sort=x", "sort"), ("state=x", "state"), ("page=0", "page"), ("q=" + "x" * 101, "q")):
        answer = admin.get(f"/dashboard/keys?{query}")
        assert (answer.status_code, f"invalid_parameter, {param}" in answer.text) == (400, True), query
    assert admin.get("/dashboard/keys?page=9").status_code == 404
    (row,) = csv.DictReader(io.StringIO(admin.get("/dashboard/keys.csv?q=zebra").text))
    assert (row["spent"], row["spend_cap"], row["state"], row["role"]) == ("3", "5", "active", "generate")
    page = admin.get("/dashboard/keys?q=zebra").text
    assert "$3.00" in page
    assert re.search(rf'/dashboard/jobs\?[^"]*key={row["id"]}"', page)
    assert re.search(rf'/dashboard/spend\?[^"]*key={row["id"]}"', page)


def test_a_page_has_a_hundred_and_says_how_many_there_are(house: House, account: Account, admin: Visitor) -> None:
    house.run(
        "insert into api_keys (workspace_id, name, sha256, prefix, last_four)"
        " select k.workspace_id, 'many ' || n, sha256((k.id || ' ' || n)::bytea), 'sk_0000', '0000'"
        " from api_keys k, generate_series(1, 150) n where k.id = %s",
        account.key_id,
    )
    first, second = admin.get("/dashboard/keys?q=many").text, admin.get("/dashboard/keys?q=many&page=2").text
    assert "150 keys, page 1 of 2" in first
    assert (first.count(">many "), second.count(">many ")) == (100, 50)


def test_sessions_are_listed_and_ended(house: House, account: Account, admin: Visitor, visitor: Enter) -> None:
    other_key = house.key_with(account, "read")
    other = visitor(other_key.key)
    page = admin.get("/dashboard/keys/sessions").text
    assert page.count("this one") == 1
    listed = admin.get("/dashboard/keys/sessions.json").json()
    assert {row["key_id"] for row in listed} == {account.key_id, other_key.key_id}
    assert all("sha256" not in row for row in listed)
    ((session,),) = house.run(
        "select encode(sha256, 'hex') from dashboard_sessions where api_key_id = %s", other_key.key_id
    )
    assert admin.post("/dashboard/keys/sessions/end", data={"session": session}).status_code == 303
    assert [row["key_id"] for row in admin.get("/dashboard/keys/sessions.json").json()] == [account.key_id]
    house.wait_until_out(other)
    assert actions(house, account) == [("session.end", session[:12])]


def test_operators_see_each_others_sessions_and_keep_to_the_page_s_workspace(
    house: House, account: Account, admin: Visitor, visitor: Enter
) -> None:
    operator, elsewhere = visitor(house.code()), house.create()
    assert not any(row["role"] == "operator" for row in admin.get("/dashboard/keys/sessions.json").json())
    ((session,),) = house.run(
        "select encode(sha256, 'hex') from dashboard_sessions where role = 'operator' order by created_at desc limit 1"
    )
    assert admin.post("/dashboard/keys/sessions/end", data={"session": session}).status_code == 404
    page = operator.get(f"/dashboard/keys/new?workspace={account.workspace}").text
    assert f'action="/dashboard/keys/new?workspace={account.workspace}"' in page
    operator.cookies.set("safelight-workspace", elsewhere.workspace)
    made = operator.post(f"/dashboard/keys/new?workspace={account.workspace}", data=form(name="by an operator"))
    assert made.status_code == 200
    owner = "select w.name from api_keys k join workspaces w on w.id = k.workspace_id where k.name = 'by an operator'"
    assert house.run(owner) == [(account.workspace,)]
    listed = operator.get(f"/dashboard/keys/sessions.json?workspace={account.workspace}").json()
    assert {row["role"] for row in listed} >= {"operator", "admin"}
    end = operator.post(f"/dashboard/keys/sessions/end?workspace={account.workspace}", data={"session": session})
    assert end.status_code == 303
    house.wait_until_out(operator)
