"""The reading of a catalog's ``[[pipelines]]``.

Whether the weights are there is for who loads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from safelight.domain.connection_reader import read_struct
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.pipelines import SAID_BY_ORDERS, Pipeline, Task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+", re.ASCII)

_Fault = tuple[str, str, str]
"""The key at fault, what is wrong, what to do."""


def read_pipelines(entries: Sequence[dict[str, Any]], *, source: str) -> tuple[Pipeline, ...]:
    """The pipelines of these tables. ``source`` names the file in errors.

    Raises ``ConfigurationError`` naming the key at fault and the remedy.
    """
    found: dict[str, Pipeline] = {}
    for place, entry in enumerate(entries):
        where = f"{source}: pipelines[{place}]"
        pipeline = read_struct(entry, Pipeline, where)
        for key, what, remedy in _faults(pipeline):
            raise ConfigurationError(f"{where}.{key}: {what}; {remedy}.")
        if pipeline.name in found:
            raise ConfigurationError(
                f"{where}.name: {pipeline.name!r} is there twice; give each pipeline its own name."
            )
        found[pipeline.name] = pipeline
    return tuple(found.values())


def _faults(pipeline: Pipeline) -> Iterator[_Fault]:
    """What no type shows."""
    for check in (_of_name, _of_tasks, _of_places, _of_arguments):
        yield from check(pipeline)


def _of_name(pipeline: Pipeline) -> Iterator[_Fault]:
    if _NAME.fullmatch(pipeline.name) is None:
        yield "name", f"{pipeline.name!r} is not a name", "use up to 128 letters, digits, '.', '_', '-' and '/'"
    if not pipeline.is_folder and _HUB_ID.fullmatch(pipeline.source) is None:
        remedy = "write owner/name for one of the hub, and ./folder or /folder for one on disk"
        yield "source", f"{pipeline.source!r} is no repository and no folder", remedy
    if pipeline.is_folder and pipeline.revision is not None:
        yield "revision", "a folder has none", "remove the key"


def _of_tasks(pipeline: Pipeline) -> Iterator[_Fault]:
    if not pipeline.tasks or len(set(pipeline.tasks)) != len(pipeline.tasks):
        yield "tasks", "it is empty or repeats a task", f"use of: {', '.join(Task)}"
    kinds = {task.makes for task in pipeline.tasks}
    if len(kinds) > 1:
        yield "tasks", "pictures and videos are of different pipelines", "declare two"
    if GenerationType.VIDEO in kinds and pipeline.fps is None:
        yield "fps", "a video needs it", "give the frames a second that the model was trained for"
    if GenerationType.VIDEO not in kinds and pipeline.fps is not None:
        yield "fps", "a picture has none", "remove the key"
    if pipeline.warm_up is not None and pipeline.warm_up.frames and GenerationType.VIDEO not in kinds:
        yield "warm_up.frames", "a picture has none", "remove the key"


def _of_places(pipeline: Pipeline) -> Iterator[_Fault]:
    if pipeline.gpus > 1 and pipeline.gpus != int(pipeline.gpus):
        yield "gpus", f"{pipeline.gpus} is not to be had", "use a part of one, or whole ones"
    if pipeline.gpus == 0 and pipeline.offload != "none":
        yield "offload", "without a graphics card there is nothing to take off it", "remove the key"
    if pipeline.replicas is not None and (pipeline.min_replicas, pipeline.max_replicas) != (None, None):
        yield "replicas", "the number is fixed, or has bounds", "keep it, or min_replicas and max_replicas"
    if pipeline.min_replicas is not None and pipeline.max_replicas is None:
        yield "max_replicas", "it is missing", "give the most replicas beside min_replicas"
    if (pipeline.min_replicas or 0) > (pipeline.max_replicas or 1000):
        yield "min_replicas", "it is more than max_replicas", "correct one of them"


def _of_arguments(pipeline: Pipeline) -> Iterator[_Fault]:
    for key, names in (("call", tuple(pipeline.call)), ("allow", pipeline.allow)):
        if taken := sorted(SAID_BY_ORDERS & set(names)):
            yield key, f"{', '.join(taken)} is said by orders, or by the server", "take it out"
        if wrong := [name for name in names if not name.isidentifier() or name.startswith("_")]:
            yield key, f"{wrong[0]!r} is no argument", "name arguments of the pipeline's call"
