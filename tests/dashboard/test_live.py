"""What moves is told: however much at once, whatever clocks say, after the database was away, by one look a second."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.generations import State
from safelight.domain.ids import new_ulid
from safelight.lifecycle import watching as module
from safelight.lifecycle.watching import Move, Watching
from tests.dashboard.conftest import House, Visitor
from tests.lifecycle.studio import Studio, open_studio
from tests.support.server import open_folder

_PATIENCE_SECONDS = 20.0
_ENDED = """
update generations set state = 'failed', finished_at = now(), charged_nanos = 0, charged_thousandths = 0,
    error_code = 'generation_failed', run_token = null, lease_until = null
where id = any(%s)
"""


@pytest.fixture(scope="module")
async def studio(database_url: str) -> AsyncIterator[Studio]:
    with open_folder() as folder:
        async with open_studio(database_url, Path(folder)) as opened:
            yield opened


@pytest.fixture
async def workspace_id(studio: Studio) -> int:
    return (await studio.workspace()).workspace_id


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.02)
    return Watching()


def ids(count: int, *, ago: timedelta = timedelta()) -> list[str]:
    """As a node gives them whose clock is that far behind."""
    at = int((datetime.now(UTC) - ago).timestamp() * 1000)
    return [f"req-{new_ulid(at)}" for _ in range(count)]


async def put(studio: Studio, workspace_id: int, names: Sequence[str], state: str = "queued") -> None:
    """Put generations on record, as another process does it."""
    await studio.rows(
        """
        insert into generations (id, workspace_id, type, model, body_sha256, billable_unit, unit_price_nanos, quantity,
            held_nanos, state, deadline, retention_seconds)
        select id, %s, 'video', 'clip', sha256(id::bytea), 'video_second', 1, 1, 1, %s::generation_state,
            now() + interval '1 hour', 60
        from unnest(%s::text[]) as made (id)
        """,
        workspace_id,
        state,
        list(names),
    )


class Ear:
    """Somebody who looks on: ``told`` is how each generation stands, ``new`` are those that were new."""

    def __init__(self, moves: AsyncIterator[list[Move]]) -> None:
        self._moves = moves
        self.told: dict[str, str] = {}
        self.new: set[str] = set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not condition():
                for each in await anext(self._moves):
                    self.told[each.id] = each.state
                    if each.is_new:
                        self.new.add(each.id)


@asynccontextmanager
async def ear(studio: Studio, watching: Watching, workspace_id: int) -> AsyncIterator[Ear]:
    moves = watching.moves(studio.parts.viewing, workspace_id, quiet_seconds=0.05)
    async with aclosing(moves):  # type: ignore[type-var]
        await anext(moves)  # the first look was taken
        yield Ear(moves)


@contextlib.contextmanager
def asked(studio: Studio, monkeypatch: pytest.MonkeyPatch, failing: list[Exception]) -> Iterator[list[str]]:
    """The statements of looks, each of which fails as long as there is something that it is to fail with."""
    names: list[str] = []
    real = studio.parts.viewing.db.all

    async def every(name: str, *rest: Any) -> Any:
        names.append(name)
        if failing:
            raise failing.pop()
        return await real(name, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(studio.parts.viewing.db, "all", every)
        yield names


async def test_a_thousand_in_one_second_are_told_one_by_one(
    studio: Studio, watching: Watching, workspace_id: int
) -> None:
    names = ids(1000)
    async with ear(studio, watching, workspace_id) as one:
        await put(studio, workspace_id, names)
        await one.until(lambda: one.new >= set(names))
        await studio.rows(_ENDED, names)
        await one.until(lambda: all(one.told[name] == State.FAILED for name in names))


async def test_what_is_remembered_stays_small(studio: Studio, watching: Watching, workspace_id: int) -> None:
    async with ear(studio, watching, workspace_id) as one:
        for _ in range(3):
            names = ids(2000)
            await put(studio, workspace_id, names)
            last = sorted(names)[-1]
            await one.until(lambda last=last: last in one.told)  # type: ignore[misc]
            await studio.rows(_ENDED, names)
            await one.until(lambda last=last: one.told[last] == State.FAILED)  # type: ignore[misc]
        watch = watching._watches[workspace_id]
        assert watch._known is not None
        assert len(watch._known) <= 4 * module._MOST
        assert len(watch._recent) <= 4 * module._MOST


@pytest.mark.parametrize("ago", [timedelta(minutes=10), timedelta(minutes=-10)], ids=["behind", "ahead"])
async def test_a_node_whose_clock_is_wrong_is_heard_too(
    studio: Studio, watching: Watching, workspace_id: int, ago: timedelta
) -> None:
    waiting, ended = ids(1, ago=ago)[0], ids(1, ago=ago)[0]
    async with ear(studio, watching, workspace_id) as one:
        await put(studio, workspace_id, [waiting, ended])
        await one.until(lambda: one.new >= {waiting, ended})
        await studio.rows(_ENDED, [ended])
        await one.until(lambda: one.told[ended] == State.FAILED)
    assert one.told[waiting] == State.QUEUED


async def test_one_under_way_for_long_is_told_however_many_came_since(
    studio: Studio, watching: Watching, workspace_id: int
) -> None:
    old = ids(1, ago=timedelta(hours=5))[0]
    await put(studio, workspace_id, [old])
    async with ear(studio, watching, workspace_id) as one:
        names = ids(1500)
        await put(studio, workspace_id, names)
        await studio.rows(_ENDED, names)
        await one.until(lambda: len(one.told) >= 1000)
        await studio.rows(_ENDED, [old])
        await one.until(lambda: one.told.get(old) == State.FAILED)


async def test_fifty_who_look_are_one_look(
    studio: Studio, watching: Watching, workspace_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.3)
    with asked(studio, monkeypatch, []) as names:
        async with contextlib.AsyncExitStack() as stack:
            ears = [await stack.enter_async_context(ear(studio, watching, workspace_id)) for _ in range(50)]
            name = ids(1)[0]
            await put(studio, workspace_id, [name])
            before = len(names)
            for one in ears:
                await one.until(lambda one=one: name in one.told)  # type: ignore[misc]
            assert len(names) - before <= 2, "all of them hear of it by the same look"
        assert not watching._watches
        looks = len(names)
        await asyncio.sleep(0.7)
        assert len(names) == looks, "nobody looks on, and nobody looks"


@pytest.mark.parametrize("failure", [ServiceUnavailable(), RuntimeError("a fault of ours")], ids=["away", "fault"])
async def test_after_a_look_that_failed_the_next_one_tells(
    studio: Studio, watching: Watching, workspace_id: int, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    failing: list[Exception] = []
    with asked(studio, monkeypatch, failing):
        async with ear(studio, watching, workspace_id) as one:
            failing += [failure] * 3
            await one.until(lambda: not failing)
            name = ids(1)[0]
            await put(studio, workspace_id, [name])
            await one.until(lambda: name in one.new)


async def test_who_reads_late_is_told_how_it_stands_and_not_how_it_came_to_that(
    studio: Studio, watching: Watching, workspace_id: int
) -> None:
    name = ids(1)[0]
    async with (
        ear(studio, watching, workspace_id) as late,
        ear(studio, watching, workspace_id) as prompt,
    ):
        await put(studio, workspace_id, [name])
        await prompt.until(lambda: name in prompt.told)
        await studio.rows(_ENDED, [name])
        await prompt.until(lambda: prompt.told[name] == State.FAILED)
        (moved,) = await anext(late._moves)
        assert (moved.id, moved.state, moved.is_new) == (name, State.FAILED, True)


async def test_who_comes_later_is_told_what_came_since_their_page_was_made(
    studio: Studio, watching: Watching, workspace_id: int
) -> None:
    name = ids(1)[0]
    async with ear(studio, watching, workspace_id) as first:
        await put(studio, workspace_id, [name])
        await first.until(lambda: name in first.told)
        moves = watching.moves(studio.parts.viewing, workspace_id, quiet_seconds=0.05)
        async with aclosing(moves):  # type: ignore[type-var]
            second = Ear(moves)
            await second.until(lambda: name in second.new)


async def test_another_workspace_hears_nothing(studio: Studio, watching: Watching, workspace_id: int) -> None:
    other_id = (await studio.workspace()).workspace_id
    name = ids(1)[0]
    async with (
        ear(studio, watching, workspace_id) as one,
        ear(studio, watching, other_id) as other,
    ):
        await put(studio, workspace_id, [name])
        await one.until(lambda: name in one.told)
        for _ in range(5):
            await anext(other._moves)
        assert await anext(other._moves) == []


def moves_in(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: "):
            yield from json.loads(line.removeprefix("data: "))


def test_a_stream_tells_and_ends_with_the_session(house: House, visitor: Callable[..., Visitor]) -> None:
    account = house.create()
    reader = visitor(account.key)
    with reader.stream("GET", "/dashboard/live") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == ": here"
        with account.http() as client:
            made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"}).json()
        assert next(each for each in moves_in(lines) if each["id"] == made["id"])["state"] == "completed"
        with httpx.Client(base_url=house.base_url, headers=reader.headers, cookies=reader.cookies) as other_tab:
            assert other_tab.post("/dashboard/logout").status_code == 303
        assert list(moves_in(lines)) == [], "it has an end"
    assert reader.get("/dashboard/live", headers={"accept": "text/event-stream"}).status_code == 401


def test_a_stream_outlives_the_sessions_of_the_database(house: House, visitor: Callable[..., Visitor]) -> None:
    account = house.create()
    with visitor(account.key).stream("GET", "/dashboard/live") as stream:
        lines = stream.iter_lines()
        next(lines)
        house.run(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where pid <> pg_backend_pid() and datname = current_database()"
        )
        with account.http() as client:
            made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"})
            while made.status_code == 503:
                made = client.post("/v2/images/generations", json={"model": "still", "prompt": "a hill"})
        id_ = made.json()["id"]
        assert next(each for each in moves_in(lines) if each["id"] == id_)["state"] == "completed"
