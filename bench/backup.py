"""A backup and its restore, beside PostgreSQL's own tools on the same database; and media in it, beside tar."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from bench.kept import keep
from bench.planted import plant
from bench.report import Report, at_most
from bench.servers import COMMAND, BenchError, folder, postgres
from safelight.db import binaries
from safelight.db.embedded import EmbeddedPostgres

_KEPT = 100_000
_FILES, _FILE_BYTES = 64, 4 << 20


async def run(report: Report) -> None:
    kept, files = (_KEPT // 20, _FILES // 8) if report.brief else (_KEPT, _FILES)
    _, programs = binaries.newest()
    with folder() as base, postgres(base) as database:
        data = base / "database"
        report.say(f"{kept:,} generations")
        keep(database.url, kept)
        dump, archive = base / "plain.dump", base / "backup.tar"
        plain = _seconds(
            lambda: _run([programs / "pg_dump", "--format=custom", "--file", dump, "--dbname", database.url])
        )
        ours = _seconds(lambda: _run([COMMAND, "backup", archive, "--no-media", "--data-dir", data]))
        name = f"{kept:,} generations"
        report.add(f"backup of {name}, without media; pg_dump", ours, "s", peer=plain, reach=at_most(2, of_peer=True))
        size, peer = archive.stat().st_size / 1e6, dump.stat().st_size / 1e6
        report.add("its size; pg_dump's", size, "MB", peer=peer)
        plain = _seconds(lambda: _plain_restore(base / "plain", dump, programs))
        ours = _seconds(lambda: _run([COMMAND, "restore", archive, "--data-dir", base / "copy"]))
        report.add(
            f"restore of {name}, books checked; initdb, pg_restore",
            ours,
            "s",
            peer=plain,
            reach=at_most(2, of_peer=True),
        )
        _media(report, base, database.url, files)


def _media(report: Report, base: Path, url: str, files: int) -> None:
    """The same with files alone."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("update media set tombstoned_at = now(), deleted_at = now() where deleted_at is null")
    data = base / "database"
    plant(url, data / "media", _FILE_BYTES, files)
    os.sync()
    report.say(f"{files} files of {_FILE_BYTES >> 20} MiB")
    without = _seconds(lambda: _run([COMMAND, "backup", base / "without.tar", "--no-media", "--data-dir", data]))
    whole = _seconds(lambda: _run([COMMAND, "backup", base / "with.tar", "--data-dir", data]))
    plain = _seconds(lambda: _run(["tar", "-cf", base / "plain.tar", "-C", data, "media"], sync=True))
    megabytes = files * _FILE_BYTES / 1e6
    report.add("media backed up, hashed; tar", megabytes / max(whole - without, 1e-3), "MB/s", peer=megabytes / plain)


def _plain_restore(data: Path, dump: Path, programs: Path) -> None:
    """As somebody would do it by hand: a new server, and pg_restore with as many jobs as there are processors."""
    with EmbeddedPostgres(data, dies_with_caller=True) as url:
        _run([programs / "pg_restore", f"--jobs={min(os.cpu_count() or 1, 4)}", "--dbname", url, dump])


def _seconds(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def _run(command: list[str | Path], *, sync: bool = False) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SAFELIGHT_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept, timeout=900)
    if done.returncode != 0:
        raise BenchError(f"{Path(command[0]).name} said: {done.stdout[-500:]}{done.stderr[-1500:]}")
    if sync:
        os.sync()
