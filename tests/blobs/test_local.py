"""What a folder must do beyond the common suite: be durable, show no part, fail cleanly on a full disk."""

import asyncio
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from safelight.blobs import local, open_store
from safelight.blobs.local import LocalStore
from safelight.domain.errors import ServiceUnavailable

Write = Callable[..., Path]
MOUNT_SIZE = "256k"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    store = LocalStore(tmp_path / "media")
    yield store
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 256 KiB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MOUNT_SIZE}", "tmpfs", str(mount)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a tmpfs needs root")
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("this machine permits no tmpfs mount")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that matter for durability, in order: what was synced, renamed and made."""
    seen: list[str] = []

    def name_of(descriptor: int) -> str:
        return Path(f"/proc/self/fd/{descriptor}").readlink().name

    def fsync(descriptor: int, *, real: Callable[[int], None] = os.fsync) -> None:
        seen.append(f"fsync {name_of(descriptor)}")
        real(descriptor)

    def replace(source: Path, target: str, *, dst_dir_fd: int) -> None:
        seen.append(f"rename to {target}")
        os.rename(source, target, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return seen


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_moved_file_costs_two_fsyncs_in_the_right_order(
    store: LocalStore, write: Write, calls: list[str]
) -> None:
    await store.put("m/ab/first", write(b"1"), mime_type="image/png")
    calls.clear()
    await store.put("m/ab/second", write(b"2"), mime_type="image/png", consume=True)
    assert calls == ["fsync source", "rename to second", "fsync ab"]


async def test_a_copied_file_costs_two_fsyncs_as_well(store: LocalStore, write: Write, calls: list[str]) -> None:
    await store.put("m/ab/first", write(b"1"), mime_type="image/png")
    calls.clear()
    await store.put("m/ab/second", write(b"2"), mime_type="image/png")
    synced, renamed, folder = calls
    assert synced.startswith("fsync ")
    assert (renamed, folder) == ("rename to second", "fsync ab")


async def test_a_new_folder_is_entered_in_its_parent_before_a_file_is(
    store: LocalStore, write: Write, calls: list[str]
) -> None:
    await store.put("m/ab/first", write(b"1"), mime_type="image/png", consume=True)
    assert calls == [
        "fsync source",
        f"fsync {store.root.parent.name}",
        "fsync media",
        "fsync m",
        "rename to first",
        "fsync ab",
    ]


async def test_a_folder_that_others_remove_is_made_again(store: LocalStore, write: Write) -> None:
    await store.put("m/ab/first", write(b"1"), mime_type="image/png")
    shutil.rmtree(store.root / "m")
    await store.put("m/ab/second", write(b"2"), mime_type="image/png")
    shutil.rmtree(store.root / "m")
    (store.root / "m" / "ab").mkdir(parents=True)
    await store.put("m/ab/third", write(b"3"), mime_type="image/png", consume=True)
    assert files(store.root) == ["m/ab/third"]


async def test_puts_and_deletes_in_one_folder_do_not_disturb_each_other(store: LocalStore, write: Write) -> None:
    source = write(b"content")

    async def cycle(worker: int) -> None:
        for number in range(15):
            key = f"shared/{number % 2}/{worker}"
            await store.put(key, source, mime_type="image/png")
            assert await store.get(key) == b"content"
            await store.delete([key])

    await asyncio.gather(*(cycle(worker) for worker in range(8)))
    assert files(store.root) == []
    assert [path.name for path in store.root.iterdir()] == [".incoming"]


async def test_an_object_keeps_its_bytes_when_its_source_changes(store: LocalStore, write: Write) -> None:
    source = write(b"content")
    await store.put("copied", source, mime_type="image/png")
    other_name = source.with_name("other")
    other_name.hardlink_to(source)
    await store.put("linked", source, mime_type="image/png", consume=True)
    assert not source.exists()
    other_name.write_bytes(b"changed")
    assert await store.get("copied") == await store.get("linked") == b"content"


async def test_a_link_is_followed_and_never_stored(store: LocalStore, write: Write) -> None:
    link = write(b"content").with_name("link")
    link.symlink_to("source")
    await store.put("object", link, mime_type="image/png", consume=True)
    assert not (store.root / "object").is_symlink()
    assert await store.get("object") == b"content"


async def test_objects_are_for_the_owner_and_the_group(store: LocalStore, write: Write) -> None:
    source = write(b"content")
    source.chmod(0o600)
    await store.put("m/copied", source, mime_type="image/png")
    await store.put("m/moved", source, mime_type="image/png", consume=True)
    assert {(store.root / "m" / name).stat().st_mode & 0o777 for name in ("copied", "moved")} == {0o640}


async def test_a_moved_file_is_as_old_as_its_storing(store: LocalStore, write: Write) -> None:
    source = write(b"content")
    os.utime(source, (1, 1))
    await store.put("moved", source, mime_type="image/png", consume=True)
    assert (store.root / "moved").stat().st_mtime > 1_000_000


async def test_a_file_is_readable_to_the_end_though_it_is_deleted(store: LocalStore, write: Write) -> None:
    content = secrets.token_bytes(local.CHUNK_BYTES * 3)
    await store.put("object", write(content), mime_type="image/png")
    stream = store.stream("object", 0, len(content))
    read = await anext(stream)
    await store.delete(["object"])
    async for chunk in stream:
        read += chunk
    assert read == content


async def test_a_failing_disk_leaves_nothing_behind(
    store: LocalStore, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.put("m/old", write(b"old"), mime_type="image/png")

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for consume in (False, True):
            with pytest.raises(ServiceUnavailable, match="Input/output error"):
                await store.put("m/old", write(b"new"), mime_type="image/png", consume=consume)
    assert files(store.root) == ["m/old"]
    assert await store.get("m/old") == b"old"


async def test_temporaries_of_the_dead_are_removed_and_others_kept(store: LocalStore, write: Write) -> None:
    incoming = store.root / ".incoming"
    incoming.mkdir(parents=True)
    (incoming / "dead").write_bytes(b"part")
    (incoming / "alive").write_bytes(b"part")
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(incoming / "dead", (long_ago, long_ago))
    await store.put("object", write(b"content"), mime_type="image/png")
    assert files(store.root) == [".incoming/alive", "object"]
    assert [facts.key async for facts in store.walk("")] == ["object"]


async def test_a_full_disk_is_a_clean_error(small_disk: Path, write: Write) -> None:
    store = LocalStore(small_disk / "media")
    await store.put("m/old", write(b"old"), mime_type="image/png")
    large = write(secrets.token_bytes(1_000_000), "large")
    for consume in (False, True):
        with pytest.raises(ServiceUnavailable, match=r"media folder is full .No space left on device"):
            await store.put("m/large", large, mime_type="image/png", consume=consume)
    with pytest.raises(ServiceUnavailable, match="full"):
        await store.put("m/old", large, mime_type="image/png")
    assert large.exists()
    assert files(small_disk) == ["media/m/old"]
    assert not await store.exists("m/large")
    assert await store.get("m/old") == b"old"
    await store.put("m/small", write(b"fits"), mime_type="image/png")
    await store.close()


async def test_the_probe_tells_of_a_full_disk(small_disk: Path) -> None:
    store = LocalStore(small_disk / "media")
    await store.probe()
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        while True:
            filler.write(bytes(4096))
    with pytest.raises(ServiceUnavailable, match="full"):
        await store.probe()
    assert files(small_disk) == ["filler"]
    await store.close()


async def test_a_read_only_folder_is_a_clean_error(small_disk: Path, write: Write) -> None:
    store = LocalStore(small_disk / "media")
    await store.put("m/old", write(b"old"), mime_type="image/png")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    source = write(b"new", "new")
    for attempt in (
        store.put("m/new", source, mime_type="image/png"),
        store.put("m/new", source, mime_type="image/png", consume=True),
        store.put("n/new", source, mime_type="image/png"),
        store.delete(["m/old"]),
        store.probe(),
    ):
        with pytest.raises(ServiceUnavailable, match=r"refuses access .Read-only file system"):
            await attempt
    assert source.exists()
    assert files(small_disk) == ["media/m/old"]
    assert await store.get("m/old") == b"old"
    await store.close()


async def test_a_moved_file_from_another_disk_is_copied(small_disk: Path, write: Write) -> None:
    store = LocalStore(small_disk / "media")
    source = write(b"from elsewhere")
    await store.put("object", source, mime_type="image/png", consume=True)
    assert await store.get("object") == b"from elsewhere"
    assert not source.exists()
    assert files(small_disk) == ["media/object"]
    await store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
async def test_a_folder_of_others_is_a_clean_error(store: LocalStore, write: Write) -> None:
    await store.put("m/old", write(b"old"), mime_type="image/png")
    (store.root / "m").chmod(0)
    try:
        with pytest.raises(ServiceUnavailable, match="refuses access"):
            await store.get("m/old")
    finally:
        (store.root / "m").chmod(0o750)


async def test_a_store_opens_where_nothing_is_yet_and_touches_nothing(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/not/yet")
    assert not (tmp_path / "not").exists()
    assert not await store.exists("a/b")
    assert [facts async for facts in store.walk("")] == []
    await store.delete(["a/b"])
    assert not (tmp_path / "not").exists()
    await store.probe()
    await store.close()
