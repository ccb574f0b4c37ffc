"""How a generation stands, for those who may know: its own workspace."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from safelight.db.pool import Database
from safelight.domain.errors import NotFound
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import is_generation_id
from safelight.domain.money import as_decimal
from safelight.domain.pricing import Price
from safelight.domain.request import Spec
from safelight.domain.signing import LinkSigner
from safelight.lifecycle.services import RateWindow, ViewServices
from safelight.lifecycle.settle import MadeImage

_FIRST_PAUSE_SECONDS, _LAST_PAUSE_SECONDS = 0.02, 0.5


class MediaView(msgspec.Struct, frozen=True, kw_only=True):
    """One file, with a link that works until ``deletes_at``."""

    url: str
    thumbnail_url: str
    mime_type: str
    width: int
    height: int
    duration_seconds: Decimal | None
    fps: Decimal | None
    has_sound: bool | None


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """What was charged, in dollars; ``total_cost`` is ``unit_price`` times ``quantity``, exactly."""

    billable_unit: str
    unit_price: Decimal
    quantity: Decimal
    total_cost: Decimal


class GenerationView(msgspec.Struct, frozen=True, kw_only=True):
    """A generation as its workspace sees it.

    ``queue_position``: of one that waits, about how many of its type, in all workspaces, come no later than it.
    ``seed``: the one that was used, where it is known.
    """

    id: str
    type: GenerationType
    model: str
    state: State
    progress: float | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    finished_at: datetime | None
    deletes_at: datetime | None
    is_unseen: bool
    media: tuple[MediaView, ...]
    usage: UsageView | None
    window: RateWindow | None = None
    queue_position: int | None = None
    seed: int | None = None


class GenerationDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A generation with what was asked for, and on which terms.

    ``spec`` is None once the media, and with it the request, is gone. ``price`` is what was held, ``retention_seconds``
    how long the media is kept. ``is_stored`` False: delivered once. ``api_key_id``: the key that asked.
    ``remixed_from``: the id of the generation that this one is another take of. ``way_in``: how it was asked for,
    ``v2``, ``openai``, ``mcp`` or ``dashboard``; None where it is not known.
    """

    view: GenerationView
    spec: Spec | None
    price: Price
    retention_seconds: int
    is_stored: bool
    api_key_id: int | None
    remixed_from: str | None
    way_in: str | None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    type: str
    model: str
    state: str
    progress: float | None
    billable_unit: str
    unit_price_nanos: int
    charged_nanos: int | None
    charged_thousandths: int | None
    error_code: str | None
    error_message: str | None
    created_at: datetime
    finished_at: datetime | None
    deletes_at: datetime | None
    unseen: bool
    seed: int | None
    media: list[dict[str, Any]]


class _FoundRow(_Row, frozen=True, kw_only=True):
    own_rate_limit: int | None
    rate_used: int
    rate_reset: int
    queue_position: int | None


class _DetailRow(_Row, frozen=True, kw_only=True):
    request: dict[str, Any] | None
    quantity: int
    retention_seconds: int
    is_stored: bool
    api_key_id: int | None
    remixed_from: str | None
    way_in: str | None


async def view(services: ViewServices, workspace_id: int, generation_id: str, type_: GenerationType) -> GenerationView:
    """The generation, or ``NotFound``: another workspace's is as absent as one that never was."""
    row = await _find(services.db, workspace_id, generation_id)
    if row is None or row.type != type_:
        raise NotFound(f"There is no {type_} generation with this id in this workspace.")
    return _found_view(services, row)


def view_of_completed(services: ViewServices, made: MadeImage) -> GenerationView:
    """An image that was completed just now, as ``view`` would tell it, without asking the database again."""
    claim, settled = made.claim, made.settled
    row = _Row(
        id=claim.id,
        type=claim.type.value,
        model=claim.model,
        state=State.COMPLETED.value,
        progress=1.0,
        billable_unit=claim.price.billable_unit,
        unit_price_nanos=claim.price.unit_price_nanos,
        charged_nanos=settled.charged_nanos,
        charged_thousandths=settled.charged_thousandths,
        error_code=None,
        error_message=None,
        created_at=settled.created_at,
        finished_at=settled.finished_at,
        deletes_at=settled.deletes_at,
        unseen=made.unseen,
        seed=made.seed,
        media=[{"index": file.index, **msgspec.structs.asdict(file.facts)} for file in made.files],
    )
    return _view(services.signer, row)


async def note_seen(services: ViewServices, *found: GenerationView, seen: bool = True) -> None:
    """Record whether a client has seen them, all at once: a repeat of their request joins only what is unseen."""
    if ids := [each.id for each in found if each.is_unseen == seen]:
        await services.db.run("record_seen", {"ids": ids, "seen": seen})


async def note_lost(services: ViewServices, generation_ids: Sequence[str]) -> None:
    """Record that the answer about them did not arrive: a repeat of their request joins all."""
    await services.db.run("record_seen", {"ids": list(generation_ids), "seen": False})


async def view_of_any_type(services: ViewServices, workspace_id: int, generation_id: str) -> GenerationView:
    """The generation, image or video, or ``NotFound``."""
    row = await _find(services.db, workspace_id, generation_id)
    if row is None:
        raise _no_such_generation()
    return _found_view(services, row)


async def detail(
    services: ViewServices, workspace_id: int, generation_id: str, type_: GenerationType | None = None
) -> GenerationDetail:
    """The generation, of this type or of any, with its prompt and parameters, or ``NotFound``."""
    params = {"id": generation_id, "workspace_id": workspace_id}
    row = None
    if is_generation_id(generation_id):
        row = await services.db.lookup("find_generation_detail", params, _DetailRow)
    if row is None or type_ not in (None, row.type):
        raise _no_such_generation()
    return _detail(services.signer, row)


async def list_details(
    services: ViewServices,
    workspace_id: int,
    type_: GenerationType,
    *,
    newest_first: bool,
    after: str | None,
    limit: int,
) -> list[GenerationDetail]:
    """A workspace's generations of a type, from after the id ``after``. Ids sort by time, so pages are stable."""
    params = {
        "workspace_id": workspace_id,
        "type": str(type_),
        "newest_first": newest_first,
        "after": after,
        "limit": limit,
    }
    rows = await services.db.all("list_generation_details", params, _DetailRow)
    return [_detail(services.signer, row) for row in rows]


async def view_after(
    services: ViewServices, workspace_id: int, generation_id: str, type_: GenerationType, wait_seconds: float
) -> GenerationView:
    """The generation once it has ended, or as it stands after ``wait_seconds``, or when this process ends."""
    found = await view(services, workspace_id, generation_id, type_)
    if found.state.is_final or wait_seconds <= 0:
        return found
    with services.changes.subscribed(generation_id) as changed, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_seconds):
            while not (found := await view(services, workspace_id, generation_id, type_)).state.is_final:
                if services.changes.is_ending:
                    break
                await changed.wait()
                changed.clear()
    return found


async def follow(
    services: ViewServices, workspace_id: int, generation_id: str, *, quiet_seconds: float
) -> AsyncIterator[GenerationView | None]:
    """How a generation stands now, again whenever that may have changed, and at last how it ended.

    When this process ends before, so does this. None each time that nothing is heard for ``quiet_seconds``; then it is
    looked at all the same.
    """
    with services.changes.subscribed(generation_id) as changed:
        while True:
            changed.clear()
            found = await view_of_any_type(services, workspace_id, generation_id)
            yield found
            if found.state.is_final or services.changes.is_ending:
                return
            if not await _happens(changed, quiet_seconds):
                yield None


async def _happens(changed: asyncio.Event, within_seconds: float) -> bool:
    try:
        async with asyncio.timeout(within_seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True


async def list_views(
    services: ViewServices,
    workspace_id: int,
    *,
    type_: GenerationType | None,
    states: tuple[State, ...] | None,
    after: str | None,
    limit: int,
) -> list[GenerationView]:
    """A workspace's generations, newest first, from after the id ``after``. Ids sort by time, so pages are stable."""
    params = {
        "workspace_id": workspace_id,
        "types": [str(each) for each in GenerationType if type_ in (None, each)],
        "states": [str(state) for state in states or State],
        "after": after,
        "limit": limit,
    }
    return [_view(services.signer, row) for row in await services.db.all("list_generations", params, _Row)]


async def ended_view(
    services: ViewServices,
    workspace_id: int,
    generation_id: str,
    type_: GenerationType,
    *,
    wait_seconds: float,
    waits: Callable[[], bool],
) -> GenerationView:
    """The generation once it has ended, or as it stands after ``wait_seconds``, or when nobody ``waits`` any more.

    Another request, perhaps in another process, is running it.
    """
    give_up_at = time.monotonic() + wait_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        found = await view(services, workspace_id, generation_id, type_)
        if found.state.is_final or not waits() or time.monotonic() >= give_up_at:
            return found
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LAST_PAUSE_SECONDS)


async def _find(db: Database, workspace_id: int, generation_id: str) -> _FoundRow | None:
    if not is_generation_id(generation_id):
        return None
    return await db.lookup("find_generation", {"id": generation_id, "workspace_id": workspace_id}, _FoundRow)


def _no_such_generation() -> NotFound:
    return NotFound("There is no generation with this id in this workspace.")


def _found_view(services: ViewServices, row: _FoundRow) -> GenerationView:
    found = _view(services.signer, row, _window(services, row))
    return msgspec.structs.replace(found, queue_position=row.queue_position)


def _window(services: ViewServices, row: _FoundRow) -> RateWindow:
    limit = row.own_rate_limit or services.limits.rpm(GenerationType(row.type))
    return RateWindow(limit=limit, used=row.rate_used, reset=row.rate_reset)


def _view(signer: LinkSigner, row: _Row, window: RateWindow | None = None) -> GenerationView:
    return GenerationView(
        id=row.id,
        type=GenerationType(row.type),
        model=row.model,
        state=State(row.state),
        progress=row.progress,
        error_code=row.error_code,
        error_message=row.error_message,
        created_at=row.created_at,
        finished_at=row.finished_at,
        deletes_at=row.deletes_at,
        is_unseen=row.unseen,
        media=tuple(_media(signer, row, item) for item in row.media),
        usage=_usage(row),
        window=window,
        seed=row.seed,
    )


def _detail(signer: LinkSigner, row: _DetailRow) -> GenerationDetail:
    price = {
        "billable_unit": row.billable_unit,
        "unit_price_nanos": row.unit_price_nanos,
        "quantity": row.quantity,
    }
    return GenerationDetail(
        view=_view(signer, row),
        spec=None if row.request is None else msgspec.convert(row.request, Spec),
        price=msgspec.convert(price, Price),
        retention_seconds=row.retention_seconds,
        is_stored=row.is_stored,
        api_key_id=row.api_key_id,
        remixed_from=row.remixed_from,
        way_in=row.way_in,
    )


def _media(signer: LinkSigner, row: _Row, item: dict[str, Any]) -> MediaView:
    assert row.deletes_at is not None
    index, exp = item["index"], int(row.deletes_at.timestamp())
    return MediaView(
        url=signer.url(row.id, index, exp),
        thumbnail_url=signer.url(row.id, index, exp, variant="thumbnail"),
        mime_type=item["mime_type"],
        width=item["width"],
        height=item["height"],
        duration_seconds=_number(item["duration_seconds"]),
        fps=_number(item["fps"]),
        has_sound=item["has_sound"],
    )


def _usage(row: _Row) -> UsageView | None:
    if row.charged_nanos is None or row.charged_thousandths is None:
        return None
    return UsageView(
        billable_unit=row.billable_unit,
        unit_price=as_decimal(row.unit_price_nanos),
        quantity=_plain(Decimal(row.charged_thousandths) / 1000),
        total_cost=as_decimal(row.charged_nanos),
    )


def _number(value: float | int | None) -> Decimal | None:
    return None if value is None else _plain(Decimal(str(value)))


def _plain(value: Decimal) -> Decimal:
    """Without trailing zeros and without an exponent."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
