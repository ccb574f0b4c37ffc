"""Files of a run that lie in memory go when nobody holds them any more; its folder is made when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.lifecycle import workdir
from safelight.lifecycle.workdir import Workdir


async def test_a_file_in_memory_lasts_as_long_as_its_path_and_no_longer(tmp_path: Path) -> None:
    desk = Workdir(tmp_path / "run")
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    path = desk.place("a", 10)
    path.write_bytes(b"x" * 10)
    desk.drop(path)
    await desk.clear()
    assert path.read_bytes() == b"x" * 10, "a thread that goes on reads what it wrote, and nothing else"
    del path
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("has_nameless", [True, False])
async def test_what_is_large_or_cannot_be_in_memory_lies_in_the_folder(
    tmp_path: Path, has_nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workdir, "_HAS_NAMELESS", has_nameless)
    desk = Workdir(tmp_path / "run")
    path = desk.place("a", workdir.MOST_IN_MEMORY_BYTES + has_nameless)
    path.write_bytes(b"x")
    assert path == tmp_path / "run" / "a"
    (desk.folder() / "left over").touch()
    desk.drop(path)
    await desk.clear()
    assert not (tmp_path / "run").exists()


async def test_a_folder_that_was_taken_away_stays_away(tmp_path: Path) -> None:
    desk = Workdir(tmp_path / "run")
    desk.folder().rmdir()
    with pytest.raises(FileNotFoundError):
        (desk.folder() / "a").touch()
