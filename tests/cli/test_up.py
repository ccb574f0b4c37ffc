"""``safelight up`` as real processes: from an empty folder to ready, and every way to end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.server import Server, eventually, free_port, safelight

Start = Callable[..., Server]


def one_line_and_status_1(server: Server) -> str:
    """Wait for a start that must fail; the one line that it says."""
    assert server.process.wait(60) == 1, server.log
    lines = server.log.strip().splitlines()
    assert len(lines) == 1, server.log
    assert lines[0].startswith("safelight: ")
    assert not server.processes()
    return lines[0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def summary(server: Server) -> str:
    eventually(lambda: "Ctrl-C stops everything" in server.log, "the summary")
    return server.log


def serves(server: Server) -> bool:
    """Whether its key opens its API."""
    return httpx.get(f"{server.base_url}/v2/models", headers=server.headers).status_code == 200


def test_first_start_makes_everything_and_the_second_keeps_it(fresh_server: Start) -> None:
    first = fresh_server().wait_until_ready()
    key = first.key
    assert key not in summary(first), "what it prints goes into a file"
    assert re.search(r"^A new API key is in \S+/data/api-key, and shown nowhere else\.$", first.log, re.M)
    assert mode(first.data_dir / "api-key") == 0o600
    assert mode(first.data_dir / "signing-keys") == 0o600
    signing_keys = (first.data_dir / "signing-keys").read_text()
    assert serves(first)
    assert first_of(first, "serve") and first_of(first, "worker") and first_of(first, "postgres")
    assert first.stop(signal.SIGTERM) == 0
    assert "Traceback" not in first.log, first.log

    second = fresh_server(data_dir=first.data_dir).wait_until_ready()
    assert key not in summary(second)
    assert second.key == key
    assert (second.data_dir / "signing-keys").read_text() == signing_keys
    assert serves(second)
    assert second.stop(signal.SIGINT) == 0
    assert "Traceback" not in second.log, second.log


def test_a_deep_folder_with_an_odd_name_and_a_curl_line_that_can_be_pasted(
    fresh_server: Start, server_folder: Path
) -> None:
    deep = server_folder.joinpath("not there yet", *["very, deep % folder's name"] * 5, "data")
    server = fresh_server(data_dir=deep, log_folder=server_folder).wait_until_ready()
    found = re.search(r"^(curl .*?)\n\n", summary(server), re.S | re.M)
    assert found
    script = 'curl() { for word in "$@"; do printf \'%s\\n\' "$word"; done; }\n' + found[1]
    words = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.splitlines()
    assert words[:2] == ["-s", f"{server.base_url}/v2/images/generations"]
    assert f"Authorization: Bearer {server.key}" in words
    assert json.loads(words[-1])["model"] == "seedream-5-lite"

    other = fresh_server(data_dir=deep, log_folder=server_folder)
    assert f"in use by another 'safelight up' (process {server.process.pid})" in one_line_and_status_1(other)
    assert server.stop() == 0


def test_a_signal_during_the_start_ends_every_process(fresh_server: Start, server_folder: Path) -> None:
    for file in ("postgres.lock", "postgres.new", "postgres/PG_VERSION", "api-key"):
        server = fresh_server(data_dir=server_folder / file.replace("/", "-"))
        eventually((server.data_dir / file).exists, file)
        assert server.stop() == 0, server.log
        assert "Traceback" not in server.log


def test_after_any_kill_the_next_start_works(fresh_server: Start) -> None:
    server = fresh_server().wait_until_ready()
    key = server.key
    server.process.kill()
    server.process.wait()
    eventually(lambda: not server.processes(), "the end of the orphans")

    again = fresh_server(data_dir=server.data_dir, port=server.port).wait_until_ready()
    assert again.key == key
    assert serves(again)
    again.kill_everything()
    eventually(lambda: not again.processes(), "their end")

    last = fresh_server(data_dir=server.data_dir, port=server.port).wait_until_ready()
    assert serves(last)
    assert last.stop() == 0


def test_a_process_that_dies_is_started_again_but_not_forever(fresh_server: Start) -> None:
    server = fresh_server().wait_until_ready()
    for role in ("serve", "postgres", "worker"):
        before = {process.pid for process in first_of(server, role)}
        for process in first_of(server, role):
            process.kill()
        eventually(lambda: bool({p.pid for p in first_of(server, role)} - before), f"another {role}")  # noqa: B023
        server.wait_until_ready()
        assert serves(server)

    def gave_up() -> bool:
        for process in first_of(server, "worker"):
            process.kill()
        return server.process.poll() is not None

    eventually(gave_up, "giving up")
    assert server.process.returncode == 1
    assert "died 5 times in a row" in server.log.strip().splitlines()[-1]
    assert not server.processes()


def first_of(server: Server, role: str) -> list[psutil.Process]:
    """The process of that role which the supervisor started itself.

    Only its own children are looked at: to look through every process of a busy machine takes longer than the 10 s
    within which a death counts as a quick one.
    """
    try:
        own = psutil.Process(server.process.pid).children()
    except psutil.Error:
        return []
    found = []
    for process in own:
        with suppress(psutil.Error):  # it may end meanwhile
            is_alive = process.status() != psutil.STATUS_ZOMBIE
            if is_alive and any(word.endswith(role) for word in process.cmdline()):
                found.append(process)
    return found


def test_port_taken(fresh_server: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port}" in one_line_and_status_1(fresh_server(port=port))


def test_a_file_in_the_way(fresh_server: Start, server_folder: Path) -> None:
    (server_folder / "data").write_text("I am a file")
    assert "a part of its path is a file" in one_line_and_status_1(fresh_server())


def test_a_misspelt_option_of_the_catalog(fresh_server: Start, server_folder: Path) -> None:
    catalog = server_folder / "catalog.toml"
    shipped = (Path(__file__).parents[2] / "src/safelight/catalog.toml").read_text()
    catalog.write_text(shipped.replace('connection = "builtin"', 'connection = "builtin", options = { sed = 1 }', 1))
    line = one_line_and_status_1(fresh_server(env={"SAFELIGHT_CATALOG": str(catalog)}))
    assert f"{catalog}: models[0].bindings[0].options.sed: there is no such key. Did you mean seed?" in line


def mounted(folder: Path, options: str) -> Path:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only where we may mount a file system")
    return folder


def test_full_disk(fresh_server: Start, server_folder: Path) -> None:
    disk = mounted(server_folder / "disk", "size=24m")
    try:
        assert "is full. Free some space" in one_line_and_status_1(fresh_server(data_dir=disk))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_read_only_folder(fresh_server: Start, server_folder: Path) -> None:
    disk = mounted(server_folder / "disk", "ro")
    try:
        assert "read" in one_line_and_status_1(fresh_server(data_dir=disk))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_folder(fresh_server: Start, server_folder: Path) -> None:
    (server_folder / "data").mkdir(mode=0o000)
    assert "No permission for" in one_line_and_status_1(fresh_server())


def test_wrong_settings(fresh_server: Start, server_folder: Path) -> None:
    catalog = server_folder / "catalog.toml"
    catalog.write_text("models = [1]")
    for name, value in {
        "SAFELIGHT_CATALOG": str(catalog),
        "SAFELIGHT_DATABASE_URL": f"postgresql://user:secret@127.0.0.1:{free_port()}/nothing",
        "SAFELIGHT_SIGNING_KEYS": "nonsense",
        "SAFELIGHT_RETENTION": "soon",
        "SAFELIGHT_MEDIA_URL": "ftp://somewhere",
    }.items():
        server = fresh_server(env={name: value})
        line = one_line_and_status_1(server)
        assert "secret" not in line


@pytest.mark.database
def test_on_a_database_elsewhere(fresh_server: Start, fresh_database_url: str) -> None:
    server = fresh_server(env={"SAFELIGHT_DATABASE_URL": fresh_database_url}).wait_until_ready()
    assert not (server.data_dir / "postgres").exists()
    assert serves(server)
    assert server.stop() == 0


def test_serve_and_worker_alone_share_the_database_of_a_data_folder(fresh_server: Start, server_folder: Path) -> None:
    folder = server_folder / "data"
    assert safelight("migrate", "--data-dir", folder).returncode == 0
    api = fresh_server(command="serve", data_dir=folder).wait_until_ready()
    worker = fresh_server(command="worker", data_dir=folder)
    eventually(lambda: "working" in worker.log or worker.process.poll() is not None, "the worker")
    assert worker.process.poll() is None, worker.log
    secret = safelight("keys", "create", "--plain", "--data-dir", folder).stdout.strip()
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(f"{api.base_url}/v2/models", headers=headers).status_code == 200
    assert api.process.poll() is None and worker.process.poll() is None
    for server in (api, worker):
        server.process.send_signal(signal.SIGTERM)
    assert api.process.wait(60) == 0, api.log
    assert worker.process.wait(60) == 0, worker.log
    assert not api.processes() + worker.processes()
    assert not (folder / "postgres" / "postmaster.pid").exists()
