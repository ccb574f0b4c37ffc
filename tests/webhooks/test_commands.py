"""``safelight webhooks``, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from safelight.cli import run
from safelight.webhooks.signing import read_secret
from tests.webhooks.world import EMPTY

pytestmark = pytest.mark.database

Run = Callable[..., str]
URL = "https://app.example.com/hooks"


@pytest.fixture
def typed(
    webhooks_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Types a command; what it printed. One that is to fail ends with ``fails=True``."""
    with psycopg.connect(webhooks_database_url, autocommit=True) as connection:
        connection.execute(EMPTY)
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", webhooks_database_url)

    def type_it(*arguments: str, fails: bool = False) -> str:
        capsys.readouterr()
        assert (run(list(arguments)) != 0) is fails
        printed = capsys.readouterr()
        return printed.err if fails else printed.out

    type_it("workspaces", "create", "studio")
    return type_it


def loads(text: str) -> Any:
    return json.loads(text)


def test_an_endpoint_from_its_making_to_its_end(typed: Run) -> None:
    made = loads(typed("webhooks", "create", URL, "--workspace", "studio", "--events", "balance.low", "--json"))
    assert len(read_secret(made["secret"])) == 32
    listing = typed("webhooks", "list", "--json")
    assert made["secret"] not in listing
    (listed,) = loads(listing)
    assert (listed["url"], listed["events"], listed["state"]) == (URL, "balance.low", "on")
    rotated = loads(typed("webhooks", "rotate", str(made["id"]), "--keep-hours", "1", "--json"))
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"] is not None
    assert "is over" in typed("webhooks", "rotate", str(made["id"]), "--keep-hours", "0")
    assert "is on" in typed("webhooks", "enable", str(made["id"]))
    assert "gone" in typed("webhooks", "delete", str(made["id"]))
    assert "no endpoint" in typed("webhooks", "list")


def test_the_secret_for_addresses_in_requests_is_made_once(typed: Run) -> None:
    assert "whsec_" in typed("webhooks", "create", "--workspace", "studio")
    assert "rotate" in typed("webhooks", "create", "--workspace", "studio", fails=True)
    assert "webhook_url of requests" in typed("webhooks", "list", "--workspace", "studio")


def test_deliveries_are_listed_and_repeated(typed: Run, webhooks_database_url: str) -> None:
    made = loads(typed("webhooks", "create", URL, "--workspace", "studio", "--json"))
    assert "Nothing was delivered" in typed("webhooks", "deliveries")
    with psycopg.connect(webhooks_database_url, autocommit=True) as connection:
        connection.execute("select announce(id, 'balance.low', null, '{}', null) from workspaces")
        connection.execute("update deliveries set state = 'failed', ended_at = now(), last_error = 'timeout'")
    (record,) = loads(typed("webhooks", "deliveries", "--state", "failed", "--json"))
    assert (record["type"], record["last_error"], record["url"]) == ("balance.low", "timeout", URL)
    assert "again: 1" in typed("webhooks", "redeliver", "--endpoint", str(made["id"]))
    assert "again: 1" in typed("webhooks", "redeliver", str(record["id"]))
    states = [line["state"] for line in loads(typed("webhooks", "deliveries", "--json"))]
    assert states == ["pending", "pending", "failed"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", "http://app.example.com/", "--workspace", "studio"], "https"),
        (["create", URL, "--workspace", "nobody"], "no workspace 'nobody'"),
        (["create", URL, "--workspace", "studio", "--events", "balance.high"], "generation.completed"),
        (["create", "--workspace", "studio", "--events", "balance.low"], "events"),
        (["rotate", "7"], "no webhook endpoint 7"),
        (["rotate", "7", "--keep-hours", "-1"], "from 0 to 8784"),
        (["enable", "7"], "no webhook endpoint 7"),
        (["delete", "7"], "no webhook endpoint 7"),
        (["redeliver", "7"], "no delivery 7"),
        (["redeliver"], "--endpoint"),
        (["deliveries", "--state", "lost"], "pending, delivered, failed"),
        (["deliveries", "--limit", "0"], "from 1 to 10000"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(typed: Run, arguments: list[str], says: str) -> None:
    said = typed("webhooks", *arguments, fails=True)
    assert says in said
    assert said.count("\n") == 1
