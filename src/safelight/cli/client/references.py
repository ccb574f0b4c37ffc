"""Reference images: from files, addresses and earlier results to what a request holds."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from safelight.cli.client.answers import Generation, Model, read
from safelight.cli.client.connection import Connection
from safelight.cli.client.download import fetch_bytes
from safelight.cli.client.exits import Answered, Misuse
from safelight.domain.ids import is_generation_id

MOST_BYTES = 10 << 20
_ROLES = {"first": "first_frame", "last": "last_frame", "ref": "reference_image"}
_ROLES |= {role: role for role in _ROLES.values()}
_ROLE = re.compile(rf"({'|'.join(_ROLES)}):(.+)", re.DOTALL)
_BEGINNINGS = ((rb"\x89PNG\r\n\x1a\n", "image/png"), (rb"\xff\xd8\xff", "image/jpeg"), (rb"RIFF....WEBP", "image/webp"))


async def reference_of(connection: Connection, given: str, model: Model) -> dict[str, str]:
    """One entry of ``images``. Raises ``Misuse`` with what is wrong with it."""
    found = _ROLE.fullmatch(given)
    role, place = (_ROLES[found[1]], found[2]) if found else (_usual_role(model), given)
    if place.startswith(("https://", "data:")):
        url = place
    elif place.startswith("http://"):
        raise Misuse(f"-i {given}: servers follow https addresses alone. Save the file, and give that.")
    elif is_generation_id(place):
        url = _data_url(place, await _earlier(connection, place))
    else:
        url = _data_url(place, _content(place))
    return {"url": url, "role": role}


def _usual_role(model: Model) -> str:
    """An image's references are references; a video begins with what it is given, where its model can."""
    if model.type == "image" or "first_frame" not in model.supported_references:
        return next(iter(model.supported_references), "reference_image")
    return "first_frame"


def _content(place: str) -> bytes:
    try:
        with Path(place).expanduser().open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise Misuse(f"-i {place}: {getattr(error, 'strerror', None) or 'it is no file'}.") from None
    return content


async def _earlier(connection: Connection, generation_id: str) -> bytes:
    try:
        answer = await connection.get(f"/v2/images/generations/{generation_id}")
    except Answered as error:
        if error.answer_code != "not_found":
            raise
        raise Misuse(f"-i {generation_id}: there is no such image. A video is no reference.") from None
    earlier = read(answer.body, Generation)
    if not earlier.data:
        raise Misuse(f"-i {generation_id}: it is {earlier.status}, and has no file.")
    return await fetch_bytes(connection, earlier.data[0].url, MOST_BYTES + 1)


def _data_url(place: str, content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Misuse(f"-i {place}: it is over {MOST_BYTES >> 20} MiB, the most that a reference has. Make it smaller.")
    for beginning, mime_type in _BEGINNINGS:
        if re.match(beginning, content, re.DOTALL):
            return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
    raise Misuse(f"-i {place}: it is not a PNG, JPEG or WebP image.")
