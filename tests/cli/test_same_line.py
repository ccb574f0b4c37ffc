"""Whatever would stop a start is told in the same line by ``serve``, ``worker``, ``up`` and ``doctor``."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import psycopg
import pytest
import structlog

from safelight.cli import run
from safelight.node.certificates import init_provenance
from safelight.node.chain import create_local_chain
from tests.support.postgres import TestDatabases
from tests.support.server import free_port, open_folder, safelight

SHIPPED = (Path(__file__).parents[2] / "src/safelight/catalog.toml").read_text()
KEY = f"k1:{bytes(range(32)).hex()}"
Plant = Callable[[Path, TestDatabases], dict[str, str]]


def catalog(folder: Path, text: str) -> dict[str, str]:
    path = folder / "catalog.toml"
    path.write_text(text)
    return {"SAFELIGHT_CATALOG": str(path)}


def chain(folder: Path, *, days: int = 10, other_key: bool = False) -> dict[str, str]:
    place = folder / "chain"
    init_provenance(place)
    root, certificates, key = create_local_chain("Planted", days=days)
    if not other_key:
        (place / "key.pem").write_bytes(key)
    (place / "chain.pem").write_bytes(certificates)
    (place / "root.pem").write_bytes(root)
    return {"SAFELIGHT_PROVENANCE_DIR": str(place)}


def too_new(databases: TestDatabases) -> dict[str, str]:
    url = databases.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    return {"SAFELIGHT_DATABASE_URL": url}


CAUSES: dict[str, tuple[Plant, str]] = {
    "no TOML": (lambda folder, _: catalog(folder, "models = "), "catalog.toml: "),
    "misspelt option": (
        lambda folder, _: catalog(
            folder, SHIPPED.replace('connection = "builtin"', 'connection = "builtin", options = { sed = 1 }', 1)
        ),
        "Did you mean seed?",
    ),
    "a backend's key that is not set": (
        lambda folder, _: catalog(
            folder,
            '[[connections]]\nname = "far"\nkind = "chaos"\nkey = "env:NO_SUCH_KEY"\n\n'
            + SHIPPED.replace('connection = "builtin"', 'connection = "far"'),
        ),
        "NO_SUCH_KEY",
    ),
    "signing keys": (lambda *_: {"SAFELIGHT_SIGNING_KEYS": "k1:0011"}, "Signing key 'k1' has 2 bytes"),
    "public URL": (lambda *_: {"SAFELIGHT_PUBLIC_URL": "media.example.com"}, "The public URL 'media.example.com'"),
    "no chain": (lambda folder, _: {"SAFELIGHT_PROVENANCE_DIR": str(folder)}, "'safelight provenance init' makes a"),
    "an expired chain": (lambda folder, _: chain(folder, days=0), "expired on"),
    "another's key": (lambda folder, _: chain(folder, other_key=True), "does not belong to the first certificate"),
    "no blocklist": (
        lambda *_: {"SAFELIGHT_MODERATION": "blocklist", "SAFELIGHT_MODERATION_BLOCKLIST": "/no/such/list"},
        "/no/such/list",
    ),
    "what references may reach": (lambda *_: {"SAFELIGHT_REFERENCES_ALLOW": "10.0.0.0/99"}, "10.0.0.0/99"),
    "a kind of store": (lambda *_: {"SAFELIGHT_MEDIA_URL": "ftp://somewhere"}, "The media store's URL is none of"),
    "a store that takes nothing": (lambda *_: {"SAFELIGHT_MEDIA_URL": "file:///proc/nothing"}, "SAFELIGHT_MEDIA_URL"),
    "no database": (
        lambda *_: {"SAFELIGHT_DATABASE_URL": f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x"},
        "No database at 127.0.0.1",
    ),
    "a database of a later release": (lambda _, databases: too_new(databases), "more than one beyond"),
    "more connections than there are": (
        lambda *_: {"SAFELIGHT_WORKERS": "64", "SAFELIGHT_DATABASE_POOL_SIZE": "200"},
        "SAFELIGHT_DATABASE_POOL_SIZE (200) open up to 13184 connections",
    ),
    "settings that contradict each other": (lambda *_: {"SAFELIGHT_RETENTION": "91d"}, "SAFELIGHT_RETENTION_MAX"),
    "a misspelt setting": (lambda *_: {"SAFELIGHT_RETENTON": "1d"}, "Did you mean SAFELIGHT_RETENTION?"),
    "a data folder that is a file": (
        lambda folder, _: {"SAFELIGHT_DATA_DIR": str((folder / "file").write_text("x") and folder / "file")},
        "a part of its path is a file",
    ),
}

OF_THE_DATABASE = {"no database", "a database of a later release", "more connections than there are"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


def here(*arguments: str, environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """A command that is expected to stop, run in this process: it is quicker than a new one."""
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = []
    with mock.patch.dict(os.environ, environ):
        with suppress(SystemExit):
            status = run(list(arguments))
        said = capsys.readouterr()
    return status, said.out, said.err


def problems(status: int, out: str, err: str) -> list[str]:
    """What the doctor finds wrong; where it cannot even read the settings, that line."""
    assert status == 1, out + err
    if not out:
        return [err.removeprefix("safelight: ").strip()]
    return [" ".join(check["detail"].split()) for check in json.loads(out)["checks"] if not check["ok"]]


@pytest.mark.parametrize(
    "cause", [pytest.param(cause, marks=pytest.mark.database if cause in OF_THE_DATABASE else ()) for cause in CAUSES]
)
def test_a_cause_is_told_in_the_same_line(
    cause: str, folder: Path, databases: TestDatabases, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plant, told = CAUSES[cause]
    environ = {
        "SAFELIGHT_CONFIG": "/dev/null",
        "SAFELIGHT_DATABASE_URL": database_url,
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_SIGNING_KEYS": KEY,
        "SAFELIGHT_PORT": str(free_port()),
        **plant(folder, databases),
    }
    lines = {}
    for command in ("serve", "worker"):
        status, _, err = here(command, environ=environ, capsys=capsys)
        assert status == 1
        lines[command] = err
    done = safelight("up", env=environ)
    assert done.returncode == 1
    lines["up"] = done.stderr
    assert len(set(lines.values())) == 1, lines
    (line,) = lines["up"].splitlines()
    assert told in line and "hunter2" not in line
    found = problems(*here("doctor", "--json", environ=environ, capsys=capsys))
    assert line.removeprefix("safelight: ") in found


@pytest.mark.database
def test_an_address_that_is_taken_is_told_with_who_has_it(
    folder: Path, fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {
            "SAFELIGHT_CONFIG": "/dev/null",
            "SAFELIGHT_DATABASE_URL": fresh_database_url,
            "SAFELIGHT_DATA_DIR": str(folder / "data"),
            "SAFELIGHT_PORT": str(port),
        }
        _, _, line = here("serve", environ=environ, capsys=capsys)
        assert f"(process {os.getpid()}) listens on 127.0.0.1:{port}" in line
        assert safelight("up", env=environ).stderr == line
        found = problems(*here("doctor", "--json", environ=environ, capsys=capsys))
        assert found == [line.removeprefix("safelight: ").strip()]


@pytest.mark.database
def test_a_database_that_is_behind_stops_all_but_up(
    folder: Path, databases: TestDatabases, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "SAFELIGHT_CONFIG": "/dev/null",
        "SAFELIGHT_DATABASE_URL": databases.create_bare(),
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_PORT": str(free_port()),
    }
    lines = {here(command, environ=environ, capsys=capsys)[2] for command in ("serve", "worker")}
    (line,) = lines
    assert "Run 'safelight migrate' first" in line
    found = problems(*here("doctor", "--json", environ=environ, capsys=capsys))
    assert found == [line.removeprefix("safelight: ").strip()]


def test_doctor_makes_nothing_and_finds_nothing_wrong_before_the_first_start(
    folder: Path, fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {
        "SAFELIGHT_CONFIG": "/dev/null",
        "SAFELIGHT_DATABASE_URL": fresh_database_url,
        "SAFELIGHT_DATA_DIR": str(folder / "data"),
        "SAFELIGHT_PORT": str(free_port()),
    }
    environ |= {"SAFELIGHT_METRICS": f"127.0.0.1:{free_port()}", "SAFELIGHT_METRICS_TOKEN": "hunter2"}
    status, out, _ = here("doctor", "--json", environ=environ, capsys=capsys)
    assert status == 0 and "hunter2" not in out, out
    assert not (folder / "data").exists()


@pytest.mark.database
def test_an_address_of_metrics_that_is_taken_is_told(
    folder: Path, fresh_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {
            "SAFELIGHT_CONFIG": "/dev/null",
            "SAFELIGHT_DATABASE_URL": fresh_database_url,
            "SAFELIGHT_DATA_DIR": str(folder / "data"),
            "SAFELIGHT_PORT": str(free_port()),
            "SAFELIGHT_METRICS": f"127.0.0.1:{taken.getsockname()[1]}",
        }
        _, _, line = here("worker", environ=environ, capsys=capsys)
        assert "SAFELIGHT_METRICS: something listens on" in line
        found = problems(*here("doctor", "--json", environ=environ, capsys=capsys))
        assert found == [line.removeprefix("safelight: ").strip()]
