"""Safelight as it is deployed: API and worker processes on one database and one data folder, with chaos behind them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg.rows import dict_row

from safelight.accounts.books import check_books
from safelight.db.embedded import EmbeddedPostgres
from safelight.domain.scope import OPERATOR
from safelight.keeping.orphans import Findings, sweep_orphans
from safelight.node.settings import load_settings
from safelight.providers.chaos import Memory
from safelight.wiring import open_keeping
from tests.support.postgres import on_database
from tests.support.server import COMMAND, PATIENCE_SECONDS, clean_environment, eventually, free_port
from tests.support.tenants import make_tenant_at

FINAL = ("completed", "failed", "canceled")


class Nursery:
    """The process that forks all others."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
            cwd=Path(__file__).parents[2],
        )
        assert self._line() == "ready"

    def start(self, argv: list[str], env: Mapping[str, str], log: Path) -> int:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"argv": argv, "env": dict(env), "log": str(log)}) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(PATIENCE_SECONDS)

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class Process:
    """One process of a deployment, with what it forked."""

    def __init__(
        self, pid: int, log: Path, port: int | None = None, *, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.pid = pid
        self.port = port
        self._log = log
        self._child = child

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self.is_alive:
            assert time.monotonic() < give_up_at, f"process {self.pid} does not end:\n{self.log}"
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.signal(signal.SIGTERM)
        self.wait()

    def kill(self) -> None:
        """Kill it and what it forked, outright."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


@contextmanager
def standing_still(database: EmbeddedPostgres) -> Iterator[None]:
    """While inside, no process of the database does anything; the connections to it stand."""
    pid = database.pid
    assert pid
    server = psutil.Process(pid)
    stopped = [server]
    server.suspend()
    for child in server.children(recursive=True):
        child.suspend()
        stopped.append(child)
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


class Model:
    """A model for the catalog: ``bindings`` are pairs of a connection and its options.

    ``costs``: what a unit of each binding costs, where that is stated.
    """

    def __init__(
        self,
        id_: str,
        type_: str,
        *bindings: tuple[str, Mapping[str, Any]],
        costs: tuple[str | None, ...] = (),
        deadline_seconds: int | None = None,
        price: str = "0.01",
        supports_seed: bool = False,
    ) -> None:
        self.id, self.type, self.bindings = id_, type_, bindings
        self.costs = (*costs, *[None] * (len(bindings) - len(costs)))
        self.deadline_seconds = deadline_seconds
        self.price, self.supports_seed = price, supports_seed

    def toml(self) -> str:
        bindings = ", ".join(
            _toml({"connection": connection, "options": options, **({} if cost is None else {"cost": cost})})
            for (connection, options), cost in zip(self.bindings, self.costs, strict=True)
        )
        durations = "durations = [2, 3]\n" if self.type == "video" else ""
        deadline = f"deadline_seconds = {self.deadline_seconds}\n" if self.deadline_seconds else ""
        return f"""
[[models]]
id = "{self.id}"
name = "{self.id}"
type = "{self.type}"
created_at = 2026-01-01T00:00:00Z
aspect_ratios = ["1:1"]
resolutions = ["480p"]
{durations}{deadline}rates = [{{ unit_price = "{self.price}" }}]
supports_seed = {str(self.supports_seed).lower()}
references = {{ reference_image = 2 }}
bindings = [{bindings}]
sizes = {{ "480p" = {{ "1:1" = "64x64" }} }}
"""


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def catalog_text(models: Iterable[Model], connections: Mapping[str, Mapping[str, Any]]) -> str:
    """A catalog of these. Connections are by name, each with its kind."""
    declared = ", ".join(_toml({"name": name, **more}) for name, more in connections.items())
    return f"connections = [{declared}]\n" + "".join(model.toml() for model in models)


class Deployment:
    """Its processes, what clients ask of it, and what is in its database, its store and its backend's memory."""

    def __init__(
        self, nursery: Nursery, folder: Path, url: str, models: Iterable[Model], env: Mapping[str, str] | None = None
    ) -> None:
        self.folder, self.url = folder, url
        self.data_dir = folder / "data"
        self.data_dir.mkdir(exist_ok=True)
        self.catalog = folder / "catalog.toml"
        self.edit_catalog(*models)
        (self.data_dir / "signing-keys").write_text(f"k1:{secrets.token_hex(32)}\n")
        self.env = {
            "SAFELIGHT_DATA_DIR": str(self.data_dir),
            "SAFELIGHT_DATABASE_URL": url,
            "SAFELIGHT_CATALOG": str(self.catalog),
            "SAFELIGHT_PROVENANCE": "off",
            "SAFELIGHT_LEASE": "2s",
            "SAFELIGHT_SHUTDOWN": "4s",
            "SAFELIGHT_IMAGE_RPM": "100000",
            "SAFELIGHT_VIDEO_RPM": "100000",
            "SAFELIGHT_CONCURRENCY": "10000",
            **(env or {}),
        }
        self.memory = Memory(self.data_dir / "chaos")
        self.processes: list[Process] = []
        self._nursery = nursery
        self.headers = make_tenant_at(url, "default", usd="1000").headers

    def edit_catalog(self, *models: Model, connections: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Write another catalog; processes take it up at their start. ``connections`` by name, each with its kind."""
        self.catalog.write_text(catalog_text(models, connections or {}))

    # Processes

    def serve(self, port: int | None = None, **env: str) -> Process:
        """An API process, ready. Environment variables go without their prefix: ``KILLPOINT="..."``."""
        port = port or free_port()
        process = self._start("serve", env, port)
        eventually(lambda: self._is_ready(process), f"the API is ready:\n{process.log}")
        return process

    def worker(self, **env: str) -> Process:
        return self._start("worker", env)

    def worker_with_clock(self, offset: str, library: Path, **env: str) -> Process:
        """A worker whose clock is ``offset`` (such as ``+2h``) off, by libfaketime: a program started anew."""
        log = self._new_log("worker")
        named = {f"SAFELIGHT_{key}": value for key, value in env.items()}
        faked = {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        with log.open("wb") as output:
            child = subprocess.Popen(
                [COMMAND, "worker"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment({**self.env, **named, **faked}),
                cwd="/",
                start_new_session=True,
            )
        self.processes.append(Process(child.pid, log, child=child))
        return self.processes[-1]

    def close(self) -> None:
        for process in self.processes:
            process.kill()

    @property
    def logs(self) -> str:
        return "".join(process.log for process in self.processes)

    def _start(self, command: str, env: Mapping[str, str], port: int | None = None) -> Process:
        log = self._new_log(command)
        environment = clean_environment({**self.env, **{f"SAFELIGHT_{key}": value for key, value in env.items()}})
        argv = [command, *(["--port", str(port)] if port else [])]
        pid = self._nursery.start(argv, environment, log)
        process = Process(pid, log, port)
        self.processes.append(process)
        return process

    def _new_log(self, command: str) -> Path:
        log = self.folder / f"{command}-{len(self.processes)}.log"
        log.touch()
        return log

    def _is_ready(self, process: Process) -> bool:
        assert process.is_alive, process.log
        try:
            return httpx.get(f"http://127.0.0.1:{process.port}/readyz", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    # Clients

    def request(self, api: Process, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        return httpx.request(
            method,
            f"http://127.0.0.1:{api.port}{path}",
            json=body,
            headers={**self.headers, **headers},
            timeout=PATIENCE_SECONDS,
        )

    def video(self, api: Process, model: str, **fields: object) -> str:
        """Submit a video; its id."""
        body = {"model": model, "prompt": "a slope", "duration": 2, **fields}
        answer = self.request(api, "POST", "/v2/videos/generations", body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def image(self, api: Process, model: str, **fields: object) -> httpx.Response:
        return self.request(api, "POST", "/v2/images/generations", {"model": model, "prompt": "a slope", **fields})

    def ended(self, api: Process, generation_id: str) -> dict[str, Any]:
        """A video's answer once it has ended."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.request(api, "GET", f"/v2/videos/generations/{generation_id}?wait=10")
            if answer.status_code == 200 and answer.json()["status"] != "pending":
                return dict(answer.json())
            assert time.monotonic() < give_up_at, f"{answer.text}\n{self.row(generation_id)}\n{self.logs}"

    # What is on record

    def sql(self, statement: str, *params: object) -> list[dict[str, Any]]:
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, params)
            return cursor.fetchall() if cursor.description else []

    def row(self, generation_id: str) -> dict[str, Any]:
        return self.sql("select * from generations where id = %s", generation_id)[0]

    def state(self, generation_id: str) -> str:
        return str(self.row(generation_id)["state"])

    def wait_for_state(self, generation_id: str, *states: str) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self.state(generation_id) not in states:
            assert time.monotonic() < give_up_at, f"{self.row(generation_id)}\n{self.logs}"
            time.sleep(0.05)

    def let_lease_run_out(self, generation_id: str) -> None:
        """As time would."""
        self.sql(
            "update generations set lease_until = now() - interval '1 s' where lease_until is not null and id = %s",
            generation_id,
        )

    def hide_the_dead(self) -> None:
        """As if they had died on another machine: nothing here tells of their death."""
        for lock in (self.data_dir / "runners").glob("*.lock"):
            lock.unlink()

    def check_one_end(self, generation_id: str, state: str = "completed") -> None:
        """It ended once, in that state, was paid or released once, and its files are there, as recorded."""
        assert self.state(generation_id) == state, f"{self.row(generation_id)}\n{self.logs}"
        kinds = self.sql("select kind, held_nanos from transfers where generation_id = %s order by id", generation_id)
        assert [row["kind"] for row in kinds] == ["hold", "settle"]
        assert sum(row["held_nanos"] for row in kinds) == 0
        media = self.sql("select * from media where generation_id = %s", generation_id)
        assert len(media) == (1 if state == "completed" else 0)
        for file in media:
            data = (self.data_dir / "media" / file["key"]).read_bytes()
            assert (len(data), hashlib.sha256(data).digest()) == (file["size_bytes"], bytes(file["sha256"]))

    def check_nothing_held(self) -> None:
        """Nothing is under way, nothing is held, the books balance, and no file is left over after a sweep."""
        assert self.sql("select id, state from generations where finished_at is null") == []
        assert self.sql("select held_nanos, in_flight from accounts where held_nanos <> 0 or in_flight <> 0") == []
        books = on_database(self.url, lambda database: check_books(OPERATOR, database))
        assert books.balances, books
        self.sweep()
        known = {row["key"] for row in self.sql("select key from media")}
        files = {str(path.relative_to(self.data_dir / "media")) for path in self._files()}
        assert files == known

    def sweep(self) -> Findings:
        return asyncio.run(self._sweep())

    def _files(self) -> list[Path]:
        root = self.data_dir / "media"
        return [path for name in ("media", "inputs") for path in (root / name).rglob("*") if path.is_file()]

    async def _sweep(self) -> Findings:
        settings = load_settings(self.env)
        async with open_keeping(settings) as keeping:
            return await sweep_orphans(keeping, day=datetime.now(UTC), older_than=timedelta(seconds=-5))
