"""``safelight get``, ``wait`` and ``cancel``: what becomes of orders that were placed before."""

from __future__ import annotations

import asyncio

from safelight.cli.client import journal
from safelight.cli.client.answers import Canceled, read
from safelight.cli.client.connection import Connection
from safelight.cli.client.delivery import deliver
from safelight.cli.client.exits import OK, Answered, CommandFailed, Misuse
from safelight.cli.client.follow import ended, failure_of, find
from safelight.cli.client.making import How, Making
from safelight.cli.client.output import result, result_json, run, told
from safelight.cli.client.profiles import find_profile
from safelight.cli.client.progress import Progresses
from safelight.cli.client.targets import Target, target_of


def get(
    generation_id: str | None,
    *,
    last: bool,
    output: str | None,
    force: bool,
    waits: bool,
    opens: bool,
    as_json: bool,
    profile: str | None,
) -> int:
    """Fetch what was ordered, by its id or the last of this user; the exit status."""

    async def work() -> int:
        if last is (generation_id is not None):
            raise Misuse("Name one id, or use --last for what 'safelight generate' ordered last.")
        async with Connection(find_profile(profile)) as connection:
            if generation_id is None:
                return await _get_last(connection, output, force=force, waits=waits, opens=opens, as_json=as_json)
            target = None
            if output is not None or not as_json:
                target = target_of(output, count=1, force=force)
            return await _get(connection, generation_id, target, waits=waits, opens=opens, as_json=as_json)

    return run(work, as_json=as_json)


def wait(generation_ids: tuple[str, ...], *, as_json: bool, profile: str | None) -> int:
    """Wait until each has ended; the exit status: the first that is not 0."""

    async def work() -> int:
        if not generation_ids:
            raise Misuse("Name the ids to wait for. 'safelight jobs' lists them.")
        async with Connection(find_profile(profile)) as connection:
            with Progresses() as progress:
                statuses = await asyncio.gather(
                    *(_wait(connection, each, progress, as_json=as_json) for each in dict.fromkeys(generation_ids))
                )
        return next((status for status in statuses if status != OK), OK)

    return run(work, as_json=as_json)


def cancel(generation_id: str, *, as_json: bool, profile: str | None) -> int:
    """Cancel a video, as far as it still can be; the exit status."""

    async def work() -> None:
        async with Connection(find_profile(profile)) as connection:
            type_, _, found = await find(connection, generation_id)
            if type_ == "image":
                raise Misuse(f"{generation_id} is an image: those are not canceled. It is {found.status}.")
            answer = await connection.delete(f"/v2/videos/generations/{generation_id}")
        if as_json:
            result_json(answer.body)
        else:
            result(f"{generation_id} {read(answer.body, Canceled).cancellation.replace('_', ' ')}")

    return run(work, as_json=as_json)


async def _get(
    connection: Connection, generation_id: str, target: Target | None, *, waits: bool, opens: bool, as_json: bool
) -> int:
    type_, answer, found = await find(connection, generation_id)
    if found.is_pending and waits:
        with Progresses() as progress:
            progress.begin(found.id)
            answer, found = await ended(connection, type_, found.id, progress.show)
    if found.status == "failed":
        raise failure_of(found, answer.body)
    if as_json:
        result_json(answer.body)
    elif found.is_pending:
        result(f"{found.id} {found.status}")
    if target is not None and not found.is_pending:
        await deliver(connection, found, target, as_json=as_json, opens=opens)
    return OK


async def _get_last(
    connection: Connection, output: str | None, *, force: bool, waits: bool, opens: bool, as_json: bool
) -> int:
    found = journal.last(connection.profile.base_url)
    if found is None:
        raise Misuse(f"Nothing was ordered from here at {connection.profile.base_url}.")
    entry, target = found.entry, None
    if output is not None or not as_json:
        template = entry.template if output is None else output
        target = target_of(template, count=len(entry.orders), force=force or (output is None and entry.force))
    how = How(target=target, as_json=as_json, waits=waits, opens=opens)
    return await Making(connection, found, how).all()


async def _wait(connection: Connection, generation_id: str, progress: Progresses, *, as_json: bool) -> int:
    try:
        type_, answer, found = await find(connection, generation_id)
        if found.is_pending:
            progress.begin(found.id)
            answer, found = await ended(connection, type_, found.id, progress.show)
            progress.end(found.id)
        with progress.hidden():
            if as_json:
                result_json(answer.body)
            else:
                result(f"{found.id} {found.status}")
        if found.status == "failed":
            failure: Answered = failure_of(found, b"")
            raise failure
    except CommandFailed as error:
        return told(error, as_json=as_json)
    return OK
