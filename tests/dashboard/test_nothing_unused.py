"""What is there is used: each template, static file, macro, class of the stylesheets, and each thing that is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import safelight.dashboard
from safelight.dashboard.flash import MESSAGES

FOLDER = Path(safelight.dashboard.__file__).parent
STATIC, TEMPLATES = FOLDER / "static", FOLDER / "templates"
CODE = {path: path.read_text() for path in FOLDER.rglob("*.py")}
PAGES = {path: path.read_text() for path in TEMPLATES.rglob("*.html")}
SCRIPTS = {path: path.read_text() for path in STATIC.rglob("*.js") if "vendor" not in path.parts}
STYLES = {path: path.read_text() for path in STATIC.rglob("*.css")}
ALL_CODE, ALL_PAGES, ALL_SCRIPTS = ("\n".join(each.values()) for each in (CODE, PAGES, SCRIPTS))
MACROS = [(path, name) for path, text in PAGES.items() for name in re.findall(r"{% macro (\w+)", text)]


def classes_of(style: str) -> set[str]:
    """The classes that its selectors name."""
    bare = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)
    return {
        name for selector in re.findall(r"([^{}]+)\{", bare) for name in re.findall(r"\.([a-zA-Z][\w-]*)", selector)
    }


def named(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


@pytest.mark.parametrize("word", MESSAGES)
def test_each_message_is_said(word: str) -> None:
    elsewhere = "\n".join(text for path, text in CODE.items() if path.name != "flash.py")
    assert f'"{word}"' in elsewhere or f"said={word}" in ALL_PAGES


def test_nothing_is_said_that_is_no_message() -> None:
    assert set(re.findall(r'said="(\w+)"', ALL_CODE)) <= set(MESSAGES)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: named(path, TEMPLATES))
def test_each_template_is_made_into_a_page(path: Path) -> None:
    assert f'"{named(path, TEMPLATES)}"' in ALL_CODE + ALL_PAGES


@pytest.mark.parametrize(("path", "name"), MACROS, ids=lambda each: each if isinstance(each, str) else each.stem)
def test_each_macro_is_called(path: Path, name: str) -> None:
    imported = "\n".join(re.findall(r"{% from .* %}", ALL_PAGES.replace("{#", "")))
    assert re.search(rf"\b{name}\b", imported) or PAGES[path].count(f"{name}(") > 1


@pytest.mark.parametrize("path", [*SCRIPTS, *STYLES, *STATIC.glob("*.svg")], ids=lambda path: named(path, STATIC))
def test_each_static_file_is_loaded(path: Path) -> None:
    assert f"asset('{named(path, STATIC)}')" in ALL_PAGES or f'/{path.name}"' in ALL_SCRIPTS or path.name in ALL_CODE


@pytest.mark.parametrize("path", STYLES, ids=lambda path: named(path, STATIC))
def test_each_class_is_on_a_page(path: Path) -> None:
    everything = ALL_PAGES + ALL_SCRIPTS + ALL_CODE + (STATIC / "vendor" / "htmx.js").read_text()
    numbered = {name: re.sub(r"\d+$", "{{", name) for name in classes_of(STYLES[path])}  # such as series-{{ place }}
    unused = [
        each for each, made in numbered.items() if made not in everything and not re.search(rf"\b{each}\b", everything)
    ]
    assert unused == []
