"""The media folder's disk is full: nothing is charged, nothing half is seen, and all goes on when there is room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.house import House
from tests.support.disks import small_disk

_SIZE_BYTES = 2 << 20


@pytest.fixture(name="small_disk")
def _small_disk() -> Iterator[Path]:
    """A file system of 2 MiB."""
    with small_disk(_SIZE_BYTES) as folder:
        yield folder


def fill(disk: Path, *, leaving: int) -> Path:
    space = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(bytes(space.f_bavail * space.f_frsize - leaving))
    return filler


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_full_disk(house: House, small_disk: Path) -> None:
    media = small_disk / "media"
    media.mkdir()
    body = {"model": "still", "prompt": "a hill", "output_format": "png"}
    before = house.balance()
    with house.beside({"SAFELIGHT_MEDIA_URL": media.as_uri()}) as small:
        kept = small.image(output_format="png")
        spent = before[0] - small.balance()[0]
        there = files(media)
        filler = fill(small_disk, leaving=0)
        failed = small.http.post("/v2/images/generations", json=body)
        assert failed.status_code in (502, 503), failed.text
        assert failed.json()["error"]["code"] in ("service_unavailable", "generation_failed")
        assert str(media) not in failed.text
        assert small.balance() == (before[0] - spent, 0), "held and released"
        assert files(media) == there, "no part of a file is left"
        assert small.get(kept["data"][0]["url"].replace(house.server.base_url, "")).status_code == 200

        filler.unlink()
        again = small.http.post("/v2/images/generations", json=body)
        assert again.status_code == 200, again.text
        assert small.get(again.json()["data"][0]["url"]).status_code == 200
        assert small.balance() == (before[0] - 2 * spent, 0)
        assert not files(small.server.data_dir / "work")
