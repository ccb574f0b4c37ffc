"""One order, made by a loaded pipeline: the call, its steps, and the file."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import encode_video
from PIL import Image, ImageOps

from safelight.domain.generations import GenerationType
from safelight.domain.media import MIME_OF_FORMAT
from safelight.model_server.loading import Loaded
from safelight.model_server.pictures import Unreadable, opened
from safelight.model_server.work import Fault, Made, Step, Work, fault_of, frames_of, server_fault

_QUALITY = 95
_FLAGS = ("nsfw_content_detected", "nsfw_detected", "watermark_detected")
_OUT_OF_MEMORY = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED")


class Stopped(Exception):
    """It was stopped between two steps."""


class CannotMake(Exception):
    """Nothing was made; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def make(loaded: Loaded, work: Work, on_step: Callable[[Step], None], is_stopped: Callable[[], bool]) -> Made:
    """Make it, in this thread. Raises ``CannotMake`` or ``Stopped``."""
    if (fault := fault_of(work, loaded.pipeline, loaded.facts)) is not None:
        raise CannotMake(fault)
    pipe = loaded.for_task(work.task)
    started = time.monotonic()
    try:
        arguments = _arguments(loaded, work, pipe)
        _watch_steps(arguments, loaded, work, on_step, is_stopped)
        with torch.inference_mode():
            output = pipe(**arguments)
    except Stopped:
        raise
    except (ValueError, TypeError) as error:  # what a pipeline refuses of its arguments
        is_guardrail = "guardrail detected" in str(error).lower()
        raise CannotMake(_blocked() if is_guardrail else _refused(error)) from error
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        raise CannotMake(_of_runtime(error, loaded, work)) from error
    finally:
        pipe.maybe_free_model_hooks()
    compute_seconds = time.monotonic() - started
    if any(_is_set(getattr(output, flag, None)) for flag in _FLAGS):
        raise CannotMake(_blocked())
    if work.task.makes is GenerationType.VIDEO:
        return _clip(loaded, work, pipe, output, compute_seconds)
    return _picture(work, pipe, output, compute_seconds)


def _arguments(loaded: Loaded, work: Work, pipe: Any) -> dict[str, Any]:
    """What the pipeline is called with. What an order says wins over the catalog."""
    pipeline, known = loaded.pipeline, loaded.facts.arguments[work.task]
    told: dict[str, Any] = dict(pipeline.call) | work.options | {"prompt": work.prompt}
    told["generator"] = torch.Generator("cpu").manual_seed(work.seed)
    steps, guidance = work.steps or pipeline.steps, pipeline.guidance if work.guidance is None else work.guidance
    for name, value in (
        ("negative_prompt", work.negative_prompt),
        ("num_inference_steps", steps),
        ("guidance_scale", guidance),
        ("strength", work.strength),
        ("num_frames", frames_of(work, pipeline, loaded.facts)[0]),
    ):
        if value is not None:
            told[name] = value
    if "frame_rate" in known:
        told["frame_rate"] = pipeline.fps
    is_told_size = "width" in known and "height" in known
    if work.width is not None and is_told_size:
        told |= {"width": work.width, "height": work.height}
    if work.task.takes_image:
        pictures = [_opened(data) for data in work.images]
        if work.width is not None and work.height is not None and not is_told_size:
            pictures = [ImageOps.fit(each, (work.width, work.height)) for each in pictures]
        told["image"] = pictures[0] if len(pictures) == 1 else pictures
    told["output_type"] = "np" if work.task.makes is GenerationType.VIDEO else "pil"
    return told


def _watch_steps(
    arguments: dict[str, Any],
    loaded: Loaded,
    work: Work,
    on_step: Callable[[Step], None],
    is_stopped: Callable[[], bool],
) -> None:
    def after_step(pipe: Any, index: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        # Not each pipeline tells how many; and by strength it is fewer than the steps that were ordered.
        total = getattr(pipe, "num_timesteps", None) or arguments.get("num_inference_steps") or 0
        on_step(Step(index + 1, max(index + 1, total)))
        if is_stopped():
            raise Stopped
        return {}

    if is_stopped():
        raise Stopped
    if "callback_on_step_end" in loaded.facts.arguments[work.task]:
        arguments["callback_on_step_end"] = after_step
        arguments["callback_on_step_end_tensor_inputs"] = []


def _picture(work: Work, pipe: Any, output: Any, compute_seconds: float) -> Made:
    picture = output.images[0].convert("RGB")
    _check_size(work, picture.width, picture.height)
    _check_not_black(pipe, picture.getbbox() is None)
    file = io.BytesIO()
    more: dict[str, Any] = {} if work.output_format == "png" else {"quality": _QUALITY}
    picture.save(file, work.output_format, **more)
    return Made(
        data=file.getvalue(),
        mime_type=MIME_OF_FORMAT[work.output_format],
        width=picture.width,
        height=picture.height,
        compute_seconds=compute_seconds,
    )


def _clip(loaded: Loaded, work: Work, pipe: Any, output: Any, compute_seconds: float) -> Made:
    """H.264 in MP4, at the rate of the catalog, cut to the duration that was ordered."""
    fps = loaded.pipeline.fps
    assert fps is not None
    kept = frames_of(work, loaded.pipeline, loaded.facts)[1]
    frames = output.frames[0][:kept]
    count, height, width = frames.shape[:3]
    _check_size(work, width, height)
    if kept is not None and count < kept:
        text = f"{kept} frames were ordered, and the pipeline made {count}"
        raise CannotMake(server_fault("wrong_length", text))
    _check_not_black(pipe, not np.nan_to_num(frames).any())
    sound = {} if work.sound is False else _sound(pipe, output, count / fps)
    if work.sound and not sound:
        raise CannotMake(server_fault("no_sound", "sound was ordered, and the pipeline made none"))
    with tempfile.TemporaryDirectory(prefix="safelight-clip-") as folder:
        path = Path(folder, "clip.mp4")
        encode_video((frames.clip(0, 1) * 255).round().astype("uint8") / 255, fps, str(path), **sound)
        data = path.read_bytes()
    return Made(
        data=data,
        mime_type="video/mp4",
        width=width,
        height=height,
        compute_seconds=compute_seconds,
        duration_seconds=count / fps,
    )


def _check_size(work: Work, width: int, height: int) -> None:
    if work.width is not None and (work.width, work.height) != (width, height):
        text = f"{work.width}x{work.height} was ordered, and the pipeline made {width}x{height}"
        raise CannotMake(server_fault("wrong_size", text))


def _sound(pipe: Any, output: Any, seconds: float) -> dict[str, Any]:
    """What ``encode_video`` is told of it: the waveform (channels, samples), no longer than the clip, and its rate."""
    audio = getattr(output, "audio", None)
    if audio is None:
        return {}
    rate = getattr(pipe, "audio_sample_rate", None) or pipe.vocoder.config.output_sampling_rate
    waveform = torch.as_tensor(audio[0]).float().cpu()
    return {"audio": waveform[..., : round(seconds * rate)], "audio_sample_rate": rate}


def _check_not_black(pipe: Any, is_black: bool) -> None:
    """Some safety checkers leave no other mark than black; and black is what not-a-number ends as."""
    if not is_black:
        return
    if getattr(pipe, "safety_checker", None) is not None:
        raise CannotMake(_blocked())
    text = "the pipeline made nothing but black, as an overflow does; try another dtype (bfloat16, float32)"
    raise CannotMake(server_fault("black_output", text))


def _is_set(flags: Any) -> bool:
    """Whether any is: flags come as lists, arrays, tensors, or None where nothing was checked."""
    return bool(flags.any()) if isinstance(flags, torch.Tensor) else bool(np.any(flags))


def _blocked() -> Fault:
    return Fault(code="moderation_blocked", message="the pipeline's safety checker blocked it")


def _refused(error: BaseException) -> Fault:
    return Fault(code="invalid_request", message=_in_short(error))


def _opened(data: bytes) -> Image.Image:
    try:
        return opened(data)
    except Unreadable as error:
        raise CannotMake(Fault(code="invalid_image", message=str(error), param="image")) from None


def _of_runtime(error: BaseException, loaded: Loaded, work: Work) -> Fault:
    name = loaded.pipeline.name
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        mark in str(error) for mark in _OUT_OF_MEMORY
    )
    if not is_memory:
        return server_fault("server_error", f"{type(error).__name__}: {_in_short(error)}")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    size = "its own size" if work.width is None else f"{work.width}x{work.height}"
    weights = loaded.facts.weights_bytes / 1e9
    text = f"model {name} does not fit: {size} needs more memory than there is beside {weights:.2f} GB of weights"
    return server_fault("out_of_memory", text)


def _in_short(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
