"""``safelight service``: a unit of systemd that runs what is installed here."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Literal

from safelight.cli.shipped import shipped

SHIPPED_COMMAND = "/opt/safelight/bin/safelight"
"""What the units that ship run."""

_PLAIN = re.compile(r"[A-Za-z0-9/._+@:-]+")


def service(name: Literal["safelight", "safelight-api", "safelight-worker"] = "safelight", /) -> None:
    """Print a unit."""
    unit = (shipped("systemd") / f"{name}.service").read_text(encoding="utf-8")
    print(unit.replace(SHIPPED_COMMAND, _written(Path(sys.executable).with_name("safelight"))), end="")


def _written(command: Path) -> str:
    """As a command line of a unit has it. Source: systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting"."""
    text = str(command).replace("%", "%%")
    return text if _PLAIN.fullmatch(text) else f'"{text}"'
