"""What survives what: killed commands, a server that restarts, and each order still made and charged once."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.client.conftest import SETTINGS
from tests.cli.client.shell import ID, Shell
from tests.contract.accounts import Account
from tests.support.disks import small_disk
from tests.support.server import PATIENCE_SECONDS, Server, eventually, safelight

TIMES = 10
_LONGEST_SECONDS = 0.9
_SMALL_DISK_BYTES = 128 << 10


@pytest.mark.parametrize(("kind", "price"), [("image", Decimal("0.05")), ("video", Decimal("0.20"))])
def test_killed_at_any_moment(
    kind: str, price: Decimal, shell: Shell, client_server: Server, client_database_url: str
) -> None:
    """Each is brought home by its id, or by --last where none was told; once, for one charge."""
    moments = random.Random(kind)
    model = {"image": "slow-still", "video": "slow-clip"}[kind]
    extension = {"image": "png", "video": "mp4"}[kind]
    for number in range(TIMES):
        name = f"{number}.{extension}"
        process = shell.start("generate", f"number {number}", "--model", model, "-o", name)
        _wait_for_the_note(shell, process, number)
        said = _until_it_tells_the_id(process) if number == 0 else b""  # one at least has, on a slow machine too
        time.sleep(moments.uniform(0, _LONGEST_SECONDS))
        process.kill()
        found = ID.search((said + process.communicate()[1]).decode())
        got = shell.ok("get", found[0], "-o", name) if found else shell.ok("get", "--last")
        assert (shell.folder / name).stat().st_size > 0, got
        assert len(shell.generations()) == number + 1, "one for each, and no more"
        assert found is None or found[0] == shell.generations()[0]["id"]
    assert {each["status"] for each in shell.generations()} == {"completed"}
    assert Decimal(shell.balance()) == 10 - TIMES * price
    assert shell.files() == {f"{number}.{extension}" for number in range(TIMES)}
    settings = SETTINGS | {"SAFELIGHT_DATABASE_URL": client_database_url}
    assert safelight("books", "--all", "--data-dir", client_server.data_dir, env=settings).returncode == 0


def _wait_for_the_note(shell: Shell, process: subprocess.Popen[bytes], before: int) -> None:
    """Before that nothing is ordered, and there is nothing to bring home."""
    folder = shell.home / "state/safelight/orders"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(list(folder.glob("*.json"))) == before:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def _until_it_tells_the_id(process: subprocess.Popen[bytes]) -> bytes:
    """What it said on stderr by then."""
    assert process.stderr is not None
    said = b""
    while not ID.search(said.decode()):
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def test_killed_before_the_note(shell: Shell) -> None:
    process = shell.start("generate", "x", "-o", "x.png")
    process.kill()
    process.communicate()
    assert "ordered from here" in shell.refused(2, "get", "--last")
    assert (shell.generations(), shell.balance()) == ([], "10.00")


@pytest.mark.parametrize("kind", ["image", "video"])
def test_killed_between_the_note_and_the_order(kind: str, shell: Shell) -> None:
    """What never reached the server is ordered by ``get --last``, under the key that was noted."""
    model = {"image": "still", "video": "clip"}[kind]
    shell.ok("generate", "x", "--model", model, "-o", "x.{ext}")
    (path,) = (shell.home / "state/safelight/orders").iterdir()
    body = json.dumps({"model": model, "prompt": "x"})
    entry = shell.journal()[0] | {"orders": [{"key": "cli-never-sent", "id": None}], "request": body}
    path.write_text(json.dumps(entry))
    for file in shell.files():
        (shell.folder / file).unlink()
    for _ in range(3):
        got = shell.ok("get", "--last")
        assert len(shell.files()) == 1
        assert len(shell.generations()) == 2
    assert got.id == shell.generations()[0]["id"]

    entry["began_at"] -= 24 * 3600
    entry["orders"] = [{"key": "cli-too-old", "id": None}]
    path.write_text(json.dumps(entry))
    assert "too old" in shell.refused(1, "get", "--last")
    assert len(shell.generations()) == 2


def test_the_server_restarts_meanwhile(fresh_server: Callable[..., Server], tmp_path: Path) -> None:
    server = fresh_server(env=SETTINGS).wait_until_ready()
    shell = Shell(Account(base_url=server.base_url, workspace="default", key=server.key, key_id=1), tmp_path / "one")
    before = Decimal(shell.balance())
    processes = [
        shell.start("generate", "x", "--model", model, "-o", file)
        for model, file in (("slower-still", "x.png"), ("slower-clip", "x.mp4"))
    ]
    eventually(lambda: len(shell.generations()) == 2, "the orders")
    assert server.stop() == 0, server.log
    again = fresh_server(data_dir=server.data_dir, port=server.port, env=SETTINGS).wait_until_ready()
    ran = [shell.end(process) for process in processes]
    assert [(each.status, each.out) for each in ran] == [(0, "x.png\n"), (0, "x.mp4\n")], ran
    assert shell.files() == {"x.png", "x.mp4"}
    assert {(each["id"], each["status"]) for each in shell.generations()} == {(each.id, "completed") for each in ran}
    assert before - Decimal(shell.balance()) == Decimal("0.25")
    assert again.stop() == 0
    assert safelight("books", "--all", "--data-dir", server.data_dir, env=SETTINGS).returncode == 0


@pytest.fixture(name="small_disk")
def _small_disk() -> Iterator[Path]:
    """A file system with little room."""
    with small_disk(_SMALL_DISK_BYTES) as folder:
        yield folder


def test_a_full_disk_is_found_before_anything_is_ordered(shell: Shell, small_disk: Path) -> None:
    said = shell.refused(1, "generate", "x", "-o", f"{small_disk}/x.png")
    assert f"There is no room left for a file in {small_disk}. Nothing was ordered." in said
    assert (shell.generations(), shell.balance(), list(small_disk.iterdir())) == ([], "10.00", [])


def test_a_disk_that_fills_up_after_the_order(shell: Shell, small_disk: Path) -> None:
    ran = shell.ok("generate", "x", "--model", "drawn", "--format", "png", "--no-wait")
    said = shell.refused(1, "get", ran.id, "-o", f"{small_disk}/x.png")
    assert f"There is no room left for a file in {small_disk}." in said
    assert f"It is made, and paid for. 'safelight get {ran.id}' gets it." in said
    assert not (small_disk / "x.png").exists(), "no part of it stands under its name"
    shell.ok("get", ran.id, "-o", "x.png")
    assert (shell.folder / "x.png").stat().st_size > _SMALL_DISK_BYTES
    assert len(shell.generations()) == 1


def _no_large_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_SMALL_DISK_BYTES, _SMALL_DISK_BYTES))


def test_files_that_may_not_be_large(shell: Shell) -> None:
    assert "Nothing was ordered" in shell.refused(1, "generate", "x", "-o", "x.png", preexec_fn=_no_large_files)
    assert shell.generations() == []
    ran = shell.ok("generate", "x", "--model", "drawn", "--format", "png", "--no-wait")
    said = shell.refused(1, "get", ran.id, "-o", "x.png", preexec_fn=_no_large_files)
    assert f"'safelight get {ran.id}' gets it." in said
    assert shell.files() == {f".{ran.id}-0.png.part"}
    shell.ok("get", ran.id, "-o", "x.png")
    assert shell.files() == {"x.png"}, "gone on with, and nothing left"
    assert (shell.folder / "x.png").read_bytes()[-8:-4] == b"IEND"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(shell: Shell, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert "Permission denied" in shell.refused(1, "generate", "x", "-o", f"{closed}/x.png")
    assert shell.generations() == []


def test_a_folder_that_can_be_none(shell: Shell) -> None:
    (shell.folder / "file").write_text("x")
    assert "Nothing was ordered" in shell.refused(1, "generate", "x", "-o", "file/x.png")
    assert shell.generations() == []


def test_killed_by_the_terminal_that_closes(shell: Shell) -> None:
    process = shell.start("generate", "x", "--model", "slow-clip", "-o", "x.mp4")
    eventually(lambda: bool(shell.generations()), "the order")
    process.send_signal(signal.SIGHUP)
    process.communicate()
    shell.ok("get", "--last")
    assert shell.files() == {"x.mp4"}
    assert len(shell.generations()) == 1
