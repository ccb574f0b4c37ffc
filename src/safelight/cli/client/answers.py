"""What the API answers, as far as commands read it. Fields that they do not know are passed over."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from safelight.cli.client.exits import CommandFailed
from safelight.domain.ids import is_generation_id
from safelight.domain.media import MimeType

Type = Literal["image", "video"]
T = TypeVar("T")

_MOST_DIGITS = 30


class Usage(msgspec.Struct, frozen=True):
    """What is charged, in US dollars."""

    total_cost: Decimal
    billable_unit: str
    unit_price: Decimal
    quantity: Decimal

    def __post_init__(self) -> None:
        for amount in (self.total_cost, self.unit_price, self.quantity):
            _check_amount(amount)


class File(msgspec.Struct, frozen=True):
    """A finished file, behind a signed link."""

    url: str
    width: int
    height: int
    mime_type: MimeType
    deletes_at: str = ""


class Failure(msgspec.Struct, frozen=True):
    """Why there is no file."""

    code: str
    message: str


class Generation(msgspec.Struct, frozen=True):
    """How a generation stands, from any of the routes that tell it."""

    id: str
    status: Literal["pending", "completed", "failed"]
    model: str | None = None
    type: Type | None = None
    created_at: str | None = None
    progress: float | None = None
    queue_position: int | None = None
    data: tuple[File, ...] = ()
    usage: Usage | None = None
    error: Failure | None = None

    def __post_init__(self) -> None:
        if not is_generation_id(self.id):
            raise ValueError("its id is none")

    @property
    def is_pending(self) -> bool:
        return self.status == "pending"


class Generations(msgspec.Struct, frozen=True):
    """A page of them, newest first."""

    data: list[Generation]
    has_more: bool = False


class Model(msgspec.Struct, frozen=True):
    """A model, as far as a request depends on it."""

    id: str
    type: Type
    supported_references: dict[str, int] = {}


class Quote(msgspec.Struct, frozen=True):
    """What a request would cost, with its defaults filled in."""

    model: str
    aspect_ratio: str
    resolution: str
    width: int
    height: int
    usage: Usage
    is_covered: bool
    output_format: str | None = None
    duration: int | None = None
    sound: bool | None = None


class Balance(msgspec.Struct, frozen=True):
    balance: str


class Costs(msgspec.Struct, frozen=True):
    total_cost: Decimal

    def __post_init__(self) -> None:
        _check_amount(self.total_cost)


class Canceled(msgspec.Struct, frozen=True):
    """What became of the wish to cancel a video."""

    cancellation: str


def read(body: bytes, into: type[T]) -> T:
    """An answer's body. Raises ``CommandFailed`` where it is none of Safelight's."""
    try:
        return msgspec.json.decode(body, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandFailed(f"The server's answer is not one of Safelight's: {error}.") from None


def _check_amount(amount: Decimal) -> None:
    """Refuse what nobody can be charged, and what takes more room to write than there is."""
    if not amount.is_finite() or abs(amount.adjusted()) > _MOST_DIGITS or len(amount.as_tuple().digits) > _MOST_DIGITS:
        raise ValueError("an amount in it is none")
