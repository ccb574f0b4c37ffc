"""The playground's form without a browser: read from the page, filled in, and sent as a browser sends it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from PIL import Image

from tests.dashboard.conftest import House, Visitor
from tests.support.server import eventually

PATH = "/dashboard/playground"
FINAL = ("completed", "failed", "canceled")


class Bench:
    """One form. ``fields``: what is in it, by name; ``files``: pairs of role and picture."""

    def __init__(self, visitor: Visitor, query: str = "") -> None:
        self.visitor = visitor
        self.answer = visitor.get(f"{PATH}{query}")
        assert self.answer.status_code == 200, self.answer.text
        self.fields = fields_in(self.answer)
        self.files: list[tuple[str, bytes]] = []

    def fill(self, **fields: Any) -> Bench:
        self.fields |= {name: value for name, value in fields.items() if value is not None}
        return self

    def show(self) -> httpx.Response:
        """The form anew, as a script asks for it after each change."""
        pairs = [(name, str(value)) for name, value in self.pairs()]
        content = str(httpx.QueryParams(pairs))
        answer = self.visitor.post(self._way("hx-post", f"{PATH}/form"), content=content, headers=_FORM)
        if answer.status_code == 200:
            self.fields = fields_in(answer)
        self.answer = answer
        return answer

    def run(self) -> httpx.Response:
        """Order it."""
        parts: list[tuple[str, Any]] = [(name, (None, str(value))) for name, value in self.pairs()]
        parts += [(role, (f"picture-{place}.png", data, "image/png")) for place, (role, data) in enumerate(self.files)]
        return self.visitor.post(self._way("action", PATH), files=[*parts, ("do", (None, "run"))])

    def _way(self, name: str, otherwise: str) -> str:
        """The address that the form of the last answer names."""
        return tree_of(self.answer).by_id("ask").attributes[name] if self.answer.status_code == 200 else otherwise

    def pairs(self) -> list[tuple[str, Any]]:
        found = []
        for name, value in self.fields.items():
            found += [(name, each) for each in value] if isinstance(value, list) else [(name, value)]
        return found

    @property
    def price_nanos(self) -> int:
        return nanos(element(self.answer, "price"))

    @property
    def options(self) -> dict[str, list[str]]:
        """The values of each select of the form."""
        form = tree_of(self.answer).by_id("ask")
        return {
            each.attributes["name"]: [option.attributes["value"] for option in each.all("option")]
            for each in form.all("select")
        }


class Node:
    """An element of a page."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Node | None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.parts: list[Node | str] = []

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def all(self, *tags: str) -> Iterator[Node]:
        for part in self.parts:
            if isinstance(part, Node):
                if not tags or part.tag in tags:
                    yield part
                yield from part.all(*tags)

    def by_id(self, id_: str) -> Node:
        return next(each for each in self.all() if each.attributes.get("id") == id_)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.top = self.here = Node("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self.here)
        self.here.parts.append(node)
        if tag not in _WITHOUT_END:
            self.here = node

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, f"<{self.here.tag}> is closed by </{tag}>"
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.parts.append(data)


_WITHOUT_END = ("input", "img", "meta", "link", "br", "hr", "source")


def tree_of(answer: httpx.Response) -> Node:
    """A page, whose elements are all closed."""
    reader = _Reader()
    reader.feed(answer.text)
    assert reader.here is reader.top, f"<{reader.here.tag}> is not closed"
    return reader.top


_FORM = {"content-type": "application/x-www-form-urlencoded"}


def fields_in(answer: httpx.Response) -> dict[str, Any]:
    """What a browser would send of the form of a page; of boxes those that are checked."""
    found: dict[str, Any] = {}
    for each in tree_of(answer).by_id("ask").all("input", "select", "textarea"):
        kind, name = each.attributes.get("type"), each.attributes.get("name")
        if name is None or kind in ("file", "radio") or (kind == "checkbox" and "checked" not in each.attributes):
            continue
        if kind == "checkbox":
            found[name] = [*found.get(name, []), each.attributes["value"]]
        elif each.tag == "select":
            options = list(each.all("option"))
            chosen = next((option for option in options if "selected" in option.attributes), options[0])
            found[name] = chosen.attributes["value"]
        else:
            found[name] = each.text.removeprefix("\n") if each.tag == "textarea" else each.attributes.get("value", "")
    return found


def element(answer: httpx.Response, id_: str) -> str:
    """The text of the element with this id."""
    return " ".join(tree_of(answer).by_id(id_).text.split())


def problem_at(answer: httpx.Response, field: str) -> str:
    """What is said right at a field; empty where nothing is."""
    named = [each for each in tree_of(answer).by_id("ask").all() if each.attributes.get("name") == field]
    place = named[0].parent
    while place is not None and place.tag not in ("div", "details"):
        place = place.parent
    assert place is not None
    said = [each.text for each in place.all() if each.attributes.get("class") == "problem"]
    return " ".join(" ".join(said).split())


def nanos(text: str) -> int:
    """Of dollars as pages write them."""
    whole, _, rest = text.removeprefix("$").replace(",", "").partition(".")
    return int(whole) * 10**9 + int(rest.ljust(9, "0"))


def runs_in(answer: httpx.Response) -> list[str]:
    """The ids that the way on names."""
    where = answer.headers.get("location") or answer.headers.get("hx-replace-url")
    assert where is not None, f"{answer.status_code}: {re.sub('<[^>]+>', ' ', answer.text)[:3000]}"
    return parse_qs(urlsplit(where).query)["run"]


def ended(house: House, *ids: str) -> dict[str, tuple[str, int | None]]:
    """Each run's state and charge in nano-dollars, once all have ended."""

    def states() -> list[tuple[Any, ...]]:
        return house.run("select id, state::text, charged_nanos from generations where id = any(%s)", list(ids))

    eventually(lambda: all(state in FINAL for _, state, _ in states()), "the runs to end")
    return {id_: (state, charged) for id_, state, charged in states()}


def made_of(house: House, workspace: str) -> int:
    """How many generations a workspace has on record."""
    counted = "select count(*) from generations g join workspaces w on w.id = g.workspace_id where w.name = %s"
    return int(house.run(counted, workspace)[0][0])


def held_of(house: House, workspace: str) -> int:
    """What is held of a workspace's money, in nano-dollars."""
    counted = "select coalesce(sum(held_nanos), 0) from accounts a join workspaces w on w.id = a.workspace_id"
    return int(house.run(f"{counted} where w.name = %s", workspace)[0][0])


def picture(color: str = "red", size: tuple[int, int] = (64, 48), kind: str = "PNG") -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, color).save(written, kind)
    return written.getvalue()
