"""Many followers of one workspace are told together, or in turns, and one that does not read takes nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from safelight.api.auth import STATE
from safelight.api.getimg import events as module
from safelight.domain.scope import Principal
from safelight.lifecycle import changes
from safelight.lifecycle.changes import Changes
from safelight.lifecycle.followers import Place
from safelight.lifecycle.looks import Looks
from safelight.lifecycle.presence import Presence

FOLLOWERS = 40


class Asked:
    """What is asked of the database, and by how many at once."""

    def __init__(self) -> None:
        self.looks = self.at_once = self.most = 0

    async def look(self) -> None:
        self.looks += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked = Asked()

    async def behind(services: Any, workspace_id: int, place: Place, **named: Any) -> AsyncIterator[list[Any]]:
        yield [SimpleNamespace(event_id=f"evt_{place.number}", type="x", is_beginning=False)]

    async def told(_: Any, event: Any) -> bytes:
        await asked.look()
        return bytes(event.event_id, "ascii")

    async def allow(request: Request) -> None:
        pass

    monkeypatch.setattr(module, "events_behind", behind)
    monkeypatch.setattr(module, "_told", told)
    monkeypatch.setattr(module, "require_key", allow)
    return asked


async def first_events(numbers: list[int]) -> list[bytes]:
    """What followers are told first that each are behind another event. Each stays there, and reads no further."""
    viewing = SimpleNamespace(changes=Changes("", cast(Presence, None)))
    sender = Principal(key_id=1, workspace_id=1, is_capped=False)
    scope = {"type": "http", "headers": [], "state": {STATE: SimpleNamespace(viewing=viewing)}}
    scope["safelight.principal"] = sender
    streams = [module._stream(Request(scope), Place(number=each, event_id="evt_x"), ["x"]) for each in numbers]

    async def first_event(stream: AsyncIterator[bytes]) -> bytes:
        assert b"evt_x" in await anext(stream)
        return await anext(stream)

    async with asyncio.timeout(10):
        return await asyncio.gather(*map(first_event, streams))


async def test_followers_in_turn(asked: Asked) -> None:
    assert await first_events([*range(FOLLOWERS)]) == [b"evt_%d" % each for each in range(FOLLOWERS)]
    assert asked.looks == FOLLOWERS
    assert 1 < asked.most <= changes._LOOKS_AT_ONCE < FOLLOWERS


async def test_followers_who_are_told_the_same_are_told_by_one_look(asked: Asked) -> None:
    assert await first_events([7] * FOLLOWERS) == [b"evt_7"] * FOLLOWERS
    assert asked.looks == 1


async def test_nobody_is_answered_by_a_look_that_began_before() -> None:
    looks, seen, may_end = Looks(1), [], asyncio.Event()

    async def look() -> int:
        seen.append(len(seen))
        number = seen[-1]
        await may_end.wait()
        return number

    first = asyncio.create_task(looks.find("this", look))
    while not seen:
        await asyncio.sleep(0)
    later = [asyncio.create_task(looks.find("this", look)) for _ in range(2)]
    await asyncio.sleep(0)
    may_end.set()
    assert await first == 0
    assert await asyncio.gather(*later) == [1, 1]


async def test_who_leaves_takes_nobodys_answer_and_a_failed_look_is_everybodys() -> None:
    looks, may_end, fails = Looks(1), asyncio.Event(), False

    async def look() -> str:
        await may_end.wait()
        if fails:
            raise LookupError
        return "found"

    leaver, stayer = (asyncio.create_task(looks.find("this", look)) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    may_end.set()
    assert await stayer == "found"
    assert leaver.cancelled()
    fails = True
    both = await asyncio.gather(*(looks.find("this", look) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in both] == [LookupError, LookupError]
    fails = False
    assert await looks.find("this", look) == "found", "a failure is nobody's who asks later"
