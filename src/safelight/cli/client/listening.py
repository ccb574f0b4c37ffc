"""Webhooks without a public address: events followed, signed here, and handed to a server of one's own.

An event is handed over once the target has answered, whatever it said, and noted then: a listener that is killed goes
on behind the last one that it noted. Killed between the two, it hands that one over again, as webhooks may do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import msgspec

from safelight.cli.client.answers import read
from safelight.cli.client.connection import NETWORK_TROUBLE, Connection, checked_event_id, proxy_of
from safelight.cli.client.exits import Answered, CommandFailed, Misuse, Unreachable
from safelight.cli.client.listeners import Listener, open_listener, secret_of
from safelight.cli.client.output import note, result, result_json, run
from safelight.cli.client.profiles import Profile, find_profile
from safelight.domain.event_stream import StreamEvent
from safelight.domain.text import quoted
from safelight.webhooks.signing import signed_headers

_PATH = "/v2/events"
_FROM_NOW_ON = "now"
_PAUSES_SECONDS = (0.3, 1.0, 2.0, 5.0, 10.0)
_FIRST_TRIES = 3
_TARGET_SECONDS = 15.0  # as long as an endpoint has


class _Body(msgspec.Struct):
    type: str
    timestamp: str


class _TestEvent(msgspec.Struct):
    id: str | None


def listen(forward_to: str | None, types: str | None, since: str | None, *, as_json: bool, profile: str | None) -> int:
    """Tell every event, and hand it over, until interrupted; the exit status."""
    return run(lambda: _listen(forward_to, types, since, as_json=as_json, profile=find_profile(profile)))


def trigger(type_: str, *, as_json: bool, profile: str | None) -> int:
    """Send a test event; the exit status."""
    return run(lambda: _trigger(type_, as_json=as_json, profile=find_profile(profile)), as_json=as_json)


async def _trigger(type_: str, *, as_json: bool, profile: Profile) -> None:
    async with Connection(profile) as connection:
        answer = await connection.post(_PATH, msgspec.json.encode({"type": type_}))
    event_id = read(answer.body, _TestEvent).id
    if as_json:
        result_json(answer.body)
    if event_id is None:
        raise CommandFailed("Nobody listens. 'safelight listen' does, and so does 'safelight webhooks create'.")
    if not as_json:
        result(event_id)


async def _listen(
    forward_to: str | None, types: str | None, since: str | None, *, as_json: bool, profile: Profile
) -> None:
    target = None if forward_to is None else _checked_target(forward_to)
    secret = secret_of(profile)
    path = _PATH if types is None else f"{_PATH}?types={quote(types)}"
    with open_listener(profile, target) as listener:
        if since is not None:
            listener.last = "" if since == _FROM_NOW_ON else _checked_since(since)
        has_begun = False
        async with Connection(profile) as connection, aclosing(_events(connection, path, listener)) as events:
            async for event in events:
                if not has_begun:  # a stream begins with the place where it stands: from here on nothing is missed
                    has_begun = True
                    note(f"Listening to {profile.base_url}. Ctrl-C ends it.")
                    if target is not None:
                        note(f"Events go to {shown(target)}, signed with {secret}")
                if event.data:
                    await _pass_on(connection, event, target, secret, as_json=as_json)
                listener.note_last(event.id)


async def _events(connection: Connection, path: str, listener: Listener) -> AsyncGenerator[StreamEvent, None]:
    """Events without end, from behind the last that was noted: of one stream after the other."""
    has_heard, failures = False, 0
    while True:
        trouble = "The server ended the stream."
        try:
            async with aclosing(connection.events(path, last_event_id=listener.last)) as stream:
                async for event in stream:
                    if failures > 1:
                        note("The server is back.")
                    has_heard, failures = True, 0
                    yield event
        except Unreachable as error:
            trouble = str(error)
            if not has_heard and failures == _FIRST_TRIES:
                raise
        except Answered as error:
            trouble = str(error)
            if error.http_status < 500 and error.http_status != 429:
                raise _explained(error) from None
        if failures == 1:  # one that is back at once is not worth a word
            note(f"{trouble} Trying again. What happens meanwhile comes later.")
        await asyncio.sleep(_pause(failures))
        failures += 1


async def _pass_on(
    connection: Connection, event: StreamEvent, target: str | None, secret: str, *, as_json: bool
) -> None:
    """Hand one event over, and tell of it in a line."""
    try:
        body = msgspec.json.decode(event.data, type=_Body)
    except msgspec.DecodeError:
        raise CommandFailed("The server told an event that is not one of Safelight's.") from None
    line = f"{body.timestamp} {body.type} {event.id}"
    if target is not None:
        status, took_seconds = await _hand_over(connection.session, event, target, secret)
        line += f" {status} {1000 * took_seconds:.0f} ms"
    if as_json:
        note(line)
        result_json(event.data.encode())
    else:
        result(line)


async def _hand_over(session: aiohttp.ClientSession, event: StreamEvent, target: str, secret: str) -> tuple[int, float]:
    """Post it until the target answers: the HTTP status, and how many seconds that took."""
    content, failures = event.data.encode(), 0
    while True:
        began = time.monotonic()
        signed = signed_headers(event.id, int(time.time()), content, [secret])
        try:
            async with session.post(
                target,
                data=content,
                headers={"Content-Type": "application/json", **signed},
                timeout=aiohttp.ClientTimeout(total=_TARGET_SECONDS),
                proxy=proxy_of(target),
                allow_redirects=False,
            ) as response:
                if failures:
                    note(f"{shown(target)} answers again.")
                return response.status, time.monotonic() - began
        except NETWORK_TROUBLE as error:
            if not failures:
                why = "does not answer in time" if isinstance(error, TimeoutError) else "cannot be reached"
                note(f"{shown(target)} {why}. {event.id} is tried again until it is taken; later ones wait.")
        await asyncio.sleep(_pause(failures))
        failures += 1


def _checked_target(text: str) -> str:
    """The address to hand events to. Raises ``Misuse``."""
    try:
        parts = urlsplit(text)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right:
        raise Misuse(f"{quoted(text)} is no address to forward to. Write it as http://127.0.0.1:3000/hooks.")
    return text


def shown(target: str) -> str:
    """The address as it is told: without a password and a query, in which a token may stand."""
    parts = urlsplit(target)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _checked_since(text: str) -> str:
    """The event to go on behind. Raises ``Misuse``."""
    try:
        return checked_event_id(text)
    except CommandFailed:
        raise Misuse(f"--since {quoted(text)} is no event's id. Give the id that a line ends with, or now.") from None


def _explained(error: Answered) -> CommandFailed:
    """With what to do about it here."""
    if error.param == "Last-Event-ID":
        return CommandFailed(f"{error} Here that is '--since {_FROM_NOW_ON}'.", error.status, body=error.body)
    return error


def _pause(failures: int) -> float:
    return _PAUSES_SECONDS[min(failures, len(_PAUSES_SECONDS) - 1)]
