"""Pictures and what they cost, as clients of OpenAI's API read them. What is ours beside that, they keep."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from safelight.domain.media import ImageFormat
from safelight.lifecycle.views import GenerationView

_FORMAT_OF_MIME: dict[str, ImageFormat] = {"image/png": "png", "image/jpeg": "jpeg", "image/webp": "webp"}


class TokenDetails(msgspec.Struct, frozen=True, kw_only=True):
    image_tokens: int = 0
    text_tokens: int = 0


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, of which there are none; and what was charged, in US dollars: ``unit_price`` times ``quantity``."""

    input_tokens: int = 0
    input_tokens_details: TokenDetails = TokenDetails()
    output_tokens: int = 0
    output_tokens_details: TokenDetails = TokenDetails()
    total_tokens: int = 0
    total_cost: Decimal
    billable_unit: str
    unit_price: Decimal
    quantity: Decimal


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, inline or as a link that works until the Unix second ``expires_at``. ``id`` finds it below /v2."""

    b64_json: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    id: str
    expires_at: int
    seed: int | msgspec.UnsetType = msgspec.UNSET


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One that was asked for, and not made, nor charged."""

    id: str
    code: str
    message: str


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """``size`` is that of the first, as measured. ``failed``: those that are missing, where not all were made."""

    created: int
    data: list[Image]
    size: str
    quality: str | msgspec.UnsetType = msgspec.UNSET
    background: str | msgspec.UnsetType = msgspec.UNSET
    output_format: ImageFormat
    usage: Usage
    safety_identifier: str | msgspec.UnsetType = msgspec.UNSET
    model: str
    failed: list[Failure] | msgspec.UnsetType = msgspec.UNSET


class ImageCompleted(msgspec.Struct, frozen=True, kw_only=True):
    """The event of a picture."""

    type: str
    b64_json: str | msgspec.UnsetType = msgspec.UNSET
    url: str | msgspec.UnsetType = msgspec.UNSET
    created_at: int
    size: str
    quality: str
    background: str
    output_format: ImageFormat
    usage: Usage
    safety_identifier: str | msgspec.UnsetType = msgspec.UNSET
    id: str
    expires_at: int
    seed: int | msgspec.UnsetType = msgspec.UNSET
    model: str


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """What of a request an answer repeats. ``quality``: where it had an effect."""

    quality: str | None
    background: Literal["auto", "opaque"] | None
    end_user: str | None


def images(views: Sequence[GenerationView], failed: list[Failure], echo: Echo, b64: str | None) -> Images:
    """The answer for what was made; ``b64`` stands in it for each picture, None for links."""
    first = views[0]
    return Images(
        created=min(int(view.created_at.timestamp()) for view in views),
        data=[_image(view, b64) for view in views],
        size=_size(first),
        quality=echo.quality or msgspec.UNSET,
        background="opaque" if echo.background == "opaque" else msgspec.UNSET,
        output_format=_FORMAT_OF_MIME[first.media[0].mime_type],
        usage=_usage(views),
        safety_identifier=echo.end_user or msgspec.UNSET,
        model=first.model,
        failed=failed or msgspec.UNSET,
    )


def completed(type_: str, view: GenerationView, echo: Echo, b64: str | None) -> ImageCompleted:
    """The event of one picture, for which ``b64`` stands."""
    image = _image(view, b64)
    return ImageCompleted(
        type=type_,
        b64_json=image.b64_json,
        url=image.url,
        created_at=int(view.created_at.timestamp()),
        size=_size(view),
        quality=echo.quality or "auto",
        background=echo.background or "auto",
        output_format=_FORMAT_OF_MIME[view.media[0].mime_type],
        usage=_usage([view]),
        safety_identifier=echo.end_user or msgspec.UNSET,
        id=image.id,
        expires_at=image.expires_at,
        seed=image.seed,
        model=view.model,
    )


def _image(view: GenerationView, b64: str | None) -> Image:
    assert view.deletes_at is not None
    return Image(
        b64_json=msgspec.UNSET if b64 is None else b64,
        url=view.media[0].url if b64 is None else msgspec.UNSET,
        id=view.id,
        expires_at=int(view.deletes_at.timestamp()),
        seed=msgspec.UNSET if view.seed is None else view.seed,
    )


def _size(view: GenerationView) -> str:
    return f"{view.media[0].width}x{view.media[0].height}"


def _usage(views: Sequence[GenerationView]) -> Usage:
    used = [view.usage for view in views if view.usage is not None]
    return Usage(
        total_cost=sum((each.total_cost for each in used), Decimal(0)),
        billable_unit=used[0].billable_unit,
        unit_price=used[0].unit_price,
        quantity=sum((each.quantity for each in used), Decimal(0)),
    )
