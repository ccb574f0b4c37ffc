"""Orders at a server that answers late, never, or not with what became of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from safelight.cli.client import journal, making
from safelight.cli.client.answers import Type
from safelight.cli.client.connection import Connection
from safelight.cli.client.exits import FAILED, OK, UNKNOWN, UNREACHABLE
from safelight.cli.client.making import How, Making
from tests.cli.client.stand_in import KEY, connected, error

ID = "req-01K7Z3M9V2Q4R6S8T0V2X4Z6B8"
OTHER = "req-01K7Z3M9V2Q4R6S8T0V2X4Z6B9"
USAGE = {"total_cost": 0.05, "billable_unit": "image", "unit_price": 0.05, "quantity": 1}
DONE = {"id": ID, "status": "completed", "model": "still", "data": [], "usage": USAGE}


class Api:
    """``post``: what an order is answered with, None for never. ``stands``: what is listed of it."""

    def __init__(
        self, post: Callable[[], web.Response] | None, *, stands: str | None = "completed", cuts: bool = False
    ) -> None:
        self.post = post
        self.stands = stands
        self.cuts = cuts
        self.keys: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            self.keys.append(request.headers["idempotency-key"])
            if self.cuts:
                assert request.transport is not None
                request.transport.abort()
            if self.post is None:
                await asyncio.sleep(3600)
            assert self.post is not None
            return self.post()
        if request.path == "/v2/generations":
            assert request.query["idempotency_key"] == "the-key"
            listed = [{"id": ID, "status": self.stands, "type": "image"}] if self.stands else []
            return web.json_response({"data": listed, "has_more": False})
        if request.path.startswith(f"/v2/images/generations/{ID}"):
            return web.json_response(DONE)
        return error(404, "not_found")


def bring(
    api: Api, *, type_: Type = "image", began_at: float | None = None, request: str | None = "{}"
) -> tuple[int, journal.Order]:
    """Bring one order to its end; the exit status, and what is noted of it."""

    async def scenario() -> tuple[int, journal.Order]:
        async with connected(api, patience_seconds=0.6) as connection:
            made = Making(connection, entry(connection, type_, began_at, request), How(target=None, as_json=True))
            status = await made.all()
            kept = journal.last(connection.profile.base_url)
            assert kept is not None
            return status, kept.entry.orders[0]

    return asyncio.run(scenario())


def entry(connection: Connection, type_: Type, began_at: float | None, request: str | None) -> journal.Journal:
    return journal.begin(
        journal.Entry(
            base_url=connection.profile.base_url,
            type=type_,
            template=None,
            force=False,
            began_at=time.time() if began_at is None else began_at,
            request=request,
            orders=[journal.Order(key="the-key")],
        )
    )


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(making, "_ANSWER_SECONDS", 0.2)


def test_an_answer_that_never_comes_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    status, order = bring(Api(None))
    assert (status, order.id) == (OK, ID)
    told = capsys.readouterr()
    assert f"{ID} is ordered." in told.err
    assert '"status": "completed"' in told.out


def test_an_outcome_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    async def later(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            await asyncio.sleep(0.5)
        return await api(request)

    api = Api(lambda: error(504, "generation_unknown", x_should_retry="false"), stands="pending")

    async def scenario() -> int:
        async with connected(later, patience_seconds=0.6) as connection:
            return await Making(connection, entry(connection, "image", None, "{}"), How(target=None)).all()

    assert asyncio.run(scenario()) == UNKNOWN
    assert f"'safelight get {ID}' gets it." in capsys.readouterr().err


def test_an_order_whose_answers_are_all_lost(capsys: pytest.CaptureFixture[str]) -> None:
    api = Api(None, stands=None, cuts=True)
    status, order = bring(api)
    assert (status, order.id) == (UNKNOWN, None)
    assert "'safelight get --last' finds out" in capsys.readouterr().err
    assert len(api.keys) > 1 and set(api.keys) == {"the-key"}


def test_an_order_that_was_refused_for_now_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    status, order = bring(
        Api(lambda: error(503, "service_unavailable", x_should_retry="true"), stands=None), type_="video"
    )
    assert (status, order.id) == (UNREACHABLE, None)
    assert "service_unavailable" in capsys.readouterr().err


@pytest.mark.parametrize("age_hours", [-1, 23.1, 1000])
def test_what_may_be_another_order_by_now_is_not_sent(age_hours: float) -> None:
    api = Api(lambda: web.json_response(DONE), stands=None)
    assert bring(api, began_at=time.time() - age_hours * 3600)[0] == FAILED
    assert api.keys == []


def test_the_journal_keeps_the_newest_and_passes_over_what_is_broken(tmp_path: Path) -> None:
    for number in range(60):
        began = journal.begin(
            journal.Entry(
                base_url="http://x",
                type="image",
                template=None,
                force=False,
                began_at=1_000_000.0 + number,
                request="{}",
                orders=[journal.Order(key=str(number)), journal.Order(key="other")],
            )
        )
    folder = tmp_path / "safelight/orders"
    assert len(list(folder.iterdir())) == 50
    (folder / "99999999999999-x.json").write_text("{")
    newest = journal.last("http://x")
    assert newest is not None and newest.entry.orders[0].key == "59"
    assert journal.last("http://y") is None
    began.note_id(began.entry.orders[0], ID)
    assert began.entry.request == "{}", "the other's is not known yet"
    began.note_id(began.entry.orders[1], OTHER)
    newest = journal.last("http://x")
    assert newest is not None and (newest.entry.request, newest.entry.orders[1].id) == (None, OTHER)
    assert KEY not in "".join(path.read_text() for path in folder.iterdir())
