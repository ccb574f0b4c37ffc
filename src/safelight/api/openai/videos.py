"""Videos: made, looked at, listed, fetched, made again with another prompt, and deleted."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import NoReturn, TypeVar

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import ApiState, api_state, principal, query_number, query_value
from safelight.api.bodies import read_aside, read_body, receive_body
from safelight.api.downloads import FileResponse
from safelight.api.forms import Form, Part, is_form, read_form
from safelight.api.openai import video_wire as wire
from safelight.api.openai.errors import naming
from safelight.api.openai.form_body import data_url_of, form_body
from safelight.api.openai.models import model_for
from safelight.api.openai.sizes import size_in_catalog
from safelight.api.submission import accept, accepted_headers, body_digest, submission_of, with_rate_headers
from safelight.domain.catalog import Model
from safelight.domain.errors import ConfigurationError, InvalidParameter, RequestTooLarge
from safelight.domain.generations import GenerationType, State
from safelight.domain.ids import is_generation_id
from safelight.domain.media import ReferenceRole
from safelight.domain.numbers import whole_number
from safelight.domain.ports import Local
from safelight.domain.request import ImageInput, Request
from safelight.domain.text import cut, quoted
from safelight.keeping.download import file_of
from safelight.keeping.expire import delete_media
from safelight.keeping.thumbnails import VARIANT
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.cancel import Cancellation, cancel
from safelight.lifecycle.remix import take_of
from safelight.lifecycle.submit import most_retention_seconds
from safelight.lifecycle.views import GenerationDetail, detail, list_details, note_seen

MAX_LIMIT = 100
DEFAULT_SECONDS = 4  # that of OpenAI's API

_OUR_NAMES = {"images": "input_reference", "duration": "seconds"}
# What another take has of the first one, where the catalog has it no more.
_NOT_IN_REMIX = dict.fromkeys(
    (
        "model",
        "aspect_ratio",
        "resolution",
        "duration",
        "sound",
        "seed",
        "negative_prompt",
        "provider_options",
        "images",
    ),
    "id",
)
_LOCAL_POLL_MS, _REMOTE_POLL_MS = 500, 3000
_VARIANTS = {"video": None, "thumbnail": VARIANT}

Body = TypeVar("Body", bound=wire.TakeBody)


async def create_video(request: HttpRequest) -> Response:
    """Accept a video, which a worker makes."""

    async def answer() -> Response:
        body, digest, files = await _read(request, wire.VideoBody, "videos", files=("input_reference",))
        reference = _reference(body, files)
        with naming(_OUR_NAMES):
            asked = _asked(api_state(request), body, reference)
            accepted = await accept(request, submission_of(request, asked, digest, end_user=body.end_user))
        return await _accepted_answer(request, accepted)

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


async def remix_video(request: HttpRequest) -> Response:
    """Accept another take of a video: what was asked for then, with another prompt, at the prices of now."""

    async def answer() -> Response:
        first_id = request.path_params["id"]
        body, digest, _ = await _read(request, wire.TakeBody, f"videos/{first_id}/remix")
        most_seconds = most_retention_seconds(api_state(request).submitting, principal(request))
        asked = take_of(await _find(request), body.prompt, most_retention_seconds=most_seconds)
        given = {name: getattr(body, name) for name in ("retention_seconds", "store", "webhook_url")}
        asked = msgspec.structs.replace(asked, **{name: value for name, value in given.items() if value is not None})
        submission = submission_of(request, asked, digest, end_user=body.end_user, remixed_from=first_id)
        with naming(_NOT_IN_REMIX):
            accepted = await accept(request, submission)
        return await _accepted_answer(request, accepted)

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


async def get_video(request: HttpRequest) -> Response:
    """How a video stands. To who asks so again, the answer says when: OpenAI's clients wait as long."""
    found = await _find(request)
    await _note_seen(request, found)
    headers = {}
    if not found.view.state.is_final:
        headers["openai-poll-after-ms"] = str(_poll_after_ms(api_state(request), found.view.model))
    return json_response(wire.video(found), headers=headers)


async def list_videos(request: HttpRequest) -> Response:
    """The workspace's videos, newest first or oldest first."""
    after, order = query_value(request, "after"), query_value(request, "order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidParameter(f"order {quoted(order)} is not supported. Use asc or desc.", param="order")
    if after is not None and not is_generation_id(after):
        raise InvalidParameter("after is not an id. Use the id of the last video you have.", param="after")
    limit = query_number(request, "limit", 20, least=1, most=MAX_LIMIT)
    found = await list_details(
        api_state(request).viewing,
        principal(request).workspace_id,
        GenerationType.VIDEO,
        newest_first=order == "desc",
        after=after,
        limit=limit + 1,
    )
    return json_response(wire.video_list(found[:limit], has_more=len(found) > limit))


async def delete_video(request: HttpRequest) -> Response:
    """Delete a video's file, and its prompt with it; cancel one that is not made yet, as far as it still can be."""
    state, workspace_id, view = api_state(request), principal(request).workspace_id, (await _find(request)).view
    if not view.state.is_final:
        became, view = await cancel(state.running, state.viewing, workspace_id, view.id, GenerationType.VIDEO)
        if became is Cancellation.REQUESTED:
            return json_response(wire.DeletedVideo(id=view.id, deleted=False), status=202)
    if view.state is State.COMPLETED:
        await delete_media(state.keeping, workspace_id, view.id)
    return json_response(wire.DeletedVideo(id=view.id, deleted=True))


async def get_content(request: HttpRequest) -> Response:
    """The video's file, or its thumbnail: whole, in ranges, or only its headers."""
    variant = query_value(request, "variant", "video")
    if variant not in _VARIANTS:
        raise InvalidParameter(f"variant {quoted(variant)} is not made. Use video or thumbnail.", param="variant")
    found = await _find(request)
    view = found.view
    if not view.state.is_final:
        raise InvalidParameter(
            f"The video is not completed yet: it is {wire.status_of(view.state)}. GET /v1/videos/{view.id} tells when.",
            param="id",
        )
    if view.state is not State.COMPLETED:
        raise InvalidParameter(f"The video failed, and has no content: {view.error_message}", param="id")
    keeping = api_state(request).keeping
    file = await file_of(keeping, principal(request).workspace_id, view.id, 0, _VARIANTS[variant])
    await _note_seen(request, found)
    return FileResponse(file)


async def refuse_edit(request: HttpRequest) -> Response:
    """Say what there is in its place."""
    return await _refuse(
        request,
        "Videos are not edited here. POST /v1/videos/{id}/remix makes another take of one.",
    )


async def refuse_extension(request: HttpRequest) -> Response:
    """Say what there is in its place."""
    return await _refuse(
        request, "Videos are not extended here. POST /v1/videos with the last frame as input_reference goes on from it."
    )


async def refuse_character(request: HttpRequest) -> Response:
    """Say what there is in its place."""
    return await _refuse(
        request, "There are no characters here. POST /v1/videos with a picture as input_reference takes after it."
    )


async def _refuse(request: HttpRequest, said: str) -> NoReturn:
    """Once the body is here: a client that is still sending it would not hear what is said."""
    if request.method == "POST":
        with contextlib.suppress(RequestTooLarge):
            await receive_body(request)
    raise InvalidParameter(said)


async def _find(request: HttpRequest) -> GenerationDetail:
    """The video that the path names. An image is as absent as another workspace's video."""
    workspace_id = principal(request).workspace_id
    return await detail(api_state(request).viewing, workspace_id, request.path_params["id"], GenerationType.VIDEO)


async def _note_seen(request: HttpRequest, found: GenerationDetail) -> None:
    if request.method != "HEAD":
        await note_seen(api_state(request).viewing, found.view)


async def _read(
    request: HttpRequest, into: type[Body], call: str, *, files: tuple[str, ...] = ()
) -> tuple[Body, bytes, Mapping[str, Part]]:
    """The body, its digest, and the files of those names; from a form, or from JSON.

    The digest is of what the body is asked of as well: the same bytes are another request where another call is made.
    """
    if not is_form(request):
        body, raw = await read_body(request, into)
        return body, await body_digest(call, raw), {}
    form, digest = await read_form(request)
    size_bytes = sum(len(part.data) for part in form.parts)
    body = await read_aside(size_bytes, partial(form_body, form, into))
    return body, await body_digest(call, digest), _files(form, files)


def _files(form: Form, names: tuple[str, ...]) -> Mapping[str, Part]:
    files: dict[str, Part] = {}
    for part in form.files():
        name = cut(part.name)
        if part.name not in names:
            raise InvalidParameter(f"{name} is a file, and this call takes none of that name.", param=name)
        if part.name in files:
            raise InvalidParameter(f"{name} is given twice. Send it once.", param=name)
        files[part.name] = part
    return files


def _reference(body: wire.VideoBody, files: Mapping[str, Part]) -> str | None:
    """The address of the picture that was sent along."""
    file, given = files.get("input_reference"), body.input_reference
    if file is None:
        return given.image_url if isinstance(given, wire.InputReference) else given
    if given is not None:
        raise InvalidParameter("input_reference is given twice. Send it once.", param="input_reference")
    return data_url_of(file)


def _asked(state: ApiState, body: wire.VideoBody, reference: str | None) -> Request:
    """What is asked for, by the domain's names. Raises ``InvalidParameter``."""
    model = model_for(state.submitting.catalog, body.model, GenerationType.VIDEO)
    resolution, aspect_ratio = body.resolution, body.aspect_ratio
    if resolution is None or resolution in model.resolutions:
        resolution, nearest_ratio = size_in_catalog(
            model, body.size, is_exact=state.has_exact_sizes, resolution=resolution
        )
        aspect_ratio = aspect_ratio or nearest_ratio
    return Request(
        type=GenerationType.VIDEO,
        model=model.id,
        prompt=body.prompt,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        duration=_duration(model, body.seconds),
        sound=body.sound,
        seed=body.seed,
        negative_prompt=body.negative_prompt,
        provider_options=body.provider_options,
        images=() if reference is None else (ImageInput(url=reference, role=_role(model)),),
        retention_seconds=body.retention_seconds,
        store=body.store is not False,
        webhook_url=body.webhook_url,
    )


def _duration(model: Model, seconds: int | str | None) -> int:
    """Seconds that the model lists. They are never rounded: each has its price."""
    if seconds is None:
        return DEFAULT_SECONDS if DEFAULT_SECONDS in model.durations else model.durations[0]
    number = whole_number(seconds) if isinstance(seconds, str) else seconds
    if number not in model.durations:
        listed = ", ".join(map(str, model.durations))
        raise InvalidParameter(
            f"seconds {quoted(seconds)} is not supported by {model.id}. Use one of: {listed}.", param="seconds"
        )
    return number


def _role(model: Model) -> ReferenceRole:
    """What a model takes a picture for, if no role is given: to begin with, or to take after."""
    return "first_frame" if model.references.get("first_frame") else "reference_image"


async def _accepted_answer(request: HttpRequest, accepted: Accepted) -> Response:
    found = await detail(api_state(request).viewing, principal(request).workspace_id, accepted.id)
    return json_response(wire.video(found), headers=accepted_headers(accepted))


def _poll_after_ms(state: ApiState, model_id: str) -> int:
    """How long to wait before asking again: a machine of ours soon knows more, a vendor is asked less often."""
    model = state.running.catalog.models.get(model_id)
    if model is None:
        return _REMOTE_POLL_MS
    try:
        provider = state.running.backends.open(model.bindings[0].connection).provider
    except ConfigurationError:
        return _REMOTE_POLL_MS
    return _LOCAL_POLL_MS if isinstance(provider, Local) else _REMOTE_POLL_MS
