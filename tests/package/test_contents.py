"""What is in the wheel and in the source distribution."""

from __future__ import annotations

import ast
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest
from packaging.metadata import Metadata

from safelight import __version__
from tests.package.place import ROOT

CITED = re.compile(r"\bdocs/[A-Za-z0-9_./-]*[A-Za-z0-9_]")
IN_THE_WHEEL = {"src/safelight": "safelight", "docs": "safelight/docs", "deploy/systemd": "safelight/systemd"}


def tracked(*folders: str) -> set[str]:
    """What git has of these folders, or of all."""
    if not (ROOT / ".git").exists():
        pytest.skip("git is not there to tell what belongs to it")
    done = subprocess.run(["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_every_file_of_the_package_and_every_page_and_no_other(names: set[str]) -> None:
    wanted = set()
    for folder, place in IN_THE_WHEEL.items():
        wanted |= {place + name.removeprefix(folder) for name in tracked(folder)}
    pictures = {name for name in wanted if name.startswith(("safelight/docs/images/", "safelight/docs/pictures/"))}
    assert {name for name in names if ".dist-info/" not in name} == wanted - pictures
    for kind in (".sql", ".html", ".css", ".js", ".svg", ".toml", ".md", ".service", "py.typed"):
        assert any(name.endswith(kind) for name in names), kind


def strings(path: Path) -> str:
    """What a file may tell somebody: the texts of a module without its docstrings, all of another file."""
    if path.suffix != ".py":
        return path.read_text()
    text = path.read_text()
    if "docs" not in text:
        return ""
    tree = ast.parse(text)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(str(node.value) for node in texts if id(node) not in docstrings)


def test_every_page_that_the_package_cites_is_in_it(names: set[str]) -> None:
    cited: dict[str, str] = {}
    commands: dict[str, str] = {}
    for name in sorted(tracked("src/safelight", "deploy/systemd")):
        text = strings(ROOT / name)
        cited |= dict.fromkeys(CITED.findall(text), name)
        commands |= dict.fromkeys(re.findall(r"'safelight docs ([a-z/-]+)'", text), name)
    assert len(cited) >= 5 and "operating" in commands
    for page, by in cited.items():
        assert any(name.startswith(f"safelight/{page}") for name in names), f"{by} cites {page}"
    for page, by in commands.items():
        assert f"safelight/docs/{page}.md" in names, f"{by} tells to read {page}"


def test_the_metadata_is_valid_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = f"safelight-{__version__}.dist-info"
        written = archive.read(f"{folder}/METADATA")
        assert archive.read(f"{folder}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        assert b"safelight = safelight.__main__:main" in archive.read(f"{folder}/entry_points.txt")
        assert archive.testzip() is None
    told = Metadata.from_email(written, validate=True)
    assert (told.name, str(told.version), told.license_expression) == ("safelight", __version__, "Apache-2.0")
    assert told.summary and told.description and told.author == "The Safelight authors"
    assert told.requires_python is not None and "3.11" in told.requires_python and "3.10" not in told.requires_python
    assert {"embedded", "builtin", "mcp", "otel", "ray"} == set(told.provides_extra or ())
    from trove_classifiers import classifiers  # of hatchling

    assert set(told.classifiers or ()) <= classifiers and "Typing :: Typed" in (told.classifiers or ())


def test_the_source_distribution_has_what_it_takes_to_build_test_and_read_it(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {str(PurePosixPath(*PurePosixPath(name).parts[1:])) for name in archive.getnames()}
    aside = {name for name in tracked() | found if name.startswith(("tests/", "bench/", "examples/"))}
    assert found - aside == tracked() - aside | {"PKG-INFO"}
    assert {"tests/conftest.py", "bench/servers.py", "examples/image.py"} <= found
