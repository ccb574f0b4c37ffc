"""What is told to a service manager of ``serve`` and of ``worker``. That of ``up``: ``tests/package/``."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from safelight.node.service_manager import Beats, ServiceManager
from tests.support.notified import Notified, open_notified
from tests.support.postgres import TestDatabases, on_database
from tests.support.server import PATIENCE_SECONDS, Server, eventually, free_port, open_folder
from tests.support.tenants import Tenant, make_tenant

SHIPPED = Path(__file__).parents[2] / "src/safelight/catalog.toml"
RELOADED = ("READY", "RELOADING", "READY")
STATUS = {"worker": "Working.", "serve": "Serving on {url}."}


class Node:
    """A server, and who is told of it."""

    def __init__(self, name: str, folder: Path, notified: Notified, database_url: str, tenant: Tenant) -> None:
        self.name, self.notified, self.tenant = name, notified, tenant
        self.catalog = folder / "catalog.toml"
        self.catalog.write_text(SHIPPED.read_text())
        settings = {
            "SAFELIGHT_DATABASE_URL": database_url,
            "SAFELIGHT_CATALOG": str(self.catalog),
            "SAFELIGHT_METRICS": f"127.0.0.1:{free_port()}",
        }
        options = ["--workers", "2"] if name == "serve" else []
        self.server = Server(folder / "data", *options, command=name, env=settings | notified.environment)
        self.process = self.server.process

    @property
    def status(self) -> str:
        return STATUS[self.name].format(url=self.server.base_url)

    def hang_up(self, catalog: str) -> None:
        self.catalog.write_text(catalog)
        self.process.send_signal(signal.SIGHUP)


@pytest.fixture(scope="module")
def nodes(databases: TestDatabases) -> Iterator[dict[str, Node]]:
    """``worker``, at an abstract address, and ``serve`` with two API processes, at a path.

    Both have a new catalog to take up, which takes ``serve`` a while.
    """
    url = databases.create()
    tenant = on_database(url, make_tenant)
    with ExitStack() as stack:
        started = {}
        for name in STATUS:
            folder = stack.enter_context(open_folder())
            notified = stack.enter_context(open_notified(folder if name == "serve" else None))
            started[name] = Node(name, folder, notified, url, tenant)
            stack.callback(started[name].server.kill_everything)
        for node in started.values():
            node.notified.wait_for("READY")
            assert node.notified.last("STATUS") == node.status
        assert httpx.get(f"{started['serve'].server.base_url}/readyz").status_code == 200
        for node in started.values():
            node.hang_up(SHIPPED.read_text().replace('id = "z-image-turbo"', 'id = "renamed"'))
        yield started


@pytest.fixture(scope="module", params=list(STATUS))
def node(request: pytest.FixtureRequest, nodes: dict[str, Node]) -> Node:
    return nodes[request.param]


def test_a_reload_is_over_once_the_new_catalog_is_in_force(node: Node) -> None:
    node.notified.wait_for(*RELOADED)
    assert node.notified.last("MONOTONIC_USEC").isdecimal() and node.notified.last("STATUS") == node.status
    if node.name == "worker":
        assert node.server.log.count("working") == 2, node.server.log
        return
    for _ in range(8):  # of either API process
        models = httpx.get(f"{node.server.base_url}/v2/models", headers=node.tenant.headers).text
        assert '"renamed"' in models and '"z-image-turbo"' not in models


def test_a_wrong_catalog_is_told_and_changes_nothing(node: Node) -> None:
    node.hang_up("models = 5")
    node.notified.wait_for(*RELOADED, "RELOADING", "READY")
    assert node.notified.last("STATUS").startswith("Not reloaded: ") and "models" in node.notified.last("STATUS")


def test_a_process_that_hangs_is_not_said_to_live(node: Node) -> None:
    """Of the API: one of two. The process that starts them does not hang, nor does the other."""
    node.notified.wait_for_beat()
    process = psutil.Process(node.process.pid)
    api = [child for child in process.children() if "safelight.cli.child" not in child.cmdline()]
    hung = process if node.name == "worker" else api[0]
    hung.suspend()
    try:
        node.notified.wait_for_silence()
    finally:
        hung.resume()
    node.notified.wait_for_beat()


def test_it_says_that_it_stops(node: Node) -> None:
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(PATIENCE_SECONDS) == 0
    eventually(lambda: node.notified.states()[-1] == "STOPPING", "its word that it stops")


def test_without_a_service_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("", "vsock:2:1234", "/nowhere/at/all"):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        manager = ServiceManager.from_environment()
        assert not manager.is_there and manager.watchdog_seconds is None
        manager.ready("Nobody hears it.")
        assert "NOTIFY_SOCKET" not in os.environ and "WATCHDOG_USEC" not in os.environ


def test_a_watchdog_of_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with open_notified() as notified:
        for process, seconds in ((os.getpid(), 2.0), (os.getpid() + 1, None)):
            monkeypatch.setenv("NOTIFY_SOCKET", notified.environment["NOTIFY_SOCKET"])
            monkeypatch.setenv("WATCHDOG_USEC", "2000000")
            monkeypatch.setenv("WATCHDOG_PID", str(process))
            assert ServiceManager.from_environment().watchdog_seconds == seconds


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 400, "-1", "0", "000", "1e6", "x", " 1", "\u0663"])
def test_a_time_that_is_none_is_no_watchdog(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_notified() as notified:
        monkeypatch.setenv("NOTIFY_SOCKET", notified.environment["NOTIFY_SOCKET"])
        monkeypatch.setenv("WATCHDOG_USEC", text)
        manager = ServiceManager.from_environment()
        assert manager.is_there and manager.watchdog_seconds is None


def test_a_status_is_one_line_whatever_it_holds() -> None:
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with mine, theirs:
        ServiceManager(mine).not_reloaded("a\nREADY=0\n" + "\u00e9" * 5000)
        lines = theirs.recv(65536).decode().splitlines()
    assert lines[0] == "READY=1" and len(lines) == 2 and lines[1].startswith("STATUS=Not reloaded: a READY=0 \u00e9")


def test_who_has_shown_no_life_yet_is_still_starting() -> None:
    beats = Beats(silence_seconds=0.0)
    assert beats.all_live(["a", "b"])
    beats.heard("a")
    assert not beats.all_live(["a", "b"]) and beats.all_live(["b"])
    beats.heard("a")
    beats.forget("a")
    assert beats.all_live(["a", "b"])
