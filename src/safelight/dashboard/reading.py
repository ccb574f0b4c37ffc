"""What forms and addresses carry, read strictly: a field that is given twice, or is too long, is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qsl

from starlette.requests import Request

from safelight.domain.errors import InvalidParameter, NotFound, RequestTooLarge
from safelight.domain.numbers import BEYOND, number_within
from safelight.domain.text import cut, quoted

_MOST_BYTES = 256 * 1024
_MOST_FIELDS = 250
_FORM_ID = re.compile(r"[0-9A-Z]{26}", re.ASCII)


class Fields:
    """Fields by name, each given once but for those that ``every`` asks for."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        """A field's text; the default where it is not there. Raises ``InvalidParameter`` where it is given twice."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise InvalidParameter(f"{name} is given twice. Send it once.", param=name)
        return values[0] if values else default

    def every(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def below(self, prefix: str) -> list[str]:
        """The names after ``prefix.`` of those that begin so."""
        return [name.removeprefix(f"{prefix}.") for name in self._values if name.startswith(f"{prefix}.")]

    def choice(self, name: str, known: Iterable[str]) -> str | None:
        """One of those that are known, or None where it is not there or empty. Raises ``InvalidParameter``."""
        text, words = self.text(name), list(known)
        if text and text not in words:
            raise InvalidParameter(f"{name} {quoted(text)} is not one of {', '.join(words)}.", param=name)
        return text or None

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number within its bounds, or None where it is not there or empty. Raises ``InvalidParameter``."""
        text = self.text(name).strip()
        if not text:
            return None
        number = number_within(text, least, most)
        if number is None:
            raise InvalidParameter(f"{name} {quoted(text)} is not a whole number from {least} to {most}.", param=name)
        return number

    def day(self, name: str) -> date | None:
        """A UTC date, or None where it is not there or empty. Raises ``InvalidParameter``."""
        text = self.text(name).strip()
        if not text:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise InvalidParameter(f"{name} {quoted(text)} is no date. Write it as 2026-01-31.", param=name) from None

    def form_id(self) -> str:
        """The form's own id, by which the same form that is sent again is known. Raises ``InvalidParameter``."""
        text = self.text("form_id")
        if not _FORM_ID.fullmatch(text):
            raise InvalidParameter(
                "This form has no id of its own. Open its page again, and fill it in there.", param="form_id"
            )
        return text


async def read_fields(request: Request) -> Fields:
    """The fields of a form without files. Raises ``InvalidParameter`` and ``RequestTooLarge``."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidParameter("This takes a form: application/x-www-form-urlencoded.", param="Content-Type")
    received = 0
    pieces = []
    async for piece in request.stream():
        received += len(piece)
        if received > _MOST_BYTES:
            raise RequestTooLarge(f"This form is over its limit of {_MOST_BYTES // 1024} KiB.")
        pieces.append(piece)
    return Fields(_pairs(b"".join(pieces).decode("utf-8", "replace")))


def query_fields(request: Request) -> Fields:
    """The fields of the address. Raises ``InvalidParameter`` for a zero byte, which no text of the database has."""
    pairs = request.query_params.multi_items()
    for name, value in pairs:
        if "\0" in value:
            raise InvalidParameter(f"{cut(name)} has a zero byte. Leave it out.", param=cut(name))
    return Fields(pairs)


def number_in_path(request: Request, name: str) -> int:
    """The number of something in the database. Raises ``NotFound`` for what is none."""
    number = number_within(request.path_params[name], 1, BEYOND - 1)
    if number is None:
        raise NotFound
    return number


def file_kind(request: Request) -> str:
    """What the path ends with: csv or json."""
    return request.url.path.rpartition(".")[2]


def check_word(fields: Fields, word: str, name: str = "word") -> None:
    """What is done for good is done once its name is typed, in the field ``name``. Raises ``InvalidParameter``."""
    if fields.text(name).strip() != word.strip():
        raise InvalidParameter(f"Type {quoted(word)} here, as it is written, if you mean it.", param=name)


def span(fields: Fields, first: str = "first", last: str = "last") -> tuple[date | None, date | None]:
    """The UTC dates in these two fields, None where one is not given. Raises ``InvalidParameter`` out of order."""
    begin, end = fields.day(first), fields.day(last)
    if begin is not None and end is not None and end < begin:
        raise InvalidParameter("The last date is before the first.", param=last)
    return begin, end


def moments(fields: Fields) -> tuple[datetime | None, datetime | None]:
    """When the dates of ``span`` begin, and when they are over. Raises ``InvalidParameter``."""
    first, last = span(fields)
    try:
        return _midnight(first), _midnight(None if last is None else last + timedelta(days=1))
    except OverflowError:
        raise InvalidParameter("No date comes after this one. Give an earlier one.", param="last") from None


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def days(fields: Fields, *, most: int = 400, usual: int = 30) -> tuple[date, date]:
    """The days ``first`` to ``last``, both included: those given, or the last ``usual`` until today, in UTC.

    Raises ``InvalidParameter`` where they are out of order, or more than ``most``.
    """
    last = fields.day("last") or datetime.now(UTC).date()
    first = fields.day("first") or last - timedelta(days=usual - 1)
    if last < first:
        raise InvalidParameter("The last date is before the first.", param="last")
    if (last - first).days >= most:
        raise InvalidParameter(f"These are more than {most} days. Ask for fewer.", param="first")
    return first, last


def _pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise InvalidParameter(f"A form has at most {_MOST_FIELDS} fields.", param="form") from None
