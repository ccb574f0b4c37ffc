"""A generation, followed to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from safelight.cli.client.answers import Generation, Type, read
from safelight.cli.client.connection import Answer, Connection
from safelight.cli.client.exits import UNKNOWN, UNREACHABLE, Answered, CommandFailed, Misuse, Unreachable
from safelight.domain.ids import is_generation_id
from safelight.domain.text import quoted

_WAIT_SECONDS = 30
_PAUSE_SECONDS = 1.0


async def find(connection: Connection, generation_id: str) -> tuple[Type, Answer, Generation]:
    """What it is, and how it stands. Raises ``Misuse`` where there is no such one."""
    if not is_generation_id(generation_id):
        raise Misuse(f"{quoted(generation_id)} is no id. One looks like req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8.")
    types: tuple[Type, Type] = ("video", "image")
    for type_ in types:
        try:
            return type_, *await look(connection, type_, generation_id)
        except Answered as error:
            if error.answer_code != "not_found":
                raise
            missing = error
    raise Answered(
        f"There is no generation {generation_id} in this workspace.",
        code=missing.answer_code,
        http_status=missing.http_status,
        body=missing.body,
    )


async def look(
    connection: Connection, type_: Type, generation_id: str, *, wait: int | None = None
) -> tuple[Answer, Generation]:
    """How it stands; a video's end is waited for so many seconds."""
    answer = await connection.get(f"/v2/{type_}s/generations/{generation_id}", wait=wait if type_ == "video" else None)
    return answer, read(answer.body, Generation)


async def ended(
    connection: Connection,
    type_: Type,
    generation_id: str,
    on_progress: Callable[[str, float], None] = lambda generation_id, progress: None,
) -> tuple[Answer, Generation]:
    """How it ended: a video's stream of events tells when; where that breaks off, and for an image, asking does.

    Raises ``CommandFailed`` with status 5 where the server is gone for long.
    """
    while True:
        began = time.monotonic()
        try:
            if type_ == "video":
                await _stream(connection, generation_id, on_progress)
            answer, found = await look(connection, type_, generation_id)
            if found.is_pending and type_ == "video":  # the stream broke off
                answer, found = await look(connection, type_, generation_id, wait=_WAIT_SECONDS)
        except CommandFailed as error:
            if error.status != UNREACHABLE:
                raise
            raise CommandFailed(
                f"{error} {generation_id} is ordered, and how it ends is not known here. {how_to_go_on(generation_id)}",
                UNKNOWN,
            ) from None
        if not found.is_pending:
            return answer, found
        await asyncio.sleep(max(0.0, _PAUSE_SECONDS - (time.monotonic() - began)))


def how_to_go_on(*generation_ids: str) -> str:
    return " ".join(f"'safelight get {each}' gets it." for each in generation_ids)


def failure_of(found: Generation, body: bytes) -> Answered:
    """Why a generation that failed has no file."""
    code, message = (found.error.code, found.error.message) if found.error else ("generation_failed", "It failed.")
    return Answered(f"{found.id} failed: {message}", code=code or "generation_failed", body=body)


async def _stream(connection: Connection, generation_id: str, on_progress: Callable[[str, float], None]) -> None:
    """Return when it has ended, or when the stream has."""
    try:
        async for event in connection.events(f"/v2/generations/{generation_id}/events"):
            if event.name != "progress":
                return
            progress = read(event.data.encode(), Generation).progress
            if progress is not None:
                on_progress(generation_id, min(1.0, max(0.0, progress)))
    except Answered as error:
        if error.answer_code in ("not_found", "invalid_api_key"):
            raise
    except Unreachable:
        return
