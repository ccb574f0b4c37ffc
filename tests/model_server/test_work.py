"""What an order comes to before any pipeline is asked: frames, sizes, faults."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Pipeline, Task
from safelight.model_server.work import Work, fault_of, frames_of, size_multiple
from tests.model_server.stand_in import FACTS

(IMAGE, VIDEO) = read_pipelines(
    [
        {"name": "i", "source": "a/b", "tasks": ["text-to-image"]},
        {"name": "v", "source": "a/b", "tasks": ["text-to-video"], "fps": 16},
    ],
    source="test",
)


def work(task: Task = Task.TEXT_TO_VIDEO, **more: Any) -> Work:
    return Work(id="a", task=task, prompt="a hill", seed=1, **more)


@pytest.mark.parametrize(
    ("seconds", "made", "kept"), [(5.0, 81, 80), (1.0, 17, 16), (0.01, 1, 1), (1.0625, 17, 17), (2.1, 37, 34)]
)
def test_a_duration_is_kept_to_the_frame(seconds: float, made: int, kept: int) -> None:
    assert frames_of(work(seconds=seconds), VIDEO, FACTS) == (made, kept)


def test_frames_are_as_they_are_said_or_the_pipelines_own() -> None:
    assert frames_of(work(frames=9), VIDEO, FACTS) == (9, 9)
    assert frames_of(work(), VIDEO, FACTS) == (None, None)


@pytest.mark.parametrize(("factor", "patch", "multiple"), [(8, 1, 8), (8, 2, 16), (32, 1, 32), (2, 1, 8), (6, 1, 24)])
def test_what_divides_sides_is_what_latents_and_patches_make(factor: int, patch: int, multiple: int) -> None:
    assert size_multiple(IMAGE, factor, patch) == multiple


def test_without_facts_only_the_catalog_speaks() -> None:
    odd = work(Task.TEXT_TO_IMAGE, width=63, height=64, strength=0.5)
    assert fault_of(odd, IMAGE, None) is None
    assert (found := fault_of(odd, IMAGE, FACTS)) is not None and found.param == "size"
    assert (found := fault_of(work(Task.IMAGE_TO_VIDEO), VIDEO, None)) is not None and found.param == "image"


def test_a_catalog_knows_better_than_the_class() -> None:
    (known,) = read_pipelines(
        [{"name": "i", "source": "a/b", "tasks": ["text-to-image"], "size_multiple": 64}], source="test"
    )
    assert isinstance(known, Pipeline) and size_multiple(known, 8, 2) == 64
