"""The commands that end by themselves, beside a running server and without one."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight import __version__
from safelight.cli import client_commands, every_command, run
from tests.support.server import Server, eventually, free_port, safelight

Start = Callable[..., Server]


NEED_NO_FOLDER = {
    ("comfyui", "import"),
    ("docs",),
    ("model-server",),
    ("models", "init"),
    ("service",),
    *client_commands(),
}


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert safelight("--help").stdout.startswith("Usage: safelight COMMAND")
    for words in every_command():
        assert run([*words, "--help"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: safelight {' '.join(words)}")
        assert ("--data-dir" in shown) is (words not in NEED_NO_FOLDER), words


def test_version_and_misuse() -> None:
    assert safelight("--version").stdout.strip() == __version__
    for arguments in (["nonsense"], ["keys", "revoke"], ["keys", "revoke", "x"], ["up", "--port", "high"]):
        done = safelight(*arguments)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert "--help' says more" in done.stderr


def ok(*arguments: str, data_dir: Path) -> str:
    done = safelight(*arguments, "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ok_json(*arguments: str, data_dir: Path) -> Any:
    return json.loads(ok(*arguments, "--json", data_dir=data_dir))


def refused(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = safelight(*arguments, env=env)
    assert done.returncode == 1, done.stdout
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_accounts_beside_a_running_server(server: Server) -> None:
    folder = server.data_dir
    assert "is made" in ok("workspaces", "create", "beside", data_dir=folder)
    assert "there already" in ok("workspaces", "create", "beside", data_dir=folder)
    secret = ok("keys", "create", "--workspace", "beside", "--name", "mine", "--plain", data_dir=folder).strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{server.base_url}/v2/models", headers=headers).status_code == 200

    (key,) = ok_json("keys", "list", "--workspace", "beside", data_dir=folder)
    assert key["name"] == "mine" and key["state"] == "active"
    assert (key["spent"], key["spend_cap"]) == (None, None), "spending is counted for keys with a cap"
    assert secret.startswith(key["prefix"]) and secret.endswith(key["last_four"])
    assert secret not in ok("keys", "list", data_dir=folder)

    ok("keys", "revoke", str(key["id"]), data_dir=folder)
    # Within a second: until then a process may remember it.
    eventually(lambda: httpx.get(f"{server.base_url}/v2/models", headers=headers).status_code == 401, "it is dead")
    assert ok_json("keys", "list", "--workspace", "beside", data_dir=folder)[0]["state"] == "revoked"

    assert "12.50 USD" in ok("credit", "add", "beside", "12.5", "--reason", "a gift", data_dir=folder)
    assert "12.00 USD" in ok("credit", "add", "beside", "-0.50", "--reason", "half back", data_dir=folder)
    history = ok_json("credit", "history", "beside", data_dir=folder)
    assert [entry["amount"] for entry in history] == ["-0.50", "12.50"]
    limits = ok_json("workspaces", "limits", "beside", "--image-rpm", "7", data_dir=folder)
    assert limits["image_rpm"] == 7 and limits["video_rpm"] is None
    names = {row["name"]: row for row in ok_json("workspaces", "list", data_dir=folder)}
    assert names["beside"]["available"] == "12.00"
    assert "Nothing to do" in ok("migrate", data_dir=folder)

    env = {"SAFELIGHT_PORT": str(server.port)}
    done = safelight("doctor", "--json", "--data-dir", folder, env=env)
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"], done.stdout
    assert {check["name"] for check in report["checks"]} >= {"database", "media store", "catalog", "clock"}
    assert server.process.poll() is None


def test_accounts_without_a_server(server_folder: Path) -> None:
    folder = server_folder / "data"
    missing = refused("keys", "list", "--data-dir", str(folder))
    assert "There is no database in the data folder" in missing
    assert not folder.exists()

    secret = ok("keys", "create", "--plain", data_dir=folder).strip()
    assert secret.startswith("sk_") and secret == secret.split()[0]
    assert [key["name"] for key in ok_json("keys", "list", data_dir=folder)] == ["default"]
    assert not (folder / "postgres" / "postmaster.pid").exists()

    assert "no workspace 'nobody'" in refused("keys", "create", "--workspace", "nobody", "--data-dir", str(folder))
    assert "no key 99" in refused("keys", "revoke", "99", "--data-dir", str(folder))
    assert "not an amount" in refused("credit", "add", "default", "x", "--reason", "y", "--data-dir", str(folder))
    assert "below zero" in refused("credit", "add", "default", "-99999", "--reason", "y", "--data-dir", str(folder))


def test_no_database() -> None:
    env = {"SAFELIGHT_DATABASE_URL": f"postgresql://user:secret@127.0.0.1:{free_port()}/nothing"}
    for arguments in (["keys", "list"], ["migrate"], ["worker"], ["serve"]):
        line = refused(*arguments, env=env)
        assert "No database at 127.0.0.1" in line
        assert "secret" not in line


@pytest.mark.database
def test_a_database_elsewhere(databases: Any) -> None:
    env = {"SAFELIGHT_DATABASE_URL": databases.create_bare()}
    assert "Run 'safelight migrate' first" in refused("keys", "list", env=env)
    assert safelight("migrate", env=env).returncode == 0
    assert safelight("keys", "create", "--plain", env=env).stdout.startswith("sk_")
    assert len(json.loads(safelight("keys", "list", "--json", env=env).stdout)) == 1


def test_doctor_finds_what_is_wrong(server_folder: Path) -> None:
    catalog = server_folder / "catalog.toml"
    catalog.write_text("[[models]]\n")
    (server_folder / "a file").write_text("")
    env = {
        "SAFELIGHT_DATABASE_URL": f"postgresql://user:secret@127.0.0.1:{free_port()}/nothing",
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_SIGNING_KEYS": "k1:0011",
        "SAFELIGHT_DATA_DIR": str(server_folder / "a file"),
        "SAFELIGHT_MEDIA_URL": "file:///proc/nothing",
        "SAFELIGHT_MODERATION": "endpoint",
        "SAFELIGHT_MODERATION_KEY": "sk_moderation",
    }
    done = safelight("doctor", "--json", env=env)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["ok"]
    wrong = {check["name"] for check in report["checks"] if not check["ok"]}
    assert wrong >= {"data folder", "database", "catalog", "signing keys", "media store"}
    for secret in ("secret", "0011", "sk_moderation"):
        assert secret not in done.stdout
    assert " problem " in safelight("doctor", env=env).stdout
    assert (server_folder / "a file").is_file()


def test_help_and_the_supervisor_import_nothing_heavy() -> None:
    heavy = {"psycopg", "starlette", "granian", "sqlalchemy", "structlog", "safelight.wiring"}
    for script in ("from safelight.cli import run; run(['--help'])", "import safelight.cli.up"):
        code = f"import sys; {script}; print(sorted(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not heavy & set(ast.literal_eval(done.stdout.splitlines()[-1]))
