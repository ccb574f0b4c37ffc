"""The units of systemd, by its own judgement, and the settings that must fit ours."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from safelight.cli import every_command, supervisor
from safelight.cli import run as run_here
from safelight.cli.service import SHIPPED_COMMAND, service
from safelight.db import embedded
from safelight.node.settings import Settings
from tests.package.place import ROOT, open_state, prefix, run
from tests.package.units import FOLDER, NAMES, seconds_of, setting_of

OPERATING = (ROOT / "docs/operating.md").read_text()
MOST_EXPOSED = 1.6
"""Of 10 (systemd-analyze(1)). What is left is the network that it serves, and users that PrivateUsers= would hide."""


def test_they_are_the_three() -> None:
    assert NAMES == ("safelight", "safelight-api", "safelight-worker")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("folder", ["bin", "50% of my software"])
def test_systemd_finds_nothing_wrong(
    name: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command prints it, with the command where it is said to be."""
    command = tmp_path / folder / "safelight"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command.with_name("python")))
    service(name)  # type: ignore[arg-type]
    unit = tmp_path / f"{name}.service"
    unit.write_text(capsys.readouterr().out)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_they_are_hardened(name: str) -> None:
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", FOLDER / f"{name}.service"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", judged)
    assert float(exposure) <= MOST_EXPOSED, judged


def test_the_times_fit_ours() -> None:
    defaults = Settings()
    for name in NAMES:
        assert setting_of(name, "Type") == "notify"
        assert seconds_of(name, "TimeoutStopSec") >= 2 * defaults.shutdown_seconds
    slowest = max(embedded._START_SECONDS, supervisor._READY_SECONDS)
    for setting in ("TimeoutStartSec", "WatchdogSec"):  # a database that reads its log through is no hung process
        assert seconds_of("safelight", setting) > slowest


@pytest.mark.parametrize("name", NAMES)
def test_the_command_prints_the_unit_for_where_it_is_installed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open_state() as state:
        printed = run("venv", state, "safelight", "service", name).stdout
    assert printed == (FOLDER / f"{name}.service").read_text().replace(
        SHIPPED_COMMAND, str(prefix("venv") / "bin/safelight")
    )
    assert run_here(["service", name]) == 0
    assert SHIPPED_COMMAND not in capsys.readouterr().out


def test_what_is_no_unit_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(["service", "nonsense"]) == 2
    assert json.dumps("safelight-api")[1:-1] in capsys.readouterr().err


def test_the_page_says_to_type_what_there_is() -> None:
    """Its commands are known, and its units, users and folders are those of the units."""
    page = (ROOT / "docs/install.md").read_text()
    typed = re.findall(
        r"^(?:\S*/)?bin/safelight (.+?)(?: [>-].*)?$|-- /opt/safelight/bin/safelight (.+?) --", page, re.M
    )
    commands = {" ".join(words) for words in every_command()}
    units = set()
    for words in map("".join, typed):
        name, _, rest = words.partition(" ")
        assert words in commands or name in commands, words
        units |= {rest} if name == "service" and rest else set()
    assert units < set(NAMES)
    assert {"service", "up", "keys list"} <= {"".join(each) for each in typed}
    for name in NAMES:
        assert setting_of(name, "User") == "safelight" and "useradd --system --home-dir /var/lib/safelight" in page
        assert setting_of(name, "StateDirectory") == "safelight"
        assert setting_of(name, "EnvironmentFile").removeprefix("-") == "/etc/safelight/env"


def test_the_file_of_settings_is_read_alike_by_systemd_and_by_a_shell() -> None:
    """systemd takes no ``export`` (systemd.exec(5), EnvironmentFile=)."""
    (written,) = re.findall(r"^cat > /etc/safelight/env <<END\n(.*?)^END$", OPERATING, re.M | re.S)
    for line in written.splitlines():
        assert re.fullmatch(r"SAFELIGHT_[A-Z_]+='[^']*'", line), line
