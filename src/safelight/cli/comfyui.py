"""``safelight comfyui``: from an exported workflow to a piece of a catalog."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from safelight import wiring
from safelight.domain.errors import ConfigurationError


def import_workflow(
    workflow: Annotated[Path, Parameter(name="workflow", help="The file that ComfyUI exported for its API.")],
    /,
    *,
    model: Annotated[str | None, Parameter(help="The model's id. Without it: after the file.")] = None,
    name: Annotated[str | None, Parameter(help="The model's name for people. Without it: after the file.")] = None,
    connection: Annotated[str, Parameter(help="The connection's name.")] = "comfyui",
    url: Annotated[str, Parameter(help="Where ComfyUI listens.")] = "http://127.0.0.1:8188",
    output: Annotated[Path | None, Parameter(help="Write it to this file. Without it: print it.")] = None,
    overwrite: Annotated[bool, Parameter(negative="", help="Put it in the place of a file that is there.")] = False,
) -> None:
    """Propose a field map for a workflow, as a piece of a catalog. Nothing of yours is changed."""
    snippet = wiring.comfyui_snippet(
        workflow,
        catalog_dir=None if output is None else output.parent,
        model=model,
        name=name,
        connection=connection,
        base_url=url,
        today=datetime.now(UTC).date(),
    )
    if output is None:
        print(snippet, end="")
        return
    try:
        with output.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(snippet)
    except FileExistsError:
        raise ConfigurationError(f"{output} is there already. Name another file, or give --overwrite.") from None
    print(f"Written to {output}. Read its first lines: they say what was left alone.")
