"""``safelight service``: a unit of systemd that runs what is installed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from safelight.cli.shipped import shipped

SHIPPED_BIN = "/opt/safelight/bin"
"""Where the units that ship look for the command."""


def service(name: Literal["safelight", "safelight-api", "safelight-worker"] = "safelight", /) -> None:
    """Print a unit."""
    unit = (shipped("systemd") / f"{name}.service").read_text(encoding="utf-8")
    print(unit.replace(SHIPPED_BIN, str(Path(sys.executable).parent)), end="")
