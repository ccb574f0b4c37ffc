"""What the compose files say, as a container engine reads them: anchors, variables, and one service's plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def read(name: str, variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A compose file with its variables filled in. Raises ``KeyError`` for one that must be set and is not."""
    document = yaml.safe_load((FOLDER / name).read_text())
    return dict(_filled(document, variables or {}))


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if not isinstance(value, str):
        return value

    def text_of(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        if name not in variables and kind != "-":
            raise KeyError(f"{name}: {text}")
        return variables.get(name, text)

    return _VARIABLE.sub(text_of, value)


def read_env(path: Path) -> dict[str, str]:
    """The variables of an ``.env`` file."""
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line)


def grace_seconds(service: Mapping[str, Any]) -> int:
    """How long a service is waited for when it is asked to stop."""
    return int(service["stop_grace_period"].removesuffix("s"))
