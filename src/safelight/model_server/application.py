"""What Ray Serve is pointed to: ``safelight.model_server.application:build``, with ``args`` as ``Arguments`` says.

Nothing of Ray is imported before ``build`` is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.connection_reader import read_struct
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Pipeline
from safelight.node.operator_files import read_toml

NEEDS = ("ray", "torch", "diffusers")
"""What the extra ``ray`` brings."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``catalog``: the file with ``[[pipelines]]``; folders that it names are where it says on each machine.

    ``key``: what callers have to show, by reference, which is read on the machine of the ingress. ``open``: there is
    none, and whoever reaches the server may order.
    """

    catalog: str
    key: Secret | None = None
    open: bool = False


def read_arguments(args: dict[str, Any]) -> Arguments:
    """Raises ``ConfigurationError``."""
    arguments = read_struct(args, Arguments, "args")
    if (arguments.key is None) is not arguments.open:
        raise ConfigurationError(
            "args.key: give the server a key (env:NAME or file:PATH), or say open = true. Not both."
        )
    return arguments


def pipelines_in(catalog: Path) -> tuple[Pipeline, ...]:
    """The pipelines that a catalog declares; of the rest nothing is looked at. Raises ``ConfigurationError``."""
    try:
        document = read_toml(catalog)
    except FileNotFoundError:
        raise ConfigurationError(f"There is no catalog {catalog}. Correct its path.") from None
    entries = document.get("pipelines", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError(f"{catalog}: pipelines: it is no list of tables. Write each as [[pipelines]].")
    if not entries:
        raise ConfigurationError(f"{catalog}: pipelines: there is none. Declare at least one [[pipelines]].")
    return read_pipelines(entries, source=str(catalog))


def build(args: dict[str, Any]) -> Any:
    """The application for Ray Serve. Raises ``ConfigurationError``."""
    arguments = read_arguments(args)
    catalog = Path(arguments.catalog).absolute()
    pipelines = pipelines_in(catalog)
    from safelight.model_server.serving import deployed

    return deployed(pipelines, catalog.parent, arguments.key)
