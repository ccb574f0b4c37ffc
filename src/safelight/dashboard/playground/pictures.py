"""Reference images: files that came with the form, earlier images, and those of an earlier request."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePosixPath

import msgspec
from starlette.requests import Request as HttpRequest

from safelight.api.auth import ApiState, api_state, principal
from safelight.api.bodies import read_aside
from safelight.api.forms import Part, data_url_of
from safelight.api.waits import hold
from safelight.dashboard.playground.form import Chosen
from safelight.dashboard.snippets import Picture
from safelight.domain.errors import DownloadExpired, InvalidParameter, NotFound
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import is_generation_id
from safelight.domain.media import EXTENSION_OF_MIME, read_mime_type
from safelight.domain.request import ImageInput, StoredReference
from safelight.domain.text import cut
from safelight.keeping.download import file_of
from safelight.lifecycle.links import BackendLinks
from safelight.lifecycle.views import GenerationView, detail, list_views

MOST_BYTES = 10 << 20
_NEWEST = 24
_PARAM = "images"


class Gathered(msgspec.Struct, frozen=True):
    """Pictures as a request has them. ``digest``: the same for the same picture in the same role."""

    input: ImageInput | StoredReference
    digest: bytes


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A picture to choose, or chosen. ``value``: that of its box."""

    value: str
    thumbnail_url: str
    name: str
    is_chosen: bool = True


async def gather(request: HttpRequest, chosen: Sequence[Chosen]) -> list[Gathered]:
    """The pictures, in order. Those from the store take their share of the memory for bodies.

    Raises ``InvalidParameter``, and ``ServiceUnavailable`` where that memory is used up.
    """
    state, sender = api_state(request), principal(request)
    take = hold(request, state.body_memory.of(sender))
    return [await _one(state, sender.workspace_id, each, take) for each in chosen]


async def _one(state: ApiState, workspace_id: int, chosen: Chosen, take: Callable[[int], None]) -> Gathered:
    if chosen.file is not None:
        return await _of_file(chosen, chosen.file)
    if chosen.pick:
        return await _of_image(state, workspace_id, chosen, take)
    if chosen.kept is not None:
        return await _of_earlier(state, workspace_id, chosen, chosen.kept)
    raise InvalidParameter(f"The file {cut(chosen.name)} did not come along. Choose it again.", param=_PARAM)


async def _of_file(chosen: Chosen, file: Part) -> Gathered:
    digest = hashlib.sha256(f"{chosen.role}\n".encode())

    def read() -> str:
        digest.update(file.data)
        return data_url_of(file, _PARAM)

    url = await read_aside(len(file.data), read)
    return Gathered(ImageInput(url=url, role=chosen.role), digest.digest())


async def _of_image(state: ApiState, workspace_id: int, chosen: Chosen, take: Callable[[int], None]) -> Gathered:
    try:
        found = await file_of(state.keeping, workspace_id, chosen.pick, 0)
        if not found.mime_type.startswith("image/"):
            raise InvalidParameter(f"{chosen.pick} is a video. Only an image can be a reference.", param=_PARAM)
        if not found.is_stored:
            raise InvalidParameter(f"{chosen.pick} is delivered once: download it, and add the file.", param=_PARAM)
        if found.size_bytes > MOST_BYTES:
            raise InvalidParameter(
                f"The file of {chosen.pick} is over {MOST_BYTES >> 20} MiB, the most that a reference has.",
                param=_PARAM,
            )
        take(found.size_bytes * 7 // 3)
        data = await state.keeping.store.get(found.key)
    except NotFound:
        raise InvalidParameter(f"There is no image {cut(chosen.pick)} in this workspace.", param=_PARAM) from None
    except (DownloadExpired, FileNotFoundError):
        raise InvalidParameter(f"The file of {chosen.pick} is deleted. Choose another.", param=_PARAM) from None
    encoded = await read_aside(len(data), partial(base64.b64encode, data))
    url = f"data:{found.mime_type};base64,{encoded.decode()}"
    return Gathered(ImageInput(url=url, role=chosen.role), f"{chosen.role}\n{chosen.pick}".encode())


async def _of_earlier(state: ApiState, workspace_id: int, chosen: Chosen, kept: tuple[str, int]) -> Gathered:
    reference = await _reference(state, workspace_id, kept)
    if reference is None:
        raise InvalidParameter(f"A reference image of {kept[0]} is no longer kept. Add it again.", param=_PARAM)
    reference = msgspec.structs.replace(reference, role=chosen.role)
    return Gathered(reference, f"{chosen.role}\n{kept[0]}:{kept[1]}".encode())


async def _reference(state: ApiState, workspace_id: int, kept: tuple[str, int]) -> StoredReference | None:
    """A reference of an earlier request of this workspace, if it is still there."""
    generation_id, place = kept
    try:
        spec = (await detail(state.viewing, workspace_id, generation_id)).spec
    except NotFound:
        return None
    if spec is None or place >= len(spec.references):
        return None
    reference = spec.references[place]
    return reference if await state.keeping.store.exists(reference.key) else None


async def still_kept(state: ApiState, workspace_id: int, chosen: Sequence[Chosen]) -> tuple[list[Chosen], bool]:
    """Those that are still there, and whether that is all: references of an earlier request go some time after it."""
    there = await asyncio.gather(
        *(_reference(state, workspace_id, each.kept) if each.kept else _itself() for each in chosen)
    )
    kept = [each for each, found in zip(chosen, there, strict=True) if found is not None]
    return kept, len(kept) == len(chosen)


async def _itself() -> bool:
    return True


async def newest_images(state: ApiState, workspace_id: int) -> list[GenerationView]:
    """What can be picked: the newest images that are still there."""
    found = await list_views(
        state.viewing,
        workspace_id,
        type_=GenerationType.IMAGE,
        states=(State.COMPLETED,),
        after=None,
        limit=_NEWEST,
    )
    return [each for each in found if each.media]


async def thumbnail_of_pick(state: ApiState, workspace_id: int, generation_id: str) -> str | None:
    """The address of a small picture of an earlier image; None where there is none any more."""
    if not is_generation_id(generation_id):
        return None
    try:
        media = (await detail(state.viewing, workspace_id, generation_id, GenerationType.IMAGE)).view.media
    except NotFound:
        return None
    return media[0].thumbnail_url if media else None


def link_of_kept(state: ApiState, kept: tuple[str, int]) -> str:
    """The address of a reference that is ``still_kept``, for as long as a page is looked at.

    Whoever has it gets the picture: it is made for no other workspace's.
    """
    return BackendLinks(state.viewing.signer).reference(*kept)


def picture_of(chosen: Chosen, place: int) -> Picture:
    """The picture as ``snippets`` takes it."""
    if chosen.pick:
        return Picture(role=chosen.role, name=f"{chosen.pick}.jpg", mime_type="image/jpeg", generation_id=chosen.pick)
    if chosen.kept is not None:
        return Picture(role=chosen.role, name=f"reference-{place}.png")
    name = PurePosixPath(chosen.name.replace("\\", "/")).name or f"reference-{place}.png"
    endings = {f".{extension}": mime for mime, extension in EXTENSION_OF_MIME.items()} | {".jpeg": "image/jpeg"}
    mime_type = read_mime_type(endings.get(PurePosixPath(name).suffix.lower(), "image/png"))
    return Picture(role=chosen.role, name=name, mime_type=mime_type or "image/png")
