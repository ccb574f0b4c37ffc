"""What an address asks of the page of what was spent, how that page calls things, and where their jobs are."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal, cast
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from safelight.accounts.spend import NO_KEY, By, Part, Spend, SpendRow, find_spend
from safelight.dashboard.filters import key_name, key_names, read_key
from safelight.dashboard.reading import Fields, days
from safelight.dashboard.templates import count, query_of
from safelight.dashboard.visit import Visit
from safelight.domain.errors import InvalidParameter
from safelight.domain.generations import GenerationType
from safelight.domain.text import quoted

Grouping = Literal["day", "model", "key", "type", "end_user"]

GROUPINGS: dict[str, str] = {"day": "Day", "model": "Model", "key": "Key", "type": "Type", "end_user": "End user"}
_FIELDS = ("first", "last", "by", "model", "type", "key", "end_user", "workspace")
_COMPLETED, _FAILED = ("completed",), ("failed", "canceled")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for. ``keys``: the names of the workspace's keys, by their numbers.

    ``workspace``: the one that an operator's address names.
    """

    first: date
    last: date
    by: Grouping
    part: Part
    keys: dict[int, str]
    workspace: str | None = None

    @property
    def query(self) -> dict[str, str | None]:
        """As the address carries it."""
        filters = {**_filters(self.part), "workspace": self.workspace}
        return {"first": str(self.first), "last": str(self.last), "by": self.by, **filters}

    @property
    def names_by(self) -> By:
        """What names are of: days are shown by model."""
        return "model" if self.by == "day" else self.by

    def call(self, name: str) -> str:
        """What the page calls a model, key, type or end user."""
        if self.names_by == "key":
            return key_name(self.keys, int(name or NO_KEY))
        return name or "without an end user"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: its sums, the query of the page of no more than it, and the addresses of its jobs.

    Where there is no address for what it stands for, these are None.
    """

    name: str
    sums: SpendRow
    narrower: str | None
    jobs: str | None
    completed: str | None
    failed: str | None


async def read_question(visit: Visit, fields: Fields) -> Question:
    """Read the address strictly. Raises ``InvalidParameter``."""
    first, last = days(fields)
    keys = await key_names(visit)
    type_ = fields.choice("type", list(GenerationType))
    part = Part(
        model=fields.text("model") or None,
        type=GenerationType(type_) if type_ else None,
        key=read_key(fields, keys),
        end_user=fields.text("end_user") or None,
    )
    by = cast(Grouping, fields.choice("by", GROUPINGS) or "day")
    workspace = fields.text("workspace") or None
    return Question(first=first, last=last, by=by, part=part, keys=keys, workspace=workspace)


def given_fields(request: Request) -> dict[str, str | None]:
    """What an address that cannot be read asks for, to be shown in the form, but for dates that are none."""
    given = {name: request.query_params.get(name) for name in _FIELDS}
    for name in ("first", "last"):
        try:
            given[name] = str(date.fromisoformat(given[name] or ""))
        except ValueError:
            given[name] = None
    return given


async def answer(visit: Visit, question: Question, *, most: int) -> Spend:
    """What was spent. Raises ``InvalidParameter``, also where the model is nobody's."""
    scope, db, part = visit.principal.scope, visit.state.keeping.db, question.part
    spend = await find_spend(scope, db, question.first, question.last, by=question.names_by, part=part, most=most)
    if not spend.total.names and part.model is not None and part.model not in visit.state.submitting.catalog.models:
        said = f"There is no model {quoted(part.model)}, and none of that name made anything on these days."
        raise InvalidParameter(said, param="model")
    return spend


def lines(visit: Visit, question: Question, spend: Spend) -> list[Line]:
    """The lines of the table: days from the newest on, or names from the costliest on."""
    if question.by == "day":
        return [_day_line(visit, question, row) for row in reversed(spend.days)]
    return [_name_line(visit, question, row) for row in spend.names]


def total_line(visit: Visit, question: Question, spend: Spend) -> Line:
    return _line(visit, "All", spend.total, narrower=None, only=question)


def series_names(question: Question, spend: Spend) -> list[str]:
    """What the chart calls its series."""
    return ["others" if name is None else question.call(name) for name in spend.series]


def presets(today: date) -> list[tuple[str, date, date]]:
    """Ranges of days up to today, and months."""
    month = today.replace(day=1)
    ended = month - timedelta(days=1)
    return [
        *((f"{number} days", today - timedelta(days=number - 1), today) for number in (7, 30, 90)),
        ("This month", month, today),
        ("Last month", ended.replace(day=1), ended),
    ]


def jobs_address(visit: Visit, question: Question, states: tuple[str, ...] = (), reason: str | None = None) -> str:
    """Where the jobs are listed that ended on the days of a question, as far as it asks for them."""
    filters = {**question.query, "by": None, "dates": "ended", "reason": reason}
    pairs = [(name, value) for name, value in filters.items() if value is not None]
    return f"{visit.link('/jobs')}?{urlencode([*pairs, *(('state', state) for state in states)])}"


def _day_line(visit: Visit, question: Question, row: SpendRow) -> Line:
    assert row.date is not None
    only = msgspec.structs.replace(question, first=row.date, last=row.date, by="model")
    return _line(visit, str(row.date), row, narrower=query_of(only.query), only=only)


def _name_line(visit: Visit, question: Question, row: SpendRow) -> Line:
    if row.name is None:
        return _line(visit, f"{count(row.names)} others", row, narrower=None, only=None)
    name: str | int = row.name
    if question.by == "key":
        name = int(name) if name else NO_KEY
    elif not name:
        return _line(visit, question.call(""), row, narrower=None, only=None)  # no address asks for those
    part = msgspec.structs.replace(question.part, **{question.by: name})
    only = msgspec.structs.replace(question, part=part, by="day")
    return _line(visit, question.call(row.name), row, narrower=query_of(only.query), only=only)


def _line(visit: Visit, name: str, sums: SpendRow, *, narrower: str | None, only: Question | None) -> Line:
    return Line(
        name=name,
        sums=sums,
        narrower=narrower,
        jobs=jobs_address(visit, only) if only else None,
        completed=jobs_address(visit, only, _COMPLETED) if only else None,
        failed=jobs_address(visit, only, _FAILED) if only else None,
    )


def _filters(part: Part) -> dict[str, str | None]:
    key = None if part.key is None else str(part.key or "none")
    return {"model": part.model, "type": part.type, "key": key, "end_user": part.end_user}
