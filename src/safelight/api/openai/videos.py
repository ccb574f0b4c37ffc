"""Videos: made, looked at, listed, fetched, made again with another prompt, and deleted."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import ApiState, api_state, principal, query_number, query_value
from safelight.api.bodies import parse_json, read_aside
from safelight.api.downloads import FileResponse
from safelight.api.forms import Part, data_url_of
from safelight.api.openai import video_wire as wire
from safelight.api.openai.errors import naming
from safelight.api.openai.models import model_for
from safelight.api.openai.requests import Asked, read_asked
from safelight.api.openai.sizes import chosen
from safelight.api.submission import accept, accepted_headers, submission_of, with_rate_headers
from safelight.domain.catalog import Model
from safelight.domain.errors import ConfigurationError, InvalidParameter
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
_REFERENCE, _REFERENCE_URL = "input_reference", "input_reference[image_url]"
_NOT_TAKEN = {"characters": "Send a picture as input_reference, and say in the prompt who it is."}
_LOCAL_POLL_MS, _REMOTE_POLL_MS = 500, 3000
_VARIANTS = {"video": None, "thumbnail": VARIANT}


async def create_video(request: HttpRequest) -> Response:
    """Accept a video, which a worker makes."""

    async def answer() -> Response:
        asked = await read_asked(request)
        asked = await _with_address(asked)
        body = await asked.into(wire.VideoBody, _NOT_TAKEN)
        with naming(_OUR_NAMES):
            wanted = _wanted(api_state(request), body)
            accepted = await accept(request, submission_of(request, wanted, asked.digest, end_user=body.end_user))
        return await _accepted_answer(request, accepted)

    return await with_rate_headers(request, GenerationType.VIDEO, answer)


async def remix_video(request: HttpRequest) -> Response:
    """Accept another take of a video: what was asked for then, with another prompt, at the prices of now."""

    async def answer() -> Response:
        asked = await read_asked(request)
        _take_no_file(asked.files)
        body = await asked.into(wire.RemixBody, {})
        most_seconds = most_retention_seconds(api_state(request).submitting, principal(request))
        first = await _find(request)
        wanted = take_of(first, body.prompt, most_retention_seconds=most_seconds)
        submission = submission_of(
            request,
            msgspec.structs.replace(wanted, **body.ours),
            asked.digest,
            end_user=body.end_user,
            remixed_from=first.view.id,
        )
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
    said = "Videos are not edited here. POST /v1/videos/{id}/remix makes another take of one."
    raise InvalidParameter(said)


async def refuse_extension(request: HttpRequest) -> Response:
    """Say what there is in its place."""
    said = "Videos are not extended here. POST /v1/videos with the last frame as input_reference goes on from it."
    raise InvalidParameter(said)


async def refuse_character(request: HttpRequest) -> Response:
    """Say what there is in its place."""
    said = "There are no characters here. POST /v1/videos with a picture as input_reference takes after it."
    raise InvalidParameter(said)


async def _find(request: HttpRequest) -> GenerationDetail:
    """The video that the path names. An image is as absent as another workspace's video."""
    workspace_id = principal(request).workspace_id
    return await detail(api_state(request).viewing, workspace_id, request.path_params["id"], GenerationType.VIDEO)


async def _note_seen(request: HttpRequest, found: GenerationDetail) -> None:
    if request.method != "HEAD":
        await note_seen(api_state(request).viewing, found.view)


def _take_no_file(files: Sequence[Part]) -> None:
    for part in files:
        name = cut(part.name)
        raise InvalidParameter(f"{name} is not a file that this call takes.", param=name)


async def _with_address(asked: Asked) -> Asked:
    """The same, with the address of a picture that came as a file, or in another form of an address."""
    values = dict(asked.values)
    files = [part for part in asked.files if part.name == _REFERENCE]
    _take_no_file([part for part in asked.files if part.name != _REFERENCE])
    given: list[object] = [values.pop(name) for name in (_REFERENCE, _REFERENCE_URL) if name in values]
    if len(given) + len(files) > 1:
        raise InvalidParameter(f"{_REFERENCE} is given twice. Send it once.", param=_REFERENCE)
    if files:
        given = [await read_aside(len(files[0].data), partial(data_url_of, files[0], _REFERENCE))]
    for address in given:
        is_object = asked.is_form and isinstance(address, str) and address.startswith("{")
        values[_REFERENCE] = parse_json(str(address).encode()) if is_object else address
    return msgspec.structs.replace(asked, values=values, files=[])


def _wanted(state: ApiState, body: wire.VideoBody) -> Request:
    """What is asked for, by the domain's names. Raises ``InvalidParameter``."""
    given = body.input_reference
    url = given.image_url if isinstance(given, wire.PictureAddress) else given
    role: ReferenceRole | None = None if url is None else "first_frame"
    model = model_for(state.submitting.catalog, body.model, GenerationType.VIDEO, role=role)
    resolution, aspect_ratio = chosen(
        model,
        is_exact=state.has_exact_sizes,
        size=body.size,
        aspect_ratio=body.aspect_ratio,
        resolution=body.resolution,
    )
    return Request(
        type=GenerationType.VIDEO,
        model=model.id,
        prompt=body.prompt,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        duration=_duration(model, body.seconds),
        sound=body.sound,
        images=() if url is None else (ImageInput(url=url, role=_role(model)),),
        **body.ours,
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
