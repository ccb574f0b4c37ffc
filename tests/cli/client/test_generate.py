"""``safelight generate`` and ``quote``: what they send, print, leave behind and refuse."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import IO

import pytest

from tests.cli.client.shell import Shell
from tests.contract.accounts import Accounts
from tests.support.server import eventually, free_port

MakeShell = Callable[..., Shell]
PNG = b"\x89PNG\r\n\x1a\n"


def test_an_image(shell: Shell) -> None:
    ran = shell.ok("generate", "a red boat", "-o", "boat.png")
    assert ran.out == "boat.png\n"
    assert (shell.folder / "boat.png").read_bytes().startswith(PNG)
    assert shell.files() == {"boat.png"}
    assert ran.err.splitlines() == [f"{ran.id} is ordered.", "64x64, 0.0 MB, 0.05 USD"]
    assert [(each["id"], each["model"]) for each in shell.generations()] == [(ran.id, "still")]
    assert shell.balance() == "9.95"


def test_a_video_by_the_name_of_its_file(shell: Shell) -> None:
    ran = shell.ok("generate", "clouds", "-o", "clouds.mp4", "--duration", "5", "--sound")
    assert ran.out == "clouds.mp4\n"
    assert b"ftyp" in (shell.folder / "clouds.mp4").read_bytes()[:16]
    assert [(each["id"], each["model"]) for each in shell.generations()] == [(ran.id, "clip")]
    assert shell.balance() == "9.50"


def test_progress_is_told_on_stderr_alone(shell: Shell, client_accounts: Accounts) -> None:
    process = shell.start("generate", "x", "--model", "endless-clip", "-o", "x.mp4")
    eventually(lambda: bool(shell.generations()), "the order")
    id_ = shell.generations()[0]["id"]
    assert process.stderr is not None
    told = []
    for progress in (0.1, 0.25, 0.29, 0.9):
        client_accounts.tell_progress(id_, progress)
        if progress != 0.29:  # no other tenth
            told.append(_until_progress(process.stderr))
    assert told == [f"{id_} {percent}%" for percent in (10, 20, 90)]
    shell.ok("cancel", id_)
    ran = shell.end(process)
    assert ran.status != 0 and ran.out == "" and "%" not in ran.err, ran


def _until_progress(stderr: IO[bytes]) -> str:
    for line in stderr:
        if line.endswith(b"%\n"):
            return line.decode().rstrip("\n")
    raise AssertionError("it ended before it told how far it is")


def test_without_a_name_it_is_called_by_its_id(shell: Shell) -> None:
    ran = shell.ok("generate", "a red boat")
    assert ran.out == f"{ran.id}.jpg\n"
    assert shell.files() == {f"{ran.id}.jpg"}


@pytest.mark.parametrize("kind", ["image", "video"])
def test_json_is_the_apis_own(kind: str, shell: Shell) -> None:
    model = {"image": "still", "video": "clip"}[kind]
    ran = shell.ok("generate", "a red boat", "--model", model, "--json")
    with shell.http() as http:
        assert ran.out == http.get(f"/v2/{kind}s/generations/{ran.id}").text + "\n"
    assert shell.files() == set(), "no file was asked for"
    named = shell.ok("generate", "a red boat", "--model", model, "--json", "-o", "{id}.{ext}")
    assert named.json["id"] == named.id
    assert f"{named.id}." in next(iter(shell.files()))
    assert len(shell.files()) == 1


def test_several(shell: Shell) -> None:
    ran = shell.ok("generate", "a red boat", "-o", "boat.png", "--count", "6")
    assert sorted(ran.out.split()) == [f"boat-{n}.png" for n in range(1, 7)]
    assert shell.files() == set(ran.out.split())
    assert len({each["id"] for each in shell.generations()}) == 6
    assert shell.balance() == "9.70"
    ran = shell.ok("generate", "a red boat", "-o", "more/{n}/{id}.{ext}", "--count", "2")
    assert {path.parent.name for path in (shell.folder / "more").rglob("*.jpg")} == {"1", "2"}
    (shell.folder / "there").mkdir()
    ran = shell.ok("generate", "a red boat", "-o", "there", "--format", "webp")
    assert ran.out == f"there/{ran.id}.webp\n"


def test_a_prompt_from_stdin(shell: Shell) -> None:
    shell.ok("generate", "-", "--json", content=b"a red boat\n")
    assert "empty" in shell.refused(2, "generate", "-", content=b" \n")
    assert "empty" in shell.refused(2, "generate", "  ")


def test_options_reach_the_request(shell: Shell) -> None:
    given = ["--seed", "7", "--negative-prompt", "fog", "--option", "steps=12", "--aspect-ratio", "1:1"]
    ran = shell.ok("generate", "a red boat", "--model", "still", "--resolution", "1K", *given, "--json")
    assert ran.json["seed"] == 7
    for option, param in (
        (("--aspect-ratio", "9:1"), "aspect_ratio"),
        (("--resolution", "9K"), "resolution"),
        (("--option", "nonsense=1"), "provider_options"),
    ):
        assert param in shell.refused(2, "generate", "x", *option)
    assert "seed" in shell.refused(2, "generate", "x", "--model", "slow-still", "--seed", "7")


def test_references(shell: Shell) -> None:
    first = shell.ok("generate", "a red boat", "-o", "boat.png")
    shell.ok("generate", "x", "-i", "boat.png", "-i", f"ref:{first.id}", "--json")
    shell.ok("generate", "x", "-i", "boat.png", "-i", "last:boat.png", "-o", "a.mp4")
    shell.ok("generate", "x", "-i", f"first_frame:{first.id}", "-o", "b.mp4")
    (shell.folder / "words.png").write_text("no picture")
    (shell.folder / "huge.png").write_bytes(PNG + bytes(11 << 20))
    count = len(shell.generations())
    for given, said in (
        ("no-such.png", "No such file"),
        ("words.png", "not a PNG"),
        ("huge.png", "over 10 MiB"),
        ("http://example.com/x.png", "https"),
        ("req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8", "no such image"),
        (".", "Is a directory"),
    ):
        assert said in shell.refused(2, "generate", "x", "-i", given), given
    assert "at most 2" in shell.refused(2, "generate", "x", *["-i", "boat.png"] * 3)
    assert len(shell.generations()) == count, "none of it was ordered"


def test_what_is_there_is_not_replaced(shell: Shell) -> None:
    there = shell.folder / "boat.png"
    there.write_text("mine")
    assert "--force" in shell.refused(2, "generate", "a red boat", "-o", "boat.png")
    assert (there.read_text(), shell.generations()) == ("mine", []), "found before anything was ordered"
    shell.ok("generate", "a red boat", "-o", "boat.png", "--force")
    assert there.read_bytes().startswith(PNG)


def test_what_takes_the_name_meanwhile_is_left_alone(shell: Shell) -> None:
    process = shell.start("generate", "x", "--model", "slow-still", "-o", "boat.png")
    eventually(lambda: bool(shell.journal()), "the order")
    (shell.folder / "boat.png").write_text("mine")
    ran = shell.end(process)
    assert ran.status == 0
    assert ran.out == f"{ran.id}-0.png\n"
    assert (shell.folder / "boat.png").read_text() == "mine"


def test_the_most_it_may_cost(shell: Shell) -> None:
    said = shell.refused(2, "generate", "x", "--count", "5", "--max-cost", "0.24")
    assert "0.25 USD (5 at 0.05), over --max-cost 0.24" in said
    assert shell.generations() == []
    shell.ok("generate", "x", "--count", "5", "--max-cost", "0.25")
    assert "dollars" in shell.refused(2, "generate", "x", "--max-cost", "much")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nonsense"], "There are: still"),
        (["--model", "../models"], "no model"),
        (["--model", "clip", "-o", "x.png"], "makes videos"),
        (["--model", "still", "-o", "x.mp4"], "makes images"),
        (["--format", "gif"], "png, jpeg or webp"),
        (["--format", "png", "-o", "x.jpg"], "Leave one out"),
        (["-o", "x.gif"], ".webp"),
        (["-o", ""], "empty"),
        (["--model", "still", "--duration", "2"], "for videos"),
        (["--model", "clip", "--format", "png"], "for images"),
        (["--option", "steps"], "NAME=VALUE"),
        (["--count", "0"], "from 1"),
        (["--seed", "-1"], "from 0"),
        (["--seed", "7", "--count", "2"], "charged 2 times"),
        (["--no-such-option"], "--help"),
        (["--profile", "no such"], "no name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse(arguments: list[str], said: str, shell: Shell, refused_here: Callable[..., str]) -> None:
    assert said in refused_here(2, "generate", "a red boat", *arguments)
    assert shell.generations() == []
    assert shell.files() == set()


def test_an_option_that_is_none_is_no_prompt(shell: Shell) -> None:
    assert "no option '--sede'" in shell.refused(2, "generate", "--sede")


def test_bytes_that_are_no_text(shell: Shell) -> None:
    process = shell.start("generate", os.fsdecode(b"a \xff boat"))
    ran = shell.end(process)
    assert (ran.status, "UTF-8" in ran.err) == (2, True), ran


@pytest.mark.parametrize(("model", "status"), [("failing", 1), ("refused", 3)])
@pytest.mark.parametrize("kind", ["image", "video"])
def test_exit_statuses_of_failures(kind: str, model: str, status: int, shell: Shell) -> None:
    ran = shell.run("generate", "x", "--model", f"{model}-{kind}", "--json")
    assert ran.status == status, ran
    assert ran.json["error"]["code"] == {1: "generation_failed", 3: "content_policy_violation"}[status]
    assert ran.json["error"]["code"] in ran.err
    assert len(shell.generations()) == 1, "it is not made again by itself"
    assert shell.balance() == "10.00"


def test_no_funds(make_shell: MakeShell) -> None:
    poor = make_shell(credit="0.07")
    assert "quota_exceeded" in poor.refused(4, "generate", "x", "-o", "x.mp4")
    assert poor.files() == set()
    ran = poor.run("generate", "x", "--count", "3", "--json")
    assert ran.status == 4
    assert len([line for line in ran.out.splitlines() if '"completed"' in line]) == 1
    assert poor.balance() == "0.02"


def test_what_was_refused_is_not_ordered_later(make_shell: MakeShell) -> None:
    poor = make_shell(credit="0.07")
    poor.refused(4, "generate", "x", "-o", "x.mp4")
    assert "Nothing was ordered: " in poor.refused(4, "get", "--last")
    assert poor.journal()[0]["request"] is None
    assert poor.generations() == []


def test_a_key_that_is_none(shell: Shell) -> None:
    said = shell.refused(2, "generate", "x", env={"SAFELIGHT_API_KEY": "sk_nonsense"})
    assert "invalid_api_key" in said and "sk_nonsense" not in said
    assert "no API key for" in shell.refused(2, "generate", "x", env={"SAFELIGHT_API_KEY": ""})


def test_a_server_that_is_away(shell: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = shell.refused(6, "generate", "x", "-o", "x.png", env={"SAFELIGHT_BASE_URL": url})
    assert f"{url} cannot be reached: Connection refused." in said
    assert (shell.files(), shell.journal()) == (set(), [])


def test_netrc_does_no_harm(shell: Shell) -> None:
    (shell.home / ".netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    shell.ok("generate", "x", "-o", "x.png")


@pytest.mark.parametrize("kind", ["image", "video"])
def test_no_wait_and_get(kind: str, shell: Shell) -> None:
    model = {"image": "slow-still", "video": "slow-clip"}[kind]
    ran = shell.ok("generate", "x", "--model", model, "--no-wait")
    assert ran.out == f"{ran.id}\n"
    assert [each["id"] for each in shell.generations()] == [ran.id]
    got = shell.ok("get", ran.id, "-o", "got.{ext}")
    assert got.out.startswith("got.")
    assert shell.files() == {got.out.strip()}
    assert len(shell.generations()) == 1


@pytest.mark.parametrize("cancels", [False, True])
def test_ctrl_c(cancels: bool, shell: Shell) -> None:
    options = ["--cancel-on-interrupt"] if cancels else []
    process = shell.start("generate", "x", "--model", "endless-clip", "-o", "x.mp4", *options)
    eventually(lambda: bool(shell.generations()) and bool(shell.journal()[0]["orders"][0]["id"]), "the order")
    process.send_signal(signal.SIGINT)
    ran = shell.end(process)
    assert (ran.status, ran.out) == (130, ""), ran
    standing = shell.generations()[0]["status"]
    if cancels:
        assert f"{ran.id}: cancellation " in ran.err
        eventually(lambda: shell.generations()[0]["status"] == "failed", "it is canceled")
    else:
        assert f"the work goes on. 'safelight get {ran.id}' gets it." in ran.err
        assert standing == "pending"
        shell.ok("cancel", ran.id)


def test_sigterm_tells_how_to_go_on(shell: Shell) -> None:
    process = shell.start("generate", "x", "--model", "endless-clip", "-o", "x.mp4")
    eventually(lambda: bool(shell.generations()) and bool(shell.journal()[0]["orders"][0]["id"]), "the order")
    process.terminate()
    ran = shell.end(process)
    assert ran.status == 143
    assert f"'safelight get {ran.id}' gets it." in ran.err
    shell.ok("cancel", ran.id)


def test_a_quote_is_the_charge(shell: Shell) -> None:
    quoted = shell.ok("quote", "x", "-o", "x.mp4", "--duration", "5")
    assert quoted.out == "0.50 USD\n"
    assert "clip, 64x64, 5 s: 5 video seconds at 0.10" in quoted.err
    assert shell.ok("quote", "x", "--count", "3").out == "0.15 USD\n"
    assert shell.generations() == []
    exact = shell.ok("quote", "x", "-o", "x.mp4", "--duration", "5", "--json")
    body = {"model": "clip", "prompt": "x", "duration": 5}
    with shell.http() as http:
        assert exact.out == http.post("/v2/videos/generations/quote", json=body).text + "\n"
    shell.ok("generate", "x", "-o", "x.mp4", "--duration", "5")
    assert Decimal(shell.balance()) == Decimal("9.50")


def test_a_home_that_cannot_be_written_is_found_before_anything_is_ordered(shell: Shell) -> None:
    (shell.home / "state").write_text("a file")
    said = shell.refused(1, "generate", "x", "-o", "x.png")
    assert "Nothing was ordered" in said
    assert shell.generations() == []


def test_the_journal_is_closed_and_drops_what_was_asked_for(shell: Shell) -> None:
    shell.ok("generate", "a secret boat", "-o", "boat.png")
    folder = shell.home / "state/safelight/orders"
    (path,) = folder.iterdir()
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    text = path.read_text()
    assert shell.account.key not in text and "secret boat" not in text
    assert json.loads(text)["orders"][0]["id"] == shell.generations()[0]["id"]


def test_open_hands_the_file_to_the_desktop(shell: Shell, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    opener = tools / ("open" if sys.platform == "darwin" else "xdg-open")
    opener.write_text(
        f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened.new; mv {tmp_path}/opened.new {tmp_path}/opened\n'
    )
    opener.chmod(0o755)
    shell.ok("generate", "x", "-o", "x.png", "--open", env={"PATH": f"{tools}:{os.environ['PATH']}"})
    eventually((tmp_path / "opened").exists, "it is opened")
    assert (tmp_path / "opened").read_text() == str(shell.folder / "x.png")
