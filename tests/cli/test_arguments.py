"""What commands are given: numbers within bounds, words fit for a terminal; and what they print of others' words."""

from __future__ import annotations

import importlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import psycopg
import pytest
from cyclopts import Parameter

from safelight.cli import __name__ as cli
from safelight.cli import command_table, run
from safelight.cli.show import cell, print_json
from safelight.domain.text import is_blank, printable, read_line

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b31m\u202eturned"
TARGETS = [target for _, target, _ in command_table.ALONE]
TARGETS += [target for _, _, members in command_table.GROUPS for _, target, _ in members]
TARGETS += [f"client.{target}" for _, target, _ in command_table.OVER_HTTP]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", database_url)


@pytest.fixture
def workspace(capsys: pytest.CaptureFixture[str]) -> str:
    name = f"arguments-{secrets.token_hex(4)}"
    assert run(["workspaces", "create", name]) == 0
    capsys.readouterr()
    return name


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Runs a command: its exit status, and what it wrote to stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run([*arguments])
        return status, *capsys.readouterr()

    yield call


@pytest.mark.parametrize("target", TARGETS)
def test_every_number_of_a_command_has_bounds(target: str) -> None:
    module, _, name = target.partition(":")
    hints = get_type_hints(getattr(importlib.import_module(f"{cli}.{module}"), name), include_extras=True)
    hints.pop("return", None)
    for argument, hint in hints.items():
        kind, *metas = get_args(hint) if hasattr(hint, "__metadata__") else (hint,)
        if {int, float} & {kind, *get_args(kind)}:
            assert any(isinstance(meta, Parameter) and meta.converter for meta in metas), argument


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "revoke", "9" * 30],
        ["keys", "revoke", "0"],
        ["keys", "revoke", "1_0"],
        ["keys", "revoke", "0x1"],
        ["keys", "create", "--expires-days", "0"],
        ["keys", "create", "--expires-days", "-5"],
        ["keys", "create", "--expires-days", "99999999999"],
        ["keys", "create", "--expires-days", "2.5"],
        ["usage", "--days", "0"],
        ["usage", "--days", "9" * 5000],
        ["workspaces", "limits", "x", "--image-rpm", "-1"],
        ["workspaces", "limits", "x", "--concurrency", "9999999999"],
        ["webhooks", "deliveries", "--limit", "99999999999999999999"],
        ["webhooks", "deliveries", "--endpoint", "99999999999999999999"],
        ["webhooks", "rotate", "1", "--keep-hours", "nan"],
        ["webhooks", "rotate", "1", "--keep-hours", "inf"],
        ["webhooks", "rotate", "1", "--keep-hours", "1e300"],
        ["webhooks", "rotate", "1", "--keep-hours=-1"],
        ["webhooks", "redeliver", "99999999999999999999"],
        ["sweep", "--days", "-1"],
        ["sweep", "--older-than", "-1"],
        ["sweep", "--older-than", "9999999999999"],
        ["up", "--port", "-1"],
        ["up", "--port", "65536"],
        ["serve", "--workers", "1e1"],
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_numbers_that_are_refused(arguments: list[str], ran: Callable[..., tuple[int, str, str]]) -> None:
    status, out, error = ran(*arguments)
    assert (status, out) == (2, ""), error
    assert len(error.splitlines()) == 1
    assert " from " in error or "not" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("amount", ["-5", "-0.000000001", "9999999999.5", "1e3", "nan", "0x1", ""])
def test_spend_caps_that_are_refused(amount: str, workspace: str, ran: Callable[..., tuple[int, str, str]]) -> None:
    status, out, error = ran("keys", "create", "--workspace", workspace, f"--spend-cap={amount}")
    assert (status, out) == (1, ""), error
    assert len(error.splitlines()) == 1 and "Traceback" not in error


def test_numbers_that_are_taken(workspace: str, ran: Callable[..., tuple[int, str, str]]) -> None:
    made = ran("keys", "create", "--workspace", workspace, "--spend-cap", "0", "--expires-days", "0036500", "--json")
    assert made[0] == 0, made
    assert ran("usage", "--days", "3660")[0] == 0
    assert ran("webhooks", "deliveries", "--limit", "10000")[0] == 0
    status, _, error = ran("webhooks", "rotate", "999999999999999999", "--keep-hours", "0.5")
    assert (status, "no webhook endpoint 999999999999999999" in error) == (1, True)


@pytest.mark.parametrize("text", [ESCAPES, "two\nlines", "\t", "half \udc80 a character", "\u200b", " ", "\u2028"])
def test_words_that_are_refused(text: str, workspace: str, ran: Callable[..., tuple[int, str, str]]) -> None:
    for arguments in (
        ["credit", "add", workspace, "5", "--reason", text],
        ["keys", "create", "--workspace", workspace, "--name", text],
        ["workspaces", "create", text],
        ["workspaces", "limits", text],
        ["webhooks", "create", f"https://example.com/{text}", "--workspace", workspace],
    ):
        status, out, error = ran(*arguments)
        assert (status, out) == (1, ""), arguments
        assert len(error.splitlines()) == 1
        assert printable(error.rstrip("\n")) == error.rstrip("\n")
    assert json.loads(ran("credit", "history", workspace, "--json")[1]) == []


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["table", "json"])
def test_words_that_were_kept_before_are_escaped(
    as_json: list[str], workspace: str, database_url: str, ran: Callable[..., tuple[int, str, str]]
) -> None:
    assert ran("keys", "create", "--workspace", workspace, "--name", "before")[0] == 0
    with psycopg.connect(database_url) as connection:
        id_ = connection.execute("select id from workspaces where name = %s", [workspace]).fetchone()
        assert id_ is not None
        connection.execute("update api_keys set name = %s where workspace_id = %s", [ESCAPES, id_[0]])
    status, out, _ = ran("keys", "list", "--workspace", workspace, *as_json)
    assert status == 0
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "turned" in out
    if as_json:
        assert json.loads(out)[0]["name"] == ESCAPES


def test_what_a_database_refuses_shows_no_row(
    workspace: str, monkeypatch: pytest.MonkeyPatch, ran: Callable[..., tuple[int, str, str]]
) -> None:
    """Its own words would: with them go a key's fingerprint, or a prompt."""
    monkeypatch.setattr("safelight.accounts.keys.read_line", lambda *args, **kwargs: None)
    status, _, error = ran("keys", "create", "--workspace", workspace, "--name", "x" * 200)
    assert status == 1
    assert "violates check constraint" in error
    assert "xxx" not in error and "Failing row" not in error and "\\x" not in error


@pytest.mark.parametrize("text", ["a plain reason", "für Zoë – 20 €", "山 🏔️ 👩\u200d🚀", "x" * 1000])
def test_words_that_are_taken(text: str) -> None:
    assert read_line(text, "reason", most=1000) == text
    assert printable(text) == text
    assert not is_blank(text)


def test_values_are_printed_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert cell("a\x1bb") == "a\\u001bb"
    assert cell("a\nb\u2028\udc80") == "a\\u000ab\\u2028\\udc80"
    value: Any = {"words": ESCAPES, "list": ["\x7f"]}
    print_json(value)
    written = capsys.readouterr().out
    assert json.loads(written) == value
    assert all(character == "\n" or character.isprintable() for character in written)


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["table", "json"])
def test_doctor_shows_settings_escaped(
    as_json: list[str], monkeypatch: pytest.MonkeyPatch, ran: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.setenv("SAFELIGHT_CATALOG", f"/{ESCAPES}\nsecond")
    monkeypatch.setenv("SAFELIGHT_REFERENCES_ALLOW", f"{ESCAPES}x")
    status, out, _ = ran("doctor", *as_json)
    assert status == 1 and "There is no catalog" in out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\u202e"} and "\nsecond" not in out
