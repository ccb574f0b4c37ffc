"""What comes with the package and is no code: the pages, and the units of systemd."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import safelight
from safelight.domain.errors import ConfigurationError

_IN_A_CHECKOUT = {"docs": "docs", "systemd": "deploy/systemd"}


def shipped(name: Literal["docs", "systemd"]) -> Path:
    """The folder: within the installed package, or where a checkout has it. Raises ``ConfigurationError``."""
    package = Path(safelight.__file__).parent
    for folder in (package / name, package.parents[1] / _IN_A_CHECKOUT[name]):
        if folder.is_dir():
            return folder
    raise ConfigurationError(f"{package / name} is missing. Install Safelight again.")
