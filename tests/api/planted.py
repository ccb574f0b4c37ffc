"""A second dialect, as somebody would add it: a file of its own, that the frame is handed."""

from __future__ import annotations

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from safelight.api.answer import json_response
from safelight.api.auth import api_state, principal
from safelight.api.dialect import Dialect, Route
from safelight.api.downloads import FileResponse
from safelight.api.submission import accepted_headers, failure_response, make, read_submission, with_rate_headers
from safelight.domain.errors import SafelightError
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.keeping.download import file_of
from safelight.lifecycle.views import detail


class PictureBody(msgspec.Struct, forbid_unknown_fields=True):
    """A request in words of its own."""

    words: str
    by: str = "still"

    def request(self) -> Request:
        return Request(type=GenerationType.IMAGE, model=self.by, prompt=self.words)


class Picture(msgspec.Struct):
    """An answer of a shape of its own."""

    number: str
    words: str | None


class Fault(msgspec.Struct):
    """An error of a shape of its own."""

    fault: str
    says: str


async def create_picture(request: HttpRequest) -> Response:
    async def answer() -> Response:
        submission = await read_submission(request, PictureBody)
        made = await make(request, submission)
        if made.error is not None:
            return failure_response(request, made, made.error)
        picture = Picture(number=made.view.id, words=submission.request.prompt)
        return json_response(picture, status=201, headers=accepted_headers(made.accepted))

    return await with_rate_headers(request, GenerationType.IMAGE, answer)


async def get_picture(request: HttpRequest) -> Response:
    found = await detail(api_state(request).viewing, principal(request).workspace_id, request.path_params["number"])
    return json_response(Picture(number=found.view.id, words=found.spec and found.spec.prompt))


async def get_file(request: HttpRequest) -> Response:
    number = request.path_params["number"]
    return FileResponse(await file_of(api_state(request).keeping, principal(request).workspace_id, number, 0))


async def break_down(_: HttpRequest) -> Response:
    raise ZeroDivisionError("planted")


def fault(error: SafelightError) -> Fault:
    return Fault(fault=error.code, says=error.message)


DIALECT = Dialect(
    name="planted",
    prefix="/planted/",
    error_body=fault,
    routes=(
        Route("POST", "/planted/pictures", create_picture),
        Route("GET", "/planted/pictures/{number}", get_picture),
        Route("GET", "/planted/pictures/{number}/file", get_file),
        Route("GET", "/planted/broken", break_down, needs_key=False),
    ),
)
