"""Pictures made and edited: so many at once, answered in one piece or as events."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse

from safelight.api.answer import encode, event_stream, json_response, server_sent_comment, server_sent_event
from safelight.api.auth import api_state, principal
from safelight.api.bodies import read_aside
from safelight.api.errors import for_client
from safelight.api.forms import Part, data_url_of
from safelight.api.openai import wire
from safelight.api.openai.errors import error_body, naming
from safelight.api.openai.inline import begun, length_with, placeholder, with_files
from safelight.api.openai.models import model_for
from safelight.api.openai.requests import Asked, Body, read_asked
from safelight.api.openai.sizes import chosen
from safelight.api.submission import Making, begin, failure_response, submission_of, with_rate_headers
from safelight.api.told import delivers
from safelight.domain.errors import (
    GenerationUnknown,
    InvalidParameter,
    NotFound,
    ParameterMissing,
    SafelightError,
)
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat, ReferenceRole
from safelight.domain.request import ImageInput, Request
from safelight.domain.text import cut
from safelight.keeping.download import file_of
from safelight.keeping.files import FileToSend
from safelight.lifecycle.make import Made
from safelight.lifecycle.submit import Submission

_HEARTBEAT_SECONDS = 15.0
_IMAGE_PART = re.compile(r"image(\[[0-9]*\])?")

NOT_TAKEN = {
    "mask": "The whole picture is edited; say in the prompt what is to change.",
    "markup": "Say in the prompt what is to change.",
    "svg": "Use output_format png, jpeg or webp.",
    "frame_count": "Make a video for what moves.",
    "frame_duration_ms": "Make a video for what moves.",
}
"""What OpenAI's own API takes and this does not, with what would work instead."""


class ImageBody(Body, forbid_unknown_fields=True, kw_only=True):
    """A request for pictures. What is only a string here has no effect."""

    n: Annotated[int, Meta(ge=1, le=10)] | None = None
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = None
    background: Literal["auto", "opaque"] | None = None
    output_format: ImageFormat | None = None
    output_compression: Annotated[int, Meta(ge=0, le=100)] | None = None
    response_format: Literal["b64_json", "url"] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Meta(ge=0, le=3)] | None = None
    moderation: str | None = None
    style: str | None = None
    complexity: str | None = None
    input_fidelity: str | None = None


class ImageAddress(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An https address, or a data URL."""

    image_url: Annotated[str, Meta(min_length=1)]


Pictures = str | list[str | ImageAddress] | ImageAddress


class EditBody(ImageBody, forbid_unknown_fields=True, kw_only=True):
    """A request for pictures that begin from others, which are named in one of two ways."""

    image: Pictures | None = None
    images: Pictures | None = None


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, and how it is to be answered. ``pictures``: the parameter that names what is edited."""

    submission: Submission
    count: int
    is_link: bool
    is_stream: bool
    event: str
    echo: wire.Echo
    pictures: str = "image"


Reader = Callable[[HttpRequest], Awaitable[Call]]


async def generate(request: HttpRequest) -> Response:
    """Make pictures and answer with them."""
    return await _answered(request, _read_generation)


async def edit(request: HttpRequest) -> Response:
    """Make pictures from others and answer with them."""
    return await _answered(request, _read_edit)


async def vary(request: HttpRequest) -> Response:
    """What was a call of OpenAI's API once."""
    said = "Variations are not made. POST /v1/images/edits takes a picture, and a prompt that says what to vary."
    raise NotFound(said)


async def _answered(request: HttpRequest, read: Reader) -> Response:
    async def answer() -> Response:
        call = await read(request)
        with naming({"images": call.pictures}):
            making = await begin(request, call.submission, call.count)
        if call.is_stream:
            response = event_stream(_events(request, making, call))
            response.headers.update(making.headers)
            return response
        return await _in_one_piece(request, making, call)

    return await with_rate_headers(request, GenerationType.IMAGE, answer)


async def _read_generation(request: HttpRequest) -> Call:
    asked = await read_asked(request)
    for part in asked.files:
        raise _no_file(part)
    body = await asked.into(ImageBody, NOT_TAKEN)
    return _call(request, asked, body, event="image_generation.completed")


async def _read_edit(request: HttpRequest) -> Call:
    asked = await read_asked(request)
    size_bytes = sum(len(part.data) for part in asked.files)
    if asked.files:
        urls = await read_aside(size_bytes, partial(_data_urls, asked.files))
        if "image" in asked.values:
            raise InvalidParameter("image is given as a file, and as text. Send it once.", param="image")
        asked = msgspec.structs.replace(asked, values={**asked.values, "image": urls}, files=[])
    body = await asked.into(EditBody, NOT_TAKEN, size_bytes=size_bytes)
    if body.image is not None and body.images is not None:
        raise InvalidParameter("image and images name the same thing. Send one of them.", param="image")
    pictures = "image" if body.images is None else "images"
    urls = _urls(body.image if body.images is None else body.images)
    if not urls:
        raise ParameterMissing("image is missing. Send a file, or an address, of what is to be edited.", param="image")
    return _call(request, asked, body, event="image_edit.completed", urls=urls, pictures=pictures)


def _call(
    request: HttpRequest,
    asked: Asked,
    body: ImageBody,
    *,
    event: str,
    urls: list[str] | None = None,
    pictures: str = "image",
) -> Call:
    state, count = api_state(request), body.n or 1
    if body.seed is not None and count > 1:
        said = f"{count} pictures of one seed would be the same picture, charged {count} times"
        raise InvalidParameter(f"{said}. Leave seed out, or make one.", param="seed")
    role: ReferenceRole | None = "reference_image" if urls else None
    model = model_for(state.submitting.catalog, body.model, GenerationType.IMAGE, role=role)
    resolution, aspect_ratio = chosen(
        model,
        is_exact=state.has_exact_sizes,
        size=body.size,
        quality=body.quality,
        aspect_ratio=body.aspect_ratio,
        resolution=body.resolution,
    )
    wanted = Request(
        type=GenerationType.IMAGE,
        model=model.id,
        prompt=body.prompt,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        output_format=body.output_format or "png",
        images=tuple(ImageInput(url=url) for url in urls or ()),
        **body.ours,
    )
    quality = body.quality if body.quality in model.qualities else None
    return Call(
        submission=submission_of(request, wanted, asked.digest, end_user=body.end_user),
        count=count,
        is_link=body.response_format == "url",
        is_stream=bool(body.stream),
        event=event,
        echo=wire.Echo(quality=quality, background=body.background, end_user=body.end_user),
        pictures=pictures,
    )


async def _in_one_piece(request: HttpRequest, making: Making, call: Call) -> Response:
    made = await _ended(making)
    good = [each for each in made if each.error is None]
    if not good:
        worst = _worst(made)
        assert worst.error is not None
        return failure_response(request, worst, worst.error)
    answer = _answer_of(made, good, call, mark := placeholder())
    if call.is_link:
        await making.tell_all(made)
        return json_response(answer, headers=making.headers)
    text, store, files = encode(answer), api_state(request).keeping.store, await _files(request, good)
    pieces = await begun(with_files(text, mark, files, store))
    headers = making.headers | {"content-length": str(length_with(text, mark, files))}
    told = _told(pieces, request, making, made, files)
    return StreamingResponse(told, headers=headers, media_type="application/json")


async def _events(request: HttpRequest, making: Making, call: Call) -> AsyncIterator[bytes]:
    """A picture an event, once all are made; or an error. Whoever leaves finds them by a repeat of the request."""
    ending = asyncio.create_task(_ended(making, watches=False), name="pictures")
    try:
        while not (await asyncio.wait([ending], timeout=_HEARTBEAT_SECONDS))[0]:
            yield server_sent_comment("still there")
        made = ending.result()
        good = [each for each in made if each.error is None]
        if not good:
            raise _worst(made).error or SafelightError()
        mark = None if call.is_link else placeholder()
        text = b"".join(
            server_sent_event(call.event, wire.completed(call.event, each.view, call.echo, mark)) for each in good
        )
        files = [] if mark is None else await _files(request, good)
        pieces = await begun(with_files(text, mark or placeholder(), files, api_state(request).keeping.store))
    except Exception as error:
        yield server_sent_event("error", error_body(for_client(error)))
        return
    finally:
        ending.cancel()
    async for piece in _told(pieces, request, making, made, files):
        yield piece


async def _told(
    pieces: AsyncGenerator[bytes], request: HttpRequest, making: Making, made: list[Made], files: list[FileToSend]
) -> AsyncIterator[bytes]:
    """The pieces of an answer, whose pictures are seen just before the last: large ones take as long as their client
    does, and of an answer that ends before, even with this process, a repeat of the request finds them all.
    """
    async with contextlib.aclosing(pieces):
        last = await anext(pieces)
        async for piece in pieces:
            yield last
            last = piece
        await making.tell_all(made)
        _deliver(request, files)
        yield last


async def _ended(making: Making, *, watches: bool = True) -> list[Made]:
    """How they ended. Where that is not known of one, whoever asked for several is told of all of them."""
    try:
        return await making.ended() if watches else await making.ended(lambda: False)
    except GenerationUnknown as error:
        if len(making.accepted) > 1:
            ids = ", ".join(each.id for each in making.accepted)
            error.message += f" Asked for together: {ids}."
        raise


def _answer_of(made: list[Made], good: list[Made], call: Call, mark: str) -> wire.Images:
    failed = [
        wire.Failure(id=each.view.id, code=each.error.code, message=each.error.message)
        for each in made
        if each.error is not None
    ]
    views = [each.view for each in good]
    return wire.images(views, failed, call.echo, None if call.is_link else mark)


def _worst(made: list[Made]) -> Made:
    """The first whose failure a repeat does not mend; the first where there is none."""
    return next((each for each in made if each.error is not None and not each.error.retryable), made[0])


async def _files(request: HttpRequest, good: list[Made]) -> list[FileToSend]:
    keeping, workspace_id = api_state(request).keeping, principal(request).workspace_id
    return [await file_of(keeping, workspace_id, each.view.id, 0) for each in good]


def _deliver(request: HttpRequest, files: list[FileToSend]) -> None:
    for file in files:
        if not file.is_stored:
            delivers(request, file.generation_id, file.index)


def _urls(pictures: Pictures | None) -> list[str]:
    given = pictures if isinstance(pictures, list) else [] if pictures is None else [pictures]
    return [each.image_url if isinstance(each, ImageAddress) else each for each in given]


def _data_urls(files: list[Part]) -> list[str]:
    """The files as the addresses that hold them."""
    urls = []
    for part in files:
        if _IMAGE_PART.fullmatch(part.name) is None:
            raise _no_file(part)
        urls.append(data_url_of(part, "image"))
    return urls


def _no_file(part: Part) -> InvalidParameter:
    if remedy := NOT_TAKEN.get(part.name):
        return InvalidParameter(f"{part.name} is not supported. {remedy}", param=part.name)
    return InvalidParameter(f"{cut(part.name)} is not a file that this call takes.", param=cut(part.name))
