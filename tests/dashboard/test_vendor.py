"""Others' files are as they were published, and every file of the dashboard goes along in the package."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib
from pathlib import Path

from safelight.dashboard.assets import Assets
from tests.dashboard.vendor import FOLDER, LIST

ROOT = Path(__file__).parents[2]
FREE = {"0BSD", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0"}
"""Licences, by their SPDX names, under which a file may go along with this project's own."""


def test_others_files_are_as_they_were_published() -> None:
    listed = {entry["file"]: entry for entry in tomllib.loads(LIST.read_text())["files"]}
    there = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file() and path != LIST}
    assert there == set(listed)
    for name, entry in listed.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == entry["sha256"], name
        assert entry["licence"] in FREE, name
        assert {"package", "version", "path"} <= set(entry), name


def test_licences_are_told_to_people() -> None:
    told = (ROOT / "docs/dashboard.md").read_text()
    for entry in tomllib.loads(LIST.read_text())["files"]:
        assert f"{entry['package']} {entry['version']} ({entry['licence']})" in told


def test_the_package_has_every_page_and_file(tmp_path: Path) -> None:
    """Hatchling takes all of a package but what git is told to ignore (`tests/package` looks into the wheel itself)."""
    shutil.copy(ROOT / ".gitignore", tmp_path)
    folders = [ROOT / "src/safelight/dashboard" / name for name in ("static", "templates")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files.append(ROOT / "src/safelight/api/reference.js")
    names = "\n".join(path.relative_to(ROOT).as_posix() for path in files)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    ignored = subprocess.run(
        ["git", "-C", tmp_path, "check-ignore", "--stdin"], input=names, capture_output=True, text=True, check=False
    )
    assert (ignored.returncode, ignored.stdout) == (1, ""), ignored
    assert len(files) > 30


def test_what_a_page_names_is_among_the_files() -> None:
    """Templates ask for files by name, which are looked up when a page is made: none may be missing."""
    assets = Assets()
    for path in (ROOT / "src/safelight/dashboard/templates").rglob("*.html"):
        for piece in path.read_text().split("asset('")[1:]:
            assert assets.path_of(piece.split("'")[0])
