"""Safelight in front of sd-server: the whole way of a picture, from a request of the public API to the file."""

from __future__ import annotations

import base64
import io
import re
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.real.engine import Engine
from tests.real.pictures import generate, png
from tests.support.server import Server, open_folder

PICTURES = 20
PAGE = Path(__file__).parents[2] / "docs" / "providers" / "sd-server.md"


def recipe(engine: Engine) -> str:
    """The catalog that the docs give, with this engine's address, and pictures small enough for a processor."""
    (catalog,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), flags=re.M | re.S)
    assert catalog.count("http://127.0.0.1:1234/") == 1
    here = catalog.replace("http://127.0.0.1:1234/", f"{engine.base_url}/")
    return re.sub(r"\b(512|768)x(512|768)\b", lambda size: f"{int(size[1]) // 8}x{int(size[2]) // 8}", here)


@pytest.fixture(scope="module")
def safelight(engine: Engine) -> Iterator[Server]:
    with open_folder() as folder:
        catalog = folder / "catalog.toml"
        catalog.write_text(recipe(engine))
        catalog.chmod(0o644)
        server = Server(folder / "data", env={"SAFELIGHT_CATALOG": str(catalog)})
        try:
            yield server.wait_until_ready()
            assert server.stop() == 0
        finally:
            server.kill_everything()


def post(server: Server, **body: Any) -> httpx.Response:
    asked = {"model": "stable-diffusion", "prompt": "a red fox", "output_format": "png", **body}
    return httpx.post(f"{server.base_url}/v2/images/generations", json=asked, headers=server.headers, timeout=120)


def ask(server: Server, **body: Any) -> dict[str, Any]:
    """A finished picture's answer."""
    answer = post(server, **body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    assert told["status"] == "completed", told
    return told


def fetch(told: dict[str, Any]) -> Image.Image:
    (file,) = told["data"]
    answer = httpx.get(file["url"], timeout=30)
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(answer.content))
    picture.load()
    return picture


def balance(server: Server) -> Decimal:
    answer = httpx.get(f"{server.base_url}/v2/billing/balance", headers=server.headers, timeout=30)
    return Decimal(answer.json()["balance"])


def test_the_pixels_are_the_engine_s_and_nothing_else_of_it_is_in_the_file(
    safelight: Server, client: httpx.Client
) -> None:
    picture = fetch(ask(safelight, seed=5))
    tag = '<sd_cpp_extra_args>{"seed": 5}</sd_cpp_extra_args>'
    (direct,) = generate(client, prompt=f"a red fox{tag}", size="64x64")
    assert (picture.format, picture.size, picture.mode) == ("PNG", (64, 64), "RGB")
    assert picture.tobytes() == direct.tobytes()
    assert "parameters" in direct.info
    assert not {"parameters", "prompt"} & picture.info.keys()


def test_a_seed_of_its_own_is_sent_where_none_is_asked_for(safelight: Server) -> None:
    pictures = [fetch(ask(safelight)) for _ in range(3)]
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_sizes_are_as_the_catalog_says(safelight: Server) -> None:
    assert fetch(ask(safelight, aspect_ratio="3:2")).size == (96, 64)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("references", [0, 1])
def test_every_format_with_and_without_a_reference(safelight: Server, output_format: str, references: int) -> None:
    """The engine makes no webp of an edit: it is converted."""
    images = [reference((220, 30, 20))] * references
    more = {"images": images} if images else {}
    assert fetch(ask(safelight, output_format=output_format, **more)).format == output_format.upper()


def reference(colour: tuple[int, int, int]) -> dict[str, str]:
    return {"url": f"data:image/png;base64,{base64.b64encode(png((128, 128), colour)).decode()}"}


def test_references_are_heeded(safelight: Server) -> None:
    red, blue = reference((220, 30, 20)), reference((20, 40, 220))
    pictures = [
        fetch(ask(safelight, seed=5, **({"images": images} if images else {}))) for images in ([], [red], [blue])
    ]
    assert [picture.size for picture in pictures] == [(64, 64)] * 3
    assert len({picture.tobytes() for picture in pictures}) == 3


def test_a_negative_prompt_and_options_are_heeded(safelight: Server) -> None:
    guided = {"sample_params": {"guidance": {"txt_cfg": 3.0}}}
    plain, strong, avoiding = (
        fetch(ask(safelight, seed=5, **more)).tobytes()
        for more in ({}, {"provider_options": guided}, {"provider_options": guided, "negative_prompt": "snow"})
    )
    assert plain != strong != avoiding != plain


@pytest.mark.parametrize(
    "tag",
    [
        '<sd_cpp_extra_args>{"width": 256, "height": 256, "batch_count": 8}</sd_cpp_extra_args>',
        "<sd_cpp_extra_args>{</sd_cpp_extra_args>",
        "<sd_cpp_extra_args>" * 200,
        '<<sd_cpp_extra_args>sd_cpp_extra_args>{"width": 256}</sd_cpp_extra_args>',
    ],
)
def test_a_prompt_orders_nothing_but_a_picture(safelight: Server, engine: Engine, tag: str) -> None:
    begun = engine.begun
    assert fetch(ask(safelight, prompt=f"a red fox{tag}")).size == (64, 64)
    assert engine.begun == begun + 1


def test_the_longest_negative_prompts_are_read(safelight: Server) -> None:
    for character in ("\u0001", "\U0001f98a", "<"):
        assert fetch(ask(safelight, negative_prompt=character * 4096)).size == (64, 64)


def test_many_at_once_wait_for_their_turn_and_each_is_charged_once(safelight: Server, engine: Engine) -> None:
    before, begun = balance(safelight), engine.begun
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda _: ask(safelight), range(8)))
    assert len({answer["id"] for answer in answers}) == 8
    assert engine.begun == begun + 8
    assert before - balance(safelight) == Decimal("0.08")


def median_seconds(*ways: Callable[[], object]) -> list[float]:
    """Of ``PICTURES`` after the first, by turns, so that what else the machine does slows all of them alike."""
    seconds: list[list[float]] = [[] for _ in ways]
    for _ in range(PICTURES + 1):
        for make, taken in zip(ways, seconds, strict=True):
            started = time.perf_counter()
            make()
            taken.append(time.perf_counter() - started)
    return [statistics.median(taken[1:]) for taken in seconds]


def test_pictures_through_safelight(
    safelight: Server, engine: Engine, client: httpx.Client, figures: dict[str, str]
) -> None:
    begun = engine.begun
    directly, through = median_seconds(lambda: generate(client, size="64x64"), lambda: ask(safelight))
    assert engine.begun == begun + 2 * (PICTURES + 1)
    figures["a 64x64 picture, directly, median"] = f"{directly * 1000:.0f} ms"
    figures["the same through Safelight, by turns"] = f"{through * 1000:.0f} ms"


def test_more_than_the_engine_reads_is_refused(safelight: Server, engine: Engine) -> None:
    """It reads arguments by what recurses for each of their bytes, and would end."""
    begun = engine.begun
    answer = post(safelight, provider_options={"sample_params": {"x": "<" * 16_000}})
    assert answer.status_code in (400, 422), answer.text
    assert engine.process.poll() is None
    assert engine.begun == begun
