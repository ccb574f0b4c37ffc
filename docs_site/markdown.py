"""Markdown made by code: tables, and text that stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cell(text: object) -> str:
    """A text in a cell of a table: on one line, and with nothing in it that ends the cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(cell, line))} |" for line in lines) + "\n"


def code(*words: object) -> str:
    """Each in backquotes, with commas between."""
    return ", ".join(f"`{word}`" for word in words)


def either(*words: object) -> str:
    """Each in backquotes, as a choice."""
    *others, last = (f"`{word}`" for word in words)
    return f"{', '.join(others)} or {last}" if others else last


def page(title: str, about: str, *parts: str) -> str:
    """A page that is made from code, which it says where only its source is read."""
    return "\n".join([f"# {title}", "", "<!-- made by python -m docs_site: do not edit -->", "", about, "", *parts])
