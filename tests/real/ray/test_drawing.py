"""What is made of a pipeline's answers, with stand-ins for pipelines: no Ray, and no weights."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import av
import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from safelight.domain.pipelines import Pipeline, Task, WarmUp
from safelight.model_server import replica as replicas
from safelight.model_server.drawing import CannotMake, Stopped, make
from safelight.model_server.loading import CannotLoad, Loaded
from safelight.model_server.replica import PipelineReplica
from safelight.model_server.work import Event, Fault, Made, NotMade, Started, Step, Work

_RATE = 16_000
_IMAGE_MODEL = Pipeline(name="fox", source="owner/fox", tasks=(Task.TEXT_TO_IMAGE,), gpus=0)
_CLIP_MODEL = Pipeline(name="clip", source="owner/clip", tasks=(Task.TEXT_TO_VIDEO,), gpus=0, fps=8)

Answer = Callable[["StandIn", dict[str, Any]], Any]


class StandIn:
    """A pipeline on the processor, as far as the model server uses one. Its ``answer`` is the output of a call."""

    vae_scale_factor = 8
    vae_scale_factor_temporal = 4

    def __init__(self, answer: Answer, *, timesteps: int | None = 4, vocoder: Any = None, checker: Any = None) -> None:
        self.answer = answer
        self.components: dict[str, Any] = {"vocoder": vocoder, "safety_checker": checker}
        self.vocoder = vocoder
        self.safety_checker = checker
        if timesteps is not None:
            self.num_timesteps = timesteps
        self.steps_run = 0
        self.told: dict[str, Any] = {}
        self.done: list[str] = []

    def _call(self, arguments: dict[str, Any]) -> Any:
        self.told = arguments
        for index in range(getattr(self, "num_timesteps", 3)):
            self.steps_run += 1
            arguments["callback_on_step_end"](self, index, torch.tensor(index), {})
        return self.answer(self, arguments)

    def set_progress_bar_config(self, **_: Any) -> None: ...

    def to(self, device: str) -> None:
        self.done.append(f"to {device}")

    def enable_model_cpu_offload(self) -> None:
        self.done.append("offload")

    def maybe_free_model_hooks(self) -> None:
        self.done.append("free")


class TextStandIn(StandIn):
    def __call__(
        self,
        prompt: str,
        width: int | None = None,
        height: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int = 4,
        generator: Any = None,
        output_type: str = "pil",
        callback_on_step_end: Any = None,
        callback_on_step_end_tensor_inputs: Any = None,
    ) -> Any:
        return self._call({name: value for name, value in locals().items() if name != "self"})


class ImageStandIn(StandIn):
    def __call__(
        self,
        prompt: str,
        image: Any,
        strength: float = 0.5,
        num_inference_steps: int = 4,
        generator: Any = None,
        output_type: str = "pil",
        callback_on_step_end: Any = None,
        callback_on_step_end_tensor_inputs: Any = None,
    ) -> Any:
        return self._call({name: value for name, value in locals().items() if name != "self"})


def picture(size: tuple[int, int] = (64, 64), colour: str = "orange", **flags: Any) -> Any:
    return SimpleNamespace(images=[Image.new("RGB", size, colour)], **flags)


def clip(frames: int, *, value: float = 0.5, size: tuple[int, int] = (64, 64), **more: Any) -> Any:
    return SimpleNamespace(frames=np.full((1, frames, size[1], size[0], 3), value, dtype="float32"), **more)


def sound_of(seconds: float, channels: int = 2) -> torch.Tensor:
    """A tone of 440 Hz, (1, channels, samples), as a vocoder gives it."""
    tone = torch.sin(torch.arange(round(seconds * _RATE)) * (2 * torch.pi * 440 / _RATE))
    return tone.repeat(1, channels, 1).to(torch.bfloat16)


def vocoder() -> Any:
    return SimpleNamespace(config=SimpleNamespace(output_sampling_rate=_RATE))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[StandIn, Pipeline], Loaded]:
    """It is loaded as weights are, where the hub's answer is the stand-in."""

    def loaded(pipe: StandIn, pipeline: Pipeline) -> Loaded:
        monkeypatch.setattr(diffusers.DiffusionPipeline, "from_pretrained", lambda source, **_: pipe)
        return Loaded(pipeline, Path("/nowhere"))

    return loaded


Load = Callable[[StandIn, Pipeline], Loaded]


def order(**more: Any) -> Work:
    return Work(**{"id": "a", "task": Task.TEXT_TO_IMAGE, "prompt": "a fox", "seed": 1, **more})


def a_clip(**more: Any) -> Work:
    return order(task=Task.TEXT_TO_VIDEO, **more)


def made(loaded: Loaded, work: Work) -> Made:
    return make(loaded, work, lambda step: None, lambda: False)


def fault_of(loaded: Loaded, work: Work) -> Fault:
    with pytest.raises(CannotMake) as caught:
        made(loaded, work)
    return caught.value.fault


def raises(error: BaseException) -> Answer:
    def answer(pipe: StandIn, told: dict[str, Any]) -> NoReturn:
        raise error

    return answer


@pytest.mark.parametrize(
    "flags",
    [
        {"nsfw_content_detected": [True]},
        {"nsfw_content_detected": [False, True]},
        {"nsfw_content_detected": True},
        {"nsfw_content_detected": np.array([False, True])},
        {"nsfw_content_detected": torch.tensor([True])},
        {"nsfw_detected": [True], "watermark_detected": [False]},
        {"nsfw_detected": [False], "watermark_detected": [True]},
    ],
)
@pytest.mark.parametrize("colour", ["black", "orange"])
def test_what_a_safety_checker_flags_is_not_delivered(load: Load, flags: dict[str, Any], colour: str) -> None:
    loaded = load(TextStandIn(lambda pipe, told: picture(colour=colour, **flags)), _IMAGE_MODEL)
    fault = fault_of(loaded, order(width=64, height=64))
    assert (fault.code, fault.type) == ("moderation_blocked", "invalid_request_error")


@pytest.mark.parametrize("flags", [{}, {"nsfw_content_detected": None}, {"nsfw_content_detected": [False]}])
def test_what_is_not_flagged_is_delivered(load: Load, flags: dict[str, Any]) -> None:
    checked = TextStandIn(lambda pipe, told: picture(**flags), checker=object())
    done = made(load(checked, _IMAGE_MODEL), order(width=64, height=64))
    assert Image.open(io.BytesIO(done.data)).getpixel((9, 9)) == (255, 165, 0)
    assert (done.mime_type, done.width, done.height) == ("image/png", 64, 64)


@pytest.mark.parametrize(("checker", "code"), [(object(), "moderation_blocked"), (None, "black_output")])
def test_black_is_not_delivered_where_no_flag_tells(load: Load, checker: Any, code: str) -> None:
    loaded = load(TextStandIn(lambda pipe, told: picture(colour="black"), checker=checker), _IMAGE_MODEL)
    assert fault_of(loaded, order()).code == code
    for value in (0.0, float("nan")):
        black = TextStandIn(lambda pipe, told, value=value: clip(9, value=value), checker=checker)
        assert fault_of(load(black, _CLIP_MODEL), a_clip(frames=9)).code == code


def test_one_pixel_that_is_not_black_is_a_picture(load: Load) -> None:
    night = picture(colour="black")
    night.images[0].putpixel((5, 5), (0, 0, 1))
    assert made(load(TextStandIn(lambda pipe, told: night), _IMAGE_MODEL), order()).width == 64


def test_a_prompt_that_a_guardrail_refuses_is_told_as_content_policy(load: Load) -> None:
    refusal = ValueError("Cosmos Guardrail detected unsafe text in the prompt: a fox. Please ensure")
    fault = fault_of(load(TextStandIn(raises(refusal)), _IMAGE_MODEL), order())
    assert fault.code == "moderation_blocked" and "a fox" not in fault.message
    other = fault_of(load(TextStandIn(raises(ValueError("`width` is odd\nmore"))), _IMAGE_MODEL), order())
    assert (other.code, other.message) == ("invalid_request", "`width` is odd")


def test_a_pipeline_that_rescales_silently_is_found_out(load: Load) -> None:
    loaded = load(TextStandIn(lambda pipe, told: picture((56, 64))), _IMAGE_MODEL)
    fault = fault_of(loaded, order(width=64, height=64))
    assert (fault.code, fault.type, fault.status) == ("wrong_size", "server_error", 500)
    assert "64x64 was ordered, and the pipeline made 56x64" in fault.message
    assert made(loaded, order()).width == 56, "its own size is any"
    small = load(TextStandIn(lambda pipe, told: clip(9, size=(64, 32))), _CLIP_MODEL)
    assert fault_of(small, a_clip(width=64, height=64, frames=9)).code == "wrong_size"


_OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", _OUT_OF_MEMORY, ids=lambda error: str(error)[:24] or "MemoryError")
async def test_a_replica_goes_on_after_it_ran_out_of_memory(
    load: Load, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    pipe = TextStandIn(raises(error))
    monkeypatch.setattr(replicas, "Loaded", lambda pipeline, folder: load(pipe, pipeline))
    replica = PipelineReplica(_IMAGE_MODEL, "/nowhere")
    work = order(width=64, height=64)
    end = (await events_of(replica, work))[-1]
    assert isinstance(end, NotMade)
    assert (end.fault.code, end.fault.type, end.fault.status) == ("out_of_memory", "server_error", 500)
    assert "model fox does not fit: 64x64 needs more memory" in end.fault.message
    assert pipe.done[-1] == "free", "what it offloads is back before the next order"
    pipe.answer = lambda pipe, told: picture()
    monkeypatch.setattr(replicas, "_TOLD_EVERY_SECONDS", 0.0)
    events = await events_of(replica, work)
    assert isinstance(events[0], Started) and isinstance(events[-1], Made)
    assert events[1:-1] == [Step(1, 4), Step(2, 4), Step(3, 4), Step(4, 4)]
    monkeypatch.setattr(replicas, "_TOLD_EVERY_SECONDS", 60.0)
    assert (await events_of(replica, work))[1:-1] == [Step(1, 4)], "steps that take no time are not all told"


async def events_of(replica: PipelineReplica, work: Work) -> list[Event]:
    return [event async for event in replica.run(work)]


async def test_another_fault_of_the_pipeline_is_no_lack_of_memory(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = TextStandIn(raises(RuntimeError("mat1 and mat2 shapes cannot be multiplied")))
    monkeypatch.setattr(replicas, "Loaded", lambda pipeline, folder: load(pipe, pipeline))
    replica = PipelineReplica(_IMAGE_MODEL, "/nowhere")
    end = (await events_of(replica, order()))[-1]
    assert isinstance(end, NotMade) and end.fault.code == "server_error"
    pipe.answer = raises(KeyError("a fox"))
    end = (await events_of(replica, order()))[-1]
    assert isinstance(end, NotMade) and end.fault.code == "server_error"
    assert "KeyError at test_drawing.py" in end.fault.message and "a fox" not in end.fault.message


def test_a_warm_up_that_does_not_fit_is_told_as_a_load_that_failed(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = TextStandIn(raises(torch.OutOfMemoryError("CUDA out of memory")))
    monkeypatch.setattr(replicas, "Loaded", lambda pipeline, folder: load(pipe, pipeline))
    warm = Pipeline(name="fox", source="owner/fox", tasks=(Task.TEXT_TO_IMAGE,), gpus=0, warm_up=WarmUp(size="64x64"))
    with pytest.raises(CannotLoad, match="warm_up of fox: model fox does not fit"):
        PipelineReplica(warm, "/nowhere")


def streams_of(data: bytes) -> tuple[int, int, float, int]:
    """Pictures, channels of sound, seconds of it, and its loudest sample of 32768."""
    with av.open(io.BytesIO(data)) as file:
        pictures = sum(1 for _ in file.decode(video=0))
    with av.open(io.BytesIO(data)) as file:
        if not file.streams.audio:
            return pictures, 0, 0.0, 0
        stream = file.streams.audio[0]
        heard = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
        return pictures, stream.channels, heard.shape[1] / stream.rate, round(float(np.abs(heard).max()) * 32768)


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_is_in_the_clip_and_ends_with_it(load: Load, channels: int) -> None:
    """Nine frames are made, eight of them are kept: one second, of a pipeline that made two of sound."""
    audio = sound_of(2, channels)
    loaded = load(TextStandIn(lambda pipe, told: clip(9, audio=audio), vocoder=vocoder()), _CLIP_MODEL)
    assert loaded.facts.makes_sound
    for sound in (True, None):
        done = made(loaded, a_clip(seconds=1, sound=sound))
        pictures, heard, seconds, loudest = streams_of(done.data)
        assert (pictures, heard, done.duration_seconds) == (8, 2, 1.0)
        assert seconds == pytest.approx(1, abs=2 * 1024 / _RATE), "AAC has frames of 1024 samples"
        assert loudest > 20_000
    silent = made(loaded, a_clip(seconds=1, sound=False))
    assert streams_of(silent.data) == (8, 0, 0.0, 0)


def test_sound_whose_rate_the_pipeline_itself_tells(load: Load) -> None:
    pipe = TextStandIn(lambda pipe, told: clip(9, audio=sound_of(1, 1)[:, 0].float().numpy()), vocoder=object())
    pipe.audio_sample_rate = _RATE  # type: ignore[attr-defined]
    assert streams_of(made(load(pipe, _CLIP_MODEL), a_clip(frames=9, sound=True)).data)[1] == 2


def test_sound_that_was_ordered_and_is_not_there_is_no_clip(load: Load) -> None:
    mute = load(TextStandIn(lambda pipe, told: clip(9, audio=None), vocoder=vocoder()), _CLIP_MODEL)
    fault = fault_of(mute, a_clip(frames=9, sound=True))
    assert (fault.code, fault.type) == ("no_sound", "server_error")
    assert made(mute, a_clip(frames=9)).duration_seconds == 9 / 8
    without = load(TextStandIn(lambda pipe, told: clip(9)), _CLIP_MODEL)  # an optional vocoder, not there
    assert not without.facts.makes_sound
    assert fault_of(without, a_clip(frames=9, sound=True)).code == "unsupported_parameter"


@pytest.mark.parametrize(
    ("length", "told", "kept"),
    [({"seconds": 1}, 9, 8), ({"seconds": 2}, 17, 16), ({"seconds": 0.1}, 1, 1), ({"frames": 5}, 5, 5), ({}, None, 21)],
)
def test_a_clip_is_cut_to_the_length_that_was_ordered(
    load: Load, length: dict[str, Any], told: int | None, kept: int
) -> None:
    pipe = TextStandIn(lambda pipe, arguments: clip(arguments["num_frames"] or 21))
    done = made(load(pipe, _CLIP_MODEL), a_clip(**length))
    assert pipe.told["num_frames"] == told
    assert (streams_of(done.data)[0], done.duration_seconds) == (kept, kept / 8)


def test_a_clip_that_is_too_short_is_not_delivered(load: Load) -> None:
    loaded = load(TextStandIn(lambda pipe, told: clip(5)), _CLIP_MODEL)
    fault = fault_of(loaded, a_clip(seconds=1))
    assert (fault.code, fault.type) == ("wrong_length", "server_error")
    assert "8 frames were ordered, and the pipeline made 5" in fault.message


@pytest.mark.parametrize(
    ("timesteps", "ordered", "totals"),
    [(2, 4, [2, 2]), (5, 3, [5] * 5), (None, 8, [8] * 3), (None, None, [1, 2, 3])],
)
def test_progress_counts_the_steps_that_are_run(
    load: Load, timesteps: int | None, ordered: int | None, totals: list[int]
) -> None:
    """By strength fewer, by some schedulers more than were ordered; and some pipelines do not tell."""
    loaded = load(TextStandIn(lambda pipe, told: picture(), timesteps=timesteps), _IMAGE_MODEL)
    steps: list[Step] = []
    make(loaded, order(steps=ordered), steps.append, lambda: False)
    assert steps == [Step(done, total) for done, total in enumerate(totals, 1)]


@pytest.mark.parametrize("last", [0, 2])
def test_what_was_offloaded_is_back_after_a_cancel(load: Load, last: int) -> None:
    pipe = TextStandIn(lambda pipe, told: picture())
    offloaded = Pipeline(name="fox", source="owner/fox", tasks=(Task.TEXT_TO_IMAGE,), gpus=0, offload="model")
    loaded = load(pipe, offloaded)
    with pytest.raises(Stopped):
        make(loaded, order(), lambda step: None, lambda: pipe.steps_run >= last)
    assert pipe.steps_run == last
    assert pipe.done == ["offload", "free"]
    assert made(loaded, order()).width == 64
    assert pipe.done == ["offload", "free", "free"]


@pytest.mark.parametrize("offload", ["none", "model"])
def test_a_pipeline_that_makes_no_image_of_an_image_is_not_loaded(load: Load, offload: Any) -> None:
    both = Pipeline(
        name="fox", source="owner/fox", tasks=(Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE), gpus=0, offload=offload
    )
    pipe = TextStandIn(lambda pipe, told: picture())
    with pytest.raises(CannotLoad, match=r"TextStandIn, which owner/fox is, has no image-to-image"):
        load(pipe, both)
    assert pipe.done == [], "nothing was placed"
    with pytest.raises(CannotLoad, match=r"ImageStandIn, which owner/fox is, has no text-to-image"):
        load(ImageStandIn(lambda pipe, told: picture()), both)


def test_an_image_is_fitted_where_its_pipeline_takes_no_size(load: Load) -> None:
    only = Pipeline(name="fox", source="owner/fox", tasks=(Task.IMAGE_TO_IMAGE,), gpus=0)
    pipe = ImageStandIn(lambda pipe, told: SimpleNamespace(images=[told["image"]]))
    file = io.BytesIO()
    Image.new("RGB", (300, 100), "orange").save(file, "png")
    work = order(task=Task.IMAGE_TO_IMAGE, images=(file.getvalue(),), width=64, height=32, strength=0.25)
    done = made(load(pipe, only), work)
    assert (done.width, done.height, pipe.told["strength"]) == (64, 32, 0.25)
    torn = order(task=Task.IMAGE_TO_IMAGE, images=(file.getvalue()[:40],))
    assert fault_of(load(pipe, only), torn).code == "invalid_image"
