"""Every page of docs/clients/, followed block by block against a real server. The test of ``a-page.md`` is
``test_a_page`` here, or ``test_a_page.py`` where the client is replayed with the settings that the page has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients import litellm_proxy, pages
from tests.clients.media import clip, picture, spent
from tests.clients.reader import Reader
from tests.contract.accounts import Account
from tests.support.server import free_port


def test_every_page_has_a_test() -> None:
    assert pages.names(), "there are no pages"
    tests = {*globals(), *(path.stem for path in Path(__file__).parent.glob("test_*.py"))}
    assert {f"test_{name.replace('-', '_').lower()}" for name in pages.names()} <= tests


def test_every_page_is_in_the_table() -> None:
    linked = re.findall(r"\]\(([\w-]+)\.md\)", pages.text_of("README"))
    assert sorted({*linked, "README"}) == pages.names()


@pytest.fixture
def reader(account: Account, tmp_path: Path) -> Reader:
    return Reader(tmp_path, account)


def follow(reader: Reader, page: str) -> list[str]:
    """What each block of a page printed, all followed in order."""
    return [reader.follow(block) for block in pages.blocks_of(page)]


def made(reader: Reader, name: str) -> Any:
    return picture((reader.folder / name).read_bytes())


def test_readme(reader: Reader) -> None:
    (start,) = pages.blocks_of("README")
    before = dict(reader.environment)
    reader.follow(start)
    assert {name: reader.environment[name] for name in before if name.startswith("SAFELIGHT_")} == {
        name: value for name, value in before.items() if name.startswith("SAFELIGHT_")
    }


def test_getimg(reader: Reader, account: Account) -> None:
    printed = follow(reader, "getimg")
    assert printed[1] == "0.03\n"
    assert made(reader, "boat.jpeg") == ("jpeg", 1248, 832)
    assert clip(reader.folder / "boat.mp4") == (864, 480, 4)


def test_openai(reader: Reader) -> None:
    printed = follow(reader, "openai")
    assert "1248x832\n" in printed
    assert made(reader, "boat.png") == made(reader, "night.png") == ("png", 1248, 832)
    (link,) = [text.strip() for text in printed if text.startswith("http")]
    assert picture(httpx.get(link).content) == ("png", 1360, 768)
    assert made(reader, "node.png") == ("png", 1024, 1024)
    assert clip(reader.folder / "boat.mp4") == clip(reader.folder / "node.mp4") == (1280, 720, 4)


def test_curl(reader: Reader, account: Account) -> None:
    printed = follow(reader, "curl")
    for name in ("boat.png", "openai.png", "night.png"):
        assert made(reader, name) == ("png", 1024, 1024)
    assert clip(reader.folder / "boat.mp4") == (864, 480, 4)
    assert clip(reader.folder / "openai.mp4") == (1280, 720, 4)
    first, second = printed[-1].split()
    assert first == second
    assert str(spent(account)) == str(round(4 * 0.03 + 4 * 0.012 + 4 * 0.026, 3))


def test_cli(reader: Reader, account: Account) -> None:
    reader.environment["HOME"] = str(reader.folder)  # where it keeps what it ordered
    printed = follow(reader, "cli")
    assert [Path(line).name for line in printed[0].splitlines()] == ["boat.png", "night.webp"]
    assert made(reader, "boat.png") == ("png", 1024, 1024)
    assert made(reader, "night.webp") == ("webp", 1024, 1024)
    assert clip(reader.folder / "boat.mp4") == (864, 480, 4)
    assert made(reader, "later.jpeg") == ("jpeg", 1024, 1024)
    assert picture(httpx.get((reader.folder / "link.txt").read_text().strip()).content) == ("png", 1024, 1024)
    assert len(json.loads((reader.folder / "jobs.json").read_text())["data"]) == 5
    assert str(spent(account)) == str(round(4 * 0.03 + 4 * 0.012, 3))


def test_ai_sdk(reader: Reader) -> None:
    follow(reader, "ai-sdk")
    assert made(reader, "boat.png") == made(reader, "night.png") == ("png", 1248, 832)
    assert made(reader, "boat-0.webp") == made(reader, "boat-1.webp") == ("webp", 1360, 768)
    assert clip(reader.folder / "boat.mp4") == (1280, 720, 4)


def test_litellm(account: Account, tmp_path: Path) -> None:
    port = free_port()
    reader = Reader(
        tmp_path,
        account,
        environment=litellm_proxy.at_home(tmp_path),
        python=litellm_proxy.PYTHON,
        swaps={"4000": str(port)},
    )
    local, library, config, key, start, through = pages.blocks_of("litellm")
    for block in (local, library):
        reader.follow(block)
    assert made(reader, "boat.png") == ("png", 1248, 832)
    assert made(reader, "night.png") == ("png", 2048, 2048)
    assert clip(tmp_path / "boat.mp4") == (1280, 720, 4)
    for name in ("boat.png", "night.png", "boat.mp4"):
        (tmp_path / name).unlink()
    for block in (config, key):
        reader.follow(block)
    assert start.title is not None
    (tmp_path / start.title).write_text(reader.swapped(start.text))
    command = ["sh", start.title]
    with litellm_proxy.running(command, port, folder=tmp_path, environment=reader.environment):
        reader.follow(through)
    assert made(reader, "boat.png") == ("png", 1024, 1024)
    assert made(reader, "night.png") == ("png", 2048, 2048)
    assert clip(tmp_path / "boat.mp4") == (1280, 720, 4)
    assert litellm_proxy.calls_abroad(tmp_path) == []
