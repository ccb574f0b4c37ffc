"""LiteLLM with Safelight as its backend: as a library, and as a proxy in front; it reaches nothing else."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from safelight.providers.noop import png
from tests.clients.litellm_proxy import PYTHON, at_home, calls_abroad, running
from tests.clients.media import clip, encoded_picture, picture, spent, statuses
from tests.clients.pages import block, variables
from tests.clients.reader import exported
from tests.contract.accounts import Account, Accounts
from tests.support.cutting import Cutter
from tests.support.server import PATIENCE_SECONDS, Server, clean_environment, eventually, free_port

LOCAL_PRICES = variables("LITELLM_LOCAL_MODEL_COST_MAP=True")
SMALL = ("png", 1024, 1024)


def run_library(script: str, environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """What a program of this folder prints, run by LiteLLM's own Python; it reaches nothing but this machine."""
    done = subprocess.run(
        [PYTHON, str(Path(__file__).with_name(script)), *arguments],
        cwd=folder,
        env=clean_environment({**environment, **LOCAL_PRICES, **at_home(folder)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert calls_abroad(folder) == []
    return done.stdout


def test_library(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "first.png"
    file.write_bytes(png())
    printed = run_library("litellm_library.py", exported(account), tmp_path, str(file))
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    encoded = [*told["images"], told["by_id"], told["edit"], told["edit_of_two"]]
    encoded += [told["awaited"]["image"], told["awaited"]["edit"]]
    assert [encoded_picture(each) for each in encoded] == [SMALL] * 7
    assert picture(httpx.get(told["url"]).content) == SMALL
    assert (told["found"], told["awaited"]["video"]) == ("completed", "completed")
    assert told["listed"] == 2
    assert clip(tmp_path / "video.mp4") == clip(tmp_path / "awaited.mp4") == (1280, 720, 4)
    assert told["refusal"] == ["ContentPolicyViolationError", "400"]


@pytest.mark.parametrize(("call", "price"), [("image", "0.03"), ("edit", "0.03"), ("video", "0.104")])
async def test_a_lost_answer_is_one_charge(
    shop: Server, account: Account, tmp_path: Path, call: str, price: str
) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(png())
    async with Cutter(shop.port).open() as network:
        environment = {"SAFELIGHT_BASE_URL": network.base_url, "SAFELIGHT_API_KEY": account.key}
        await asyncio.to_thread(run_library, "litellm_lost_answer.py", environment, tmp_path, call, str(picture))
    assert network.cut == 1, "no answer was lost"
    eventually(lambda: "pending" not in statuses(account), "everything has ended")
    assert spent(account) == Decimal(price)


@pytest.fixture(scope="module")
def customer(accounts: Accounts) -> Account:
    """The workspace behind the proxy."""
    return accounts.create()


@pytest.fixture(scope="module")
def proxied(shop: Server, customer: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A client of a proxy that is set up as the page says, save that a backend refuses what its first model makes."""
    folder, port, key = tmp_path_factory.mktemp("litellm"), free_port(), f"sk-{secrets.token_hex(32)}"
    config = block("litellm", "config.yaml").replace("http://127.0.0.1:8484", shop.base_url)
    refused = config.replace("openai/gpt-image-1", "openai/refused-image", 1)
    assert refused != config
    (folder / "config.yaml").write_text(refused)
    environment = clean_environment(
        {"SAFELIGHT_API_KEY": customer.key, "LITELLM_MASTER_KEY": key, **LOCAL_PRICES, **at_home(folder)}
    )
    litellm = str(Path(PYTHON).with_name("litellm"))
    command = [litellm, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, folder=folder, environment=environment):
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0) as client:
            yield client
        assert calls_abroad(folder) == []


def test_proxy_goes_to_the_next_model_where_a_backend_refuses(proxied: openai.OpenAI, customer: Account) -> None:
    before = spent(customer)
    made = proxied.images.generate(model="gpt-image-1", prompt="A boat", size="2048x2048", response_format="b64_json")
    assert made.data is not None
    assert made.data[0].b64_json is not None
    assert encoded_picture(made.data[0].b64_json) == ("png", 2048, 2048)
    assert spent(customer) - before == Decimal("0.04")  # that of the second; the refused one costs nothing


def test_proxy_edits(proxied: openai.OpenAI) -> None:
    for image in (png(), [png(), png()]):
        edited = proxied.images.edit(model="second-choice", image=image, prompt="At night", size="2048x2048")
        assert edited.data is not None
        assert edited.data[0].b64_json is not None
        assert encoded_picture(edited.data[0].b64_json) == ("png", 2048, 2048)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_proxy_videos(proxied: openai.OpenAI, customer: Account) -> None:
    before = spent(customer)
    made = proxied.videos.create_and_poll(model="sora-2", prompt="A boat leaves", seconds="4", size="1280x720")
    assert made.status == "completed"
    assert proxied.videos.retrieve(made.id).status == "completed"
    assert clip(proxied.videos.download_content(made.id).read()) == (1280, 720, 4)
    remix = proxied.videos.remix(made.id, prompt="In fog")
    assert proxied.videos.poll(remix.id).status == "completed"
    assert spent(customer) - before == 2 * 4 * Decimal("0.026")


def test_proxy_tells_what_is_wrong(proxied: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="background"):
        proxied.images.generate(model="second-choice", prompt="A boat", background="transparent")
