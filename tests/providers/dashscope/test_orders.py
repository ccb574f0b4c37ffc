"""What is asked for reaches the API in its own words, or the order fails."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted, Completed, Failed, FailureClass
from tests.providers.dashscope.fake import KEY, Fake
from tests.providers.dashscope.studio import IMAGE, PICTURE_URL, VIDEO, catalog_of, check, job, order, provider_of

QUIET = {"prompt_extend": False, "watermark": False}


async def body_of(fake: Fake, *given: Any) -> Any:
    """The body that an order comes to; it is taken."""
    async with provider_of(fake) as provider:
        outcome = await provider.submit(*given)
    assert isinstance(outcome, Accepted | Completed), outcome
    return fake.sent[-1]


async def test_a_picture_is_ordered_in_a_message_and_answered_at_once(fake: Fake) -> None:
    asked = order(IMAGE, "reference_image", "reference_image", seed=7, negative_prompt="fog")
    sent = await body_of(fake, asked, job())
    assert sent.api == "multimodal-generation/generation"
    assert sent.body == {
        "model": "qwen-image-plus",
        "input": {
            "messages": [
                {"role": "user", "content": [{"image": PICTURE_URL}, {"image": PICTURE_URL}, {"text": "a fox"}]}
            ]
        },
        "parameters": {**QUIET, "size": "64*64", "n": 1, "seed": 7, "negative_prompt": "fog"},
    }
    assert "x-dashscope-async" not in sent.headers
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "x-dashscope-workspace" not in sent.headers


async def test_a_picture_is_ordered_as_a_task(fake: Fake) -> None:
    sent = await body_of(fake, order(seed=0, negative_prompt="fog"), job(model="wan2.2-t2i-flash"))
    assert sent.api == "text2image/image-synthesis"
    assert sent.body == {
        "model": "wan2.2-t2i-flash",
        "input": {"prompt": "a fox", "negative_prompt": "fog"},
        "parameters": {**QUIET, "size": "64*64", "n": 1, "seed": 0},
    }
    assert sent.headers["x-dashscope-async"] == "enable"


async def test_a_clip_is_ordered_as_a_task(fake: Fake) -> None:
    sent = await body_of(fake, order(VIDEO, sound=False, seed=7), job(VIDEO, "wan2.6-t2v"))
    assert sent.api == "video-generation/video-synthesis"
    assert sent.body == {
        "model": "wan2.6-t2v",
        "input": {"prompt": "a fox"},
        "parameters": {**QUIET, "size": "1280*720", "duration": 2, "audio": False, "seed": 7},
    }


@pytest.mark.parametrize(
    ("model", "roles", "api", "given"),
    [
        (
            "wan2.5-i2i-preview",
            ["reference_image"] * 2,
            "image2image/image-synthesis",
            {"images": [PICTURE_URL, PICTURE_URL]},
        ),
        ("wanx2.1-imageedit", ["reference_image"], "image2image/image-synthesis", {"base_image_url": PICTURE_URL}),
        ("wan2.6-i2v-flash", ["first_frame"], "video-generation/video-synthesis", {"img_url": PICTURE_URL}),
        (
            "wan2.6-r2v",
            ["reference_image"],
            "video-generation/video-synthesis",
            {"reference_urls": [PICTURE_URL]},
        ),
        (
            "wan2.2-kf2v-flash",
            ["first_frame", "last_frame"],
            "image2video/video-synthesis",
            {"first_frame_url": PICTURE_URL, "last_frame_url": PICTURE_URL},
        ),
        *(
            (
                model,
                ["first_frame", "last_frame"],
                "video-generation/video-synthesis",
                {
                    "media": [
                        {"type": "first_frame", "url": PICTURE_URL},
                        {"type": "last_frame", "url": PICTURE_URL},
                    ]
                },
            )
            for model in ("wan2.7-i2v", "wan3.0-video", "happyhorse-1.1-i2v", "wan2.10-i2v")
        ),
    ],
)
async def test_pictures_go_where_models_of_that_name_take_them(
    fake: Fake, model: str, roles: list[Any], api: str, given: dict[str, Any]
) -> None:
    type_ = VIDEO if "frame" in roles[0] or "r2v" in model else IMAGE
    sent = await body_of(fake, order(type_, *roles), job(type_, model))
    assert sent.api == api
    assert sent.input == {"prompt": "a fox", **given}


@pytest.mark.parametrize(
    ("model", "word", "size"),
    [
        ("wan2.6-t2v", None, {"size": "1280*720"}),
        ("wan2.6-t2v", "832*480", {"size": "832*480"}),
        ("wan2.6-i2v", None, {"resolution": "720P"}),
        ("wan2.6-i2v", "1080P", {"resolution": "1080P"}),
        ("wan2.7-i2v", None, {"resolution": "720P"}),
        ("wan2.7-t2v", None, {"resolution": "720P", "ratio": "16:9"}),
        ("happyhorse-1.0-t2v", "1080P 9:16", {"resolution": "1080P", "ratio": "9:16"}),
    ],
)
async def test_a_size_is_said_as_models_of_that_name_take_it(
    fake: Fake, model: str, word: str | None, size: dict[str, str]
) -> None:
    sent = await body_of(fake, order(VIDEO), job(VIDEO, model, size_word=word))
    assert {name: sent.parameters.get(name) for name in ("size", "resolution", "ratio")} == {
        "size": None,
        "resolution": None,
        "ratio": None,
        **size,
    }


async def test_a_binding_says_otherwise_than_the_name(fake: Fake) -> None:
    options = {
        "api": "image2video",
        "inputs": {"first_frame": "first_frame_url"},
        "size": "resolution-ratio",
        "sound": "audio",
        "prompt_extend": True,
        "unsaid": ("watermark",),
        "parameters": {"shot_type": "multi"},
        "input": {"template": "flying"},
    }
    given = job(VIDEO, "a-model-of-tomorrow", options=options)
    sent = await body_of(fake, order(VIDEO, "first_frame", sound=True), given)
    assert sent.api == "image2video/video-synthesis"
    assert sent.input == {"template": "flying", "prompt": "a fox", "first_frame_url": PICTURE_URL}
    assert sent.parameters == {
        "prompt_extend": True,
        "shot_type": "multi",
        "resolution": "720P",
        "ratio": "16:9",
        "duration": 2,
        "audio": True,
    }


async def test_a_model_is_not_told_what_it_does_not_know(fake: Fake) -> None:
    options = {"unsaid": ("n", "prompt_extend", "watermark")}
    sent = await body_of(fake, order(), job(options=options))
    assert sent.parameters == {"size": "64*64"}


async def test_options_of_a_request_go_into_parameters_or_input_and_under_the_order(fake: Fake) -> None:
    asked = order(VIDEO, provider_options={"shot_type": "multi", "audio_url": "https://example.com/a.mp3"})
    sent = await body_of(fake, asked, job(VIDEO, "wan2.6-t2v", options={"parameters": {"shot_type": "single"}}))
    assert sent.input["audio_url"] == "https://example.com/a.mp3"
    assert sent.parameters["shot_type"] == "multi", "the request's wins over the binding's"
    asked = order(VIDEO, provider_options={"function": "x", "template": "flying", "prompt_extend": True})
    options = {"input_options": ("function",)}
    sent = await body_of(fake, asked, job(VIDEO, "wan2.6-t2v", options=options))
    assert (sent.input["function"], sent.input["template"]) == ("x", "flying")
    assert sent.parameters["prompt_extend"] is True, "whoever asks for it, has it"


async def test_pictures_go_by_link_where_the_connection_says_so(fake: Fake) -> None:
    async with provider_of(fake, references="link", workspace="ws-1") as provider:
        await provider.submit(order(VIDEO, "first_frame"), job(VIDEO, "wan2.6-i2v"))
    assert fake.sent[0].input["img_url"] == "http://127.0.0.1:1/reference/0"
    assert fake.sent[0].headers["x-dashscope-workspace"] == "ws-1"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ((order(seed=2**31), job()), FailureClass.BAD_INPUT),
        ((order(IMAGE, "reference_image"), job(model="wan2.2-t2i-flash")), FailureClass.PERMANENT),
        ((order(VIDEO, "last_frame"), job(VIDEO, "wan2.6-i2v")), FailureClass.PERMANENT),
        ((order(VIDEO, "first_frame", "first_frame"), job(VIDEO, "wan2.6-i2v")), FailureClass.PERMANENT),
        ((order(VIDEO), job(VIDEO, "wan2.7-t2v", size_word="720P")), FailureClass.PERMANENT),
        ((order(VIDEO), job(VIDEO, "wan2.6-t2v", size_word="1280x720")), FailureClass.PERMANENT),
        ((order(VIDEO), job(VIDEO, "wan2.7-i2v", size_word="720P 16:9")), FailureClass.PERMANENT),
        ((order(VIDEO), job(VIDEO, options={"api": "multimodal"})), FailureClass.PERMANENT),
        ((order(), job(options={"api": "video-synthesis"})), FailureClass.PERMANENT),
        ((order(provider_options={"size": "4K"}), job()), FailureClass.PERMANENT),
        ((order(provider_options={"n": 4}), job()), FailureClass.PERMANENT),
        ((order(VIDEO, provider_options={"img_url": "https://a"}), job(VIDEO, "wan2.6-i2v")), FailureClass.PERMANENT),
        (
            (order(VIDEO, sound=False, provider_options={"audio": True}), job(VIDEO, "wan2.6-t2v")),
            FailureClass.PERMANENT,
        ),
    ],
)
async def test_what_cannot_be_said_is_not_ordered(fake: Fake, given: Any, reason: FailureClass) -> None:
    async with provider_of(fake) as provider:
        outcome = await provider.submit(*given)
    assert isinstance(outcome, Failed) and outcome.reason is reason and outcome.detail, outcome
    assert not fake.sent


def a_video(name: str, **more: Any) -> dict[str, Any]:
    binding = {"model": name, **more.pop("binding", {})}
    return {"type": "video", "resolutions": ["720p"], "binding": binding, **more}


@pytest.mark.parametrize(
    ("model", "option"),
    [
        ({"binding": {"options": {"api": "video-synthesis"}}}, "api"),
        (a_video("wan2.6-t2v", binding={"options": {"api": "multimodal"}}), "api"),
        ({"binding": {"options": {"inputs": {"reference_image": "images[]"}}}}, "inputs"),
        ({"binding": {"model": "wan2.2-t2i-flash"}, "references": {"reference_image": 1}}, "inputs"),
        (a_video("wan2.6-i2v", references={"last_frame": 1}), "inputs"),
        (
            a_video(
                "x", references={"reference_image": 2}, binding={"options": {"inputs": {"reference_image": "ref_img"}}}
            ),
            "inputs",
        ),
        (
            a_video(
                "x",
                references={"first_frame": 1, "last_frame": 1},
                binding={"options": {"inputs": {"first_frame": "img_url", "last_frame": "img_url"}}},
            ),
            "inputs",
        ),
        (a_video("wan2.6-i2v", aspect_ratios=["16:9", "9:16"]), "size"),
        (a_video("wan2.6-t2v", binding={"sizes": {"720p": {"1:1": "64x64"}}}), "size"),
        (a_video("wan2.7-t2v", binding={"sizes": {"720p": {"1:1": "720P"}}}), "size"),
        ({"binding": {"provider_options": ["seed"]}}, "parameters"),
        ({"binding": {"provider_options": ["first_frame_url"]}}, "parameters"),
        (
            a_video(
                "x",
                references={"first_frame": 1},
                binding={"provider_options": ["start"], "options": {"inputs": {"first_frame": "start"}}},
            ),
            "parameters",
        ),
        (a_video("wan2.6-t2v", supports_sound=True, binding={"provider_options": ["audio"]}), "parameters"),
        (
            a_video("wan2.6-t2v", supports_sound=True, binding={"options": {"parameters": {"audio": True}}}),
            "parameters",
        ),
        (a_video("wan2.7-t2v", binding={"options": {"parameters": {"ratio": "1:1"}}}), "parameters"),
    ],
)
def test_what_a_binding_could_not_say_is_found_beforehand(model: dict[str, Any], option: str) -> None:
    if model.get("supports_sound"):
        sounds = ("sound_on", "sound_off")
        model = {**model, "rates": [{"unit_price": "0.05", "sound": sound} for sound in sounds]}
    catalog = catalog_of(**model)
    with pytest.raises(ConfigurationError, match=rf"bindings\[0\]\.options\.{option}: "):
        check(catalog)


def test_a_word_that_stands_for_several_sizes_tells_none() -> None:
    words = {"1K": {"1:1": "1024*1024", "16:9": "1024*1024"}}
    with pytest.raises(ConfigurationError, match=r"bindings\[0\]\.sizes: '1024\*1024' stands for several"):
        check(catalog_of(aspect_ratios=["1:1", "16:9"], binding={"sizes": words}))


@pytest.mark.parametrize(
    "model",
    [
        {"references": {"reference_image": 3}},
        {"binding": {"model": "wan2.5-i2i-preview"}, "references": {"reference_image": 2}},
        a_video("wan2.7-i2v", references={"first_frame": 1, "last_frame": 1}),
        a_video("wan2.6-r2v", references={"reference_image": 3}),
        a_video("wan2.6-t2v", aspect_ratios=["16:9", "9:16"]),
        a_video("wan2.6-i2v", references={"first_frame": 1}, binding={"options": {"parameters": {"audio": False}}}),
        a_video("x", binding={"provider_options": ["shot_type", "audio_url", "prompt_extend"]}),
    ],
)
def test_what_a_binding_can_say_is_let_through(model: dict[str, Any]) -> None:
    check(catalog_of(**model))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api": "text2image"}, "options.api"),
        ({"parameters": {"size": "4K"}}, "an order says size by itself"),
        ({"input": {"img_url": "https://a"}}, "an order says img_url by itself"),
        ({"inputs": {"first_frame": "Img Url"}}, "the name of an input"),
        ({"inputs": {"middle_frame": "img_url"}}, "middle_frame"),
        ({"inputs": {"first_frame": "prompt"}}, "prompt is something else"),
        ({"sound": "size"}, "size is something else"),
        ({"unsaid": ["size"]}, "unsaid"),
        ({"steps": 4}, "there is no such key"),
    ],
)
def test_options_are_read_strictly(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words.replace("[", r"\[")):
        catalog_of(binding={"options": options})


def test_a_connection_has_an_address_and_needs_a_key() -> None:
    settings: Any = catalog_of().connections["theirs"].settings
    assert settings.base_url == "https://dashscope-intl.aliyuncs.com/api/v1"
    with pytest.raises(ConfigurationError, match="key"):
        catalog_of({"key": "sk-itself"})
    with pytest.raises(ConfigurationError, match="workspace"):
        catalog_of({"workspace": "a b"})
