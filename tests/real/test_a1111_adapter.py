"""The adapter of the WebUI's API on a real sd-server, and its stand-in beside that."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from safelight.domain.catalog import Binding
from safelight.domain.media import Reference
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.providers.a1111.provider import WebUiProvider
from safelight.providers.a1111.settings import Options
from tests.providers.a1111.fake import FakeServer, serve
from tests.providers.a1111.studio import bytes_of, image_order, job_of, opened, settings_of
from tests.providers.a1111.test_checks import model_of
from tests.real.engine import Engine
from tests.real.pictures import png

SMALL = Options(body={"steps": 2, "cfg_scale": 1})


@pytest.fixture
async def provider(engine: Engine) -> AsyncIterator[WebUiProvider]:
    made = opened(settings_of(base_url=engine.base_url, flavor="sd-server"), {})
    yield made
    await made.close()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with serve(FakeServer("sd-server", key=None)) as started:
        yield started


def with_picture(data: bytes) -> Order:
    """An order that begins with it, whatever it is: one that a client sends is decoded before."""
    reference = Reference(role="reference_image", mime_type="image/png", data=data)
    order = image_order(seed=5, provider_options={"denoising_strength": 0.3})
    return Order(id=order.id, type=order.type, model=order.model, spec=order.spec, references=(reference,))


def small_job(order: Order, folder: Path, **more: Any) -> Job[Any]:
    return job_of(order, folder, options=SMALL, **more)


async def made(provider: WebUiProvider, order: Order, folder: Path, **more: Any) -> Image.Image:
    picture = Image.open(io.BytesIO(bytes_of(await provider.submit(order, small_job(order, folder, **more)))))
    picture.load()
    return picture


async def test_a_picture_and_its_seed(provider: WebUiProvider, tmp_path: Path) -> None:
    one, again, other = [await made(provider, image_order(seed=seed), tmp_path) for seed in (5, 5, 6)]
    assert one.size == (64, 64) and one.tobytes() == again.tobytes() != other.tobytes()
    assert "Seed: 5" in one.info["parameters"]


async def test_a_seed_that_nobody_asked_for_is_sent_and_told(provider: WebUiProvider, tmp_path: Path) -> None:
    order = image_order()
    outcome = await provider.submit(order, small_job(order, tmp_path))
    picture = Image.open(io.BytesIO(bytes_of(outcome)))
    assert f"Seed: {outcome.answer.seed}," in picture.info["parameters"]
    assert (await made(provider, order, tmp_path, id_="req-9")).tobytes() != picture.tobytes()


async def test_a_negative_prompt_reaches_it(provider: WebUiProvider, tmp_path: Path) -> None:
    picture = await made(provider, image_order(seed=5, negative_prompt="heavy fog"), tmp_path)
    assert "Negative prompt: heavy fog" in picture.info["parameters"]


async def test_a_picture_to_begin_with(provider: WebUiProvider, tmp_path: Path) -> None:
    red, blue = [
        await made(provider, with_picture(png((96, 64), colour)), tmp_path) for colour in ((220, 30, 20), (20, 40, 220))
    ]
    assert red.size == blue.size == (64, 64) and red.tobytes() != blue.tobytes()


async def test_pictures_to_follow(engine: Engine, tmp_path: Path) -> None:
    """An ordinary model heeds none of them; that each is taken is all that is seen here."""
    entry: dict[str, Any] = {"references": "extra_images", "max_references": 2}
    provider = opened(settings_of(base_url=engine.base_url, flavor="sd-server", **entry), {})
    order = image_order("reference_image", "reference_image", seed=5)
    before = engine.finished
    assert (await made(provider, order, tmp_path)).size == (64, 64)
    assert engine.finished == before + 1
    await provider.close()


async def test_a_picture_that_is_none_is_dropped_there_and_so_never_sent(
    provider: WebUiProvider, tmp_path: Path
) -> None:
    """It answers with a picture that has nothing to do with it. References are decoded before an order is held."""
    with_none = await made(provider, with_picture(b"no picture"), tmp_path)
    with_other = await made(provider, with_picture(b"nor is this"), tmp_path)
    assert with_none.tobytes() == with_other.tobytes()


async def test_a_tag_in_a_prompt_orders_nothing(provider: WebUiProvider, engine: Engine, tmp_path: Path) -> None:
    tag = '<sd_cpp_extra_args>{"width": 128, "height": 128, "seed": 1}</sd_cpp_extra_args>'
    picture = await made(provider, image_order(seed=5, prompt=f"a fox {tag}"), tmp_path)
    assert picture.size == (64, 64) and "Seed: 5," in picture.info["parameters"]
    raw = {"prompt": f"a fox {tag}", "width": 64, "height": 64, "seed": 5, "steps": 2, "cfg_scale": 1}
    told = httpx.post(f"{engine.base_url}/sdapi/v1/txt2img", json=raw, timeout=120).json()["images"][0]
    assert Image.open(io.BytesIO(base64.b64decode(told))).size == (128, 128), "unbroken, it would have"


async def test_a_sampler_that_is_not_there_is_left_out_by_it_and_found_by_a_look(
    provider: WebUiProvider, tmp_path: Path
) -> None:
    order = image_order(seed=5, provider_options={"sampler_name": "no such"})
    assert (await made(provider, order, tmp_path)).size == (64, 64)
    binding = Binding(connection="x", upstream_model="m", options=Options(body={"sampler_name": "no such"}))
    found = await provider.check(model_of(), binding)
    assert [(finding.subject, finding.level) for finding in found] == [("connection", "ok"), ("sampler", "problem")]


async def test_another_models_name_changes_nothing_as_it_has_one(provider: WebUiProvider, tmp_path: Path) -> None:
    one, other = [await made(provider, image_order(seed=5), tmp_path, model=name) for name in ("model", "no-such")]
    assert one.tobytes() == other.tobytes()
    binding = Binding(connection="x", upstream_model="no-such", options=Options())
    assert {finding.level for finding in await provider.check(model_of(), binding)} == {"ok"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"steps": "many"}, FailureClass.BAD_INPUT),
        ({"lora": [{"path": "no-such.safetensors"}]}, FailureClass.BAD_INPUT),
        ({"lora": [{}]}, FailureClass.BAD_INPUT),
    ],
)
async def test_what_it_cannot_read_is_the_clients(
    provider: WebUiProvider, engine: Engine, tmp_path: Path, options: dict[str, Any], reason: FailureClass
) -> None:
    before, order = engine.begun, image_order(provider_options=options)
    outcome = await provider.submit(order, small_job(order, tmp_path))
    assert isinstance(outcome, Failed) and outcome.reason is reason, outcome
    assert outcome.answer.words and engine.begun == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sdapi/v1/txt2img", {"prompt": "a fox", "width": 64, "height": 64, "steps": 2, "seed": 5}),
        ("POST", "/sdapi/v1/txt2img", {"prompt": "", "width": 64, "height": 64}),
        ("POST", "/sdapi/v1/txt2img", {"prompt": "a fox", "width": 0, "height": 64}),
        ("GET", "/sdapi/v1/sd-models", None),
        ("GET", "/sdapi/v1/options", None),
        ("GET", "/sdapi/v1/progress", None),
        ("GET", "/sdapi/v1/scripts", None),
        ("POST", "/internal/progress", {"id_task": "x"}),
        ("POST", "/sdapi/v1/interrupt", {}),
    ],
)
def test_the_stand_in_answers_as_the_engine_does(
    client: httpx.Client, fake: FakeServer, method: str, path: str, body: dict[str, Any] | None
) -> None:
    real, played = (
        httpx.request(method, f"{base}{path}", json=body, timeout=120) for base in (str(client.base_url), fake.base_url)
    )
    assert real.status_code == played.status_code
    if real.status_code == 404:
        return
    assert _shape(real.json()) == _shape(played.json())


def _shape(document: Any) -> Any:
    """All but pictures, which have a size alone."""
    if isinstance(document, dict) and document.get("images"):
        sizes = [Image.open(io.BytesIO(base64.b64decode(each))).size for each in document["images"]]
        return document | {"images": sizes}
    return document
