"""An order as a pipeline is given it, what comes of it, and what is wrong with one.

Ray carries these from process to process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from math import lcm
from typing import Any, Literal, Protocol

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat
from safelight.domain.pipelines import Pipeline, Task

_MOST_NAME = 100


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One picture or clip that is ordered. ``width`` and ``height`` None: the pipeline's own size.

    ``seconds`` or ``frames`` say how long a clip is; with neither it is the pipeline's own length. ``steps``,
    ``guidance``, ``strength`` None: the pipeline's. ``options``: further arguments of its call. ``sound``: as asked.
    """

    id: str
    task: Task
    prompt: str
    seed: int
    negative_prompt: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames: int | None = None
    images: tuple[bytes, ...] = ()
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    sound: bool | None = None
    options: dict[str, Any] = {}
    output_format: ImageFormat = "png"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded pipeline can be told.

    ``size_multiple`` divides both sides; a clip has ``k * frame_multiple + 1`` frames.
    ``arguments``: those of its call, by task. ``weights_bytes``: its weights in memory.
    """

    size_multiple: int
    frame_multiple: int
    arguments: dict[Task, tuple[str, ...]]
    makes_sound: bool
    weights_bytes: int


ErrorType = Literal["invalid_request_error", "server_error", "rate_limit_error", "authentication_error"]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with an order, or became of it, in OpenAI's words. ``param``: the field at fault."""

    code: str
    message: str
    param: str | None = None
    type: ErrorType = "invalid_request_error"
    status: int = 400
    retry_after_seconds: int | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A replica began: the machine's name and the process there."""

    node: str
    pid: int


class Step(msgspec.Struct, frozen=True):
    """So many steps are done, of so many."""

    done: int
    total: int


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The file. ``compute_seconds``: how long the pipeline took; ``duration_seconds`` is a clip's own."""

    data: bytes
    mime_type: str
    width: int
    height: int
    compute_seconds: float
    duration_seconds: float | None = None


class NotMade(msgspec.Struct, frozen=True):
    """Nothing was made, and why."""

    fault: Fault


Event = Started | Step | Made | NotMade
"""What a replica tells of an order: it began, steps, and one end."""


class PipelineState(msgspec.Struct, frozen=True, kw_only=True):
    """``trouble``: why none of it runs, in words for the operator. ``facts`` are known once it ran."""

    state: Literal["starting", "ready", "failed"]
    trouble: str | None = None
    facts: Facts | None = None


class Runner(Protocol):
    """What makes orders: Ray Serve, or a stand-in."""

    @property
    def pipelines(self) -> Sequence[Pipeline]: ...

    async def states(self) -> dict[str, PipelineState]:
        """How each pipeline stands now, by name."""

    def run(self, pipeline: str, work: Work) -> AsyncGenerator[Event]:
        """Make it; closing this stops it between steps. A replica that dies is an end too, a ``NotMade``."""


def server_fault(code: str, message: str, status: int = 500) -> Fault:
    return Fault(code=code, message=message, type="server_error", status=status)


REPLICA_LOST = server_fault("replica_lost", "the replica that made it ended; order it again", 503)


def fault_of(work: Work, pipeline: Pipeline, facts: Facts | None) -> Fault | None:
    """The first thing that keeps this pipeline from making it; without ``facts`` as far as the catalog tells."""
    checks = (*_of_catalog(work, pipeline), *(_of_facts(work, facts) if facts is not None else ()))
    return next(iter(checks), None)


def frames_of(work: Work, pipeline: Pipeline, facts: Facts) -> tuple[int | None, int | None]:
    """How many frames to make, and how many of them to keep; None: the pipeline's own number.

    A duration is kept to the frame, and the least number made that the pipeline can make.
    """
    if work.frames is not None:
        return work.frames, work.frames
    if work.seconds is None:
        return None, None
    assert pipeline.fps is not None
    kept = max(1, round(work.seconds * pipeline.fps))
    return 1 + -(-(kept - 1) // facts.frame_multiple) * facts.frame_multiple, kept


def size_multiple(pipeline: Pipeline, vae_factor: int, patch: int) -> int:
    """What must divide both sides: as the catalog says, or what latents and patches make of it; 8 at least."""
    return pipeline.size_multiple or lcm(8, vae_factor * patch)


def _of_catalog(work: Work, pipeline: Pipeline) -> Iterator[Fault]:
    if work.task not in pipeline.tasks:
        what = f"{pipeline.name} makes {', '.join(pipeline.tasks)}, and no {work.task}"
        yield Fault(code="unsupported_task", message=what, param="image" if work.task.takes_image else "model")
    if len(work.images) > pipeline.max_images:
        text = f"{pipeline.name} takes {pipeline.max_images} at most"
        yield Fault(code="too_many_images", message=text, param="image")
    if unknown := sorted(work.options.keys() - set(pipeline.allow)):
        known = f"Besides the usual ones it takes: {', '.join(pipeline.allow) or 'none'}."
        name = unknown[0][:_MOST_NAME]
        yield Fault(code="unknown_parameter", message=f"{pipeline.name} takes no {name}. {known}", param=name)


def _of_facts(work: Work, facts: Facts) -> Iterator[Fault]:
    arguments = facts.arguments.get(work.task, ())
    multiple = facts.size_multiple
    if work.width is not None and work.height is not None and (work.width % multiple or work.height % multiple):
        text = f"{work.width}x{work.height}: both sides have to be multiples of {multiple}"
        yield Fault(code="invalid_size", message=text, param="size")
    if work.task.makes is GenerationType.VIDEO and work.frames is not None and (work.frames - 1) % facts.frame_multiple:
        text = f"{work.frames} frames: a multiple of {facts.frame_multiple} and one more are made"
        yield Fault(code="invalid_frames", message=text, param="num_frames")
    if work.sound and not facts.makes_sound:
        yield Fault(code="unsupported_parameter", message="this pipeline makes no sound", param="generate_audio")
    told = {
        "negative_prompt": work.negative_prompt is not None,
        "strength": work.strength is not None,
        "guidance_scale": work.guidance is not None,
        "num_inference_steps": work.steps is not None,
        **dict.fromkeys(work.options, True),
    }
    for name, is_told in told.items():
        if is_told and name not in arguments:
            text = f"this pipeline takes no {name} for {work.task}"
            yield Fault(code="unsupported_parameter", message=text, param=name)
