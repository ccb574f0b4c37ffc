"""A file is what its bytes say, whatever its name."""

from pathlib import Path

import pytest

from safelight.media.sniff import sniff
from tests.media.media_files import picture, save, write_clip


def box(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\2\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4) + body + b"\0" * 32


@pytest.mark.parametrize(("suffix", "expected"), [("png", "image/png"), ("jpg", "image/jpeg"), ("webp", "image/webp")])
def test_pictures_under_any_name(tmp_path: Path, suffix: str, expected: str) -> None:
    path = save(picture(), tmp_path / f"picture.{suffix}").rename(tmp_path / "movie.mp4")
    assert sniff(path) == expected
    assert sniff(path.read_bytes()[:32]) == expected


def test_mp4_under_any_name(tmp_path: Path) -> None:
    assert sniff(write_clip(tmp_path / "picture.png", frames=2)) == "video/mp4"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><html>",
        b'{"error": "quota"}',
        b"GIF89a" + b"\0" * 20,
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\n\n",
        box(b"avif", b"mif1", b"isom"),
        box(b"heic", b"mif1"),
        box(b"qt  "),
        box(b"M4A ", b"isom"),
    ],
)
def test_anything_else_is_none_of_them(data: bytes) -> None:
    assert sniff(data) is None


@pytest.mark.parametrize(
    "brands", [(b"isom", b"iso2", b"avc1", b"mp41"), (b"mp42",), (b"dash", b"iso6"), (b"XXXX", b"mp42")]
)
def test_brands_of_mp4(brands: tuple[bytes, ...]) -> None:
    assert sniff(box(*brands)) == "video/mp4"
