"""Which part of the gallery an address asks for, and the page that it is given."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from safelight.dashboard.filters import WAYS_IN
from safelight.dashboard.reading import Fields, query_fields, span
from safelight.dashboard.templates import query_of
from safelight.dashboard.visit import visit_of
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.ids import is_generation_id
from safelight.domain.numbers import BEYOND as NUMBERS_END
from safelight.lifecycle.media_views import BEYOND, Kept, KeptFilter, behind, list_kept
from safelight.lifecycle.services import ViewServices

PAGE = 60
_MOST_ON_A_PAGE = 240
"""Of a page that is asked for again, up to where it ended: what came since is on it too."""

ORDERS = ("newest", "oldest")
_LEAST, _GREATEST = f"req-{'0' * 26}", f"req-7{'Z' * 25}"
_MOST_CHARACTERS = 200


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for: ``after`` and ``before`` are ids, which need not exist, in the order of the list.

    ``last``: the page ends with this id. ``is_all_selected``: everything on it is to be selected.
    """

    which: KeptFilter
    is_newest_first: bool = True
    after: str | None = None
    before: str | None = None
    last: str | None = None
    is_all_selected: bool = False
    workspace: str | None = None

    @property
    def filters(self) -> dict[str, object]:
        """What the address says but for the place in the list."""
        return {
            "workspace": self.workspace,
            "type": self.which.type,
            "model": self.which.model,
            "key": self.which.api_key_id,
            "way_in": self.which.way_in,
            "from": self.which.first,
            "to": self.which.last,
            "order": None if self.is_newest_first else "oldest",
        }

    def address(self, **place: str | None) -> str:
        """The query of a page with these filters."""
        return query_of(self.filters, **place)

    @property
    def newest(self) -> str:
        """The query of the page that has the newest of all."""
        return self.address() if self.is_newest_first else self.address(before=_GREATEST)

    @property
    def oldest(self) -> str:
        return self.address(before=_LEAST) if self.is_newest_first else self.address()

    @property
    def is_filtered(self) -> bool:
        return any(value is not None for name, value in self.filters.items() if name not in ("order", "workspace"))


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its generations in order. ``after`` None: it is the first. ``has_more``: there are some behind it."""

    kept: list[Kept]
    after: str | None
    has_more: bool

    @property
    def first_id(self) -> str:
        return self.kept[0].id

    @property
    def last_id(self) -> str:
        return self.kept[-1].id


def read_asked(request: Request) -> Asked:
    """What the address asks for. Raises ``InvalidParameter``."""
    fields = query_fields(request)
    first, last = span(fields, "from", "to")
    type_ = fields.choice("type", list(GenerationType))
    which = KeptFilter(
        type=GenerationType(type_) if type_ else None,
        model=fields.text("model")[:_MOST_CHARACTERS].replace("\0", "") or None,
        api_key_id=fields.number("key", 1, NUMBERS_END - 1),
        way_in=fields.choice("way_in", WAYS_IN),
        first=first,
        last=last,
    )
    after, before = _id(fields, "after"), _id(fields, "before")
    if after and before:
        raise InvalidParameter("A page is after an id or before one, not both.", param="before")
    return Asked(
        which=which,
        is_newest_first=fields.choice("order", ORDERS) != "oldest",
        after=after,
        before=before,
        last=_id(fields, "last"),
        workspace=visit_of(request).own.get("workspace"),
        is_all_selected=fields.choice("selected", ["all"]) is not None,
    )


def _id(fields: Fields, name: str) -> str | None:
    text = fields.text(name)
    if text and not is_generation_id(text):
        raise InvalidParameter(f"{name} is not an id. Use the links of the page.", param=name)
    return text or None


async def page_of(services: ViewServices, workspace_id: int, asked: Asked) -> Page:
    """The page that is asked for: behind an id, before one, or the first."""
    kept, has_more = await _walk(services, workspace_id, asked)
    if asked.before is None:
        return Page(kept=kept, after=asked.after, has_more=has_more)
    kept.reverse()
    if not kept:
        return Page(kept=[], after=None, has_more=False)
    behind_it = Asked(which=asked.which, is_newest_first=asked.is_newest_first, after=kept[-1].id)
    rest, _ = await _walk(services, workspace_id, behind_it, limit=1)
    ahead = Asked(which=asked.which, is_newest_first=asked.is_newest_first, before=kept[0].id)
    ahead_of_it, _ = await _walk(services, workspace_id, ahead, limit=1)
    return Page(kept=kept, after=ahead_of_it[0].id if ahead_of_it else None, has_more=bool(rest))


async def _walk(
    services: ViewServices, workspace_id: int, asked: Asked, *, limit: int | None = None
) -> tuple[list[Kept], bool]:
    """From the id on that is asked for, in the direction that leads away from it, and whether that goes on."""
    newest_first = asked.is_newest_first == (asked.before is None)
    start, stop = asked.before or asked.after, asked.last
    least, below = "", BEYOND
    if newest_first:
        least, below = stop or least, start or below
    else:
        least, below = behind(start) if start else least, behind(stop) if stop else below
    limit = limit or (_MOST_ON_A_PAGE if stop else PAGE)
    found = await list_kept(
        services, workspace_id, asked.which, newest_first=newest_first, least=least, below=below, limit=limit + 1
    )
    return found[:limit], len(found) > limit or stop is not None
