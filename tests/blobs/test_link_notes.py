"""Notes for a web server: what is written, how it is withdrawn, and what is swept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from safelight.blobs.link_notes import LinkNotes
from safelight.blobs.local import LocalStore
from safelight.domain.errors import ServiceUnavailable
from safelight.domain.ids import first_id_at, made_at, new_generation_id
from safelight.domain.ports import LinkNote

_KEY = "media/2026/11/30/file.png"


def a_note(generation_id: str, *, index: int = 0, workspace_id: int = 7, key: str = _KEY) -> LinkNote:
    return LinkNote(
        generation_id=generation_id,
        index=index,
        workspace_id=workspace_id,
        key=key,
        size_bytes=3,
        sha256="ab" * 32,
        deletes_at_unix=1_999_999_999,
    )


def planted(root: Path) -> Path:
    path = root / _KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    return path


async def test_a_note_leads_to_its_file_through_the_workspaces_gate(tmp_path: Path) -> None:
    store, id_ = LocalStore(tmp_path), new_generation_id()
    file = planted(tmp_path)
    await store.note_links([a_note(id_)])
    assert not (tmp_path / ".links").exists(), "nobody wants them"
    await store.withdraw_links([(id_, 0)])
    await store.withdraw_workspace(7)
    assert not (tmp_path / ".links").exists()

    await store.want_notes()
    await store.want_notes()
    await store.note_links([a_note(id_), a_note(id_, index=1)])
    note = tmp_path / ".links" / id_[4:10] / f"{id_}-0"
    text = note.read_text()
    assert text == f"000000000000003 1999999999 {'ab' * 32} 7/{_KEY}\n"
    assert (tmp_path / ".links/of" / text[92:-1]).samefile(file)
    assert note.stat().st_mode & 0o777 == 0o640
    assert [facts.key async for facts in store.walk("")] == [_KEY], "no key names what is in there"

    await store.withdraw_links([(id_, 0), (id_, 5)])
    assert not note.exists() and note.with_name(f"{id_}-1").exists()
    await store.withdraw_links([(id_, 1)])
    assert not note.parent.exists(), "nothing is left in it"
    await store.note_links([a_note(id_)])
    assert note.read_text() == text

    await store.withdraw_workspace(7)
    await store.note_links([a_note(id_), a_note(id_, index=2, workspace_id=8)])
    assert not (tmp_path / ".links/of/7" / _KEY).exists(), "what is closed stays closed"
    assert (tmp_path / ".links/of/8" / _KEY).exists()
    await store.withdraw_workspace(9)
    await store.withdraw_workspace(9)
    assert (tmp_path / ".links/of/9").is_file(), "nor can one be opened that nobody has entered"
    await store.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders for others")
def test_what_root_makes_is_for_whoever_writes_the_files(tmp_path: Path) -> None:
    os.chown(tmp_path, 4321, 4322)
    LinkNotes(tmp_path / "media").want()
    for folder in ("media", "media/.links", "media/.links/of"):
        facts = (tmp_path / folder).stat()
        assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (4321, 4322, 0o750)


async def test_a_full_disk_is_told_as_the_stores(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    await store.want_notes()
    id_ = new_generation_id()
    (tmp_path / ".links" / id_[4:10]).write_bytes(b"a file where a folder belongs")
    with pytest.raises(ServiceUnavailable):
        await store.note_links([a_note(id_)])
    await store.close()


def test_notes_of_nothing_are_swept(tmp_path: Path) -> None:
    notes, kept, gone, young = LinkNotes(tmp_path), *(new_generation_id() for _ in range(3))
    planted(tmp_path)
    first, last = first_id_at(made_at(kept)), new_generation_id()
    assert notes.sweep(first, last) == 0
    notes.want()
    notes.write([a_note(kept), a_note(gone, key="media/gone.png"), a_note(young, key="media/gone.png")])
    folder = tmp_path / ".links" / kept[4:10]
    spoiled, unfinished = folder / f"{kept}-1", folder / ".0123"
    spoiled.write_bytes(bytes(120))
    unfinished.write_bytes(b"half")
    for path in (folder / f"{kept}-0", folder / f"{gone}-0", spoiled, unfinished):
        os.utime(path, (1, 1))
    assert notes.sweep("req-00000000000000000000000000", "req-00000100000000000000000000") == 0
    assert notes.sweep(first, last) == 3
    assert {path.name for path in folder.iterdir()} == {f"{kept}-0", f"{young}-0"}


async def test_a_web_server_in_the_group_reads_notes_and_files_whatever_the_umask(tmp_path: Path) -> None:
    """That of the units of systemd leaves nothing to a group."""
    source, root, id_ = tmp_path / "source", tmp_path / "media", new_generation_id()
    source.write_bytes(b"abc")
    before = os.umask(0o077)
    try:
        store = LocalStore(root)
        await store.put(_KEY, source, mime_type="image/png")
        await store.want_notes()
        await store.note_links([a_note(id_)])
        await store.close()
    finally:
        os.umask(before)
    file, note = root / _KEY, root / ".links" / id_[4:10] / f"{id_}-0"
    assert {path.stat().st_mode & 0o777 for path in (file, note)} == {0o640}
    folders = (root, root / ".links", root / ".links/of", note.parent, *list(file.parents)[:4])
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o750}
