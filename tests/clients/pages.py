"""The pages of docs/clients/, and others beside them, as blocks that can be run."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parents[2] / "docs" / "clients"

_BLOCK = re.compile(
    r"^```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?(?: (?P<mark>run|save|background))?\n(?P<text>.*?)^```$",
    re.M | re.S,
)
_ANY_BLOCK = re.compile(r"^```\S", re.M)


class Block(msgspec.Struct, frozen=True):
    """A fenced block. ``title``: the file that a reader saves it as; without one it is typed into a shell.

    ``mark``: on pages where not every block is for the reader to follow, what is done with this one. ``background``:
    it is typed into another terminal, and goes on there.
    """

    language: str
    title: str | None
    text: str
    mark: str | None = None


def names() -> list[str]:
    """The pages, by the names of their files without ``.md``."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def blocks_of(name: str) -> list[Block]:
    """A page's blocks, in order. None is passed over."""
    text = text_of(name)
    found = [Block(match["language"], match["title"], match["text"], match["mark"]) for match in _BLOCK.finditer(text)]
    assert len(found) == len(_ANY_BLOCK.findall(text)), f"{name}.md has a block that is not read"
    return found


def block(name: str, title: str) -> str:
    """The text of a page's one block of that title."""
    (found,) = [each.text for each in blocks_of(name) if each.title == title]
    return found


def variables(text: str) -> dict[str, str]:
    """``NAME=value`` lines, as an environment file has them."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def table_of(name: str, heading: str) -> dict[str, str]:
    """The first two columns of the first table under a heading, without their backquotes."""
    section = re.split(rf"^#+ {re.escape(heading)}$", text_of(name), flags=re.M)[1]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1] for row in cells}
