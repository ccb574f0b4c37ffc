"""The compose file of several nodes, each service in a network of its own, one node of each kind killed under way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.deploy.conftest import BUILT
from tests.deploy.engine import REPOSITORY, Image


def test_it_serves_on_when_nodes_are_killed(image: Image, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run(
        [*namespaces, sys.executable, "-m", "tests.deploy.cluster", str(BUILT), str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert [seen[when]["status"] for when in ("before", "after")] == ["completed"] * 2
    assert [video["status"] for video in seen["videos"]] == ["completed"] * 2
    assert "The books balance." in seen["books"]
    assert seen["stopped"] == {"api-2": 0, "worker-2": 0}
