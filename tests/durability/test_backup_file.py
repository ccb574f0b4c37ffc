"""A backup is whole, or it is refused: cut off, damaged, tampered with, or left by a writer that was killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import msgspec
import pytest

from safelight.domain.errors import ConfigurationError
from safelight.node.backup_file import DUMP, BackupWriter, Counts, Manifest, extract
from tests.support.disks import small_disk

MANIFEST = Manifest(
    version="1.2.3",
    revision="0008",
    postgresql=18,
    dumped_by=18,
    made_at=datetime(2026, 11, 30, tzinfo=UTC),
    has_media=True,
    counts=Counts(workspaces=1, generations=2, transfers=3, files=2, files_bytes=2_500_001),
)
MEDIA = "media/media/2026/11/30/req-01M8N3PZ8G8XJX7H5HZ7BZ2AW9-0.5fd55b33.png"
CONTENTS = {
    DUMP: os.urandom(70_000),
    "signing-keys": b"k1:abc\n",
    "provenance/key.pem": b"",
    MEDIA: os.urandom(2_500_000),
    "media/inputs/2026/11/30/req-01M8N3PZ8G8XJX7H5HZ7BZ2AW9-0.png": b"x",
}


def write(path: Path) -> Path:
    with BackupWriter(path) as archive:
        for name, content in CONTENTS.items():
            archive.add(name, (content[place : place + 9999] for place in range(0, len(content), 9999)))
        assert archive.finish(MANIFEST) == path.stat().st_size
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("archive") / "whole.tar")


def refused(archive: Path, folder: Path) -> str:
    """What is said of it."""
    folder.mkdir()
    with pytest.raises(ConfigurationError) as caught:
        extract(archive, folder, lambda manifest: None)
    return caught.value.message


def test_what_is_put_in_comes_out(whole: Path, tmp_path: Path) -> None:
    seen: list[Manifest] = []
    manifest = extract(whole, tmp_path, seen.append)
    assert seen == [manifest]
    assert msgspec.structs.replace(manifest, sums_sha256="") == MANIFEST
    found = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENTS
    modes = {name: path.stat().st_mode & 0o777 for name, path in found.items()}
    assert {mode for name, mode in modes.items() if not name.startswith("media/")} == {0o600}
    assert {mode for name, mode in modes.items() if name.startswith("media/")} == {0o640}
    assert whole.stat().st_mode & 0o777 == 0o600


def test_the_usual_tools_read_and_verify_it(whole: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-xf", whole], cwd=tmp_path, check=True)
    said = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert said.stdout.count(": OK\n") == len(CONTENTS)


def test_one_that_was_cut_off_is_refused_wherever(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    ends = [0, 1, 511, 512, 4095, 4608, 5000, 80_000, 1_000_000, len(content) - 3000, len(content) - 1600]
    for number, end in enumerate(ends):
        (tmp_path / "cut.tar").write_bytes(content[:end])
        assert "not whole" in refused(tmp_path / "cut.tar", tmp_path / f"{number}"), end


def test_one_byte_that_is_another_is_found(whole: Path, tmp_path: Path) -> None:
    with tarfile.open(whole) as archive:
        places = {member.name: member.offset_data for member in archive if member.size}
    for number, (name, place) in enumerate(places.items()):
        content = bytearray(whole.read_bytes())
        content[place] ^= 1
        (tmp_path / "damaged.tar").write_bytes(content)
        said = refused(tmp_path / "damaged.tar", tmp_path / f"{number}")
        assert f"is damaged: {name} " in said or name == "SHA256SUMS", said
        assert "Nothing was restored" in said


def rewritten(
    whole: Path, path: Path, change: Callable[[tarfile.TarInfo], list[tuple[tarfile.TarInfo, bytes]]]
) -> Path:
    """The same with other members."""
    with tarfile.open(whole) as old, tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as new:
        for member in old:
            file = old.extractfile(member)
            content = file.read() if file else b""
            for info, instead in change(member):
                new.addfile(info, io.BytesIO(instead or content[: info.size]))
    return path


@pytest.mark.parametrize(
    "name",
    ["../escaped", "/tmp/escaped", "media/../../escaped", "media/a/../b", "media/.hidden", "postgres/x", "api-key/x"],
)
def test_nothing_is_put_where_no_backup_puts_it(whole: Path, tmp_path: Path, name: str) -> None:
    def added(member: tarfile.TarInfo) -> list[tuple[tarfile.TarInfo, bytes]]:
        more = tarfile.TarInfo(name)
        more.size = 4
        return [(more, b"evil"), (member, b"")] if member.name == MEDIA else [(member, b"")]

    said = refused(rewritten(whole, tmp_path / "more.tar", added), tmp_path / "to")
    assert "of no backup" in said
    assert not (tmp_path / "escaped").exists() and not Path("/tmp/escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_nothing_but_files_is_taken(whole: Path, tmp_path: Path, kind: bytes) -> None:
    def other(member: tarfile.TarInfo) -> list[tuple[tarfile.TarInfo, bytes]]:
        if member.name == MEDIA:
            member.type, member.linkname, member.size = kind, "/etc/passwd", 0
        return [(member, b"")]

    assert "of no backup" in refused(rewritten(whole, tmp_path / "other.tar", other), tmp_path / "to")


@pytest.mark.parametrize("kind", [*b"LKxgS"])
def test_headers_that_no_backup_has_are_not_read(whole: Path, tmp_path: Path, kind: int) -> None:
    """Long names, and extensions such as maps of holes: they may be long without end, and say anything."""
    header = tarfile.TarInfo("PaxHeaders/x")
    header.type, header.size = bytes([kind]), 1 << 32
    content, place = whole.read_bytes(), 512 + 4096
    (tmp_path / "x.tar").write_bytes(content[:place] + header.tobuf(tarfile.GNU_FORMAT))
    with (tmp_path / "x.tar").open("r+b") as file:
        file.truncate(1 << 32)  # a hole
    assert "of no backup: 'PaxHeaders/x'" in refused(tmp_path / "x.tar", tmp_path / "to")


def test_a_manifest_that_is_no_text_or_no_file_is_refused(whole: Path, tmp_path: Path) -> None:
    content = whole.read_bytes()
    (tmp_path / "odd.tar").write_bytes(content[:520] + b"\xff" + content[521:])
    assert "is damaged: manifest.json" in refused(tmp_path / "odd.tar", tmp_path / "a")
    folder = tarfile.TarInfo("manifest.json")
    folder.type = tarfile.DIRTYPE
    (tmp_path / "folder.tar").write_bytes(folder.tobuf(tarfile.GNU_FORMAT) + content[512:])
    assert "of no backup" in refused(tmp_path / "folder.tar", tmp_path / "b")


def test_one_member_less_or_twice_is_found(whole: Path, tmp_path: Path) -> None:
    less = rewritten(whole, tmp_path / "less.tar", lambda member: [] if member.name == DUMP else [(member, b"")])
    twice = rewritten(
        whole, tmp_path / "twice.tar", lambda member: [(member, b"")] * (2 if member.name == "signing-keys" else 1)
    )
    assert "is damaged" in refused(less, tmp_path / "a")
    assert "is damaged: signing-keys" in refused(twice, tmp_path / "b")


def test_what_is_no_archive_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello" * 1000)
    assert "no backup of Safelight's" in refused(tmp_path / "text", tmp_path / "a")
    assert "There is no " in refused(tmp_path / "nowhere", tmp_path / "b")
    newer = msgspec.json.encode({**msgspec.to_builtins(MANIFEST), "format": 2}).ljust(4096)
    content = whole.read_bytes()
    (tmp_path / "newer").write_bytes(content[:512] + newer + content[4608:])
    assert "this release does not know" in refused(tmp_path / "newer", tmp_path / "c")


def test_a_look_that_refuses_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    def look(manifest: Manifest) -> None:
        raise ConfigurationError("It is too new.")

    with pytest.raises(ConfigurationError, match="too new"):
        extract(whole, tmp_path, look)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    path = tmp_path / "killed.tar"

    def write_and_die() -> None:
        with BackupWriter(path) as archive:
            for name, content in CONTENTS.items():
                archive.add(name, [content])
            os.kill(os.getpid(), signal.SIGKILL)

    process = get_context("fork").Process(target=write_and_die)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name == ".killed.tar.partial" and left.stat().st_size > 2_000_000
    assert "not whole" in refused(left, tmp_path / "to")
    write(path)  # it is in nobody's way
    assert not left.exists()
    extract(path, tmp_path / "to", lambda manifest: None)


def test_nothing_is_written_over_and_no_two_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "one.tar"
    with BackupWriter(path), pytest.raises(ConfigurationError, match="is being written"):
        BackupWriter(path).__enter__()
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(ConfigurationError, match="there already"):
        BackupWriter(path).__enter__()
    assert path.read_text() == "mine"


def test_a_full_disk_leaves_nothing() -> None:
    with small_disk(1 << 20) as folder:
        with pytest.raises(OSError, match="No space left"):
            write(folder / "full.tar")
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("how", ["link", "hard link", "readable"])
def test_what_others_put_in_its_place_is_not_written_to(tmp_path: Path, how: str) -> None:
    """As in /tmp: a backup has every secret in it, and root may write it."""
    victim, partial = tmp_path / "victim", tmp_path / ".x.tar.partial"
    victim.write_text("mine")
    victim.chmod(0o600)
    if how == "link":
        partial.symlink_to(victim)
    elif how == "hard link":
        partial.hardlink_to(victim)
    else:
        partial.touch(mode=0o644)
    with pytest.raises((ConfigurationError, OSError), match=r"not of a backup of this user's|symbolic links"):
        write(tmp_path / "x.tar")
    assert victim.read_text() == "mine"
    assert os.path.lexists(partial) and not (tmp_path / "x.tar").exists()
