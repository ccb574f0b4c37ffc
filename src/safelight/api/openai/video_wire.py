"""What goes over the wire about videos: the bodies of requests, and answers. Field order is that of their JSON."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.api.openai.requests import Body, EndUser, Prompt
from safelight.domain.generations import State
from safelight.lifecycle.views import GenerationDetail, GenerationView

Status = Literal["queued", "in_progress", "completed", "failed"]

_STATUS: dict[State, Status] = {
    State.QUEUED: "queued",
    State.RUNNING: "in_progress",
    State.UNKNOWN: "in_progress",
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELED: "failed",
}


class PictureAddress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A picture by its address: of HTTPS, or a data URL."""

    image_url: Annotated[str, Meta(min_length=1)]


class VideoBody(Body, forbid_unknown_fields=True, kw_only=True):
    """A request for a video. ``sound`` is ours."""

    seconds: int | str | None = None
    input_reference: PictureAddress | str | None = None
    sound: bool | None = None


class RemixBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A request for another take of a video. What follows ``prompt`` is ours."""

    prompt: Prompt
    user: EndUser | None = None
    safety_identifier: EndUser | None = None
    retention_seconds: Annotated[int, Meta(ge=60)] | None = None
    store: bool | None = None
    webhook_url: Annotated[str, Meta(min_length=1)] | None = None

    @property
    def end_user(self) -> str | None:
        """Whom it is for."""
        return self.safety_identifier or self.user or None

    @property
    def ours(self) -> dict[str, Any]:
        """What goes by the same name in ``domain.request.Request``, as far as it is given."""
        names = ("retention_seconds", "store", "webhook_url")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class VideoError(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str


class VideoUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged, in US dollars."""

    total_cost: Decimal
    billable_unit: str
    unit_price: Decimal
    quantity: Decimal


class VideoObject(msgspec.Struct, frozen=True, kw_only=True):
    """A video. Times are Unix seconds; ``seconds`` are those that were asked for; ``usage`` is ours.

    ``size``: as measured on the file; until there is one, as it will be; None where neither is on record any more.
    """

    id: str
    object: Literal["video"] = "video"
    model: str
    status: Status
    progress: int
    created_at: int
    completed_at: int | None
    expires_at: int | None
    seconds: str
    size: str | None
    prompt: str | None
    error: VideoError | None
    remixed_from_video_id: str | None
    usage: VideoUsage | msgspec.UnsetType = msgspec.UNSET


class VideoList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[VideoObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedVideo(msgspec.Struct, frozen=True, kw_only=True):
    """``deleted`` is false of one that is made all the same: its backend has yet to say that it stopped."""

    id: str
    object: Literal["video.deleted"] = "video.deleted"
    deleted: bool


def status_of(state: State) -> Status:
    return _STATUS[state]


def video(found: GenerationDetail) -> VideoObject:
    """A video as it stands."""
    view, spec = found.view, found.spec
    is_completed = view.state is State.COMPLETED
    return VideoObject(
        id=view.id,
        model=view.model,
        status=status_of(view.state),
        progress=100 if is_completed else min(int((view.progress or 0) * 100), 99),
        created_at=_seconds(view.created_at),
        completed_at=_seconds(view.finished_at) if is_completed and view.finished_at else None,
        expires_at=_seconds(view.deletes_at) if view.deletes_at else None,
        seconds=str(found.price.quantity),
        size=_size(found),
        prompt=None if spec is None else spec.prompt,
        error=_error(view),
        remixed_from_video_id=found.remixed_from,
        usage=_usage(view),
    )


def video_list(found: list[GenerationDetail], *, has_more: bool) -> VideoList:
    """A page of videos."""
    data = [video(each) for each in found]
    first_id, last_id = (data[0].id, data[-1].id) if data else (None, None)
    return VideoList(data=data, first_id=first_id, last_id=last_id, has_more=has_more)


def _error(view: GenerationView) -> VideoError | None:
    if status_of(view.state) != "failed":
        return None
    code = "canceled" if view.state is State.CANCELED else view.error_code or ""
    return VideoError(code=code, message=view.error_message or "")


def _size(found: GenerationDetail) -> str | None:
    if found.view.media:
        return f"{found.view.media[0].width}x{found.view.media[0].height}"
    return None if found.spec is None else f"{found.spec.width}x{found.spec.height}"


def _usage(view: GenerationView) -> VideoUsage | msgspec.UnsetType:
    usage = view.usage
    if usage is None or view.state is not State.COMPLETED:
        return msgspec.UNSET
    return VideoUsage(
        total_cost=usage.total_cost,
        billable_unit=usage.billable_unit,
        unit_price=usage.unit_price,
        quantity=usage.quantity,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
