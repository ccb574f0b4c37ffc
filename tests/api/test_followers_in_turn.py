"""Many followers of one workspace are told in turns, and one that does not read takes nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from safelight.api.auth import STATE
from safelight.api.getimg import events as module
from safelight.domain.scope import Principal
from safelight.lifecycle.followers import Place

FOLLOWERS = 40


async def test_followers_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = 0

    async def behind(*given: Any, **named: Any) -> AsyncIterator[list[Any]]:
        yield [SimpleNamespace(event_id="evt_1")]

    async def told(*given: Any) -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return b"told"

    async def allow(request: Request) -> None:
        pass

    monkeypatch.setattr(module, "events_behind", behind)
    monkeypatch.setattr(module, "_told", told)
    monkeypatch.setattr(module, "require_key", allow)
    sender = Principal(key_id=1, workspace_id=1, is_capped=False)
    scope = {"type": "http", "state": {STATE: SimpleNamespace(viewing=None)}, "safelight.principal": sender}
    place = Place(number=1, event_id="evt_0")
    streams = [module._stream(Request(scope), place, ["x"]) for _ in range(FOLLOWERS)]

    async def first_event(stream: AsyncIterator[bytes]) -> bytes:
        assert b"evt_0" in await anext(stream)
        return await anext(stream)

    async with asyncio.timeout(10):  # each stays where it was told, and reads no further
        assert await asyncio.gather(*map(first_event, streams)) == [b"told"] * FOLLOWERS
    assert 1 < most <= module._AT_ONCE < FOLLOWERS
