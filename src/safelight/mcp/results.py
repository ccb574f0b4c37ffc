"""From the API's answers to what a model and a person see, within what hosts take.

A host keeps about 1 MiB of a result, and shows a model some 25,000 tokens of it: so a picture comes as its thumbnail,
and the file as a link.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from mcp_types import Annotations, CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from safelight.domain.media import EXTENSION_OF_MIME
from safelight.mcp.api import Api, Json, Refused
from safelight.mcp.orders import Made

MOST_BYTES = 1024 * 1024
_MOST_THUMBNAIL_BYTES = 200 * 1024
_MOST_PICTURES_BYTES = 640 * 1024  # of all thumbnails of a result, as base64
_FOR_BOTH = Annotations(audience=["user", "assistant"])

Keep = Callable[[Json], Awaitable[list[str]]]
"""Keeps the files of a completed generation where the caller runs; their paths."""


async def keep_nothing(generation: Json) -> list[str]:
    return []


def text(*lines: str) -> TextContent:
    return TextContent(text="\n".join(line for line in lines if line))


def refusal(error: Refused, hint: str = "") -> CallToolResult:
    """What a model may mend its call by."""
    about = f"(code: {error.answer_code}{f', param: {error.param}' if error.param else ''})"
    return CallToolResult(
        content=[text(f"{error.message} {about}", hint)],
        is_error=True,
        _meta={"safelight/error": _error(error)},
    )


def answer(content: Sequence[ContentBlock], structured: Json, *, is_error: bool = False) -> CallToolResult:
    """A result that fits: pictures go first, as their links stay."""
    kept = list(content)
    result = CallToolResult(content=kept, structured_content=structured, is_error=is_error)
    while _size_of(result) > MOST_BYTES and any(isinstance(block, ImageContent) for block in kept):
        last = max(place for place, block in enumerate(kept) if isinstance(block, ImageContent))
        del kept[last]
        result = CallToolResult(content=kept, structured_content=structured, is_error=is_error)
    return result


async def of_generation(api: Api, generation: Json, keep: Keep, *, is_wanted: bool = False) -> CallToolResult:
    """One generation as it stands. ``is_wanted``: a failure of it is one of the call."""
    content, shown = await _shown(api, generation, keep, _MOST_PICTURES_BYTES)
    return answer(content, shown, is_error=is_wanted and generation["status"] == "failed")


async def of_images(api: Api, made: Sequence[Made], keep: Keep) -> CallToolResult:
    """What became of the images of a call. It is an error only where none is there or on its way."""
    errors = [one.error for one in made if one.error is not None]
    if len(errors) == len(made):
        return refusal(errors[0], _repeat_hint(made[0].key) if errors[0].is_unknown else "")
    content: list[ContentBlock] = []
    generations: list[Json] = []
    left_bytes = _MOST_PICTURES_BYTES
    for place, one in enumerate(made):
        if one.error is not None:
            content.append(text(f"Image {place + 1} of {len(made)} was not made: {one.error.message}"))
        elif one.generation is None:
            content.append(text(f"Image {place + 1} is still being accepted. {_repeat_hint(one.key)}"))
        else:
            blocks, shown = await _shown(api, one.generation, keep, left_bytes)
            left_bytes -= sum(len(block.data) for block in blocks if isinstance(block, ImageContent))
            content += blocks
            generations.append(shown)
    structured: Json = {"generations": generations}
    if errors:
        structured["errors"] = [_error(error) for error in errors]
    is_failed = bool(generations) and all(each["status"] == "failed" for each in generations)
    return answer(content, structured, is_error=is_failed)


def _repeat_hint(key: str) -> str:
    return f"Call it again with the same arguments and idempotency_key {key!r}: that is the same order, charged once."


async def _shown(api: Api, generation: Json, keep: Keep, most_bytes: int) -> tuple[list[ContentBlock], Json]:
    """What is shown of a generation, and it as structured content."""
    if generation["status"] != "completed":
        return [text(line_of(generation), _next_step(generation))], generation
    paths, saved = [], []
    try:
        paths = await keep(generation)
        saved = [f"Saved as {path}" for path in paths]
    except Refused as error:  # it is made and charged all the same
        saved = [f"Not saved: {error.message}"]
    shown = {**generation, "paths": paths} if paths else generation
    files, pictures, links = [], [], []
    for place, file in enumerate(generation["data"]):
        files.append(f"Link, good until then: {file['url']}")
        links.append(await _link(api, generation, place, file))
        picture = await _picture(api, file)
        if picture is not None and len(picture.data) <= most_bytes:
            most_bytes -= len(picture.data)
            pictures.append(picture)
    return [text(line_of(generation), *files, *saved), *pictures, *links], shown


def line_of(generation: Json) -> str:
    """A generation in one line."""
    name, by = generation["id"], f" by {generation['model']}" if "model" in generation else ""
    match generation["status"]:
        case "completed":
            file = generation["data"][0]
            length = f", {file['duration']:g} s" if "duration" in file else ""
            size = f"{file['width']}x{file['height']} {file['mime_type']}{length}"
            return f"{name}: {size}{by}, {dollars(generation['usage']['total_cost'])}. Deleted at {file['deletes_at']}."
        case "failed":
            error = generation["error"]
            return f"{name} failed: {error['message']} (code: {error['code']}) Nothing was charged."
        case _:
            progress = f", {generation['progress']:.0%}" if generation.get("progress") else ""
            return f"{name} is being made{by}{progress}."


def _next_step(generation: Json) -> str:
    if generation["status"] == "failed":
        return ""
    return (
        f"It goes on by itself. Call get_generation with id {generation['id']} and wait_seconds 50 until it is there."
    )


async def _picture(api: Api, file: Json) -> ImageContent | None:
    """The thumbnail; of a video, a frame of it. None where it cannot be had now."""
    try:
        data = await api.download(file["thumbnail_url"], _MOST_THUMBNAIL_BYTES)
    except Refused:
        return None
    if not data:
        return None
    return ImageContent(data=base64.b64encode(data).decode(), mime_type="image/webp", annotations=_FOR_BOTH)


async def _link(api: Api, generation: Json, place: int, file: Json) -> ResourceLink:
    try:
        size_bytes = await api.size_of(file["url"])
    except Refused:
        size_bytes = None
    name = f"{generation['id']}-{place}.{EXTENSION_OF_MIME[file['mime_type']]}"
    return ResourceLink(name=name, uri=file["url"], mime_type=file["mime_type"], size=size_bytes, annotations=_FOR_BOTH)


def dollars(amount: float | int) -> str:
    """An amount to its last digit."""
    return f"${Decimal(str(amount)):f}"


def _error(error: Refused) -> dict[str, Any]:
    return {"code": error.answer_code, "message": error.message, "param": error.param}


def _size_of(result: CallToolResult) -> int:
    return len(result.model_dump_json(by_alias=True, exclude_none=True).encode())
