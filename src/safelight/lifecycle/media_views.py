"""What a workspace can still look at: completed, its media kept and not past its time. Its ids are its times."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.ids import first_id_at, made_at
from safelight.domain.signing import LinkSigner
from safelight.lifecycle.services import ViewServices

BEYOND = "req-8"
"""Greater than every id."""

_MOST_DAYS = 1500
_FIRST_DAY = date(1970, 1, 1)
"""Of the clock that ids tell."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A generation with its first file.

    ``is_stored`` False: delivered once, and then deleted. ``way_in`` None: not known. ``prompt`` None: erased a moment
    ago.
    """

    id: str
    type: str
    model: str
    created_at: datetime
    finished_at: datetime
    deletes_at: datetime
    charged_nanos: int
    is_stored: bool
    api_key_id: int | None
    way_in: str | None
    prompt: str | None
    mime_type: str
    width: int
    height: int
    duration_seconds: float | None

    def url(self, signer: LinkSigner) -> str:
        """A link to the file that works for as long as it is kept."""
        return signer.url(self.id, 0, int(self.deletes_at.timestamp()))

    def thumbnail_url(self, signer: LinkSigner) -> str:
        return signer.url(self.id, 0, int(self.deletes_at.timestamp()), variant="thumbnail")


class KeptFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of them: None is any. ``first`` and ``last``: the UTC dates of the ids, both included."""

    type: GenerationType | None = None
    model: str | None = None
    api_key_id: int | None = None
    way_in: str | None = None
    first: date | None = None
    last: date | None = None

    @property
    def least(self) -> str:
        """The least id that can be one of them."""
        return "" if self.first is None else first_id_of(self.first)

    @property
    def below(self) -> str:
        """Greater than every id of them."""
        if self.last is None or self.last == date.max:
            return BEYOND
        return first_id_of(self.last + timedelta(days=1))

    def params(self, workspace_id: int) -> dict[str, object]:
        return {
            "workspace_id": workspace_id,
            "types": [str(each) for each in GenerationType if self.type in (None, each)],
            "model": self.model,
            "api_key_id": self.api_key_id,
            "way_in": self.way_in,
        }


async def list_kept(
    services: ViewServices,
    workspace_id: int,
    which: KeptFilter,
    *,
    newest_first: bool = True,
    least: str = "",
    below: str = BEYOND,
    limit: int,
) -> list[Kept]:
    """Those with ids from ``least`` and less than ``below``, at most ``limit`` from the end that comes first."""
    params = {
        **which.params(workspace_id),
        "newest_first": newest_first,
        "least": max(least, which.least),
        "below": min(below, which.below),
        "limit": limit,
    }
    return await services.db.all("list_kept", params, Kept)


async def count_kept(services: ViewServices, workspace_id: int, which: KeptFilter) -> list[tuple[date, int]]:
    """How many there are of each UTC date that has any, the newest first; of the last four years."""
    oldest = await list_kept(services, workspace_id, which, newest_first=False, limit=1)
    if not oldest:
        return []
    last = datetime.now(UTC).date() + timedelta(days=1)
    if which.last is not None:
        last = min(last, which.last)
    first = max(made_at(oldest[0].id).date(), last - timedelta(days=_MOST_DAYS))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    params = {
        **which.params(workspace_id),
        "days": days,
        "least": [first_id_of(day) for day in days],
        "below": [first_id_of(day + timedelta(days=1)) for day in days],
    }
    return await services.db.all("count_kept", params, tuple)


def first_id_of(day: date) -> str:
    """The least id of a UTC date."""
    return first_id_at(datetime.combine(max(day, _FIRST_DAY), time(), UTC))


def behind(generation_id: str) -> str:
    """Greater than this id, and not greater than any other that is."""
    return f"{generation_id}0"
