"""``safelight docs``: the pages that belong to this release, as they stand in the package."""

from __future__ import annotations

import difflib
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from safelight.cli.shipped import shipped
from safelight.domain.errors import ConfigurationError


def docs(page: str | None = None, /) -> None:
    """Read the documentation."""
    folder = shipped("docs")
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    if page is None:
        for name in page_names(folder):
            console.print(Text(f"{name:<50}", style="bold") + Text(_title(folder / f"{name}.md")))
        console.print(f"\nThey are in {folder}. 'safelight docs PAGE' shows one.")
        return
    text = _find(folder, page).read_text(encoding="utf-8")
    if console.is_terminal:
        Console().print(Markdown(text))
    else:
        print(text, end="")


def page_names(folder: Path) -> list[str]:
    """What each page is called, such as ``operating`` or ``providers/google``."""
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.md"))


def _find(folder: Path, page: str) -> Path:
    """The file of a page, as it is listed or as it is cited (``docs/operating.md``)."""
    name = page.removeprefix("docs/").removesuffix(".md").strip("/")
    names = page_names(folder)
    for candidate in (name, f"{name}/README"):
        if candidate in names:
            return folder / f"{candidate}.md"
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ConfigurationError(f"There is no page {page!r}. {hint}'safelight docs' lists them all.")


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")
