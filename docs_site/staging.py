"""docs/ as the site's tool reads it: every page where the site has it, with links that lead there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
_ICON = ROOT / "src/safelight/api/icon.svg"

# Pages that lie beside docs/, and where the site has them.
_OUTSIDE = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "SECURITY.md": "project/security.md",
}
_HOME = {"README.md": "index.md"}

_LINK = re.compile(r"(?P<before>\]\()(?P<target>(?!\w+:|/|#)[^)#\s]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,})(?P<info>.*)$", re.M)
_MARK = re.compile(r"(?<=^```)(.*) (run|save|background)$", re.M)
_TABS, _END_OF_TABS = "<!-- tabs -->", "<!-- end of tabs -->"
_COMMENT = re.compile(r"^<!-- .* -->\n", re.M)


def stage(folder: Path) -> dict[str, str]:
    """Fill an empty folder with what the site's tool reads; each page's text in plain Markdown, by its place there."""
    plain = dict(_pages())
    shutil.copytree(ROOT / "docs", folder, ignore=shutil.ignore_patterns("*.md"))
    for place, text in plain.items():
        _write(folder / place, for_zensical(text))
    for path in linked_files():
        _copy(path, folder / _place_of(path))
    for asset in (*(Path(__file__).parent / "assets").iterdir(), _ICON):
        _copy(asset, folder / "assets" / asset.name)
    return {place: _COMMENT.sub("", text) for place, text in plain.items()}


def sources() -> list[Path]:
    """Every page's file."""
    return sorted((ROOT / "docs").rglob("*.md")) + [ROOT / name for name in _OUTSIDE]


def places() -> list[str]:
    """Every page, by its place in the site."""
    return [place for place, _ in _pages()]


def linked_files() -> list[Path]:
    """What pages link to that is neither a page nor in docs/: it goes to the site as it is."""
    found = {target for page in sources() for target in _targets(page)}
    return sorted(each for each in found if each.is_file() and each.suffix != ".md" and not _is_in_docs(each))


def _pages() -> Iterator[tuple[str, str]]:
    for path in sources():
        place = _place_of(path)
        yield place, _MARK.sub(r"\1", _relinked(path, place))
    for folder in sorted({t for page in sources() for t in _targets(page) if t.is_dir() and not _is_in_docs(t)}):
        yield _place_of(folder), _listing(folder)


def _place_of(path: Path) -> str:
    """Where the site has a file or a folder of the repository."""
    name = path.relative_to(ROOT).as_posix()
    if path.is_dir():
        return f"{name.removeprefix('docs/')}/index.md"
    if name in _HOME | _OUTSIDE:
        return (_HOME | _OUTSIDE)[name]
    return re.sub(r"README\.md$", "index.md", name.removeprefix("docs/"))


def _is_in_docs(path: Path) -> bool:
    return path.is_relative_to(ROOT / "docs")


def _targets(page: Path) -> Iterator[Path]:
    for match in _LINK.finditer(page.read_text()):
        target = Path(os.path.normpath(page.parent / match["target"]))
        if target.exists():
            yield target


def _relinked(page: Path, place: str) -> str:
    """A page's text, with links as they are from its place in the site."""

    def moved(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(page.parent / match["target"]))
        if not target.exists():  # which is told as the site is built
            return match[0]
        to = os.path.relpath(_place_of(target), PurePosixPath(place).parent)
        return f"{match['before']}{to}{match['anchor'] or ''}{match['after']}"

    return "".join(line if in_fence else _LINK.sub(moved, line) for line, in_fence in _lines(page.read_text()))


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Each line, and whether it belongs to a fenced block."""
    fence = ""
    for line in text.splitlines(keepends=True):
        match = _FENCE.match(line)
        if fence:
            yield line, True
            fence = "" if match and match["ticks"] == fence and not match["info"] else fence
        else:
            fence = match["ticks"] if match else ""
            yield line, bool(fence)


def _listing(folder: Path) -> str:
    """A page for a folder of small files that pages link to."""
    name = folder.relative_to(ROOT).as_posix()
    text = [f"# {name.capitalize()}\n\nThe files of `{name}/` in the repository.\n"]
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        language = {".py": "python", ".sh": "sh"}.get(path.suffix, path.suffix[1:])
        text.append(f"\n## {path.name}\n\n````{language}\n{path.read_text()}````\n")
    return "".join(text)


def for_zensical(text: str) -> str:
    """Sections between the comments for tabs become tabs."""
    out: list[str] = []
    is_tabs = False
    for line, in_fence in _lines(text):
        if line.strip() in (_TABS, _END_OF_TABS):
            is_tabs = line.strip() == _TABS
            continue
        heading = re.match(r"#+ (.*)", line)
        if is_tabs and heading and not in_fence:
            out.append(f'=== "{heading[1]}"\n')
            continue
        out.append(f"    {line}" if is_tabs and line.strip() else line)
    return "".join(out)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)
