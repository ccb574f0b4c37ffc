"""The data folder's own PostgreSQL: one for all processes, there as long as somebody uses it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from safelight.db import binaries
from safelight.db.embedded import EmbeddedPostgres, is_embedded
from safelight.domain.errors import ConfigurationError
from tests.support.server import eventually

_USER = """
import sys
from pathlib import Path
from safelight.db.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1])) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


def start_user(folder: Path) -> subprocess.Popen[str]:
    """Another process that uses the server until its standard input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", _USER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def url_of(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    return user.stdout.readline().strip()


def answers(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            return connection.info.dbname == "safelight"
    except psycopg.OperationalError:
        return False


def test_processes_that_start_at_once_share_one_server_and_the_last_stops_it(server_folder: Path) -> None:
    users = [start_user(server_folder / "data") for _ in range(3)]
    urls = {url_of(user) for user in users}
    assert len(urls) == 1
    (url,) = urls
    assert is_embedded(url)
    for user in users:
        assert answers(url)
        user.communicate("\n")
        assert user.returncode == 0
    assert not answers(url)


def test_a_killed_user_counts_no_more(server_folder: Path) -> None:
    user = start_user(server_folder / "data")
    url = url_of(user)
    user.kill()
    user.communicate()
    assert answers(url)  # nobody was left to stop it
    with EmbeddedPostgres(server_folder / "data") as joined:
        assert joined == url
    assert not answers(url)


def test_a_killed_server_is_started_again_at_the_same_address(server_folder: Path) -> None:
    for name in ("data", "a name, too odd for a socket"):
        server = EmbeddedPostgres(server_folder / name)
        url = server.open()
        try:
            assert not server.revive()
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            eventually(server.revive, "its end was seen")
            assert answers(url) and server.url == url
        finally:
            server.close()
        assert not answers(url)


def test_its_settings(server_folder: Path) -> None:
    with EmbeddedPostgres(server_folder / "data") as url, psycopg.connect(url) as connection:
        for name, wanted in {
            "fsync": "on",
            "max_connections": "200",
            "listen_addresses": "",
            "timezone": "UTC",
        }.items():
            assert connection.execute("select current_setting(%s)", [name]).fetchone() == (wanted,)
    assert "database system is shut down" in (server_folder / "data" / "postgres.log").read_text()


def test_what_is_in_the_way_is_told(server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = server_folder / "data"
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match=r"was made by PostgreSQL 12, and PostgreSQL \d+ is installed"):
        EmbeddedPostgres(folder).open()
    monkeypatch.setattr(binaries.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'safelight\[embedded\]'"):
        EmbeddedPostgres(folder).open()
