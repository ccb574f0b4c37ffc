"""The audit log: in pages, never changed, and what the operator's commands leave in it."""

from __future__ import annotations

import json
import os
import pwd

import psycopg
import pytest
from psycopg.errors import CheckViolation, RestrictViolation

from safelight.accounts.audit import Action, Actor, list_actions, record
from safelight.domain.roles import Role
from safelight.domain.scope import OPERATOR
from tests.support.postgres import open_database
from tests.support.server import safelight
from tests.support.tenants import make_tenant

pytestmark = pytest.mark.database

ANN = Actor(person="ann", role=Role.ADMIN, address="192.0.2.1")
BEN = Actor(person="ben\0" + "n" * 500, role=Role.OPERATOR)


async def test_lines_come_back_newest_first_by_page_and_filter(fresh_database_url: str) -> None:
    async with open_database(fresh_database_url) as db:
        tenant = await make_tenant(db)
        ids = [await record(tenant.scope, db, ANN, Action.KEY_CREATE, n, {"n": n}) for n in range(5)]
        ids.append(await record(OPERATOR, db, BEN, Action.CREDIT_ADD, "7"))
        assert [line.id for line in await list_actions(tenant.scope, db)] == ids[4::-1]
        assert [line.id for line in await list_actions(OPERATOR, db)] == ids[::-1]
        page = await list_actions(OPERATOR, db, before=ids[3], limit=2)
        assert [(line.target, line.detail) for line in page] == [("2", {"n": 2}), ("1", {"n": 1})]
        assert (page[0].person, page[0].role, page[0].workspace, page[0].action, page[0].address) == (
            "ann",
            "admin",
            tenant.name,
            "key.create",
            "192.0.2.1",
        )
        (ben,) = await list_actions(OPERATOR, db, action="credit.add")
        assert (len(ben.person), ben.person[:4], ben.workspace, ben.detail) == (200, "benn", None, {})
        assert len(await list_actions(OPERATOR, db, person="ann")) == 5
        assert await list_actions(tenant.scope, db, action="credit.add") == []


@pytest.mark.parametrize("change", ["update audit_log set person = 'x'", "delete from audit_log", "truncate audit_log"])
async def test_a_line_is_never_changed(fresh_database_url: str, change: str) -> None:
    async with open_database(fresh_database_url) as db:
        await record(OPERATOR, db, ANN, Action.KEY_REVOKE, 1)
        with psycopg.connect(fresh_database_url) as connection, pytest.raises(RestrictViolation, match="append-only"):
            connection.execute(change.encode())
        assert len(await list_actions(OPERATOR, db)) == 1


@pytest.mark.parametrize(
    "row",
    [
        "insert into audit_log (person, role, action, target) values ('a', 'admin', 'Key Create', '')",
        "insert into dashboard_sessions (sha256, person, role, user_agent, expires_at)"
        " values (sha256('a'), 'a', 'admin', '', now())",
        "insert into dashboard_sessions (sha256, person, role, user_agent, expires_at, workspace_id)"
        " values (sha256('a'), 'a', 'operator', '', now(), 1)",
        "insert into dashboard_sessions (sha256, person, role, user_agent, expires_at)"
        " values ('short', 'a', 'operator', '', now())",
        "insert into login_links (sha256, person, role, expires_at) values (sha256('a'), 'a', 'admin', now())",
        "insert into api_keys (workspace_id, name, sha256, prefix, last_four, role)"
        " values (1, 'a', sha256('a'), '', '', 'operator')",
        "insert into refused_requests (workspace_id, type, model, reason, message, count)"
        " values (1, 'image', 'm', 'r', repeat('x', 501), 1)",
        "insert into refused_requests (workspace_id, type, model, reason, message, count)"
        " values (1, 'image', 'm', 'r', '', 0)",
    ],
)
async def test_rows_that_make_no_sense_are_refused(fresh_database_url: str, row: str) -> None:
    async with open_database(fresh_database_url) as db:
        assert (await make_tenant(db)).id == 1
    with psycopg.connect(fresh_database_url) as connection, pytest.raises(CheckViolation):
        connection.execute(row.encode())


async def test_what_commands_change_is_on_record_and_what_they_show_is_not(fresh_database_url: str) -> None:
    url = fresh_database_url

    def run(*arguments: str) -> str:
        done = safelight(*arguments, env={"SAFELIGHT_DATABASE_URL": url})
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("workspaces", "create", "studio")
    run("workspaces", "create", "studio")  # it is there already
    run("credit", "add", "studio", "5", "--reason", "for a test")
    made = json.loads(run("keys", "create", "--workspace", "studio", "--name", "a canary", "--role", "read", "--json"))
    run("workspaces", "limits", "studio", "--image-rpm", "7")
    run("workspaces", "limits", "studio")  # shows them
    (key,) = json.loads(run("keys", "list", "--json"))
    assert (made["role"], key["role"]) == ("read", "read")
    assert " read " in run("keys", "list")
    run("keys", "revoke", str(made["id"]))
    async with open_database(url) as db:
        lines = (await list_actions(OPERATOR, db))[::-1]
    assert [(line.action, line.target, line.workspace, line.detail) for line in lines] == [
        ("workspace.create", "1", "studio", {}),
        ("credit.add", "1", "studio", {"amount": "5.00", "reason": "for a test"}),
        ("key.create", "1", "studio", {"role": "read"}),
        ("workspace.limit", "1", "studio", {"image_rpm": 7}),
        ("key.revoke", "1", None, {}),
    ]
    assert {(line.person, line.role, line.address) for line in lines} == {
        (pwd.getpwuid(os.getuid()).pw_name, "operator", "")
    }


def test_a_key_is_made_with_no_role_that_no_key_has(fresh_database_url: str) -> None:
    done = safelight("keys", "create", "--role", "operator", env={"SAFELIGHT_DATABASE_URL": fresh_database_url})
    assert done.returncode == 2
    assert "operator" in done.stderr and "admin" in done.stderr
