"""A media store that is away, or hangs, while a request is accepted, an order is given, or a file is to be kept."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.generations import State
from safelight.domain.request import ImageInput
from safelight.lifecycle import pauses, submit
from tests.lifecycle.studio import Studio
from tests.references import files

pytestmark = pytest.mark.database

PICTURE = ImageInput(url="data:image/png;base64," + base64.b64encode(files.png()).decode())
TIMES = 14
"""More often than a backend would be asked again, and than all pauses that grow."""


@pytest.fixture
def away(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Has the store be away for the first calls of methods; gives how many there were."""

    def make(*methods: str) -> list[int]:
        store, calls = studio.parts.keeping.store, [0]

        def once_it_is_back(usual: Callable[..., Any], is_made: bool) -> Callable[..., Any]:
            async def called(*args: Any, **more: Any) -> Any:
                calls[0] += 1
                if calls[0] > TIMES:
                    return await usual(*args, **more)
                if is_made:
                    await asyncio.to_thread(args[1])
                raise ServiceUnavailable(detail="away, for a test")

            return called

        for method in methods:
            name = method.removesuffix(" once made")
            monkeypatch.setattr(store, name, once_it_is_back(getattr(store, name), method != name))
        return calls

    monkeypatch.setattr(pauses, "_PAUSES_SECONDS", (0.01,))
    return make


@pytest.mark.parametrize(
    ("methods", "images"),
    [(("get",), (PICTURE,)), (("put", "put_made"), ()), (("put", "put_made once made"), ())],
    ids=["get", "put", "put once made"],
)
async def test_what_is_under_way_waits(
    studio: Studio, away: Callable[..., list[int]], methods: tuple[str, ...], images: tuple[ImageInput, ...]
) -> None:
    """For its reference image, before the backend is asked; for its file to be kept, once that is made."""
    sender, calls = await studio.workspace(), away(*methods)
    made = await studio.make(sender, images=images)
    assert made.view.state is State.COMPLETED, made.view.error_message
    assert calls == [TIMES + 1]
    ((tries, reports),) = await studio.rows(
        "select tries, backend_reports from generations where id = %s", made.accepted.id
    )
    assert (tries, reports) == (0, None), "the backend declined nothing, and failed at nothing"


async def test_a_submission_does_not_wait_for_one_that_hangs(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(submit, "_STORE_SECONDS", 0.2)
    monkeypatch.setattr(studio.parts.keeping.store, "put", hang)
    sender = await studio.workspace()
    async with asyncio.timeout(30):
        with pytest.raises(ServiceUnavailable, match="reference") as told:
            await studio.make(sender, images=(PICTURE,))
    assert told.value.retryable
    assert await studio.rows("select from generations where workspace_id = %s", sender.workspace_id) == []
