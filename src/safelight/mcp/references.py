"""Pictures to go by, as tools take them: addresses, data URLs, and earlier generations."""

from __future__ import annotations

import base64
import re

from safelight.domain.ids import is_generation_id
from safelight.mcp.api import Api, Json, Refused
from safelight.mcp.generations import look

MOST_BYTES = 10 * 1024 * 1024
_MOST_TOGETHER_BYTES = 24 * 1024 * 1024  # as text, beside the rest of a body of 25 MiB
_IN_MESSAGE = re.compile(r"images\[(\d+)\](?:\.(?:url|role))?")


class Source:
    """A picture and the parameter that named it."""

    def __init__(self, param: str, role: str, text: str) -> None:
        self.param = param
        self.role = role
        self.text = text


def sources(
    *, first_frame: str | None = None, last_frame: str | None = None, reference_images: list[str] | None = None
) -> list[Source]:
    """What was given, in the order in which the API gets it."""
    frames = [("first_frame", first_frame), ("last_frame", last_frame)]
    found = [Source(name, name, text) for name, text in frames if text is not None]
    return found + [
        Source(f"reference_images[{place}]", "reference_image", text)
        for place, text in enumerate(reference_images or [])
    ]


async def resolved(api: Api, given: list[Source]) -> list[Json]:
    """The API's ``images``. An id becomes the bytes of its own file. Raises ``Refused``."""
    images: list[Json] = []
    left_bytes = _MOST_TOGETHER_BYTES
    for source in given:
        url = await _url_of(api, source)
        left_bytes -= len(url)
        if left_bytes < 0:
            raise Refused(
                "The reference images are over 25 MiB together. Give fewer, or smaller ones.",
                code="request_too_large",
                param=given[0].param,
            )
        images.append({"url": url, "role": source.role})
    return images


async def _url_of(api: Api, source: Source) -> str:
    text = source.text.strip()
    if not text.startswith("req-"):
        if text.startswith(("https://", "http://", "data:")):
            return text  # what is wrong with it, the API says
        raise Refused(
            f"{source.param} is no picture. Use an https:// address, a data URL, or the id (req-...) of an earlier "
            "image. A path of a file is not one: the server does not see your files.",
            code="invalid_parameter",
            param=source.param,
        )
    found = await _found(api, source, text)
    if found["status"] != "completed":
        raise _unfit(source, f"{text} is {found['status']}: it has no file to go by")
    if found["type"] != "image":
        raise _unfit(source, f"{text} is a video: only images can be gone by")
    file = found["data"][0]
    data = await api.download(file["url"], MOST_BYTES)
    if data is None:
        raise _unfit(source, f"The file of {text} is over 10 MiB. Make it as jpeg or webp, or smaller")
    return f"data:{file['mime_type']};base64,{base64.b64encode(data).decode()}"


async def _found(api: Api, source: Source, generation_id: str) -> Json:
    if is_generation_id(generation_id):
        try:
            return await look(api, generation_id)
        except Refused as error:
            if error.answer_code != "not_found":
                raise
    raise Refused(
        f"{source.param}: there is no generation {generation_id[:40]!r} in this workspace.",
        code="not_found",
        param=source.param,
    )


def _unfit(source: Source, why: str) -> Refused:
    return Refused(f"{source.param}: {why}.", code="invalid_parameter", param=source.param)


def renamed(error: Refused, given: list[Source]) -> Refused:
    """The API's words on its ``images``, by the tool's own parameters."""

    def param_of(found: re.Match[str]) -> str:
        place = int(found[1])
        return given[place].param if place < len(given) else found[0]

    return Refused(
        _IN_MESSAGE.sub(param_of, error.message),
        code=error.answer_code,
        param=error.param and _IN_MESSAGE.sub(param_of, error.param),
        is_unknown=error.is_unknown,
    )
