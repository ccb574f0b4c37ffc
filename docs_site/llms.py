"""What programs read of the site (https://llmstxt.org): ``llms.txt`` lists the pages in the order of the navigation,
``llms-full.txt`` has them all, and each page lies as Markdown beside its HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_ENOUGH = 60  # characters that say something

Nav = list[Any]  # of pages, and of one-entry tables: a title, and its page or a Nav


def pages_of(nav: Nav) -> Iterator[str]:
    """The pages of a navigation, in order."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values():
                yield from pages_of([inner] if isinstance(inner, str) else inner)


def write(site: Path, project: Mapping[str, Any], texts: Mapping[str, str], *, site_url: str) -> None:
    """``texts``: each page in plain Markdown by its place. Links are relative unless there is a ``site_url``."""
    for place, text in texts.items():
        (site / place).write_text(text)
    sections = {title: list(pages_of(inner)) for entry in project["nav"] for title, inner in entry.items()}
    listed = {place for places in sections.values() for place in places}
    sections["Optional"] = [place for place in texts if place not in listed]
    head = f"# {project['site_name']}\n\n> {project['site_description']}\n"
    base = f"{site_url.rstrip('/')}/" if site_url else ""
    (site / "llms.txt").write_text(head + "".join(_section(title, sections[title], texts, base) for title in sections))
    ordered = [place for title, places in sections.items() if title != "Optional" for place in places]
    (site / "llms-full.txt").write_text(head + "".join(f"\n---\n\n<!-- {at} -->\n\n{texts[at]}" for at in ordered))


def _section(title: str, places: list[str], texts: Mapping[str, str], base: str) -> str:
    lines = [f"- [{title_of(texts[at])}]({base}{at}): {summary_of(texts[at])}" for at in places]
    return "\n".join([f"\n## {title}\n", *lines, ""])


def title_of(text: str) -> str:
    match = re.search(r"^# (.+)$", text, re.M)
    return match[1] if match else ""


def summary_of(text: str) -> str:
    """How a page begins below its heading, as text alone: a sentence, or two short ones."""
    after = text.partition("\n")[2]
    paragraph = next((part for part in re.split(r"\n{2,}", after) if re.match(r"[\w`*\[]", part.strip())), "")
    flat = (
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(paragraph.split()))
        .replace("**", "")
        .removeprefix("Decision. ")
    )
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z`])", flat)
    summary = sentences[0]
    for sentence in sentences[1:]:
        if len(summary) >= _ENOUGH:
            break
        summary = f"{summary} {sentence}"
    return summary
