"""A pipeline's weights, on the device that they are for. Loading takes minutes; ``CannotLoad`` tells why it failed."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.pipelines import auto_pipeline

from safelight.domain.errors import ConfigurationError
from safelight.domain.pipelines import Pipeline, Task
from safelight.model_server.weights import check_folder, folder_of, weights_bytes
from safelight.model_server.work import Facts, size_multiple

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_GIGABYTE = 1e9
_TABLES = {
    Task.TEXT_TO_IMAGE: auto_pipeline.AUTO_TEXT2IMAGE_PIPELINES_MAPPING,
    Task.IMAGE_TO_IMAGE: auto_pipeline.AUTO_IMAGE2IMAGE_PIPELINES_MAPPING,
    Task.TEXT_TO_VIDEO: auto_pipeline.AUTO_TEXT2VIDEO_PIPELINES_MAPPING,
    Task.IMAGE_TO_VIDEO: auto_pipeline.AUTO_IMAGE2VIDEO_PIPELINES_MAPPING,
}


class CannotLoad(Exception):
    """Why a pipeline cannot be used, in one line for the operator."""


class Loaded:
    """A pipeline on its device. ``for_task`` gives the one that makes that task, of the same weights."""

    def __init__(self, pipeline: Pipeline, catalog_dir: Path) -> None:
        self.pipeline = pipeline
        self.device = "cuda" if pipeline.gpus else "cpu"
        auto = "bfloat16" if pipeline.gpus else "float32"
        self.dtype = _DTYPES[auto if pipeline.dtype == "auto" else pipeline.dtype]
        folder = folder_of(pipeline, catalog_dir)
        if folder is not None:
            try:
                check_folder(folder)
            except ConfigurationError as error:
                raise CannotLoad(error.message) from None
            self._check_main_memory(weights_bytes(folder, pipeline.variant))
        first = self._read(folder)
        self._of_task = {task: self._made_for(task, first) for task in pipeline.tasks}
        self._placed: Any = None
        self._place(first)
        self.facts = self._facts(first)

    def for_task(self, task: Task) -> Any:
        pipe = self._of_task[task]
        if self.pipeline.offload != "none" and self._placed is not pipe:
            self._place(pipe)
        return pipe

    def _read(self, folder: Path | None) -> Any:
        pipeline = self.pipeline
        try:
            pipe = diffusers.DiffusionPipeline.from_pretrained(
                pipeline.source if folder is None else str(folder),
                dtype=self.dtype,
                use_safetensors=True,
                trust_remote_code=pipeline.trust_remote_code,
                revision=pipeline.revision,
                variant=pipeline.variant,
                local_files_only=folder is not None,
            )
        except (MemoryError, torch.OutOfMemoryError):
            raise CannotLoad(f"model {pipeline.name} does not fit into main memory") from None
        except (OSError, ValueError, ImportError, AttributeError) as error:
            raise CannotLoad(f"{pipeline.source} cannot be loaded: {_first_line(error)}") from None
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _made_for(self, task: Task, first: Any) -> Any:
        """The pipeline's own class where it makes the task, or its sibling over the same weights."""
        own = type(first)
        table = _TABLES[task]
        sibling = own if own in table.values() else None
        if sibling is None:
            family = next((name for name, kind in _all_kinds() if kind is own), None)
            sibling = table.get(family) if family is not None else None
        if sibling is None and _takes_image(own) is task.takes_image:
            sibling = own  # of no table: its own call says what it takes
        if sibling is None:
            raise CannotLoad(f"{own.__name__}, which {self.pipeline.source} is, has no {task}")
        if sibling is own:
            return first
        try:
            pipe = sibling.from_pipe(first, dtype=self.dtype)
        except (ValueError, TypeError, AttributeError) as error:
            raise CannotLoad(f"{self.pipeline.source} has no {task}: {_first_line(error)}") from None
        pipe.set_progress_bar_config(disable=True)
        return pipe

    def _place(self, pipe: Any) -> None:
        try:
            match self.pipeline.offload:
                case "model":
                    pipe.enable_model_cpu_offload()
                case "sequential":
                    pipe.enable_sequential_cpu_offload()
                case _:
                    self._check_card_memory(pipe)
                    pipe.to(self.device)
        except torch.OutOfMemoryError:
            raise CannotLoad(self._does_not_fit(_bytes_of(pipe), _card_bytes())) from None
        self._placed = pipe

    def _check_main_memory(self, file_bytes: int) -> None:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        available = _available_bytes() or free
        if file_bytes > available:
            raise CannotLoad(self._does_not_fit(file_bytes, available))

    def _check_card_memory(self, pipe: Any) -> None:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise CannotLoad(f"model {self.pipeline.name} is for a graphics card (gpus), and torch finds none here")
        if self.device == "cuda" and _bytes_of(pipe) > _card_bytes():
            raise CannotLoad(self._does_not_fit(_bytes_of(pipe), _card_bytes()))

    def _does_not_fit(self, needed: int, has: int) -> str:
        return (
            f"model {self.pipeline.name} does not fit: needs about {needed / _GIGABYTE:.2f} GB, has "
            f"{has / _GIGABYTE:.2f} GB"
        )

    def _facts(self, first: Any) -> Facts:
        arguments = {task: _arguments(type(pipe)) for task, pipe in self._of_task.items()}
        return Facts(
            size_multiple=size_multiple(self.pipeline, _spatial_factor(first), _patch(first)),
            frame_multiple=_number(first, "vae_scale_factor_temporal", "vae_temporal_compression_ratio") or 1,
            arguments=arguments,
            makes_sound=first.components.get("vocoder") is not None,
            weights_bytes=_bytes_of(first),
        )


def _all_kinds() -> list[tuple[str, type]]:
    return [item for table in _TABLES.values() for item in table.items()]


def _arguments(kind: type) -> tuple[str, ...]:
    return tuple(inspect.signature(kind.__call__).parameters)


def _takes_image(kind: type) -> bool:
    return "image" in inspect.signature(kind.__call__).parameters


def _spatial_factor(pipe: Any) -> int:
    return _number(pipe, "vae_scale_factor_spatial", "vae_spatial_compression_ratio", "vae_scale_factor") or 8


def _patch(pipe: Any) -> int:
    """How many latents a side one token has."""
    transformer = getattr(pipe, "transformer", None)
    if transformer is None:
        return 1
    patch = getattr(transformer.config, "patch_size", 1)
    own = max(patch) if isinstance(patch, list | tuple) else patch if isinstance(patch, int) else 1
    return max(own, 2 if hasattr(pipe, "_pack_latents") and not hasattr(pipe, "vae_spatial_compression_ratio") else 1)


def _number(pipe: Any, *names: str) -> int | None:
    values = (getattr(pipe, name, None) for name in names)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _bytes_of(pipe: Any) -> int:
    modules = (part for part in pipe.components.values() if isinstance(part, torch.nn.Module))
    return sum(each.numel() * each.element_size() for part in modules for each in part.parameters())


def _card_bytes() -> int:
    return int(torch.cuda.mem_get_info()[0])


def _available_bytes() -> int | None:
    """What Linux says that a process may still have."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
