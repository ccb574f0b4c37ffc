"""What goes over the wire as answers. Field order is that of their JSON; ``requests`` has what comes in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.api.answer import encode
from safelight.domain.catalog import Model, Rate
from safelight.domain.errors import SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat
from safelight.domain.money import as_decimal, format_usd
from safelight.domain.pricing import Price
from safelight.domain.request import Request, Spec
from safelight.keeping.receipts import Receipt
from safelight.lifecycle.views import GenerationView, MediaView


class ImageFile(msgspec.Struct, frozen=True, kw_only=True):
    """An image, as measured on the file."""

    url: Annotated[str, Meta(description="Signed download link; works until `deletes_at`.")]
    width: int
    height: int
    mime_type: Literal["image/png", "image/jpeg", "image/webp"]
    deletes_at: Annotated[str, Meta(description="When the file is deleted (ISO 8601, UTC).")]
    thumbnail_url: Annotated[str, Meta(description="A small WebP, 512 pixels at most; works as long.")]


class VideoFile(msgspec.Struct, frozen=True, kw_only=True):
    """A video, as measured on the file."""

    url: Annotated[str, Meta(description="Signed download link; works until `deletes_at`.")]
    width: int
    height: int
    mime_type: Literal["video/mp4"]
    deletes_at: Annotated[str, Meta(description="When the file is deleted (ISO 8601, UTC).")]
    duration: Annotated[Decimal, Meta(description="Seconds.")]
    fps: Annotated[Decimal, Meta(description="Frames a second.")]
    has_sound: bool
    thumbnail_url: Annotated[str, Meta(description="A frame of it, a WebP of 512 pixels at most; works as long.")]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged, in US dollars; `total_cost` is `unit_price` times `quantity`, exactly."""

    total_cost: Decimal
    billable_unit: Literal["image", "video_second"]
    unit_price: Decimal
    quantity: Decimal


UsedSeed = Annotated[int, Meta(description="The seed that was used, where it is known.")] | msgspec.UnsetType


class CompletedImage(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["completed"]
    model: str
    data: list[ImageFile]
    usage: Usage
    seed: UsedSeed = msgspec.UNSET


class CompletedVideo(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["completed"]
    model: str
    data: list[VideoFile]
    usage: Usage
    seed: UsedSeed = msgspec.UNSET


class PendingGeneration(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["pending"]
    queue_position: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="While it waits for its turn: about its place in the queue, from 1; 201 is all beyond 200. "
                "Absent once work on it has begun.",
            ),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class GenerationError(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class FailedGeneration(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: Literal["failed"]
    error: GenerationError


class CanceledVideo(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a wish to cancel, and how the video stands."""

    id: str
    status: Literal["pending", "completed", "failed"]
    cancellation: Annotated[
        Literal["canceled", "requested", "too_late"],
        Meta(description="`canceled`: it ended, and its hold is released. `requested`: its backend is being asked."),
    ]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a generation is, from 0 to 1 as far as its backend tells."""

    id: str
    status: Literal["pending"]
    progress: float


class ListedImage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="image"):
    """An image generation as the list and the events show it; fields that do not apply are left out."""

    id: str
    status: Literal["pending", "completed", "failed"]
    model: str
    created_at: str
    data: list[ImageFile] | msgspec.UnsetType = msgspec.UNSET
    usage: Usage | msgspec.UnsetType = msgspec.UNSET
    seed: UsedSeed = msgspec.UNSET
    error: GenerationError | msgspec.UnsetType = msgspec.UNSET


class ListedVideo(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="video"):
    """A video generation as the list and the events show it; fields that do not apply are left out."""

    id: str
    status: Literal["pending", "completed", "failed"]
    model: str
    created_at: str
    data: list[VideoFile] | msgspec.UnsetType = msgspec.UNSET
    usage: Usage | msgspec.UnsetType = msgspec.UNSET
    seed: UsedSeed = msgspec.UNSET
    error: GenerationError | msgspec.UnsetType = msgspec.UNSET


class GenerationList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. Where `has_more`, ask again with `after` = the last id."""

    data: list[ListedImage | ListedVideo]
    has_more: bool


class DeletedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is gone. `sha256` is that of its bytes."""

    index: int
    mime_type: str
    size_bytes: int
    sha256: str
    created_at: str
    deletes_at: str
    deleted_at: Annotated[str, Meta(description="When its absence from the store was seen.")]


class DeletionReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """Proof of deletion, with nothing of what was asked for in it."""

    id: str
    files: list[DeletedFile]
    jws: Annotated[
        str | None, Meta(description="The same, signed (RFC 7515); the header's `x5c` leads to the provenance root.")
    ]


class RateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A price per unit. A null resolution covers every resolution."""

    billable_unit: Literal["image", "video_second"]
    unit_price: Annotated[str, Meta(description="US dollars, as a decimal string.")]
    resolution: str | None
    sound: Literal["sound_on", "sound_off", "not_applicable"]


class Pricing(msgspec.Struct, frozen=True, kw_only=True):
    currency: Literal["USD"]
    rates: Annotated[list[RateEntry], Meta(description="Ordered by unit price.")]


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model. The first of each list is its default."""

    id: str
    name: str
    type: Literal["image", "video"]
    created_at: str
    supported_aspect_ratios: list[str]
    supported_resolutions: list[str]
    supported_durations: list[int]
    supported_references: Annotated[dict[str, int], Meta(description="Role to the most images of it.")]
    supports_sound: bool
    supports_seed: bool
    supports_negative_prompt: bool
    supported_provider_options: Annotated[list[str], Meta(description="Names that `provider_options` may have.")]
    pricing: Pricing


class BalanceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    balance: Annotated[str, Meta(description="US dollars, as a decimal string.", examples=["12.34"])]
    currency: Literal["USD"] = "USD"


class CostBucket(msgspec.Struct, frozen=True, kw_only=True):
    date: Annotated[str, Meta(description="A UTC date.", examples=["2026-05-02"])]
    cost: Decimal


class CostsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Costs by UTC date, days without any included."""

    currency: Literal["USD"] = "USD"
    start: str
    end: str
    total_cost: Decimal
    data: list[CostBucket]


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a request would cost, with its defaults filled in."""

    model: str
    aspect_ratio: str
    resolution: str
    width: int
    height: int
    output_format: ImageFormat | None
    duration: int | None
    sound: bool | None
    usage: Usage
    is_covered: Annotated[bool, Meta(description="Whether the balance covers it now.")]


class TestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A test event that was told."""

    id: Annotated[str | None, Meta(description="The event's id. Null: nobody listens, and nothing was told.")]
    type: str


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    message: str
    type: Literal["invalid_request_error"] = "invalid_request_error"
    param: str | None
    code: str


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    error: ErrorDetail


def error_body(error: SafelightError) -> ErrorBody:
    return ErrorBody(error=ErrorDetail(message=error.message, param=error.param, code=error.code))


def completed_image(view: GenerationView) -> CompletedImage:
    return CompletedImage(
        id=view.id,
        status="completed",
        model=view.model,
        usage=_usage(view),
        data=[ImageFile(**_file(view, item)) for item in view.media],
        seed=_seed(view),
    )


def image(view: GenerationView) -> PendingGeneration | FailedGeneration | CompletedImage:
    """An image generation as it stands."""
    return completed_image(view) if view.state.on_the_wire == "completed" else _unfinished(view)


def video(view: GenerationView) -> PendingGeneration | FailedGeneration | CompletedVideo:
    """A video generation as it stands."""
    if view.state.on_the_wire != "completed":
        return _unfinished(view)
    files = [
        VideoFile(
            **_file(view, item),
            duration=item.duration_seconds or Decimal(0),
            fps=item.fps or Decimal(0),
            has_sound=bool(item.has_sound),
        )
        for item in view.media
    ]
    return CompletedVideo(
        id=view.id, status="completed", model=view.model, data=files, usage=_usage(view), seed=_seed(view)
    )


def as_its_get_answers(view: GenerationView) -> bytes:
    """A generation in JSON."""
    return encode(image(view) if view.type is GenerationType.IMAGE else video(view))


def listed(view: GenerationView) -> ListedImage | ListedVideo:
    """A generation as the list and the events show it."""
    facts: dict[str, Any] = {"id": view.id, "model": view.model, "created_at": iso_milliseconds(view.created_at)}
    match answer := video(view) if view.type is GenerationType.VIDEO else image(view):
        case CompletedImage() | CompletedVideo():
            facts |= {"data": answer.data, "usage": answer.usage, "seed": answer.seed}
        case FailedGeneration():
            facts["error"] = answer.error
    kind = ListedVideo if view.type is GenerationType.VIDEO else ListedImage
    return kind(status=answer.status, **facts)


def quote(request: Request, spec: Spec, price: Price, *, available_nanos: int) -> Quote:
    return Quote(
        model=request.model,
        aspect_ratio=spec.aspect_ratio,
        resolution=spec.resolution,
        width=spec.width,
        height=spec.height,
        output_format=spec.output_format,
        duration=spec.duration_seconds,
        sound=spec.sound,
        usage=Usage(
            total_cost=as_decimal(price.total_nanos),
            billable_unit=price.billable_unit,
            unit_price=as_decimal(price.unit_price_nanos),
            quantity=Decimal(price.quantity),
        ),
        is_covered=price.total_nanos <= available_nanos,
    )


def model_entry(model: Model) -> ModelEntry:
    return ModelEntry(
        id=model.id,
        name=model.name,
        type=model.type.value,
        created_at=iso_milliseconds(model.created_at),
        supported_aspect_ratios=list(model.aspect_ratios),
        supported_resolutions=list(model.resolutions),
        supported_durations=list(model.durations),
        supported_references=dict(model.references.items()),
        supports_sound=model.supports_sound,
        supports_seed=model.supports_seed,
        supports_negative_prompt=model.supports_negative_prompt,
        supported_provider_options=list(model.provider_options),
        pricing=Pricing(currency="USD", rates=[_rate(rate) for rate in model.rates]),
    )


def receipt(given: Receipt) -> DeletionReceipt:
    files = [
        DeletedFile(
            index=item.index,
            mime_type=item.mime_type,
            size_bytes=item.size_bytes,
            sha256=item.sha256,
            created_at=iso_milliseconds(item.created_at),
            deletes_at=iso_milliseconds(item.deletes_at),
            deleted_at=iso_milliseconds(item.deleted_at),
        )
        for item in given.files
    ]
    return DeletionReceipt(id=given.id, files=files, jws=given.jws)


def iso_milliseconds(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``: ``2026-05-02T12:30:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _unfinished(view: GenerationView) -> PendingGeneration | FailedGeneration:
    if view.state.on_the_wire == "pending":
        place = msgspec.UNSET if view.queue_position is None else view.queue_position
        return PendingGeneration(id=view.id, status="pending", queue_position=place)
    error = GenerationError(code=view.error_code or "", message=view.error_message or "")
    return FailedGeneration(id=view.id, status="failed", error=error)


def _file(view: GenerationView, item: MediaView) -> dict[str, Any]:
    assert view.deletes_at is not None
    return {
        "url": item.url,
        "width": item.width,
        "height": item.height,
        "mime_type": item.mime_type,
        "deletes_at": iso_milliseconds(view.deletes_at),
        "thumbnail_url": item.thumbnail_url,
    }


def _seed(view: GenerationView) -> int | msgspec.UnsetType:
    return msgspec.UNSET if view.seed is None else view.seed


def _usage(view: GenerationView) -> Usage:
    usage = view.usage
    assert usage is not None
    return Usage(
        total_cost=usage.total_cost,
        billable_unit="image" if usage.billable_unit == "image" else "video_second",
        unit_price=usage.unit_price,
        quantity=usage.quantity,
    )


def _rate(rate: Rate) -> RateEntry:
    return RateEntry(
        billable_unit=rate.billable_unit,
        unit_price=format_usd(rate.unit_price_nanos),
        resolution=rate.resolution,
        sound=rate.sound,
    )
