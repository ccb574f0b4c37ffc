"""Options that several commands take, and settings on their way to child processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from safelight.node.settings import PREFIX, Settings, setting_names

DEFAULT_WORKSPACE = "default"

DataDir = Annotated[
    Path | None,
    Parameter(
        name="--data-dir",
        help="Folder of the database, media and keys. Without it: SAFELIGHT_DATA_DIR, or else ./data.",
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]
Host = Annotated[str | None, Parameter(help="Address to listen on. Without it: SAFELIGHT_HOST, or else 127.0.0.1.")]
Port = Annotated[int | None, Parameter(help="Port to listen on. Without it: SAFELIGHT_PORT, or else 8484.")]
Workers = Annotated[int | None, Parameter(help="Number of API processes. Without it: SAFELIGHT_WORKERS, or else 1.")]


def as_environment(settings: Settings) -> dict[str, str]:
    """Environment variables from which ``load_settings`` makes the same settings again."""
    variables = {}
    for name, field in setting_names().items():
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            value = os.path.abspath(value)  # noqa: PTH100 - links stay as they are
        if value is not None:
            unit = "s" if field.name.endswith("_seconds") else ""
            variables[PREFIX + name.upper()] = f"{value}{unit}"
    return variables
