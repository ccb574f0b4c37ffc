"""Making images and videos, and waiting for their end. What is ordered goes on, whoever stops waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any, cast

import msgspec

from safelight.mcp.api import Api, Json, Refused
from safelight.mcp.arguments import MOST_WAIT_SECONDS, ImageArguments, QuoteArguments, VideoArguments
from safelight.mcp.generations import Report, follow, of_key
from safelight.mcp.keys import key_of_image
from safelight.mcp.references import Source, renamed, resolved, sources

_IMAGES, _VIDEOS = "/v2/images/generations", "/v2/videos/generations"
_LOOK_SECONDS = 0.5
_OF_BOTH = ("prompt", "aspect_ratio", "resolution", "seed", "negative_prompt")

_running: set[asyncio.Task[Json]] = set()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool. ``key``: what its order is known by. ``is_watched``: somebody reads what is reported."""

    api: Api
    key: str
    report: Report
    is_watched: bool
    began: float = msgspec.field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.began + MOST_WAIT_SECONDS - time.monotonic())


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one order: a generation, at its end or on its way, or what it was refused with.

    Of an order that is not known to be accepted yet both are None.
    """

    key: str
    generation: Json | None = None
    error: Refused | None = None


async def make_images(call: Call, asked: ImageArguments) -> list[Made]:
    """Order so many images, and wait for them as long as a call may take. Raises ``Refused``: nothing was ordered."""
    if asked.count > 1 and isinstance(asked.seed, int):
        raise Refused(
            f"{asked.count} images of one seed would be the same image, charged {asked.count} times. "
            "Leave seed out, or make one.",
            code="invalid_parameter",
            param="seed",
        )
    given = sources(reference_images=asked.reference_images or None)
    body: Json = {"model": asked.model or await _model(call.api, "image", asked, given)}
    body |= asked.given(*_OF_BOTH, "output_format")
    if given:
        body["images"] = await resolved(call.api, given)
    keys = [key_of_image(call.key, place) for place in range(asked.count)]
    orders = {key: _in_background(call.api.post(_IMAGES, body, key)) for key in keys}
    del body
    await _watch(call, orders)
    return [await _outcome(call.api, key, order, given) for key, order in orders.items()]


async def _watch(call: Call, orders: dict[str, asyncio.Task[Json]]) -> None:
    """Wait for the orders, and tell the id of each as soon as it has one."""
    told: set[str] = set()
    while call.seconds_left and (under_way := [order for order in orders.values() if not order.done()]):
        await asyncio.wait(under_way, timeout=min(_LOOK_SECONDS, call.seconds_left))
        if not call.is_watched:
            continue
        for key, order in orders.items():
            if not order.done() and key not in told and (found := await _found(call.api, key)):
                told.add(key)
                await call.report(0.0, f"{found['id']} is being made.")
        await call.report(sum(order.done() for order in orders.values()) / len(orders), "Images are being made.")


async def _outcome(api: Api, key: str, order: asyncio.Task[Json], given: list[Source]) -> Made:
    if not order.done():
        found = await _found(api, key)
        return Made(key=key, generation=found)
    error = order.exception()
    if error is None:
        return Made(key=key, generation={"type": "image", **order.result()})
    if not isinstance(error, Refused):
        raise error
    if error.is_unknown and (found := await _found(api, key)):
        return Made(key=key, generation=found)
    return Made(key=key, error=renamed(error, given))


async def order_video(call: Call, asked: VideoArguments) -> str:
    """Order a video; its id, once it is on record. Raises ``Refused``."""
    given = sources(
        first_frame=asked.first_frame or None,
        last_frame=asked.last_frame or None,
        reference_images=asked.reference_images or None,
    )
    body: Json = {"model": asked.model or await _model(call.api, "video", asked, given)}
    body |= asked.given(*_OF_BOTH, "duration", "sound")
    if given:
        body["images"] = await resolved(call.api, given)
    try:
        accepted = await asyncio.shield(_in_background(call.api.post(_VIDEOS, body, call.key)))
    except Refused as error:
        if error.is_unknown and (found := await _found(call.api, call.key)):
            return str(found["id"])
        raise renamed(error, given) from None
    return str(accepted["id"])


async def wait_for_video(call: Call, generation_id: str) -> Json:
    """The video at its end, or as it stands once a call has taken its time. The id is told first."""
    await call.report(0.0, f"{generation_id} is ordered.")
    return {"type": "video", **await follow(call.api, generation_id, call.seconds_left or 0.1, call.report)}


async def quote(api: Api, asked: QuoteArguments) -> Json:
    """What one of it would cost. Raises ``Refused``."""
    body: Json = {"model": asked.model or await _model(api, asked.type, asked, []), "prompt": "a quote"}
    body |= asked.given("aspect_ratio", "resolution", "duration", "sound")
    return await api.post(f"{_IMAGES if asked.type == 'image' else _VIDEOS}/quote", body, None)


async def _model(
    api: Api, type_: str, asked: ImageArguments | VideoArguments | QuoteArguments, given: Sequence[Source]
) -> str:
    """The first model that can do what is asked for; or the first, which will say why it cannot."""
    models = cast("list[Json]", await api.get("/v2/models", {"type": type_}))
    if not models:
        raise Refused(f"There is no model here that makes a {type_}.", code="invalid_parameter", param="model")
    return str(next((model for model in models if _can(model, asked, given)), models[0])["id"])


def _can(model: Json, asked: ImageArguments | VideoArguments | QuoteArguments, given: Sequence[Source]) -> bool:
    wanted = asked.given(
        "aspect_ratio", "resolution", *(("duration",) if not isinstance(asked, ImageArguments) else ())
    )
    roles = [source.role for source in given]
    return (
        all(value in model[f"supported_{name}s"] for name, value in wanted.items())
        and all(roles.count(role) <= model["supported_references"].get(role, 0) for role in roles)
        and (model["supports_sound"] or not getattr(asked, "sound", None))
        and (model["supports_seed"] or not getattr(asked, "seed", None))
        and (model["supports_negative_prompt"] or not getattr(asked, "negative_prompt", None))
    )


async def _found(api: Api, key: str) -> Json | None:
    try:
        return await of_key(api, key)
    except Refused:
        return None


def _in_background(order: Coroutine[Any, Any, Json]) -> asyncio.Task[Json]:
    """The order, which goes on when nobody waits for it any more."""
    task = asyncio.create_task(order, name="order")
    _running.add(task)
    task.add_done_callback(_forget)
    return task


def _forget(task: asyncio.Task[Json]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # whoever waits for it is told; where nobody does, it is no news
