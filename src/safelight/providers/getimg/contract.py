"""What the media generation API says, read with care: only what is needed must be there, and in its shape."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, TypeVar

import msgspec

from safelight.domain.money import MAX_NANOS, NANOS_PER_USD
from safelight.domain.outcomes import Answer, Failed, FailureClass, Usage
from safelight.outbound.backend_api import Reply
from safelight.outbound.loose_json import at

T = TypeVar("T")

FIELDS = frozenset({"model", "prompt", "aspect_ratio", "resolution", "output_format", "duration", "sound", "images"})
"""What an order has."""

_REASONS = {
    "invalid_api_key": FailureClass.AUTH,
    "quota_exceeded": FailureClass.QUOTA,
    "rate_limit": FailureClass.RATE_LIMITED,
    "content_policy_violation": FailureClass.CONTENT_POLICY,
    "parameter_missing": FailureClass.BAD_INPUT,
    "invalid_parameter": FailureClass.BAD_INPUT,
    "request_too_large": FailureClass.BAD_INPUT,
    "service_unavailable": FailureClass.TRANSIENT,
    "canceled": FailureClass.CANCELED,
    # It was asked of every backend there as often as its own rules say: not once more from here.
    "generation_failed": FailureClass.PERMANENT,
    "not_found": FailureClass.PERMANENT,
    "method_not_allowed": FailureClass.PERMANENT,
    "unsupported_content_encoding": FailureClass.PERMANENT,
}
_MOST_THINGS = 2**31
_CLIENTS_OWN = ("prompt", "negative_prompt", "images", "provider_options")


class File(msgspec.Struct, frozen=True):
    """Media that was made."""

    url: str | None = None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """A generation as an answer tells it. ``error`` has any shape."""

    id: str
    status: str
    data: tuple[File | None, ...] | None = None
    error: Any = None

    @property
    def urls(self) -> list[str]:
        return [file.url for file in self.data or () if file is not None and file.url]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What another Safelight tells besides."""

    seed: int | None = None
    queue_position: int | None = None
    progress: float | None = None


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """An error as far as it is one of the contract's."""

    code: str | None = None
    message: str | None = None
    param: str | None = None


class _Money(msgspec.Struct, frozen=True, kw_only=True):
    total_cost: Decimal
    billable_unit: str
    quantity: Decimal


class _Charged(msgspec.Struct, frozen=True, kw_only=True):
    usage: _Money


def read(reply: Reply, into: type[T]) -> T | None:
    """The body in that shape; None if it has another."""
    return reply.read(msgspec.json.Decoder(into))


def error_in(body: object) -> Error:
    """The error of a failed generation, or of an answer's body: an object, or only its words."""
    given = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(given, str):
        return Error(message=given)
    if not isinstance(given, dict):
        return Error()
    return Error(**{name: given[name] for name in ("code", "message", "param") if isinstance(given.get(name), str)})


def answer_of(reply: Reply, error: Error | None = None, *, is_billed: bool | None = None) -> Answer:
    """What was said, for the operator."""
    if error is not None:
        said = reply.answer(code=error.code, words=error.message)
        return msgspec.structs.replace(said, is_billed=is_billed)
    generation, told, charged = read(reply, Generation), read(reply, Told), read(reply, _Charged)
    money = None if charged is None else charged.usage
    return msgspec.structs.replace(
        reply.answer(words=None if generation is None else f"generation {generation.id}"),
        seed=None if told is None else told.seed,
        usage=_usage(reply.json(), money),
        cost_nanos=None if money is None else nanos_of(money.total_cost),
    )


def failed(
    error: Error, answer: Answer, *, retry_after_seconds: float | None = None, fetches_images: bool = False
) -> Failed | None:
    """What a code of the contract's comes to; None for any other.

    A parameter that the client did not choose as it stands is at odds with the catalog, and none of the client's fault;
    neither is an image that the other side could not fetch here (``fetches_images``).
    """
    reason = _REASONS.get(error.code or "")
    if reason is None:
        return None
    param = error.param or "prompt"
    if reason is FailureClass.BAD_INPUT and (
        not param.startswith(_CLIENTS_OWN) or (fetches_images and param.startswith("images"))
    ):
        return Failed(FailureClass.PERMANENT, f"it does not take {param} as the catalog has it", answer=answer)
    return Failed(reason, "", retry_after_seconds, answer)


def _usage(body: Any, money: _Money | None) -> Usage | None:
    raw = at(body, "usage")
    if not isinstance(raw, dict):
        return None
    is_images = money is not None and money.billable_unit == "image"
    return Usage(raw=raw, images=_whole(money.quantity) if money is not None and is_images else None)


def _whole(quantity: Decimal) -> int | None:
    """The number of things that a quantity is; None for what is none. A decimal may be infinite, or no number."""
    if not quantity.is_finite() or not 0 <= quantity < _MOST_THINGS or quantity != int(quantity):
        return None
    return int(quantity)


def nanos_of(dollars: Decimal) -> int | None:
    """Dollars in nano-dollars, to the nearest; None for what is no amount."""
    if not dollars.is_finite() or not 0 <= dollars <= MAX_NANOS // NANOS_PER_USD:
        return None
    return int((dollars * NANOS_PER_USD).to_integral_value(ROUND_HALF_EVEN))
