"""A database that is stopped, stands still or is cut off: an answer all the same, and it is back at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from safelight.accounts.keys import Authenticator
from safelight.api.app import make_app
from safelight.api.auth import ApiState
from safelight.api.getimg.routes import DIALECT
from safelight.db import outage, sessions
from safelight.db.embedded import EmbeddedPostgres
from safelight.domain.generations import GenerationType
from safelight.domain.request import Request
from safelight.lifecycle import leases
from safelight.lifecycle.leases import Leases
from safelight.lifecycle.runner import Runner
from safelight.lifecycle.submit import Submission, submit
from safelight.node.settings import load_settings
from safelight.wiring import open_parts
from tests.durability.deployment import standing_still
from tests.money.shop import IMAGE, VIDEO, settings_environment
from tests.support.asgi import served
from tests.support.server import eventually, open_folder
from tests.support.tenants import Tenant, make_tenant_at

ANSWER_SECONDS = 8.0
"""The rule says 5; the rest is for a busy machine. Unbounded, it were 30 and more."""
CALLS = (
    ("GET", "/v2/billing/balance", None),
    ("POST", "/v2/images/generations", IMAGE),
    ("POST", "/v2/videos/generations", VIDEO),
    ("GET", "/v2/generations", None),
    ("GET", "/readyz", None),
)


class Line:
    """What lies between the app and the database: a way that can be cut without a word."""

    def __init__(self, socket_folder: str) -> None:
        self._path = f"{socket_folder}/.s.PGSQL.5432"
        self._ways: list[asyncio.StreamWriter] = []
        self._silent: set[asyncio.StreamWriter] = set()
        self.is_cut = self.is_deaf = False
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return str(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self._server
        self._server.close()
        for way in self._ways:
            way.close()
        await asyncio.gather(*self._serving)

    def silence_what_is_open(self) -> None:
        """Nothing passes any more on the ways that are open; new ones may be opened."""
        self._silent.update(self._ways)

    def lose_answers(self) -> None:
        """What is sent arrives, and no answer to it does."""
        self.is_deaf = True
        self._silent.update(self._ways[::2])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            there = await asyncio.open_unix_connection(self._path)
        except OSError:
            writer.close()
            return
        self._ways += [writer, there[1]]
        if self.is_cut:
            self._silent.update([writer, there[1]])
        elif self.is_deaf:
            self._silent.add(writer)
        await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if writer not in self._silent:
                    writer.write(data)
        writer.close()


class Site:
    """An app in this process, and the database behind it."""

    def __init__(self, database: EmbeddedPostgres, line: Line, url: str, http: httpx.AsyncClient) -> None:
        self.database, self.line, self.url, self._http = database, line, url, http
        self._tenant: Tenant | None = None

    @property
    def tenant(self) -> Tenant:
        if self._tenant is None:
            self._tenant = make_tenant_at(self.database.url)
        return self._tenant

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """The answer, which must come in time."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._http.request(method, path, json=body, headers={**self.tenant.headers, **headers})

    async def use_every_session(self) -> None:
        answers = await asyncio.gather(*(self._images() for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}

    async def _images(self) -> httpx.Response:
        return await self._http.post("/v2/images/generations", json=IMAGE, headers=self.tenant.headers)

    async def check_it_is_away(self) -> None:
        for method, path, body in CALLS:
            answer = await self.call(method, path, body)
            assert answer.status_code == 503, (path, answer.text)
            if path != "/readyz":
                assert answer.json()["error"]["code"] == "service_unavailable"
                assert answer.headers["x-should-retry"] == "true"
                assert 1 <= int(answer.headers["retry-after"]) <= 5
        assert (await self.call("GET", "/healthz")).status_code == 200

    async def check_it_is_back(self) -> None:
        """By the very first request, and by more than there are sessions."""
        for _ in range(12):
            answer = await self.call("POST", "/v2/images/generations", IMAGE)
            assert answer.status_code == 200, answer.text
        assert (await self.call("GET", "/readyz")).status_code == 200

    def counts(self) -> tuple[int, int]:
        """Of the workspace: generations, and settlements."""
        with psycopg.connect(self.database.url) as connection:
            row = connection.execute(
                "select (select count(*) from generations where workspace_id = %(id)s),"
                " (select count(*) from transfers where kind = 'settle' and workspace_id = %(id)s)",
                {"id": self.tenant.id},
            ).fetchone()
        assert row is not None
        return row


@pytest.fixture
async def site(database: EmbeddedPostgres) -> AsyncIterator[Site]:
    with open_folder() as folder:
        told = psycopg.conninfo.conninfo_to_dict(database.url)
        line = Line(str(told["host"]))
        url = f"postgresql://{told['user']}@127.0.0.1:{await line.open()}/{told['dbname']}"
        app = make_app(lambda: _opened(folder, url), (DIALECT,), most_open=1000, most_refusals=1000)
        async with served(app) as http:
            yield Site(database, line, url, http)
        await line.close()


def _environment(folder: Path, url: str) -> dict[str, str]:
    common = settings_environment(folder, url)
    catalog = Path(common["SAFELIGHT_CATALOG"])
    catalog.write_text(catalog.read_text().replace("delay_seconds = 2.5", "delay_seconds = 1.2"))
    return {
        **common,
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_PROVENANCE": "off",
    }


@contextlib.asynccontextmanager
async def _opened(folder: Path, url: str) -> AsyncIterator[ApiState]:
    async with open_parts(load_settings(_environment(folder, url)), answers_soon=True) as parts:
        runner = Runner(parts.running)
        yield ApiState(
            submitting=parts.submitting,
            running=parts.running,
            viewing=parts.viewing,
            keeping=parts.keeping,
            runner=runner,
            authenticator=Authenticator(parts.db),
        )
        await runner.close(1)


def stop(database: EmbeddedPostgres) -> None:
    pid = database.pid
    assert pid
    os.kill(pid, signal.SIGINT)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "it has stopped")


def start(database: EmbeddedPostgres) -> None:
    eventually(database.revive, "the server is up again")


async def test_sessions_that_died_idle_cost_nobody_an_answer(site: Site) -> None:
    await site.use_every_session()
    await asyncio.to_thread(stop, site.database)
    await asyncio.to_thread(start, site.database)
    await site.check_it_is_back()


async def test_one_that_is_stopped(site: Site) -> None:
    await site.use_every_session()
    await asyncio.to_thread(stop, site.database)
    try:
        await site.check_it_is_away()
        await site.check_it_is_away()
    finally:
        await asyncio.to_thread(start, site.database)
    await site.check_it_is_back()


async def test_one_that_stands_still(site: Site) -> None:
    await site.use_every_session()
    with standing_still(site.database):
        await site.check_it_is_away()
    await site.check_it_is_back()


async def test_one_that_is_cut_off_without_a_word(site: Site) -> None:
    await site.use_every_session()
    site.line.is_cut = True
    site.line.silence_what_is_open()
    await site.check_it_is_away()
    site.line.is_cut = False
    await site.check_it_is_back()


async def test_sessions_that_were_cut_off_while_idle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_TRUSTED_SECONDS", 0.0)  # as if they had lain there for longer
    await site.use_every_session()
    site.line.silence_what_is_open()
    assert (await site.call("GET", "/v2/billing/balance")).status_code == 200


async def test_a_request_that_met_it_runs_once_when_it_is_repeated(site: Site) -> None:
    keyed = {"idempotency-key": "k"}
    await site.use_every_session()
    before = site.counts()
    with standing_still(site.database):
        first = await site.call("POST", "/v2/images/generations", IMAGE, **keyed)
        assert first.status_code == 503
    answer = await site.call("POST", "/v2/images/generations", IMAGE, **keyed)
    assert answer.status_code == 200, answer.text
    async with asyncio.timeout(60):
        while site.counts() != (before[0] + 1, before[1] + 1):
            await asyncio.sleep(0.1)


async def test_an_image_that_is_made_meanwhile_is_the_repeats(site: Site) -> None:
    """Its client is told in time. The statement that ends it may be carried out though its answer never came."""
    await site.use_every_session()
    before, path = site.counts(), "/v2/images/generations"
    repeats = ({"x-stainless-retry-count": "1"}, {"idempotency-key": "its own"})
    bodies = [{**IMAGE, "model": "still-slow", "prompt": f"a slope, {again}"} for again in repeats]
    firsts = ({}, repeats[1])
    asked = [
        asyncio.create_task(site.call("POST", path, body, **first)) for body, first in zip(bodies, firsts, strict=True)
    ]
    while site.counts()[0] != before[0] + 2:
        await asyncio.sleep(0.05)
    with standing_still(site.database):
        told = await asyncio.gather(*asked)
    for answer in told:
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "generation_unknown"), answer.text
        assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("true", "2")
    got = await asyncio.gather(
        *(site.call("POST", path, body, **again) for body, again in zip(bodies, repeats, strict=True))
    )
    for first, second in zip(told, got, strict=True):
        assert second.status_code == 200, second.text
        assert second.json()["id"] in first.text
    assert site.counts() == (before[0] + 2, before[1] + 2)


async def test_an_image_whose_end_got_no_answer_is_the_repeats(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is on record at once, as one that was seen, and its lease is gone before its runner has heard of it."""
    monkeypatch.setattr(leases, "_RENEWALS", 60)
    monkeypatch.setattr(outage, "_LAST_PAUSE_SECONDS", 1.0)  # the renewal comes first
    await site.use_every_session()
    before, path = site.counts(), "/v2/images/generations"
    body = {**IMAGE, "model": "still-slow"}
    asked = asyncio.create_task(site.call("POST", path, body))
    while site.counts()[0] != before[0] + 1:
        await asyncio.sleep(0.05)
    site.line.lose_answers()
    told = await asked
    assert (told.status_code, told.headers["x-should-retry"]) == (504, "true"), told.text
    assert site.counts() == (before[0] + 1, before[1] + 1)
    site.line.is_deaf = False
    got = await site.call("POST", path, body, **{"x-stainless-retry-count": "1"})
    assert got.status_code == 200 and got.json()["id"] in told.text
    assert site.counts() == (before[0] + 1, before[1] + 1)


async def test_leases_are_renewed_past_a_session_that_was_cut_off(site: Site) -> None:
    """Also where nobody waits for an answer, as in a worker. The lease is as short as can be."""
    with open_folder() as folder:
        environment = _environment(folder, site.url) | {"SAFELIGHT_LEASE": "2s"}
        async with open_parts(load_settings(environment)) as parts:
            sender = await Authenticator(parts.db).authenticate(site.tenant.headers["Authorization"])
            request = Request(type=GenerationType.IMAGE, model="still", prompt="a hill")
            accepted = await submit(
                parts.submitting, Submission(principal=sender, request=request, body_sha256=os.urandom(32))
            )
            assert accepted.claim
            kept = Leases(parts.db, 2)
            async with kept.held(accepted.claim):
                for _ in range(2):
                    site.line.silence_what_is_open()
                    until = await _lease(parts.db.url, accepted.id)
                    async with asyncio.timeout(60):
                        while await _lease(parts.db.url, accepted.id) == until:
                            await asyncio.sleep(0.05)
            await kept.close()


async def _lease(url: str, generation_id: str) -> object:
    query = "select lease_until from generations where id = %s"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(query, [generation_id])).fetchone()
