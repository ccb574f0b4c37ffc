"""The requests placed, each once, however often the form is sent.

A form carries an id that was made with it. It becomes the idempotency key of each order, so that a form that is sent
again, by a double click, a reload or after an answer that was lost, finds what it ordered. A form that was changed in
between is another order: its key has a digest of what it asks for, so that it is known as well when it comes again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from starlette.requests import Request as HttpRequest

from safelight.api.auth import api_state
from safelight.api.submission import accept, submission_of
from safelight.dashboard.playground.form import request_of
from safelight.dashboard.playground.form_view import Line
from safelight.dashboard.playground.pictures import Gathered
from safelight.domain.errors import IdempotencyConflict, SafelightError
from safelight.domain.request import ImageInput, Request, StoredReference
from safelight.lifecycle.accept import Accepted
from safelight.lifecycle.make import start

_DIGEST_CHARACTERS = 16


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one order: its generation's id, or what it was refused with. ``is_new``: no repeat of an order."""

    model: str
    generation_id: str | None = None
    error: SafelightError | None = None
    is_new: bool = False


async def place(request: HttpRequest, run: str, lines: Sequence[Line], gathered: dict[int, Gathered]) -> list[Placed]:
    """Order each of the lines. An image runs here from now on, whoever leaves; nobody waits for it.

    ``gathered``: the form's pictures, by ``id`` of what was chosen. One that is refused keeps none of the others.
    """
    placed = []
    for number, line in enumerate(lines, 1):
        key = f"dashboard-{run}" if number == 1 else f"dashboard-{run}-{number}"
        try:
            accepted = await _order(request, key, line, [gathered[id(each)] for each in line.asked.pictures])
        except SafelightError as error:
            placed.append(Placed(model=line.model.id, error=error))
            continue
        start(api_state(request).runner, accepted, is_unseen=lambda: False)
        placed.append(Placed(model=line.model.id, generation_id=accepted.id, is_new=not accepted.is_replay))
    return placed


async def _order(request: HttpRequest, key: str, line: Line, gathered: Sequence[Gathered]) -> Accepted:
    wanted = request_of(
        line.asked,
        line.model,
        images=tuple(each.input for each in gathered if isinstance(each.input, ImageInput)),
        references=tuple(each.input for each in gathered if isinstance(each.input, StoredReference)),
    )
    digest = _digest(wanted, gathered)
    submission = msgspec.structs.replace(submission_of(request, wanted, digest), idempotency_key=key)
    try:
        return await accept(request, submission)
    except IdempotencyConflict:
        another = f"{key}-{digest.hex()[:_DIGEST_CHARACTERS]}"
        return await accept(request, msgspec.structs.replace(submission, idempotency_key=another))


def _digest(wanted: Request, gathered: Sequence[Gathered]) -> bytes:
    """32 bytes, the same for the same request."""
    digest = hashlib.sha256(b"dashboard\n")
    digest.update(msgspec.json.encode(msgspec.structs.replace(wanted, images=(), references=())))
    for each in gathered:
        digest.update(hashlib.sha256(each.digest).digest())
    return digest.digest()
