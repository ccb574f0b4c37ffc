"""What is ordered, and what becomes of an order that is declined or whose answer is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted, CannotTell, Completed, Failed, FailureClass, Found, Unknown
from safelight.domain.ports import (
    BatchPollable,
    Cancelable,
    Checkable,
    Findable,
    Hintable,
    HoldsSecrets,
    Pollable,
    Repeatable,
)
from safelight.providers.noop import png
from safelight.providers.replicate.provider import KIND
from safelight.providers.replicate.settings import Target, target_of
from tests.providers.replicate.fake import FakeReplicate
from tests.providers.replicate.models import CLIP_VERSION, DECLINES, VERSION
from tests.providers.replicate.studio import CLIP_FIELDS, IMAGE, VIDEO, catalog, entry, host, job, opened, order

LARGE = png() + b"\0" * (256 * 1024)


async def test_it_can_all_that_the_vendor_can(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        assert isinstance(provider, Pollable | BatchPollable)
        for capability in (Pollable, BatchPollable, Findable, Cancelable, Checkable, Hintable, HoldsSecrets):
            assert isinstance(provider, capability)
        assert not isinstance(provider, Repeatable)


@pytest.mark.parametrize(
    ("name", "target", "path"),
    [
        ("studio/picture", Target(owner="studio", name="picture"), "/models/studio/picture/predictions"),
        (f"artist/clip:{VERSION}", Target(owner="artist", name="clip", version=VERSION), "/predictions"),
        (VERSION, Target(version=VERSION), "/predictions"),
        (
            "deployments/studio/pictures",
            Target(owner="studio", name="pictures", is_deployment=True),
            "/deployments/studio/pictures/predictions",
        ),
        ("deployments/a", Target(owner="deployments", name="a"), "/models/deployments/a/predictions"),
        ("picture", None, ""),
        ("studio/picture:latest", None, ""),
        ("../account", None, ""),
        ("studio/..", None, ""),
        ("studio/picture/more", None, ""),
        ("studio/pic?ture", None, ""),
        (VERSION.upper(), None, ""),
        ("", None, ""),
    ],
)
def test_what_a_models_name_means(name: str, target: Target | None, path: str) -> None:
    assert target_of(name) == target
    assert target is None or target.orders_path == path


async def test_an_official_model_is_ordered_by_its_name(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        asked = order(IMAGE, "reference_image", seed=7, negative_prompt="fog", provider_options={"steps": 4})
        outcome = await provider.submit(asked, job(options={"input": {"steps": 9}}))
    (call,) = fake.orders()
    assert call.path == "/v1/models/studio/picture/predictions"
    assert call.body == {
        "input": {
            "prompt": "a hill",
            "negative_prompt": "fog",
            "seed": 7,
            "size": "64x64",
            "output_format": "png",
            "image_input": [asked.references[0].data_url()],
            "steps": 4,
        }
    }
    assert not {"prefer", "cancel-after"} & call.headers.keys()
    assert isinstance(outcome, Accepted)
    assert outcome.handle == {"id": fake.newest()["id"]}
    assert (outcome.answer.status, outcome.answer.request_id) == (201, fake.newest()["id"])


async def test_any_model_is_ordered_by_its_version(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        asked = order(VIDEO, "last_frame", "first_frame", sound=False, resolution="720p")
        assert isinstance(await provider.submit(asked, job(VIDEO)), Accepted)
        bare = job(VIDEO, "req-2", upstream_model=CLIP_VERSION)
        assert isinstance(await provider.submit(order(VIDEO, resolution="1K"), bare), Accepted)
    first, second = fake.orders()
    assert (first.path, first.body["version"]) == ("/v1/predictions", CLIP_VERSION)
    assert first.body["input"] == {
        "prompt": "a hill",
        "aspect_ratio": "1:1",
        "resolution": "720p",
        "duration": 2,
        "generate_audio": False,
        "image": asked.references[1].data_url(),
        "last_frame_image": asked.references[0].data_url(),
    }
    assert second.body["version"] == CLIP_VERSION


async def test_a_deployment_is_ordered_from(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        accepted = await provider.submit(order(), job(upstream_model="deployments/studio/pictures"))
        assert isinstance(accepted, Accepted)
        assert isinstance(await provider.poll(accepted.handle, job()), Completed)
    assert fake.orders()[0].path == "/v1/deployments/studio/pictures/predictions"
    assert "version" not in fake.orders()[0].body


async def test_a_size_goes_in_the_catalogs_words(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        await provider.submit(order(), job(size_word="2K"))
        await provider.submit(order(VIDEO, resolution="1K"), job(VIDEO, size_word="720p"))
    assert fake.orders()[0].body["input"]["size"] == "2K"
    assert fake.orders()[1].body["input"]["resolution"] == "720p"


@pytest.mark.parametrize(
    ("spec", "fields", "reason"),
    [
        ({"seed": 7}, {}, FailureClass.PERMANENT),
        ({"negative_prompt": "fog"}, {}, FailureClass.PERMANENT),
        ({"provider_options": {"prompt": "another"}}, {}, FailureClass.BAD_INPUT),
        ({"provider_options": {"image_input": []}}, {"references": "image_input"}, FailureClass.BAD_INPUT),
    ],
)
async def test_what_cannot_be_said_is_not_ordered(
    fake: FakeReplicate, spec: dict[str, Any], fields: dict[str, Any], reason: FailureClass
) -> None:
    async with opened(fake) as provider:
        outcome = await provider.submit(order(**spec), job(options={"fields": fields}))
    assert isinstance(outcome, Failed) and outcome.reason is reason
    assert fake.calls == []


async def test_a_picture_that_has_no_place_is_not_even_uploaded(fake: FakeReplicate) -> None:
    async with opened(fake, references="upload") as provider:
        outcome = await provider.submit(order(IMAGE, "reference_image"), job(options={"fields": {}}))
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.PERMANENT
    assert fake.calls == []


@pytest.mark.parametrize(
    ("references", "data", "given"),
    [
        ("auto", png(), "data:"),
        ("auto", LARGE, "uploaded"),
        ("inline", png(), "data:"),
        ("upload", png(), "uploaded"),
        ("link", LARGE, "https://safelight.example/req-1/0/reference"),
    ],
)
async def test_how_a_reference_image_is_given(fake: FakeReplicate, references: str, data: bytes, given: str) -> None:
    async with opened(fake, references=references) as provider:
        assert isinstance(await provider.submit(order(IMAGE, "reference_image", data=data), job()), Accepted)
    (address,) = fake.orders()[0].body["input"]["image_input"]
    if given == "uploaded":
        assert (address, fake.files["file-1"]) == (f"{fake.base_url}/files/file-1", data)
    else:
        assert address.startswith(given) and not fake.files


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, "{}"), FailureClass.TRANSIENT),
        ((502, "<html>"), FailureClass.TRANSIENT),
        ((401, "{}"), FailureClass.AUTH),
        ((402, "{}"), FailureClass.QUOTA),
        ((429, '{"detail": "Request was throttled. Your rate limit resets in ~3s."}'), FailureClass.RATE_LIMITED),
        ((413, "{}"), FailureClass.BAD_INPUT),
        ((201, "[]"), FailureClass.TRANSIENT),
        ((201, '{"urls": {"get": "file:///etc/passwd"}}'), FailureClass.TRANSIENT),
    ],
)
async def test_a_failed_upload_orders_nothing(
    fake: FakeReplicate, answer: tuple[int, str], reason: FailureClass
) -> None:
    fake.uploads_get = [answer]
    async with opened(fake, references="upload") as provider:
        outcome = await provider.submit(order(IMAGE, "reference_image"), job())
    assert isinstance(outcome, Failed) and outcome.reason is reason
    assert fake.orders() == []


async def test_settings_go_along(fake: FakeReplicate) -> None:
    async with opened(fake, callbacks=True, cancel_after_seconds=90) as provider:
        await provider.submit(order(), job())
    (call,) = fake.orders()
    assert call.headers["cancel-after"] == "90s"
    assert call.body["webhook"] == job().callback_url
    assert call.body["webhook_events_filter"] == ["completed"]


@pytest.mark.parametrize(
    ("word", "reason", "wait"),
    [
        ("unpaid", FailureClass.QUOTA, None),
        ("spent", FailureClass.QUOTA, None),
        ("unauthenticated", FailureClass.AUTH, None),
        ("forbidden", FailureClass.AUTH, None),
        ("throttled", FailureClass.RATE_LIMITED, 30),
        ("throttled_old", FailureClass.RATE_LIMITED, 1),
        ("throttled_low", FailureClass.RATE_LIMITED, 1),
        ("throttled_header", FailureClass.RATE_LIMITED, 7),
        ("refused", FailureClass.CONTENT_POLICY, None),
        ("refused_by_code", FailureClass.CONTENT_POLICY, None),
        ("failed_at_once", FailureClass.CONTENT_POLICY, None),
        ("aborted_at_once", FailureClass.CANCELED, None),
        ("bad_prompt", FailureClass.BAD_INPUT, None),
        ("odd_prompt", FailureClass.BAD_INPUT, None),
        ("bad_size", FailureClass.PERMANENT, None),
        ("unknown_key", FailureClass.PERMANENT, None),
        ("bad_version", FailureClass.PERMANENT, None),
        ("bad_webhook", FailureClass.PERMANENT, None),
        ("wordless", FailureClass.BAD_INPUT, None),
        ("gone", FailureClass.PERMANENT, None),
        ("breaks", FailureClass.TRANSIENT, None),
    ],
)
async def test_why_an_order_is_declined(
    fake: FakeReplicate, word: str, reason: FailureClass, wait: float | None
) -> None:
    fake.behave(word)
    async with opened(fake) as provider:
        outcome = await provider.submit(order(), job())
    assert isinstance(outcome, Failed), outcome
    assert (outcome.reason, outcome.retry_after_seconds) == (reason, wait)
    assert outcome.answer.status == DECLINES[word][0]


async def test_an_option_of_the_clients_that_is_wrong_is_the_clients(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        theirs = await provider.submit(order(provider_options={"steps": 51}), job())
        ours = await provider.submit(order(), job(options={"input": {"steps": 51}}))
    assert isinstance(theirs, Failed) and theirs.reason is FailureClass.BAD_INPUT
    assert isinstance(ours, Failed) and ours.reason is FailureClass.PERMANENT


UNCLEAR = ["lost", "bad_gateway", "bad_gateway_after", "page", "listed", "nameless", "odd_id", "error_in_200", "empty"]


@pytest.mark.parametrize("word", UNCLEAR)
async def test_an_order_without_a_clear_answer_may_have_been_taken(fake: FakeReplicate, word: str) -> None:
    fake.behave(word)
    async with opened(fake) as provider:
        outcome = await provider.submit(order(), job())
        assert isinstance(outcome, Unknown), outcome
        assert isinstance(await provider.find(job()), CannotTell)
    assert len(fake.orders()) == 1 and not fake.asked("GET")


@pytest.mark.parametrize("word", UNCLEAR)
async def test_with_callbacks_it_is_looked_for_at_once(fake: FakeReplicate, word: str) -> None:
    fake.behave(word)
    async with opened(fake, callbacks=True) as provider:
        outcome = await provider.submit(order(), job())
        was_taken = word in ("lost", "bad_gateway_after")
        assert isinstance(outcome, Accepted if was_taken else Unknown), outcome
        found = await provider.find(job())
    assert isinstance(found, Found if was_taken else CannotTell), "not to be listed proves nothing"
    assert len(fake.orders()) == 1


async def test_one_that_was_taken_all_the_same_is_found_where_the_server_says_that_it_broke(
    fake: FakeReplicate,
) -> None:
    fake.behave("broken_after")
    async with opened(fake, callbacks=True) as provider:
        assert isinstance(await provider.submit(order(), job()), Accepted)


async def test_only_the_one_that_calls_back_to_this_job_is_found(fake: FakeReplicate) -> None:
    fake.page_size = 2
    async with opened(fake, callbacks=True) as provider:
        taken = [await provider.submit(order(), job(id_=f"req-{at}")) for at in range(5)]
        assert all(isinstance(each, Accepted) for each in taken)
        moved = job(id_="req-1", callback_url="https://safelight.example/v2/hints/replicate/req-1?until=2&signature=t")
        found = await provider.find(moved)
        assert isinstance(found, Found) and isinstance(found.outcome, Accepted)
        assert found.outcome.handle == {"id": list(fake.predictions)[1]}
        for stranger in ("req-7", "req-1.1", "req"):
            assert isinstance(await provider.find(job(id_=stranger)), CannotTell)
        fake.lists_webhooks = False
        assert isinstance(await provider.find(moved), CannotTell)
        fake.questions_get = [500]
        assert isinstance(await provider.find(moved), CannotTell)
    lists = fake.asked("GET", "/v1/predictions")
    assert len(lists) >= 3 and all(call.query["created_after"].endswith("Z") for call in lists)


async def test_the_search_ends_where_predictions_are_older(fake: FakeReplicate) -> None:
    """Whether the list knows how to leave them out or not."""
    fake.page_size, fake.knows_dates = 1, False
    async with opened(fake, callbacks=True) as provider:
        for at in range(3):
            await provider.submit(order(), job(id_=f"req-{at}"))
        later = job(id_="req-9", submitted_at=datetime.now(UTC) + timedelta(days=1))
        assert isinstance(await provider.find(later), CannotTell)
        assert len(fake.asked()) == 1
        for each in fake.predictions.values():
            each["created_at"] = "no date"
        assert isinstance(await provider.find(later), CannotTell)
        assert len(fake.asked()) == 4


async def test_nobody_there_has_taken_nothing(fake: FakeReplicate) -> None:
    async with opened(fake, base_url="http://127.0.0.1:9/v1") as provider:
        outcome = await provider.submit(order(), job())
    assert isinstance(outcome, Failed) and outcome.reason is FailureClass.TRANSIENT


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"binding": {"model": "picture"}}, "model: 'picture' names nothing there"),
        ({"binding": {"options": {"fields": {**CLIP_FIELDS, "seed": None}}}}, "fields"),
        ({"binding": {"options": {"fields": {"prompt": "prompt"}}}}, "fields.seed"),
        ({"binding": {"options": {"output": "a..b"}}}, "output"),
        ({"binding": {"options": {"unknown": 1}}}, "unknown"),
    ],
)
def test_a_binding_that_cannot_serve_its_model_is_found(fake: FakeReplicate, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        declared = catalog(fake.connection(), entry(**more))
        model = declared.models["ours"]
        assert KIND.check_binding is not None
        KIND.check_binding(model, model.bindings[0], host())


@pytest.mark.parametrize(
    "settings",
    [
        {"key": None},
        {"references": "carrier pigeon"},
        {"cancel_after_seconds": 4},
        {"refusal_words": ["no"]},
        {"webhook_key": "whsec_AAAA"},
        {"poll_seconds": 1},
    ],
)
def test_a_connection_that_asks_for_what_is_not_is_refused(fake: FakeReplicate, settings: dict[str, Any]) -> None:
    given = {name: value for name, value in fake.connection(**settings).items() if value is not None}
    with pytest.raises(ConfigurationError, match=r"shop.toml: connections\[0\]"):
        catalog(given)
