"""What these commands import, and that each says all it has to say in one line, whatever it is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from safelight.cli import client_commands, run
from safelight.cli.client.inline import iterm2, kitty, protocol_of
from tests.support.server import PATIENCE_SECONDS, clean_environment, safelight

HEAVY = (
    "aiohttp",
    "asyncio",
    "ssl",
    "numpy",
    "psycopg",
    "starlette",
    "structlog",
    "av",
    "PIL",
    "safelight.api",
    "safelight.node.settings",
)
FAR = (
    "psycopg",
    "starlette",
    "numpy",
    "av",
    "PIL",
    "safelight.wiring",
    "safelight.db",
    "safelight.api",
    "safelight.lifecycle",
)
LEAST = {
    "trigger": ["balance.low"],
    "generate": ["x"],
    "quote": ["x"],
    "get": ["req-" + "0" * 26],
    "wait": ["x"],
    "cancel": ["x"],
    "completion": ["fish"],
}
ODD = [
    "",
    "-1",
    "nan",
    "9" * 40,
    "x" * 5000,
    "\udcff",
    "Ünï code",
    "../..",
    "--",
    "http://[",
    "req-",
    "a:b:c",
    "=",
    "0",
]
OPTIONS = {
    "generate": [
        "--model",
        "-o",
        "-i",
        "--aspect-ratio",
        "--format",
        "--duration",
        "--seed",
        "--option",
        "--max-cost",
        "--count",
    ],
    "quote": ["--model", "-o", "-i", "--negative-prompt"],
    "get": ["-o"],
    "jobs": ["--type", "--status", "--limit"],
    "login": ["--base-url"],
}


_RUNS = """
import json, sys
from safelight.cli import run
packages, *commands = json.loads(sys.argv[1])
for command in commands:
    try:
        status = run(command)
    except SystemExit as leaving:
        status = leaving.code
    found = [name for name in sys.modules if any(name == each or name.startswith(each + ".") for each in packages)]
    print("\\n" + json.dumps([command, status, found]), flush=True)
"""


def imported(
    packages: tuple[str, ...], *commands: list[str], env: dict[str, str] | None = None
) -> Iterator[tuple[list[str], int, list[str]]]:
    """Each command of a process that runs them one after another, its exit status, and what of ``packages`` is there
    by then."""
    done = subprocess.run(
        [sys.executable, "-c", _RUNS, json.dumps([packages, *commands])],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(env),
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('[["')]
    assert [command for command, _, _ in told] == list(commands), done.stderr
    yield from told


def test_help_imports_nothing_that_talks() -> None:
    commands = [["--help"], *([*words, "--help"] for words in client_commands())]
    for command, status, found in imported(HEAVY, *commands):
        assert (status, found) == (0, []), command


class _NotFound(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        with suppress(OSError):  # it has left
            self.send_error(404)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def nothing_there() -> Iterator[str]:
    """The address of a server that has nothing."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _NotFound) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_commands_themselves_import_nothing_of_the_server(nothing_there: str, tmp_path: Path) -> None:
    env = {
        "SAFELIGHT_BASE_URL": nothing_there,
        "SAFELIGHT_API_KEY": "sk_x",
        "XDG_CONFIG_HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }
    talking = [words for words in client_commands() if words != ("completion",)]
    commands = [[*words, *LEAST.get(words[0], [])] for words in talking]
    commands.sort(key=lambda command: command == ["mcp"])  # the last: the SDK imports a web server's library
    for command, _, found in imported((*FAR, "aiohttp"), *commands, env=env):
        expected = {"aiohttp", "starlette"} if command == ["mcp"] else {"aiohttp"}
        assert {name.split(".")[0] for name in found} == expected, command


@pytest.mark.parametrize("words", client_commands(), ids=" ".join)
def test_odd_arguments_are_answered_in_a_line(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("SAFELIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SAFELIGHT_BASE_URL", "nonsense")  # nothing is to be asked anywhere
    monkeypatch.setenv("SAFELIGHT_API_KEY", "sk_secret")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - it ends with the test
    usual = LEAST.get(words[0], [])
    for odd in ODD:
        asked = [[*words, odd], [*words, *usual, odd, "--no-such-option"]]
        asked += [[*words, *usual, option, odd] for option in OPTIONS.get(words[0], [])]
        for arguments in asked:
            status = run(arguments)
            said = capsys.readouterr().err
            assert status in (1, 2), ascii((arguments, said))
            assert said.startswith("safelight: ") and "\n" not in said.strip(), ascii((arguments, said))
            assert "fault of Safelight's own" not in said and "sk_secret" not in said, ascii((arguments, said))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    done = safelight("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("generate", "--max-cost", "webhooks", "redeliver", "top"):
        assert word.removeprefix("--") in done.stdout
    script = tmp_path / f"safelight.{shell}"
    script.write_text(done.stdout)
    read = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


def test_bash_completes(tmp_path: Path) -> None:
    script = tmp_path / "safelight.bash"
    script.write_text(safelight("completion", "bash").stdout)
    ask = (
        f"source {script}; spec=$(complete -p safelight); COMP_WORDS=(safelight ge); COMP_CWORD=1; "
        'COMP_LINE="safelight ge"; COMP_POINT=12; function=$(sed "s/.*-F \\([^ ]*\\).*/\\1/" <<< "$spec"); '
        '$function safelight ge safelight; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert {"generate", "get", "generations"} >= set(done.stdout.split()) >= {"generate", "get"}


def test_pictures_are_shown_where_the_terminal_is_known_to_show_them() -> None:
    assert protocol_of({"TERM": "xterm-256color"}, "image/png") is None
    assert protocol_of({"TERM": "xterm-kitty"}, "image/png") is kitty
    assert protocol_of({"TERM": "xterm-kitty"}, "image/jpeg") is None, "it takes none"
    assert protocol_of({"TERM_PROGRAM": "iTerm.app"}, "image/webp") is iterm2
    assert protocol_of({"TERM_PROGRAM": "iTerm.app", "TMUX": "1"}, "image/webp") is None
    assert protocol_of({"TERM_PROGRAM": "iTerm.app"}, "video/mp4") is None
    assert kitty(b"x" * 6000).count("\x1b_G") == 2
    assert kitty(b"x").endswith("\x1b\\\n") and iterm2(b"x").endswith("eA==\x07\n")
