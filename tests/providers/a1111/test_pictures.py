"""Pictures that come in the answer: what each flavor is told, and what comes of each answer."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from safelight.domain.outcomes import Completed, Failed, FailureClass, LocalFile, Unknown
from safelight.domain.ports import Cancelable, Findable, Pollable, Repeatable
from safelight.providers.a1111 import progress
from safelight.providers.a1111.settings import Options
from tests.providers.a1111.fake import FakeServer
from tests.providers.a1111.media import picture
from tests.providers.a1111.studio import MODEL, PROMPT, bytes_of, image_order, job_of, provider_of, video_order

Start = Callable[..., FakeServer]
PIXEL = base64.b64encode(picture(8, 8)).decode()


async def ordered(
    server: FakeServer,
    *roles: Any,
    quirks: dict[str, Any] | None = None,
    job: dict[str, Any] | None = None,
    **spec: Any,
) -> Any:
    order = image_order(*roles, **spec)
    async with provider_of(server, **(quirks or {})) as provider:
        return await provider.submit(order, job_of(order, **(job or {})))


def failed(outcome: object) -> tuple[FailureClass, str]:
    assert isinstance(outcome, Failed), outcome
    return outcome.reason, outcome.detail


async def test_it_is_told_what_the_order_says_and_no_more(fake: Start) -> None:
    server = fake()
    outcome = await ordered(server, width=128, seed=7, negative_prompt="fog")
    assert Image.open(io.BytesIO(bytes_of(outcome))).size == (128, 64)
    assert server.orders()[-1].path == "/sdapi/v1/txt2img" and server.orders()[-1].body == {
        "prompt": PROMPT, "negative_prompt": "fog", "width": 128, "height": 64, "seed": 7, "batch_size": 1, "n_iter": 1,
        "send_images": True, "save_images": False, "force_task_id": "req-1",
        "override_settings": {"sd_model_checkpoint": MODEL}, "override_settings_restore_afterwards": True,
    }  # fmt: skip
    assert (outcome.answer.seed, outcome.answer.status) == (7, 200)
    assert outcome.answer.usage.raw == {"x-process-time": 0.0421}


@pytest.mark.parametrize(("flavor", "is_told"), [("a1111", True), ("forge", True), ("sd-server", False)])
async def test_a_seed_that_nobody_asked_for_is_known_afterwards(fake: Start, flavor: str, is_told: bool) -> None:
    """The WebUI draws one and tells it. sd-server tells nothing, so it is sent one, and the same order the same."""
    server = fake(flavor)
    one, again = [await ordered(server) for _ in range(2)]
    assert ("seed" in server.orders()[-1].body) is not is_told
    assert (one.answer.seed != again.answer.seed) is is_told and min(one.answer.seed, again.answer.seed) >= 0
    if not is_told:
        assert server.orders()[-1].body["seed"] == one.answer.seed
        assert (await ordered(server, job={"id_": "req-2"})).answer.seed != one.answer.seed


async def test_a_picture_to_begin_with_is_cropped_to_the_size(fake: Start) -> None:
    server = fake()
    bytes_of(await ordered(server, "reference_image", job={"options": Options(body={"denoising_strength": 0.4})}))
    call = server.orders()[-1]
    assert (call.path, call.body["resize_mode"], call.body["denoising_strength"]) == ("/sdapi/v1/img2img", 1, 0.4)
    (sent,) = call.body["init_images"]
    assert base64.b64decode(sent) == picture(16, 16)


async def test_more_pictures_than_it_takes_are_never_left_out(fake: Start) -> None:
    server = fake()
    two = ("reference_image", "reference_image")
    assert failed(await ordered(server, *two))[0] is FailureClass.PERMANENT
    assert failed(await ordered(server, "reference_image", quirks={"references": "none"}))[0] is FailureClass.PERMANENT
    assert server.orders() == []
    server = fake("sd-server", key=None)
    bytes_of(await ordered(server, *two, quirks={"references": "extra_images", "max_references": 2}))
    body = server.orders()[-1].body
    assert [base64.b64decode(each) for each in body["extra_images"]] == [picture(16, 16, at) for at in range(2)]


async def test_options_go_along_and_never_say_what_the_order_says(fake: Start) -> None:
    server = fake("forge")
    options = Options(
        body={
            "steps": 20,
            "distilled_cfg_scale": 3.5,
            "override_settings": {"CLIP_stop_at_last_layers": 2, "sd_vae": "x"},
        }
    )
    chosen = {"steps": 8, "override_settings": {"sd_vae": "None"}}
    bytes_of(await ordered(server, job={"options": options}, provider_options=chosen))
    body = server.orders()[-1].body
    assert (body["steps"], body["distilled_cfg_scale"]) == (8, 3.5)
    assert body["override_settings"] == {
        "CLIP_stop_at_last_layers": 2, "sd_vae": "None", "sd_model_checkpoint": MODEL
    }  # fmt: skip
    for wrong in (
        {"batch_size": 4},
        {"seed": 1},
        {"save_images": True},
        {"infotext": "Seed: 4"},
        {"extra": {"prompt": "another"}},
        {"override_settings": {"sd_model_checkpoint": "another"}},
        {"override_settings": []},
    ):
        assert failed(await ordered(server, provider_options=wrong))[0] is FailureClass.BAD_INPUT
        with pytest.raises(ValueError, match="body"):
            Options(body=wrong)
    assert len(server.orders()) == 1


async def test_the_catalogs_word_for_a_size_is_its_pixels(fake: Start) -> None:
    """So a model may be asked for 512 and upscale to what is promised."""
    server = fake()
    bytes_of(await ordered(server, job={"size_word": "32x48"}, width=64, height=96))
    assert (server.orders()[-1].body["width"], server.orders()[-1].body["height"]) == (32, 48)
    assert failed(await ordered(server, job={"size_word": "2K"}))[0] is FailureClass.PERMANENT


async def test_sd_server_is_told_no_model_and_a_tag_in_a_prompt_is_broken(fake: Start) -> None:
    server = fake("sd-server", key=None)
    prompt = 'a fox <sd_cpp_extra_args>{"batch_count": 8}</SD_CPP_EXTRA_ARGS>'
    outcome = await ordered(server, prompt=prompt, seed=3)
    body = server.orders()[-1].body
    assert body.keys().isdisjoint({"override_settings", "force_task_id", "override_settings_restore_afterwards"})
    assert "<sd_cpp" not in body["prompt"] and body["prompt"].count("< ") == 2
    assert outcome.answer.seed == 3 and outcome.answer.usage is None
    assert not [call for call in server.calls if not call.is_order], "it has no /progress"


@pytest.mark.parametrize(
    ("model", "is_made"),
    [
        (MODEL, True),
        ("fake-model.safetensors", True),
        ("fake-model", True),
        ("0123456789", True),
        ("sdxl_other", True),
        ("no-such-model", False),
        ("no-such-model.safetensors [0000000000]", False),
    ],
)
async def test_a_picture_by_another_model_is_none(fake: Start, model: str, is_made: bool) -> None:
    """AUTOMATIC1111 takes the model that is loaded for one that it does not have, and answers 200."""
    server = fake()
    outcome = await ordered(server, job={"model": model})
    if is_made:
        bytes_of(outcome)
    else:
        reason, detail = failed(outcome)
        assert reason is FailureClass.PERMANENT and "the picture is by other" in detail
        bytes_of(await ordered(server, job={"model": model}, quirks={"verify_model": False}))
        bytes_of(await ordered(server, job={"model": model}, quirks={"model_choice": "none"}))
        assert "override_settings" not in server.orders()[-1].body
        outcome = await ordered(fake("forge"), job={"model": model})
        assert failed(outcome)[0] is FailureClass.PERMANENT, "Forge says so with a 500"


@pytest.mark.parametrize(
    ("asked", "made", "is_made"),
    [
        ("v1-5-pruned", "anything-v1-5-pruned", False),
        ("xl", "dreamxl", False),
        ("dreamxl", "xl", False),
        ("sub/model.safetensors [0123456789]", "sub_model", True),
        ("sub\\model", "model", True),
        ("sub_model", "model", True),
    ],
)
async def test_a_part_of_a_models_name_is_not_the_model(fake: Start, asked: str, made: str, is_made: bool) -> None:
    """AUTOMATIC1111 takes the first checkpoint that has what was asked for in its title."""
    server = fake()
    server.info = {"sd_model_name": made, "sd_model_hash": None}
    outcome = await ordered(server, job={"model": asked})
    assert isinstance(outcome, Completed) is is_made, outcome


async def test_a_grid_and_control_maps_are_left_out(fake: Start) -> None:
    server = fake()
    server.extra_images = ([PIXEL], [PIXEL, PIXEL])
    outcome = await ordered(server, width=128)
    assert Image.open(io.BytesIO(bytes_of(outcome))).size == (128, 64)


@pytest.mark.parametrize("first", [-1, 7, "1", None, True, 1.5])
async def test_a_first_picture_that_is_none_is_the_first(fake: Start, first: Any) -> None:
    server = fake()
    server.info = {"index_of_first_image": first}
    bytes_of(await ordered(server))


@pytest.mark.parametrize(
    "info",
    [
        {"all_seeds": None, "seed": "seven"},
        {"all_seeds": [], "seed": 1.5},
        {"all_seeds": [True], "seed": -1},
        {"all_seeds": [10**400]},
        {"prompt": 7, "sd_model_name": ["x"], "sd_model_hash": {}, "job_timestamp": 20261129},
    ],
)
async def test_odd_facts_of_a_picture_are_no_facts(fake: Start, info: dict[str, Any]) -> None:
    server = fake()
    server.info = info
    outcome = await ordered(server, seed=7)
    bytes_of(outcome)
    assert outcome.answer.seed == 7


async def test_the_prompt_that_was_used_is_told_if_it_is_another(fake: Start) -> None:
    server = fake()
    assert (await ordered(server)).answer.revised_prompt is None
    server.info = {"prompt": f"{PROMPT}, best quality"}
    assert (await ordered(server)).answer.revised_prompt == f"{PROMPT}, best quality"


async def test_a_large_picture_goes_to_disk(fake: Start, tmp_path: Path) -> None:
    server = fake()
    noise = io.BytesIO()
    Image.effect_noise((512, 512), 90).save(noise, "PNG")
    server.extra_images = ([], [])
    server.info = {"index_of_first_image": 1}
    server.extra_images = ([], [base64.b64encode(noise.getvalue()).decode()])
    order = image_order()
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order, tmp_path))
    assert isinstance(outcome, Completed) and isinstance(outcome.media[0], LocalFile)
    assert bytes_of(outcome) == noise.getvalue()


REFUSALS: dict[str, tuple[FailureClass | None, FailureClass | None]] = {
    "out_of_memory": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
    "cpu_out_of_memory": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
    "nans": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
    "no_sampler": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "no_sampler_400": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "no_script": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "no_always_on_script": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "bad_picture": (FailureClass.BAD_INPUT, FailureClass.BAD_INPUT),
    "no_init_image": (FailureClass.BAD_INPUT, FailureClass.BAD_INPUT),
    "no_model": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "no_model_404": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "no_api": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "bad_steps": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "bad_width": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "type_error": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
    "type_error_named": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "auth": (FailureClass.AUTH, FailureClass.AUTH),
    "rate_limit": (FailureClass.RATE_LIMITED, FailureClass.RATE_LIMITED),
    "busy": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
    "plain_500": (None, None),
    "gateway": (None, None),
    "too_large": (FailureClass.BAD_INPUT, FailureClass.BAD_INPUT),
    "moved": (FailureClass.PERMANENT, FailureClass.PERMANENT),
    "plain_error": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "cannot_read": (FailureClass.PERMANENT, FailureClass.BAD_INPUT),
    "no_results": (FailureClass.TRANSIENT, FailureClass.TRANSIENT),
}
"""What comes of each where the catalog chose all, and where the client chose steps and sampler. None: unknown."""


@pytest.mark.parametrize("fault", REFUSALS)
@pytest.mark.parametrize("place", [0, 1])
async def test_each_refusal_is_what_it_is(fake: Start, fault: str, place: int) -> None:
    server = fake()
    server.behave(fault)
    chosen = {"steps": 8, "sampler_name": "Euler a"} if place else {}
    outcome = await ordered(server, provider_options=chosen)
    wanted = REFUSALS[fault][place]
    assert (outcome.reason if isinstance(outcome, Failed) else None) is wanted, outcome
    if wanted is None:
        assert isinstance(outcome, Unknown)
    assert outcome.answer.status is not None and outcome.answer.words is not None
    assert len(server.orders()) == 1, "an order is given once"


async def test_a_pause_that_is_asked_for_is_kept(fake: Start) -> None:
    server = fake()
    server.behave("busy")
    assert (await ordered(server)).retry_after_seconds == 3


ODD_ANSWERS = {
    "none": FailureClass.TRANSIENT,
    "null": FailureClass.TRANSIENT,
    "null_in_list": FailureClass.TRANSIENT,
    "bad_base64": FailureClass.PERMANENT,
    "empty_base64": FailureClass.PERMANENT,
    "error_in_200": FailureClass.TRANSIENT,
    "memory_in_200": FailureClass.TRANSIENT,
    "page": FailureClass.PERMANENT,
    "list": FailureClass.PERMANENT,
    "number": FailureClass.PERMANENT,
    "broken_json": FailureClass.PERMANENT,
    "empty": FailureClass.PERMANENT,
}


@pytest.mark.parametrize("answer", ODD_ANSWERS)
async def test_a_success_without_a_picture_is_none(fake: Start, answer: str) -> None:
    server = fake()
    server.behave(answer)
    assert failed(await ordered(server))[0] is ODD_ANSWERS[answer]


async def test_a_lost_answer_is_unknown_and_what_never_went_out_is_not(fake: Start) -> None:
    server = fake()
    server.behave("drop")
    assert isinstance(await ordered(server), Unknown)
    assert len(server.orders()) == 1
    server.port = 9
    assert failed(await ordered(server))[0] is FailureClass.TRANSIENT


async def test_what_somebody_stopped_halfway_is_not_delivered(fake: Start) -> None:
    server = fake()
    server.behave("stopped")
    reason, detail = failed(await ordered(server))
    assert reason is FailureClass.TRANSIENT and "halfway" in detail
    bytes_of(await ordered(server))
    server.behave("stopped")
    bytes_of(await ordered(server, quirks={"tells_interrupts": False}))
    server.behave("stopped")
    server.missing = ("/sdapi/v1/progress",)
    bytes_of(await ordered(server))


async def test_another_picture_that_was_stopped_is_not_ours(fake: Start) -> None:
    server = fake()
    server.info = {"job_timestamp": "20261129000000"}
    server.behave("stopped")
    bytes_of(await ordered(server))


@pytest.mark.parametrize(
    ("quirks", "asked"),
    [
        ({}, "/internal/progress"),
        ({"progress": "alone", "limits": {"concurrency": 1}}, "/sdapi/v1/progress"),
    ],
)
async def test_it_tells_how_far_its_own_picture_is(
    fake: Start, monkeypatch: pytest.MonkeyPatch, quirks: dict[str, Any], asked: str
) -> None:
    monkeypatch.setattr(progress, "PAUSE_SECONDS", 0.01)
    server, told, order = fake(), list[float](), image_order()
    server.is_held = True
    async with provider_of(server, **quirks) as provider:
        making = asyncio.create_task(provider.submit(order, job_of(order, progress=told)))
        async with asyncio.timeout(10):
            while not told:
                await asyncio.sleep(0.01)
        server.is_held = False
        bytes_of(await making)
    assert set(told) == {0.25}
    assert asked in {call.path for call in server.calls if not call.is_order}


async def test_the_progress_of_somebody_elses_picture_is_not_told(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE_SECONDS", 0.01)
    server, told, order = fake(), list[float](), image_order()
    server.is_held, server.progress_of_others = True, 0.9
    async with provider_of(server) as provider:
        ours = [job_of(order, id_="req-7", progress=list[float]()), job_of(order, progress=told)]
        first = asyncio.create_task(provider.submit(order, ours[0]))
        async with asyncio.timeout(10):
            while server.task != "req-7":
                await asyncio.sleep(0.01)
            second = asyncio.create_task(provider.submit(order, ours[1]))
            asked = {"id_task": "req-1", "live_preview": False}
            while sum(call.body == asked for call in server.calls) < 3:
                await asyncio.sleep(0.01)
        assert told == []
        server.is_held = False
        bytes_of(await first)
        bytes_of(await second)


async def test_a_server_that_tells_no_progress_is_asked_once(fake: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE_SECONDS", 0.01)
    server, order = fake(), image_order()
    server.missing = ("/internal/progress",)
    server.is_held = True
    async with provider_of(server) as provider:
        making = asyncio.create_task(provider.submit(order, job_of(order)))
        await asyncio.sleep(0.3)
        server.is_held = False
        bytes_of(await making)
    assert len([call for call in server.calls if call.path == "/internal/progress"]) == 1


async def test_it_can_be_given_again_and_can_neither_be_asked_nor_stopped(fake: Start) -> None:
    async with provider_of(fake()) as provider:
        assert isinstance(provider, Repeatable) and provider.repeatable
        assert not isinstance(provider, Pollable | Cancelable | Findable)
    async with provider_of(fake(), repeatable=False) as provider:
        assert not provider.repeatable


async def test_a_video_is_not_ordered_here(fake: Start) -> None:
    server, order = fake(), video_order()
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order, options=Options(engine="WAN Video")))
    assert failed(outcome)[0] is FailureClass.PERMANENT and server.orders() == []


async def test_sdnext_without_jobs_is_as_the_webui(fake: Start) -> None:
    server = fake("sdnext")
    async with provider_of(server, jobs=False) as provider:
        assert not isinstance(provider, Pollable | Cancelable)
    outcome = await ordered(server, "reference_image", quirks={"jobs": False})
    bytes_of(outcome)
    call = server.orders()[-1]
    assert call.path == "/sdapi/v1/img2img" and call.body["save_images"] is False
    assert "force_task_id" not in call.body and outcome.answer.seed == call.body["seed"]
    gone = await ordered(server, quirks={"jobs": False}, job={"model": "no-such-model"})
    assert failed(gone)[0] is FailureClass.PERMANENT
