"""Orders to fal's queue: what is sent, what is certain of each answer, and what a catalog may not say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted, Failed, FailureClass, Unknown
from safelight.domain.ports import BatchPollable, Cancelable, Checkable, Findable, Hintable, Host, Pollable
from safelight.providers.fal.provider import FalProvider
from safelight.providers.registry import KINDS, check_connections
from tests.providers.fal.fake import IMAGES, KEY, VIDEOS, FakeFal
from tests.providers.fal.fake import INPUTS as INPUTS_OF_FAKE
from tests.providers.fal.studio import IMAGE, IMAGE_OPTIONS, VIDEO, VIDEO_OPTIONS, job, open_provider, options, order


def test_what_it_can_do(provider: FalProvider) -> None:
    assert isinstance(provider, Pollable) and isinstance(provider, Cancelable)
    assert isinstance(provider, Checkable) and isinstance(provider, Hintable)
    assert not isinstance(provider, Findable | BatchPollable)


async def test_an_order_is_the_models_own_input(fake: FakeFal, provider: FalProvider) -> None:
    spec = {"seed": 7, "negative_prompt": "fog", "provider_options": {"num_inference_steps": 4}}
    given = order("a hill", IMAGE, "reference_image", "reference_image", **spec)
    outcome = await provider.submit(given, job())
    here = f"{fake.base_url}/fal-ai/fake/requests/019a-1"
    assert isinstance(outcome, Accepted)
    assert outcome.handle == {
        "id": "019a-1",
        "status_url": f"{here}/status",
        "response_url": here,
        "cancel_url": f"{here}/cancel",
    }
    assert outcome.answer.request_id == "019a-1"
    (sent,) = fake.posts()
    assert sent.body == {
        "num_images": 1,
        "enable_safety_checker": True,
        "num_inference_steps": 4,
        "prompt": "a hill",
        "negative_prompt": "fog",
        "seed": 7,
        "image_size": {"width": 64, "height": 64},
        "output_format": "png",
        "image_urls": [reference.data_url() for reference in given.references],
    }
    assert sent.query == {} and not [name for name in sent.headers if name.startswith("x-fal")]


async def test_a_clip_is_told_its_shape_its_sound_and_its_frames(fake: FakeFal, provider: FalProvider) -> None:
    for sound in (True, False):
        given = order("a hill", VIDEO, "first_frame", "last_frame", sound=sound)
        assert isinstance(await provider.submit(given, job(VIDEO, size_word="480p")), Accepted)
        assert fake.posts()[-1].body == {
            "prompt": "a hill",
            "aspect_ratio": "1:1",
            "resolution": "480p",
            "duration": "2",
            "generate_audio": sound,
            "image_url": given.references[0].data_url(),
            "end_image_url": given.references[1].data_url(),
        }


async def test_what_has_no_place_is_not_dropped_in_silence(fake: FakeFal, provider: FalProvider) -> None:
    bare = options(IMAGE, fields={"width": "image_size.width", "height": "image_size.height"})
    for given in (
        order("a hill", seed=7),
        order("a hill", negative_prompt="fog"),
        order("a hill", IMAGE, "reference_image"),
        order("a hill", VIDEO, "first_frame"),
        order("a hill", VIDEO, sound=True),
    ):
        outcome = await provider.submit(given, job(given.type, options=bare))
        assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT and outcome.detail
    assert fake.posts() == []


async def test_a_request_does_not_override_what_the_order_says(fake: FakeFal, provider: FalProvider) -> None:
    outcome = await provider.submit(order("a hill", provider_options={"image_size": "square"}), job())
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.BAD_INPUT
    assert fake.posts() == []


async def test_what_a_binding_and_a_connection_say_of_an_order_is_in_its_headers(fake: FakeFal) -> None:
    provider = open_provider(fake, keep_seconds=7200, store_io=False, callbacks=True, references="link")
    chosen = options(IMAGE, priority="low", start_seconds=30, retries=False)
    await provider.submit(order("a hill", IMAGE, "reference_image"), job(options=chosen))
    (sent,) = fake.posts()
    assert {name: value for name, value in sent.headers.items() if name.startswith("x-fal")} == {
        "x-fal-queue-priority": "low",
        "x-fal-request-timeout": "30.0",
        "x-fal-no-retry": "1",
        "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 7200}',
        "x-fal-store-io": "0",
    }
    assert sent.query == {"fal_webhook": "https://safelight.example/v2/hints/fal/req-1?sig=a&b=c"}
    assert sent.body["image_urls"] == ["https://safelight.example/req-1/0/reference"]
    await provider.close()


R = FailureClass
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
DECLINED: dict[str, tuple[FailureClass | None, str | None]] = {
    "refused": (R.CONTENT_POLICY, "content_policy_violation"),
    "refusedlist": (R.CONTENT_POLICY, "content_policy_violation"),
    "broke": (R.QUOTA, None),
    "locked": (R.AUTH, None),
    "nokey": (R.AUTH, None),
    "nomodel": (R.PERMANENT, None),
    "often": (R.RATE_LIMITED, None),
    "badprompt": (R.BAD_INPUT, "string_too_long"),
    "badimage": (R.BAD_INPUT, "file_download_error"),
    "badsize": (R.PERMANENT, "literal_error"),
    "lacking": (R.PERMANENT, "missing"),
    "badheader": (R.PERMANENT, "bad_request"),
    "text": (R.BAD_INPUT, None),
    "broken": (R.TRANSIENT, "runner_scheduling_failure"),
    "movedon": (R.PERMANENT, None),
    "tooearly": (R.TRANSIENT, None),
    "object": (R.CONTENT_POLICY, "content_policy_violation"),
    "texts": (R.BAD_INPUT, None),
    "conflict": (None, None),
    "gateway": (None, None),
    "page": (None, None),
    "odd": (None, None),
    "noid": (None, None),
    "lost": (None, None),
}
"""The reason and fal's own code; None: nobody can say whether the order was taken."""


@pytest.mark.parametrize("word", DECLINED)
async def test_what_is_certain_of_an_order(fake: FakeFal, provider: FalProvider, word: str) -> None:
    outcome = await provider.submit(order(f"{word} hill"), job())
    reason, code = DECLINED[word]
    assert len(fake.posts()) == 1, "an order is sent once"
    if reason is None:
        assert isinstance(outcome, Unknown)
        return
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.code) == (reason, code)
    assert outcome.retry_after_seconds == (7 if word == "often" else None)
    assert outcome.answer.is_billed is (False if word == "broken" else None)
    assert "data:image" not in str(outcome.answer.words)


async def test_a_picture_that_it_cannot_fetch_here_is_none_of_the_clients_fault(fake: FakeFal) -> None:
    provider = open_provider(fake, references="link")
    outcome = await provider.submit(order("badimage hill", IMAGE, "reference_image"), job())
    assert isinstance(outcome, Failed) and outcome.reason is R.PERMANENT
    await provider.close()


async def test_nobody_there_has_taken_nothing(fake: FakeFal, provider: FalProvider) -> None:
    await fake.close()
    outcome = await provider.submit(order("a hill"), job())
    assert isinstance(outcome, Failed) and outcome.reason is R.TRANSIENT


async def test_addresses_of_another_origin_are_not_asked(fake: FakeFal, provider: FalProvider) -> None:
    for elsewhere in ("http://127.0.0.1:9", "https://queue.fal.run", f"http://user@127.0.0.1:{fake.port}", "http://["):
        fake.elsewhere = elsewhere
        outcome = await provider.submit(order("a hill", VIDEO), job(VIDEO))
        assert isinstance(outcome, Accepted)
        assert outcome.handle["status_url"].startswith(f"{fake.base_url}/fal-ai/fake-video/requests/019a-")


@pytest.mark.parametrize(
    ("model", "app"),
    [
        ("fal-ai/flux/dev", "fal-ai/flux"),
        ("fal-ai/veo3", "fal-ai/veo3"),
        ("workflows/me/poster", "workflows/me/poster"),
        ("comfy/me/graph/run", "comfy/me/graph"),
    ],
)
async def test_the_endpoint_is_no_part_of_a_jobs_address(
    fake: FakeFal, provider: FalProvider, model: str, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(INPUTS_OF_FAKE, model, INPUTS_OF_FAKE[IMAGES])
    fake.elsewhere = "https://elsewhere.example"
    outcome = await provider.submit(order("a hill"), job(upstream_model=model))
    assert isinstance(outcome, Accepted)
    assert outcome.handle["response_url"] == f"{fake.base_url}/{app}/requests/019a-1"


def catalog(binding: dict[str, Any], type_: str = "image", **more: Any) -> dict[str, Any]:
    connection = {"name": "fal", "kind": "fal", "base_url": "https://queue.fal.run", "key": "env:FAL_KEY"}
    of_type = {"durations": [2, 5]} if type_ == "video" else {}
    model = {
        "id": "ours",
        "name": "Ours",
        "type": type_,
        "created_at": CREATED,
        "aspect_ratios": ["1:1", "16:9"],
        "resolutions": ["1K", "2K"],
        "sizes": {each: {"1:1": "64x64", "16:9": "64x64"} for each in ("1K", "2K")},
        "rates": [{"unit_price": "0.05"}],
        "bindings": [{"connection": "fal", **binding}],
        **of_type,
        **more,
    }
    return {"connections": [connection], "models": [model]}


def check(document: dict[str, Any]) -> None:
    read = read_catalog(document, source="shop.toml", kinds=KINDS)
    check_connections(read, Host(data_dir=Path("/nonexistent"), render_processes=1, read_secret=lambda _: KEY))


@pytest.mark.parametrize("model", [IMAGES, "fal-ai/flux/dev", "workflows/me/poster", "1234/my-app.v2"])
def test_any_model_may_be_bound(model: str) -> None:
    check(catalog({"model": model, "options": IMAGE_OPTIONS}))
    check(
        catalog(
            {"model": VIDEOS, "options": VIDEO_OPTIONS}, "video", supports_sound=True, references={"first_frame": 1}
        )
    )


@pytest.mark.parametrize(
    ("binding", "more", "said"),
    [
        ({"model": "flux"}, {}, "options.model: 'flux' is no id"),
        ({"model": "fal-ai/../secrets"}, {}, "options.model: "),
        ({"model": "fal-ai/flux?x=1"}, {}, "options.model: "),
        ({"model": "workflows/me"}, {}, "options.model: "),
        ({"model": IMAGES, "options": {}}, {}, "options.fields.size: "),
        ({"model": IMAGES, "options": {"fields": {"size": "image_size"}}}, {"supports_seed": True}, "fields.seed"),
        ({"model": IMAGES, "options": {"fields": {"size": "s"}}}, {"references": {"reference_image": 2}}, "references"),
        (
            {"model": IMAGES, "options": IMAGE_OPTIONS, "provider_options": ["image_size", "seed"]},
            {},
            "options.fields: image_size, seed is said by each order itself",
        ),
        ({"model": IMAGES, "options": {"speed": 1}}, {}, "speed"),
        ({"model": IMAGES, "options": {"start_seconds": 1}}, {}, "start_seconds"),
    ],
)
def test_what_can_never_be_told_is_found_beforehand(binding: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check(catalog(binding, **more))
    assert said in refused.value.message
