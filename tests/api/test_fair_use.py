"""Who sends wrong keys is suspect for a minute, and forgiven then; what is told of a wait is never too short."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from safelight.api import fair_use
from safelight.api.auth import SUSPECT
from safelight.api.dialect import DIALECTS
from safelight.api.errors import error_response
from safelight.api.fair_use import FairUse
from safelight.api.getimg.routes import DIALECT as GETIMG
from safelight.domain.errors import RateLimited


async def test_an_address_is_suspect_until_its_minute_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(fair_use, "time", SimpleNamespace(monotonic=lambda: clock.now))
    suspected: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        suspected.append(scope[SUSPECT])
        await Response(status_code=401)(scope, receive, send)

    async def ask(host: str) -> bool:
        transport = httpx.ASGITransport(bounded, client=(host, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            await http.get("/v2/models")
        return suspected[-1]

    bounded = FairUse(app, most_open=10, capacity=10, most_refusals=3)
    assert [await ask("192.0.2.1") for _ in range(5)] == [False, False, False, True, True]
    assert not await ask("192.0.2.2"), "another's guesses are not its own"
    clock.now += 59
    assert await ask("192.0.2.1")
    clock.now += 1
    assert [await ask("192.0.2.1") for _ in range(4)] == [False, False, False, True]


@pytest.mark.parametrize(("seconds", "told"), [(0.2, "1"), (1.0, "1"), (1.2, "2"), (59.01, "60")])
def test_a_wait_is_told_in_whole_seconds_that_are_enough(seconds: float, told: str) -> None:
    scope = {"type": "http", "method": "GET", "path": "/v2/models", "state": {DIALECTS: (GETIMG,)}}
    answer = error_response(scope, RateLimited("Wait.", retry_after_seconds=seconds))
    assert answer.headers["retry-after"] == told
