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
from tests.support.server import PATIENCE_SECONDS, Server, eventually, open_folder
from tests.support.tenants import Tenant, make_tenant

SHIPPED = Path(__file__).parents[2] / "src/safelight/catalog.toml"
NODES = ("serve", "worker")


class Node:
    """A server, and who is told of it."""

    def __init__(self, server: Server, notified: Notified, catalog: Path, tenant: Tenant) -> None:
        self.server, self.notified, self.catalog, self.tenant = server, notified, catalog, tenant

    def hang_up(self, catalog: str) -> None:
        self.catalog.write_text(catalog)
        self.server.process.send_signal(signal.SIGHUP)


@pytest.fixture(scope="module")
def nodes(databases: TestDatabases) -> Iterator[dict[str, Node]]:
    """``serve`` with two API processes, told of at a path, and ``worker``, at an abstract address."""
    url = databases.create()
    tenant = on_database(url, make_tenant)
    with ExitStack() as stack:
        started = {}
        for name in NODES:
            folder = stack.enter_context(open_folder())
            notified = stack.enter_context(open_notified(folder if name == "serve" else None))
            catalog = folder / "catalog.toml"
            catalog.write_text(SHIPPED.read_text())
            settings = {"SAFELIGHT_DATABASE_URL": url, "SAFELIGHT_CATALOG": str(catalog)}
            options = ["--workers", "2"] if name == "serve" else []
            environment = settings | notified.environment
            server = Server(folder / "data", *options, command=name, env=environment)
            stack.callback(server.kill_everything)
            started[name] = Node(server, notified, catalog, tenant)
        yield started


@pytest.mark.parametrize("name", NODES)
def test_it_is_ready_once_it_works(name: str, nodes: dict[str, Node]) -> None:
    node = nodes[name]
    node.notified.wait_for("READY")
    if name == "serve":
        assert httpx.get(f"{node.server.base_url}/readyz").status_code == 200
        assert node.notified.last("STATUS") == f"Serving on {node.server.base_url}."
    else:
        assert node.notified.last("STATUS") == "Working." and "working" in node.server.log


def test_a_wrong_catalog_is_told_and_changes_nothing(nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        node.hang_up("models = 5")
    for node in nodes.values():
        node.notified.wait_for("READY", "RELOADING", "READY")
        assert node.notified.last("MONOTONIC_USEC").isdecimal()
        assert node.notified.last("STATUS").startswith("Not reloaded: ") and "models" in node.notified.last("STATUS")
    assert nodes["worker"].server.log.count("] working") == 1


def test_a_reload_is_over_once_the_new_catalog_is_in_force(nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        node.hang_up(SHIPPED.read_text().replace('id = "z-image-turbo"', 'id = "renamed"'))
    for node in nodes.values():
        node.notified.wait_for("READY", "RELOADING", "READY", "RELOADING", "READY")
    assert nodes["worker"].server.log.count("] working") == 2
    api = nodes["serve"]
    for _ in range(8):  # of either API process
        models = httpx.get(f"{api.server.base_url}/v2/models", headers=api.tenant.headers).text
        assert '"renamed"' in models and '"z-image-turbo"' not in models


def test_one_of_two_processes_that_hangs_is_not_said_to_live(nodes: dict[str, Node]) -> None:
    """The API's: the process that starts them does not hang, nor does the other."""
    apis = psutil.Process(nodes["serve"].server.process.pid).children()
    assert len(apis) == 2
    hung = [apis[0], psutil.Process(nodes["worker"].server.process.pid)]
    for node in nodes.values():
        node.notified.wait_for_beat()
    for process in hung:
        process.suspend()
    try:
        for node in nodes.values():
            node.notified.wait_for_silence()
    finally:
        for process in hung:
            process.resume()
    for node in nodes.values():
        node.notified.wait_for_beat()


def test_an_api_process_that_dies_is_replaced_and_no_reason_for_silence(nodes: dict[str, Node]) -> None:
    node = nodes["serve"]
    before = {process.pid for process in psutil.Process(node.server.process.pid).children()}
    os.kill(min(before), signal.SIGKILL)
    parent = psutil.Process(node.server.process.pid)
    eventually(lambda: len({each.pid for each in parent.children()} - before) == 1, "the one that replaces it")
    for _ in range(4):
        node.notified.wait_for_beat()


def test_it_says_that_it_stops(nodes: dict[str, Node]) -> None:
    for node in nodes.values():
        node.server.process.send_signal(signal.SIGTERM)
    for node in nodes.values():
        assert node.server.process.wait(PATIENCE_SECONDS) == 0
        eventually(lambda told=node.notified: told.states()[-1] == "STOPPING", "the end")  # type: ignore[misc]


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
