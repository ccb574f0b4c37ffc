"""The docs tell what the code has, all of it and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safelight.api.getimg.openapi import document
from safelight.api.openai.routes import DIALECT as OPENAI
from safelight.cli import make_app
from safelight.domain import errors
from safelight.node.killpoints import KILLPOINTS
from safelight.node.settings import PREFIX, Settings, setting_names

ROOT = Path(__file__).parent.parent
DOCS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "docs").rglob("*.md")}
README = (ROOT / "README.md").read_text()


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = re.split(rf"^#+ {re.escape(heading)}$", DOCS[page], flags=re.M)[1]
    lines = [line for line in re.split(r"^#", section, flags=re.M)[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def documented_default(name: str) -> str:
    value = getattr(Settings(), setting_names()[name].name)
    if value is None:
        return ""
    if setting_names()[name].name.endswith("_seconds"):
        unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if value % s == 0)
        return f"`{value // size}{unit}`"
    return f"`{value}`"


def test_every_setting_is_in_the_table_with_its_default_and_meaning() -> None:
    told = {cells[0].strip("`"): [cells[1], cells[3]] for cells in rows("docs/reference/settings.md", "Settings")}
    known = {
        PREFIX + name.upper(): [documented_default(name), field.type.extra_json_schema["description"]]
        for name, field in setting_names().items()
    }
    assert told == known


def test_every_error_code_is_told() -> None:
    told = {cells[0].strip("`") for cells in rows("docs/api.md", "Errors")}
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    codes = {item.code for item in classes if issubclass(item, errors.SafelightError)}
    assert told == codes - {"configuration_error"}


def test_every_route_is_told() -> None:
    told = {(cells[0].strip("`").split()[0], cells[0].strip("`").split()[1]) for cells in rows("docs/api.md", "Routes")}
    known = {(method.upper(), path) for path, methods in document()["paths"].items() for method in methods}
    assert told == known


def test_every_route_of_openais_api_is_told() -> None:
    told = {tuple(cells[0].strip("`").split()) for cells in rows("docs/openai.md", "Routes")}
    assert told == {(route.method, route.path.replace(":path", "")) for route in OPENAI.routes}


def commands() -> set[str]:
    found = set()
    app = make_app()
    for name in app:
        if name.startswith("-"):
            continue
        members = [member for member in app[name] if not member.startswith("-")]
        found |= {f"{name} {member}" for member in members} or {name}
    return found


def test_every_command_is_told() -> None:
    told = {cells[0].strip("`").removeprefix("safelight ") for cells in rows("docs/operating.md", "Commands")}
    assert {" ".join(word for word in command.split() if word.islower()) for command in told} == commands()


def test_killpoints_have_distinct_names() -> None:
    assert len(set(KILLPOINTS)) == len(KILLPOINTS)


@pytest.mark.parametrize("page", ["README.md", *DOCS])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = README if page == "README.md" else DOCS[page]
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
