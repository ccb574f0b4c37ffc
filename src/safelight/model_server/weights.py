"""A folder of weights, looked at before anything is loaded from it."""

from __future__ import annotations

from pathlib import Path

from safelight.domain.errors import ConfigurationError
from safelight.domain.pipelines import Pipeline

_UNSAFE = (".bin", ".ckpt", ".pt", ".pth", ".pickle", ".pkl")
"""Formats that run code as they are read."""


def folder_of(pipeline: Pipeline, catalog_dir: Path) -> Path | None:
    """The folder that it is loaded from; None: it comes from the hub."""
    if not pipeline.is_folder:
        return None
    return (catalog_dir / Path(pipeline.source).expanduser()).resolve()


def check_folder(folder: Path) -> None:
    """Raises ``ConfigurationError`` unless the folder is a pipeline whose weights are all safetensors."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder. Correct the pipeline's source.")
    if not (folder / "model_index.json").is_file():
        raise ConfigurationError(
            f"{folder}: there is no model_index.json in it, so it is no pipeline of diffusers. Write it with "
            "save_pretrained, or name a repository of the hub."
        )
    parts = {path.parent for path in folder.rglob("*") if path.suffix in _UNSAFE}
    for part in sorted(parts):
        if not any(part.glob("*.safetensors")):
            raise ConfigurationError(
                f"{part}: its weights are in a format that runs code as it is read, and safetensors alone are loaded. "
                "Convert them with save_pretrained(..., safe_serialization=True)."
            )
    if not any(folder.rglob("*.safetensors")):
        raise ConfigurationError(f"{folder}: there are no safetensors in it. Correct the pipeline's source.")


def weights_bytes(folder: Path, variant: str | None) -> int:
    """What its safetensors have together, of the variant where a part has it."""
    total = 0
    for part in {path.parent for path in folder.rglob("*.safetensors")}:
        files = list(part.glob("*.safetensors"))
        wanted = [path for path in files if f".{variant}" in path.name] if variant else []
        total += sum(path.stat().st_size for path in wanted or [p for p in files if p.name.count(".") == 1] or files)
    return total
