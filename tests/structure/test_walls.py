"""Each import contract of pyproject.toml holds, and is broken by an import that is planted in a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]

Plant = dict[str, str]
"""Files of src/safelight that nobody has, and what is in them."""

_TYPE_CHECKING = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "

PLANTS: dict[str, list[Plant]] = {
    "Layers, from the outside in": [
        {"webhooks/planted.py": "import safelight.moderation"},  # a sibling
        {"telemetry/planted.py": _TYPE_CHECKING + "import safelight.moderation"},  # upward, and only for types
        {"planted.py": ""},  # in no layer
        {"model_server/planted.py": "import safelight.lifecycle.services"},  # a backend knows nothing of orders' money
    ],
    "No import between packages goes in a circle": [
        {
            "domain/planted/one.py": "import safelight.domain.planted_too.one",
            "domain/planted_too/two.py": _TYPE_CHECKING + "import safelight.domain.planted.two",
        },
    ],
    "No import between modules goes in a circle": [
        {
            "domain/planted/__init__.py": "import safelight.domain.planted.child",
            "domain/planted/child.py": _TYPE_CHECKING + "import safelight.domain.planted",
        },
    ],
    "The domain stands on the standard library and msgspec": [{"domain/planted.py": "import structlog"}],
    "The domain does no I/O": [{"domain/planted.py": "import subprocess"}],
    "Wiring alone imports stores and providers": [
        {"lifecycle/planted.py": "import safelight.providers.noop"},
        {"keeping/planted.py": "import safelight.blobs.local"},
        {"accounts/planted.py": "import safelight.blobs"},
        {"jobs/planted.py": "import safelight.providers.chaos"},
        {"api/planted.py": "def use(): from safelight.providers.builtin.provider import BuiltinProvider"},
        {"cli/planted.py": "import safelight.blobs.remote"},
    ],
    "Providers do not import each other": [{"providers/planted.py": "import safelight.providers.builtin.spec"}],
    "Wiring alone imports dialects": [
        {"api/planted.py": "import safelight.api.getimg.wire"},
        {"api/planted/routes.py": "import safelight.api.getimg.wire"},
        {"api/planted/routes.py": "", "api/planted_too.py": "import safelight.api.planted.routes"},
    ],
    "The API and the dashboard reach the database through services": [
        {"api/planted.py": "import safelight.db.pool"},
        {"api/getimg/planted.py": "import psycopg"},
        {"dashboard/planted.py": "import safelight.db.pool"},
    ],
    "The model server alone imports what computes pictures": [
        {"providers/planted.py": "def use(): import diffusers"},
        {"cli/planted.py": _TYPE_CHECKING + "import torch"},
    ],
    "The MCP server stands on the SDK, and calls the API from outside": [
        {"mcp/planted.py": "import starlette.requests"},
        {"mcp/planted.py": "def use(): import pydantic"},
        {"mcp/planted.py": "import safelight.node.settings"},
    ],
    "What serves MCP alone imports it, and the SDK": [
        {"api/planted.py": "import safelight.mcp.server"},
        {"api/getimg/planted.py": "from mcp.server.lowlevel import Server"},
        {"cli/client/planted.py": _TYPE_CHECKING + "import safelight.mcp.api"},
        {"jobs/planted.py": "import mcp_types"},
    ],
    "One module alone imports OpenTelemetry": [
        {"api/planted.py": "from opentelemetry import trace"},
        {"telemetry/planted.py": "def use(): import opentelemetry.sdk.trace"},
    ],
    "MCP within the process goes through the API as well": [
        {"api/mcp/planted.py": "import safelight.lifecycle.submit"},
        {"api/mcp/planted.py": "import safelight.keeping.expire"},
        {"api/mcp/planted.py": "import safelight.accounts.keys"},
    ],
    "The command line's client speaks HTTP alone": [
        {"cli/client/planted.py": "import safelight.wiring"},
        {"cli/client/planted.py": "import safelight.cli.database"},  # which has it
        {"cli/client/planted.py": _TYPE_CHECKING + "import safelight.lifecycle.services"},
        {"cli/client/planted.py": "import safelight.node.settings"},
        {"cli/client/planted.py": "import safelight.webhooks.sender"},
        {"cli/client/planted.py": "def use(): import starlette"},
    ],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of src/."""
    copy = tmp_path_factory.mktemp("walls") / "src"
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture
def plant(source: Path, request: pytest.FixtureRequest) -> Callable[[Plant], None]:
    """Plants files in the copy, and takes them out when the test ends."""

    def put(files: Plant) -> None:
        for name, text in files.items():
            path = source / "safelight" / name
            assert not path.exists()
            if not path.parent.exists():
                request.addfinalizer(lambda folder=path.parent: shutil.rmtree(folder))
                path.parent.mkdir()
                (path.parent / "__init__.py").touch()
            request.addfinalizer(lambda path=path: path.unlink(missing_ok=True))
            path.write_text(text)

    return put


def broken(source: Path) -> set[str]:
    """The contracts that import-linter finds broken in these sources, by the project's own configuration."""
    environment = os.environ | {"PYTHONPATH": str(source), "COLUMNS": "300"}
    command = [LINT_IMPORTS, "--no-logo", "--cache-dir", source.parent / "cache"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    verdicts = dict(re.findall(r"^(.+?) (KEPT|BROKEN)(?: \(.+\))?$", run.stdout, flags=re.M))
    assert list(verdicts) == CONTRACTS, run.stdout + run.stderr
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


def test_every_contract_holds(source: Path) -> None:
    assert broken(source) == set()


def test_every_contract_has_a_plant() -> None:
    assert set(CONTRACTS) <= set(PLANTS)


@pytest.mark.parametrize(
    ("contract", "files"), [(contract, files) for contract in CONTRACTS for files in PLANTS.get(contract, [])]
)
def test_a_planted_import_breaks_its_contract_alone(
    contract: str, files: Plant, source: Path, plant: Callable[[Plant], None]
) -> None:
    plant(files)
    assert broken(source) == {contract}
