"""What is rehearsed on: every part a real process of this machine, on loopback."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.nginx import program
from bench.nodes import CATALOG
from bench.servers import BenchError, Server, free_port, safelight
from bench.tenants import LIMITS
from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate
from safelight.providers.chaos import Memory
from tests.blobs import seaweed

LEASE_SECONDS = 10
_READY_SECONDS = 60.0

# As docs/operating.md has it, without what is a site's own: names, certificates, logs.
_NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream safelight {{
{servers}
        keepalive 32;
        keepalive_timeout 4s;
    }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 26m;
        location / {{
            proxy_pass http://safelight;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_connect_timeout 2s;
            proxy_read_timeout 310s;
            proxy_next_upstream error timeout;
            proxy_buffering off;
        }}
    }}
}}
"""


class Node:
    """One ``safelight serve`` or ``worker``, with a data folder of its own. The backend is one for all."""

    def __init__(self, name: str, command: str, base: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port() if command == "serve" else None
        self._command, self._environment = command, environment
        self._data_dir = base / name
        self._data_dir.mkdir()
        (self._data_dir / "chaos").symlink_to(base / "chaos")
        self._running = contextlib.ExitStack()
        self._server: Server | None = None

    def start(self) -> None:
        """Start it; an API node is waited for."""
        self._server = self._running.enter_context(
            safelight(self._command, self._data_dir, self._environment, port=self.port)
        )

    def stop(self) -> None:
        """SIGTERM, and wait until it has ended."""
        self._running.close()

    def kill(self) -> None:
        """Kill it and all that it started, outright."""
        self._signal(signal.SIGKILL)
        self._running.close()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._server is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, number)


class Postgres:
    """A PostgreSQL server that is reached over TCP, as one on another machine is."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": str(port)}
        self._server = EmbeddedPostgres(folder, dies_with_caller=True, settings=settings)
        self.url = f"postgresql://postgres@127.0.0.1:{port}/safelight"

    def open(self) -> None:
        self._server.open()
        migrate(self.url)

    def close(self) -> None:
        self._server.close()

    def stop_at_once(self) -> None:
        """As ``pg_ctl stop -m immediate``: what was not committed is gone, and the next start recovers."""
        pid = self._server.pid
        if pid is None:
            raise BenchError("PostgreSQL has ended by itself.")
        os.kill(pid, signal.SIGQUIT)
        give_up_at = time.monotonic() + _READY_SECONDS
        while self._server.pid is not None and time.monotonic() < give_up_at:
            time.sleep(0.02)

    def start(self) -> None:
        if not self._server.revive():
            raise BenchError("PostgreSQL had not ended.")


class Site:
    """All of it, and what is on record. ``address``: nginx, which clients speak to."""

    def __init__(
        self, base: Path, database: Postgres, store: seaweed.Service, *, job_seconds: float, workers: int
    ) -> None:
        (base / "chaos").mkdir()
        self.backend = Memory(base / "chaos")
        self.database, self.store = database, store
        self.job_seconds = job_seconds
        self.address = f"http://127.0.0.1:{free_port()}"
        catalog = base / "catalog.toml"
        options = f'{{ behaviour = "job", job_seconds = {job_seconds} }}'
        catalog.write_text(CATALOG.format(options=options))
        self.environment = {
            **LIMITS,
            "SAFELIGHT_DATABASE_URL": database.url,
            "SAFELIGHT_MEDIA_URL": store.server.url("media"),
            "SAFELIGHT_CATALOG": str(catalog),
            "SAFELIGHT_SIGNING_KEYS": f"k1:{secrets.token_hex(32)}",
            "SAFELIGHT_PUBLIC_URL": self.address,
            "SAFELIGHT_PROXIES": "127.0.0.1",
            "SAFELIGHT_PROVENANCE": "off",
            "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",  # where the webhooks go
            "SAFELIGHT_LEASE": f"{LEASE_SECONDS}s",
        }
        self.api_nodes = [Node(f"api-{i}", "serve", base, self.environment) for i in (1, 2)]
        self.workers = [Node(f"worker-{i}", "worker", base, self.environment) for i in range(1, workers + 1)]

    @property
    def nodes(self) -> list[Node]:
        return [*self.api_nodes, *self.workers]

    def workers_at_work(self) -> set[str]:
        """The runners of workers that have told of themselves, those that have ended since included."""
        return {row["runner"] for row in self.rows("select runner from process_facts where kind = 'worker'")}

    def wait_for_workers(self, count: int, *, known: set[str] | None = None) -> None:
        """Until so many work that were not ``known``."""
        give_up_at = time.monotonic() + _READY_SECONDS
        while len(self.workers_at_work() - (known or set())) < count:
            if time.monotonic() > give_up_at:
                raise BenchError("The workers did not start.")
            time.sleep(0.05)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.database.url, row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()


@contextlib.contextmanager
def site(base: Path, *, job_seconds: float, workers: int = 2) -> Iterator[Site]:
    """The site, at work; everything ends with the block. ``job_seconds``: what its backend takes for each."""
    with contextlib.ExitStack() as parts:
        database = Postgres(base / "database")
        parts.callback(database.close)
        database.open()
        store = parts.enter_context(seaweed.serve_on_and_off(base / "store"))
        made = Site(base, database, store, job_seconds=job_seconds, workers=workers)
        for node in made.nodes:
            parts.callback(node.stop)
        with ThreadPoolExecutor() as threads:
            list(threads.map(Node.start, made.nodes))
        made.wait_for_workers(workers)
        parts.enter_context(_nginx(base / "nginx", made))
        yield made


@contextlib.contextmanager
def _nginx(folder: Path, made: Site) -> Iterator[None]:
    folder.mkdir()
    servers = "\n".join(f"        server 127.0.0.1:{node.port} max_fails=0;" for node in made.api_nodes)
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(user=user, folder=folder, servers=servers, port=made.address.rpartition(":")[2]))
    process = subprocess.Popen([program(), "-c", config, "-e", folder / "error.log"], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(_READY_SECONDS)
