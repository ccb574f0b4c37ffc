"""What becomes of orders: ``get``, ``wait``, ``cancel``, ``jobs``, ``top``; and ``login``."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.cli.client.shell import Shell
from tests.support.server import PATIENCE_SECONDS, eventually, free_port

MakeShell = Callable[..., Shell]
NOBODYS = "req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8"


@pytest.mark.parametrize("kind", ["image", "video"])
def test_get(kind: str, shell: Shell) -> None:
    model = {"image": "still", "video": "clip"}[kind]
    id_ = shell.ok("generate", "x", "--model", model, "--json").json["id"]
    got = shell.ok("get", id_)
    assert got.out.strip() in shell.files()
    with shell.http() as http:
        assert shell.ok("get", id_, "--json").out == http.get(f"/v2/{kind}s/generations/{id_}").text + "\n"
    assert shell.ok("get", "--last", "-o", "again.{ext}").out.startswith("again.")
    assert len(shell.generations()) == 1
    assert shell.ok("get", id_).out == got.out, "it is there already"
    (shell.folder / "mine.png").write_text("mine")
    assert "--force" in shell.refused(2, "get", id_, "-o", "mine.png")
    shell.ok("get", id_, "-o", "mine.png", "--force")


@pytest.mark.parametrize(("model", "status"), [("failing-video", 1), ("refused-video", 3)])
def test_get_and_wait_of_what_failed(model: str, status: int, shell: Shell) -> None:
    id_ = shell.ok("generate", "x", "--model", model, "--no-wait").out.strip()
    waited = shell.run("wait", id_)
    assert (waited.status, waited.out) == (status, f"{id_} failed\n")
    got = shell.run("get", id_, "--json")
    assert (got.status, got.json["id"], got.json["status"]) == (status, id_, "failed")


def test_get_without_waiting(shell: Shell) -> None:
    id_ = shell.ok("generate", "x", "--model", "endless-clip", "--no-wait").out.strip()
    assert shell.ok("get", id_, "--no-wait").out == f"{id_} pending\n"
    assert shell.ok("get", id_, "--no-wait", "--json").json["status"] == "pending"
    assert shell.ok("cancel", id_, "--json").json["id"] == id_
    eventually(lambda: shell.generations()[0]["status"] == "failed", "it is canceled")
    done = shell.ok("generate", "x", "--model", "clip", "--json").json["id"]
    assert shell.ok("cancel", done).out == f"{done} too late\n"
    assert shell.balance() == "9.80"


def test_another_workspaces_looks_like_none(make_shell: MakeShell) -> None:
    mine, theirs = make_shell(), make_shell(name="two")
    id_ = theirs.ok("generate", "x", "--json").json["id"]
    for command in ("get", "wait", "cancel"):
        said = [mine.refused(2, command, each).replace(each, "it") for each in (id_, NOBODYS)]
        assert said[0] == said[1] and "not_found" in said[0]
    assert f"There is no generation {id_} in this workspace." in mine.refused(2, "get", id_)


@pytest.mark.parametrize(
    "arguments",
    [
        ["get"],
        ["get", NOBODYS, "--last"],
        ["get", "../../x"],
        ["wait"],
        ["wait", "x"],
        ["cancel", "x"],
        ["get", "--last"],
        ["jobs", "--type", "sound"],
        ["jobs", "--status", "done"],
        ["jobs", "--limit", "0"],
        ["jobs", "--limit", "101"],
        ["completion", "tcsh"],
        ["login", "--base-url", "ftp://x"],
        ["logout", "--profile", "unheard-of"],
        ["login", "--profile", "a b"],
    ],
    ids=" ".join,
)
def test_misuse(arguments: list[str], refused_here: Callable[..., str]) -> None:
    refused_here(2, *arguments)


@pytest.mark.parametrize(
    "command", [["get", NOBODYS], ["wait", NOBODYS], ["cancel", NOBODYS], ["jobs"], ["top"], ["quote", "x"]]
)
def test_a_server_that_is_away(
    command: list[str], refused_here: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("SAFELIGHT_BASE_URL", url)
    assert f"{url} cannot be reached" in refused_here(6, *command)


def test_wait_for_several(shell: Shell) -> None:
    ids = [
        shell.ok("generate", "x", "--model", model, "--no-wait").out.strip() for model in ("slow-clip", "slow-still")
    ]
    waited = shell.ok("wait", *ids)
    assert sorted(waited.out.splitlines()) == sorted(f"{each} completed" for each in ids)
    lines = shell.ok("wait", *ids, "--json").out.splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"completed"}
    ids.append(shell.ok("generate", "x", "--model", "failing-video", "--no-wait").out.strip())
    assert shell.run("wait", *ids).status == 1


def test_jobs(shell: Shell) -> None:
    assert shell.ok("jobs").out == "There is none.\n"
    still = shell.ok("generate", "x", "--json").json["id"]
    clip = shell.ok("generate", "x", "--model", "clip", "--json").json["id"]
    shell.run("generate", "x", "--model", "failing-video", "--json")
    lines = shell.ok("jobs").out.splitlines()
    assert [line.split()[1:4] for line in lines[1:]] == [
        ["video", "failed", "failing-video"],
        ["video", "completed", "clip"],
        ["image", "completed", "still"],
    ]
    assert still in shell.ok("jobs", "--type", "image").out and clip not in shell.ok("jobs", "--type", "image").out
    assert clip not in shell.ok("jobs", "--status", "failed").out
    assert len(shell.ok("jobs", "--limit", "1").out.splitlines()) == 2
    with shell.http() as http:
        assert shell.ok("jobs", "--json").out == http.get("/v2/generations?limit=20").text + "\n"


def test_jobs_followed(shell: Shell) -> None:
    first = shell.ok("generate", "x", "--json").json["id"]
    process = shell.start("jobs", "--follow", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["id"] == first
    id_ = shell.ok("generate", "x", "--model", "endless-clip", "--no-wait").out.strip()
    line = json.loads(process.stdout.readline())
    assert (line["id"], line["status"]) == (id_, "pending")
    shell.ok("cancel", id_)
    line = json.loads(process.stdout.readline())
    assert (line["id"], line["status"]) == (id_, "failed")
    process.send_signal(signal.SIGINT)
    assert shell.end(process).status == 130


def test_top_without_a_terminal_tells_once(shell: Shell) -> None:
    shell.ok("generate", "x", "--json")
    shell.run("generate", "x", "--model", "failing-image", "--json")
    id_ = shell.ok("generate", "x", "--model", "endless-clip", "--no-wait").out.strip()

    def runs() -> bool:
        return "1 running, 0 queued" in shell.ok("top").out

    eventually(runs, "a worker takes it")
    shown = shell.ok("top").out
    assert "0.05 USD spent today, 9.75 USD left" in shown
    assert f"{id_} video endless-clip [....................] 0%" in " ".join(shown.split())
    assert "failing-image generation_failed" in " ".join(shown.split())
    told = shell.ok("top", "--json").json
    assert (told["balance"], [each["id"] for each in told["pending"]]) == ("9.75", [id_])
    shell.ok("cancel", id_)


def on_a_terminal(shell: Shell, *arguments: str, until: bytes, typed: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    """What a command shows on a terminal until it has shown that; then it is interrupted, if it runs on.

    ``typed``: what is typed as soon as that is shown.
    """
    master, slave = pty.openpty()
    process = shell.start(*arguments, stdin=slave, stdout=slave, stderr=slave, env={"TERM": "xterm"})
    os.close(slave)
    shown, deadline = b"", time.monotonic() + PATIENCE_SECONDS
    is_interrupted = is_typed = False
    with suppress(OSError):  # how a terminal ends
        while time.monotonic() < deadline:
            if select.select([master], [], [], 1.0)[0]:
                piece = os.read(master, 65536)
                shown += piece
            if typed[0] and typed[0] in shown and not is_typed:
                is_typed = True
                os.write(master, typed[1])
            if until in shown and not is_interrupted and process.poll() is None:
                is_interrupted = True
                process.send_signal(signal.SIGINT)
    process.kill()
    process.wait()
    os.close(master)
    assert until in shown, shown
    assert b"Traceback" not in shown
    return shown


def test_on_a_terminal(shell: Shell) -> None:
    assert b"10.00 USD left" in on_a_terminal(shell, "top", until=b"USD left")
    shown = on_a_terminal(shell, "generate", "x", "--model", "scene", "-o", "scene.mp4", until=b" USD")
    assert b"%" in shown and b"\x1b[" in shown, "a bar"
    assert b"scene.mp4\r\n1280x720" in shown
    assert shell.files() == {"scene.mp4"}


def test_login_and_logout(shell: Shell) -> None:
    none = {"SAFELIGHT_BASE_URL": "", "SAFELIGHT_API_KEY": ""}
    url, key = shell.account.base_url, shell.account.key
    assert "login" in shell.refused(2, "jobs", env=none)
    said = shell.refused(2, "login", "--base-url", url, content=b"sk_wrong\n", env=none)
    assert "invalid_api_key" in said and "sk_wrong" not in said
    path = shell.home / "config/safelight/config.toml"
    assert not path.exists(), "a key that does not work is not kept"
    assert "No key" in shell.refused(2, "login", content=b"", env=none)

    ran = shell.ok("login", "--base-url", url, content=f"{key}\n".encode(), env=none)
    assert ran.out == f"Profile 'default' is kept in {path}.\n"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    shell.ok("generate", "x", "--json", env=none)
    shell.ok("login", "--base-url", url, "--profile", "work", content=key.encode(), env=none)
    shell.ok("jobs", env=none | {"SAFELIGHT_PROFILE": "work"})
    assert "There are: default, work." in shell.refused(2, "jobs", "--profile", "wrok", env=none)
    shell.ok("logout", env=none)
    assert "login" in shell.refused(2, "jobs", env=none)
    shell.ok("jobs", "--profile", "work", env=none)


def test_a_key_that_is_typed_is_not_shown(shell: Shell) -> None:
    typed = b"API key for ", f"{shell.account.key}\n".encode()
    shown = on_a_terminal(shell, "login", "--base-url", shell.account.base_url, typed=typed, until=b"is kept in")
    assert b"API key for " in shown
    assert shell.account.key.encode() not in shown
