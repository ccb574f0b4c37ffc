"""Options that several commands take, and settings on their way to child processes."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from safelight.cli.numbers import whole
from safelight.cli.tcp_port import with_port
from safelight.domain.text import printable
from safelight.node.settings import EVERY_ADDRESS, PREFIX, Settings, ignored_variables, load_settings, setting_names

DEFAULT_WORKSPACE = "default"

DataDir = Annotated[
    Path | None,
    Parameter(
        name="--data-dir",
        help="Folder of the database, media and keys. Without it: SAFELIGHT_DATA_DIR, or else ./data.",
    ),
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON instead of a table.")]
OneWorkspace = Annotated[str | None, Parameter(help="Only this workspace's.")]
Days = Annotated[int, Parameter(help="How many UTC dates to show, today's included."), whole(1, 3660)]
Host = Annotated[str | None, Parameter(help="Address to listen on. Without it: SAFELIGHT_HOST, or else 127.0.0.1.")]
Port = Annotated[
    int | None,
    Parameter(help="Port to listen on; 0 takes a free one. Without it: SAFELIGHT_PORT, or else 8484."),
    whole(0, 65535),
]
Workers = Annotated[
    int | None, Parameter(help="Number of API processes. Without it: SAFELIGHT_WORKERS, or else 1."), whole(1, 64)
]


def dates(days: int) -> tuple[date, date]:
    """The first and the last of so many UTC dates, today's included."""
    last = datetime.now(UTC).date()
    return last - timedelta(days=days - 1), last


def load_to_start(*, listens: bool, **overrides: Any) -> Settings:
    """The settings for a command that runs on, after a line on stderr for each thing to know about them.

    ``listens``: their port is one that is free. Raises ``ConfigurationError``.
    """
    settings = load_settings(**overrides)
    if listens:
        settings = with_port(settings)
    for note in notes(settings):
        print(f"safelight: {printable(note)}", file=sys.stderr, flush=True)
    return settings


def notes(settings: Settings) -> list[str]:
    """What is allowed, and not what most people want."""
    found = ignored_variables(os.environ)
    if settings.public_url is None and settings.host in EVERY_ADDRESS:
        found.append(
            f"Download links begin with {settings.base_url}, which other machines cannot follow. Set "
            "SAFELIGHT_PUBLIC_URL to the address that clients use."
        )
    return found


def as_environment(settings: Settings) -> dict[str, str]:
    """Environment variables from which ``load_settings`` makes the same settings again."""
    variables = {}
    for name, field in setting_names().items():
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            value = os.path.abspath(value)  # noqa: PTH100 - links stay as they are
            if value[-1:].isspace():
                value += "/"  # blanks at the end of a variable are nothing
        if value is not None:
            unit = "s" if field.name.endswith("_seconds") else ""
            variables[PREFIX + name.upper()] = f"{value}{unit}"
    return variables
