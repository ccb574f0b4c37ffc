"""What keeps the rooms of the API apart holds: each contract breaks where it is planted against."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
API = "safelight.api"


@pytest.mark.parametrize(
    ("module", "planted", "broken"),
    [
        ("api/getimg/models.py", "from safelight.db.pool import Database", "never the database BROKEN"),
        ("api/health.py", "import psycopg", "never the database BROKEN"),
        ("api/bodies.py", "from safelight.api.getimg.wire import ErrorBody", "imports no dialect"),
        ("api/app.py", "from safelight.api.getimg import routes", "imports no dialect"),
    ],
)
def test_a_planted_import_breaks_its_contract(module: str, planted: str, broken: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src/safelight", tmp_path / "safelight")
    path = tmp_path / "safelight" / module
    first = "from __future__ import annotations\n"
    path.write_text(path.read_text().replace(first, f"{first}\n{planted}\n", 1))
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / "pyproject.toml", "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1, done.stdout
    assert broken in done.stdout
    assert "1 broken" in done.stdout


def test_no_dialect_imports_another() -> None:
    graph = grimp.build_graph("safelight")
    rooms = [child for child in graph.find_children(API) if graph.find_children(child)]
    assert f"{API}.getimg" in rooms
    for room in rooms:
        for other in set(rooms) - {room}:
            assert not graph.find_illegal_dependencies_for_layers(layers=(room, other))
