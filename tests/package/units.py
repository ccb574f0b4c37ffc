"""What the units of systemd say, and which system calls that means."""

from __future__ import annotations

import functools
import socket
import subprocess
from pathlib import Path
from typing import TypedDict

FOLDER = Path(__file__).parents[2] / "deploy/systemd"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.service")))


class Allowed(TypedDict):
    """As ``fence.py`` takes it."""

    calls: list[str]
    families: list[int]
    makes_code: bool


def settings_of(unit: str, name: str) -> list[str]:
    """Every value of a setting, in order."""
    lines = (FOLDER / f"{unit}.service").read_text().splitlines()
    return [value for key, _, value in (line.partition("=") for line in lines) if key == name]


def setting_of(unit: str, name: str) -> str:
    (value,) = settings_of(unit, name)
    return value


def seconds_of(unit: str, name: str) -> int:
    return int(setting_of(unit, name))


@functools.cache
def _sets() -> dict[str, list[str]]:
    """systemd's sets of system calls: the names, and the sets in them."""
    told = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for line in told.splitlines():
        if line.startswith("@"):
            found[line.strip()] = members = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())
    return found


def _calls(name: str) -> set[str]:
    return {name} if not name.startswith("@") else {call for member in _sets()[name] for call in _calls(member)}


def allowed_by(unit: str) -> Allowed:
    """What a process of the unit may ask of the kernel."""
    calls = _calls("@default")
    for value in settings_of(unit, "SystemCallFilter"):
        for name in value.removeprefix("~").split():
            calls = calls - _calls(name) if value.startswith("~") else calls | _calls(name)
    if setting_of(unit, "RestrictNamespaces") == "yes":
        calls -= {"unshare", "setns"}
    families = [int(getattr(socket, name)) for name in setting_of(unit, "RestrictAddressFamilies").split()]
    makes_code = setting_of(unit, "MemoryDenyWriteExecute") != "yes"
    return Allowed(calls=sorted(calls), families=families, makes_code=makes_code)
