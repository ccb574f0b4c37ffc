"""No command shows a traceback, whatever it is told and wherever it is run: one line says what is wrong."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import structlog

from safelight import wiring
from safelight.cli import commands_of_an_installation, run
from tests.support.server import free_port, open_folder

# What each command needs at least; "{file}" is a file that is no picture.
LEAST = {
    ("up",): [],
    ("serve",): [],
    ("worker",): [],
    ("migrate",): [],
    ("dashboard",): [],
    ("doctor",): [],
    ("sweep",): [],
    ("nginx-config",): [],
    ("books",): [],
    ("backup",): ["{file}"],
    ("restore",): ["{file}"],
    ("archive", "run"): [],
    ("archive", "list"): [],
    ("archive", "find"): ["req-" + "0" * 26],
    ("docs",): [],
    ("service",): [],
    ("usage",): [],
    ("margins",): [],
    ("provenance", "init"): [],
    ("provenance", "show"): [],
    ("provenance", "verify"): ["{file}"],
    ("keys", "create"): [],
    ("keys", "list"): [],
    ("keys", "revoke"): ["1"],
    ("workspaces", "create"): ["walked"],
    ("workspaces", "list"): [],
    ("workspaces", "limits"): ["default"],
    ("workspaces", "erase"): ["walked", "--yes"],
    ("signing-keys", "list"): [],
    ("signing-keys", "add"): [],
    ("signing-keys", "retire"): ["k1"],
    ("credit", "add"): ["default", "1", "--reason", "x"],
    ("credit", "history"): ["default"],
    ("models", "list"): [],
    ("models", "show"): ["seedream-5-lite"],
    ("models", "check"): [],
    ("models", "init"): ["{file}"],
    ("generations", "show"): ["req-" + "0" * 26],
    ("comfyui", "import"): ["{file}"],
    ("model-server",): ["--catalog", "{file}"],
    ("webhooks", "create"): [],
    ("webhooks", "list"): [],
    ("webhooks", "rotate"): ["1"],
    ("webhooks", "enable"): ["1"],
    ("webhooks", "delete"): ["1"],
    ("webhooks", "deliveries"): [],
    ("webhooks", "redeliver"): ["1"],
}
OPTIONS = {
    ("up",): ["--host", "--port", "--workers"],
    ("serve",): ["--host", "--port", "--workers"],
    ("sweep",): ["--days", "--older-than"],
    ("nginx-config",): ["--upstream", "--listen"],
    ("usage",): ["--workspace", "--days"],
    ("margins",): ["--workspace", "--days"],
    ("provenance", "verify"): ["--root"],
    ("keys", "create"): ["--workspace", "--name", "--spend-cap", "--expires-days"],
    ("keys", "list"): ["--workspace"],
    ("workspaces", "limits"): ["--image-rpm", "--video-rpm", "--concurrency"],
    ("credit", "add"): ["--reason"],
    ("comfyui", "import"): ["--model", "--name", "--connection", "--url"],
    ("model-server",): ["--host", "--port", "--address", "--key"],
    ("webhooks", "create"): ["--workspace", "--events"],
    ("webhooks", "list"): ["--workspace"],
    ("webhooks", "rotate"): ["--keep-hours"],
    ("webhooks", "deliveries"): ["--workspace", "--endpoint", "--state", "--limit"],
    ("webhooks", "redeliver"): ["--endpoint"],
}
NEED_NO_DATABASE = {("docs",), ("service",), *(("models", name) for name in ("list", "show", "check"))}
RUN_ON = {("up",), ("serve",), ("worker",)}
ODD = [
    "",
    "-1",
    "0",
    "nan",
    "1e400",
    "9" * 40,
    "x" * 5000,
    "\udcff",
    "Ünï code",
    "../..",
    "'; select 1",
    "-99999999999",
]


@pytest.fixture(scope="module")
def place(databases: object) -> Iterator[dict[str, str]]:
    """A migrated database and a data folder, as an environment."""
    with open_folder() as folder:
        (folder / "words").write_text("no picture")
        yield {
            "SAFELIGHT_CONFIG": "/dev/null",
            "SAFELIGHT_DATABASE_URL": databases.create(),  # type: ignore[attr-defined]
            "SAFELIGHT_DATA_DIR": str(folder / "data"),
            "file": str(folder / "words"),
        }


@pytest.fixture(autouse=True)
def in_place(place: dict[str, str]) -> Iterator[None]:
    """What a command puts into the environment for its children goes with the test; what it writes, with the folder."""
    settings = {name: value for name, value in place.items() if name.startswith("SAFELIGHT_")}
    with mock.patch.dict(os.environ, settings), contextlib.chdir(Path(place["file"]).parent):
        yield
    structlog.reset_defaults()


def one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command here; its status and what it said on stderr: a line where it failed, and no fault of ours."""
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = []  # what the command before wrote to is closed
    try:
        status = run(arguments)
    except BaseException as error:
        raise AssertionError(ascii(f"{arguments}: {error!r} came out")) from None
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("safelight: ")]
    assert status in (0, 1, 2), ascii(arguments)
    assert "Traceback" not in said and "fault of Safelight's own" not in said, ascii((arguments, said))
    assert status != 2 or len(lines) == 1, ascii((arguments, said))
    assert "\n" not in said.strip(), ascii((arguments, said))
    return status, said


def least(words: tuple[str, ...], place: dict[str, str]) -> list[str]:
    return [value.format(**place) for value in LEAST[words]]


def test_the_walk_knows_every_command() -> None:
    assert set(LEAST) == set(commands_of_an_installation())


@pytest.mark.parametrize("words", LEAST, ids=" ".join)
def test_odd_arguments(words: tuple[str, ...], place: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    usual = least(words, place)
    for odd in ODD:
        for at, value in enumerate(usual):
            if not value.startswith("--"):
                one_line([*words, *usual[:at], odd, *usual[at + 1 :]], capsys)
        one_line([*words, *usual, odd, "--no-such-option"], capsys)
        for option in OPTIONS.get(words, []):
            if words in RUN_ON and odd in ("0", "", "Ünï code"):
                continue  # a start that works, or one that asks the network for a name
            asked = [*words, *(value for value in usual if option != "--endpoint"), option, odd]
            one_line(asked, capsys)


@pytest.mark.parametrize(
    "words", [words for words in LEAST if words[0] not in ("up", "provenance", "signing-keys", "nginx-config")]
)
@pytest.mark.parametrize("url", ["away", "bare", "mysql://x/y", "postgresql://[::1"])
def test_a_database_that_is_none(
    words: tuple[str, ...],
    url: str,
    place: dict[str, str],
    databases: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if url == "away":
        url = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/nothing"
    if url == "bare":
        if words in (("migrate",),):
            return
        url = databases.create_bare()  # type: ignore[attr-defined]
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", url)
    status, said = one_line([*words, *least(words, place)], capsys)
    assert status == (0 if words in NEED_NO_DATABASE else 1)
    assert "hunter2" not in said


@pytest.mark.parametrize("words", LEAST, ids=" ".join)
@pytest.mark.parametrize("kind", ["below a file", "where nobody may write", "a loop"])
def test_a_folder_that_is_none(
    words: tuple[str, ...],
    kind: str,
    place: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    folder = {
        "below a file": f"{place['file']}/data",
        "where nobody may write": "/proc/1/nothing/here",
        "a loop": str(loop),
    }[kind]
    for url in (place["SAFELIGHT_DATABASE_URL"], ""):
        monkeypatch.setenv("SAFELIGHT_DATABASE_URL", url)
        one_line([*words, *least(words, place), "--data-dir", folder], capsys)


@pytest.mark.parametrize("words", LEAST, ids=" ".join)
def test_files_that_are_none(
    words: tuple[str, ...],
    place: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\x00\xfe")
    chain = tmp_path / "chain"
    chain.mkdir()
    (chain / "chain.pem").write_text("no PEM")
    (chain / "key.pem").write_text("no PEM")
    (chain / "root.pem").write_bytes(b"\xff\x00")
    with_keys = tmp_path / "with keys"
    with_keys.mkdir()
    (with_keys / "signing-keys").mkdir()
    for name, value in (
        ("SAFELIGHT_CONFIG", str(tmp_path)),
        ("SAFELIGHT_CONFIG", str(binary)),
        ("SAFELIGHT_CATALOG", str(tmp_path)),
        ("SAFELIGHT_CATALOG", str(binary)),
        ("SAFELIGHT_PROVENANCE_DIR", str(chain)),
        ("SAFELIGHT_PROVENANCE_DIR", str(binary)),
        ("SAFELIGHT_DATA_DIR", str(with_keys)),
        ("SAFELIGHT_SIGNING_KEYS", "k1:\udcff"),
        ("SAFELIGHT_REFERENCES_ALLOW", "not a host:x"),
        ("SAFELIGHT_PUBLIC_URL", "media.example.com"),
    ):
        if words in RUN_ON and name == "SAFELIGHT_DATA_DIR" and words == ("up",):
            continue
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            if words in RUN_ON:
                patch.setenv("SAFELIGHT_DATABASE_URL", "nonsense")  # so that none of them runs on
            one_line([*words, *least(words, place)], capsys)


def test_what_nobody_foresaw_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> None:
        raise KeyError(f"a secret {secrets.token_hex(4)}")

    monkeypatch.setattr(wiring, "open_media_store", broken)
    assert run(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("safelight: This is a fault of Safelight's own: KeyError at checks.py:")
    assert "a secret" not in said and len(said.splitlines()) == 1
