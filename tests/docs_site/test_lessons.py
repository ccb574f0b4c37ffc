"""The quick start and the tutorials, followed block by block on a server with the embedded defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import safelight
from tests.clients.media import clip, picture
from tests.clients.pages import FOLDER, blocks_of
from tests.docs_site.lessons import Learner, learning
from tests.providers.comfyui.servers import Fake
from tests.providers.openai.fake import FakeServer, serve
from tests.support.server import eventually, free_port, open_folder

PAGES = ["start", *sorted(f"tutorials/{path.stem}" for path in FOLDER.parent.glob("tutorials/*.md"))]
SHIPPED = Path(safelight.__file__).with_name("catalog.toml")
FOR_A_GPU = ["pip install 'safelight[ray]'\nSAFELIGHT_CATALOG=catalog.toml safelight model-server\n"]


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fake]:
    server = Fake(tmp_path_factory.mktemp("comfyui") / "files")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def vendor() -> Iterator[FakeServer]:
    server = FakeServer("openai", key="sk-...")
    server.models = ["gpt-image-2"]
    with serve(server):
        yield server


@pytest.fixture(scope="module")
def learner(vendor: FakeServer, comfy: Fake) -> Iterator[Learner]:
    """Somebody who has followed the quick start, and follows lessons in the order of the tests."""
    parts = [SHIPPED.read_text()]
    swaps = {
        "https://api.openai.com/v1": vendor.base_url,
        "http://127.0.0.1:8188": comfy.base_url,
        "8000": str(free_port()),
    }
    with open_folder() as folder:
        settings = {
            "SAFELIGHT_CATALOG": str(folder / "all.toml"),
            "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",
            "SAFELIGHT_SHUTDOWN": "3s",
            "OPENAI_API_KEY": "sk-...",
        }
        with learning(folder, swaps, settings) as learner:
            # The catalog that ships, and behind it those of the lessons, each as it is saved last.
            saved = {page: [block for block in blocks_of(f"../{page}") if block.mark == "save"] for page in PAGES}
            for page in ("tutorials/your-prices", "tutorials/your-own-gpu"):
                for block in saved[page]:
                    (folder / str(block.title)).write_text(learner.reader.swapped(block.text))
                parts.append((folder / "catalog.toml").read_text())
            (folder / "all.toml").write_text("\n".join(parts))
            yield learner


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_shell_or_a_program_is_followed(page: str) -> None:
    passed_over = [
        block.text for block in blocks_of(f"../{page}") if not block.mark and block.language in ("sh", "python")
    ]
    assert passed_over == (FOR_A_GPU if page == "tutorials/your-own-gpu" else [])


def made(learner: Learner, name: str) -> object:
    return picture((learner.folder / name).read_bytes())


def test_start(learner: Learner) -> None:
    printed = learner.follow("start")
    assert json.loads(printed[1])["usage"]["total_cost"] == 0.03
    assert printed[2].splitlines()[1] == "0.03"
    assert made(learner, "village.png") == made(learner, "dawn.png") == ("png", 1024, 1024)
    assert json.loads(printed[5])["status"] == "completed"
    assert "/dashboard/login#" in printed[-1]


def test_first_image(learner: Learner) -> None:
    printed = learner.follow("tutorials/first-image")
    told = [json.loads(block.text) for block in blocks_of("../tutorials/first-image") if block.language == "json"]
    assert [json.loads(printed[1])] == told
    assert made(learner, "lighthouse.jpeg") == ("jpeg", 1248, 832)
    assert "seedream-5-lite" in printed[4]
    assert json.loads(printed[6])["param"] == "aspect_ratio"
    assert float(json.loads(printed[7])["balance"]) < 1000


def test_a_team(learner: Learner) -> None:
    printed = learner.follow("tutorials/a-team")
    assert "design" in printed[0]
    assert printed[2] == "0.03\nquota_exceeded\n"
    assert "0.03" in printed[3]
    assert "revoked" in learner.reader.shell("safelight keys list --workspace design")


def test_reselling(learner: Learner) -> None:
    printed = learner.follow("tutorials/reselling")
    assert printed[1].split() == ["alice", "0.005", "bob", "0.005", "alice", "0.005"]
    bill = json.loads((learner.folder / "bill.json").read_text())
    assert "0.015" in json.dumps(bill)
    assert float(json.loads(printed[2])["data"][0]["cost"]) == 0.015
    assert "The books balance." in printed[3]


def test_video_and_webhook(learner: Learner) -> None:
    printed = learner.follow("tutorials/video-and-webhook")
    assert printed[1] == '"completed"\n'
    assert clip(learner.folder / "harbour.mp4") == (864, 480, 4)
    told = f"generation.completed {(learner.folder / 'second.txt').read_text().strip()}\n"
    eventually(lambda: told in learner.last_shown(), "the receiver is told")


def test_your_prices(learner: Learner) -> None:
    printed = learner.follow("tutorials/your-prices")
    assert "house-sketch" in printed[0]
    assert made(learner, "house.png") == ("png", 1440, 960)
    told = [line for line in printed[-1].splitlines() if "house-sketch" in line]
    for figure in ("0.01", "0.004", "0.006"):
        assert figure in " ".join(told)


def test_your_own_gpu(learner: Learner, vendor: FakeServer, comfy: Fake) -> None:
    checked, shown = learner.follow("tutorials/your-own-gpu", until="away.png")
    assert "vendor" in checked and "studio" in shown
    assert len(comfy.taken()) == 1
    comfy.kill()
    (away,) = learner.follow("tutorials/your-own-gpu", since="away.png")
    assert len([call for call in vendor.calls if call.method == "POST"]) == 1
    assert made(learner, "own.png") == made(learner, "away.png") == ("png", 1024, 1024)
    assert "vendor" in away


def test_the_pages_of_these_tests_are_all_there_are() -> None:
    tests = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    pages = {Path(page).name.replace("-", "_").lower() for page in PAGES} - {"readme"}
    assert pages <= tests
