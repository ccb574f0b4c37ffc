"""A proposal as a piece of a catalog, ready to paste: the connection, the model, its binding and the field map."""

from __future__ import annotations

import json
import math
import os
import re
from datetime import date
from pathlib import Path

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.text import printable
from safelight.providers.comfyui.fields import Fields
from safelight.providers.comfyui.proposal import Proposal, propose
from safelight.providers.comfyui.workflow import read_workflow

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4")
_GRID = 16
_SAMPLE_SIDE = 1024


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """How things are to be called. None: after the workflow's file."""

    model: str | None = None
    name: str | None = None
    connection: str = "comfyui"
    base_url: str = "http://127.0.0.1:8188"


def snippet_of(path: Path, names: Names, today: date, catalog_dir: Path | None = None) -> str:
    """The piece of a catalog for the workflow in a file; without a folder for it, they lie side by side.

    Raises ``WorkflowError``.
    """
    found = propose(read_workflow(path))
    stem = re.sub(r"[^a-z0-9.-]+", "-", path.stem.lower()).strip("-.") or "workflow"
    model, name = names.model or stem[:100], names.name or stem.replace("-", " ").strip().capitalize()
    lines = [*_remarks(found), *_connection(names), *_model(found, model, name, today)]
    folder = path.parent.resolve()
    place = os.path.relpath(folder / path.name, folder if catalog_dir is None else catalog_dir.resolve())
    lines += _binding(found, names, place)
    return "\n".join(lines) + "\n"


def _remarks(found: Proposal) -> list[str]:
    if not found.remarks:
        return ["# Every part of a request that the workflow can take has its place. Check the map below all the same."]
    return ["# What was not placed, or was left alone:", *(f"# - {printable(remark)}" for remark in found.remarks)]


def _connection(names: Names) -> list[str]:
    return [
        "",
        "[[connections]]",
        f"name = {_text(names.connection)}",
        'kind = "comfyui"',
        f"base_url = {_text(names.base_url)}",
    ]


def _model(found: Proposal, model: str, name: str, today: date) -> list[str]:
    is_video, fields = found.type is GenerationType.VIDEO, found.fields
    width, height = found.width or _SAMPLE_SIDE, found.height or _SAMPLE_SIDE
    if is_video:
        width, height = width // 2 * 2, height // 2 * 2
    sizes = _sizes(width, height, is_free=fields.width is not None and fields.height is not None)
    resolution = f"{min(width, height)}p" if is_video else _tier(width, height)
    lines = ["", "[[models]]", f"id = {_text(model)}", f"name = {_text(name)}", f'type = "{found.type}"']
    lines += [
        f"created_at = {today:%Y-%m-%d}T00:00:00Z",
        f"aspect_ratios = [{', '.join(map(_text, sizes))}]",
        f"resolutions = [{_text(resolution)}]",
    ]
    if is_video:
        seconds = max(1, math.floor((found.seconds or 5) + 0.01))
        lines.append(f"durations = [{seconds}]  # seconds; list more, if the workflow makes them well")
    roles = {
        "reference_image": len(fields.references),
        "first_frame": fields.first_frame,
        "last_frame": fields.last_frame,
    }
    taken = ", ".join(f"{role} = {most if isinstance(most, int) else 1}" for role, most in roles.items() if most)
    lines += [f"references = {{ {taken} }}"] if taken else []
    lines += [f"{key} = true" for key in _supported(fields)]
    lines += [
        'rates = [{ unit_price = "0.01" }]  # your price in US dollars, ' + ("a second" if is_video else "an image")
    ]
    lines += ["", f"[models.sizes.{_text(resolution)}]"]
    if found.width is None or found.height is None:
        lines.append("# The size that the workflow makes: correct it.")
    return lines + [f'{_text(ratio)} = "{size[0]}x{size[1]}"' for ratio, size in sizes.items()]


def _supported(fields: Fields) -> list[str]:
    known = {"supports_seed": fields.seed, "supports_negative_prompt": fields.negative_prompt}
    return [key for key, places in known.items() if places is not None]


def _binding(found: Proposal, names: Names, place: str) -> list[str]:
    lines = ["", "[[models.bindings]]", f"connection = {_text(names.connection)}", "", "[models.bindings.options]"]
    lines.append(f"workflow = {_text(place)}  # seen from the catalog's folder")
    if found.frames_step > 1:
        lines.append(f"frames_step = {found.frames_step}")
    lines += ["", "[models.bindings.options.fields]"]
    for key, value in msgspec.to_builtins(found.fields).items():
        lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return lines


def _sizes(width: int, height: int, *, is_free: bool) -> dict[str, tuple[int, int]]:
    """Sizes by ratio, the workflow's own first; with as many pixels as that, where others can be asked for."""
    own = min(_RATIOS, key=lambda ratio: abs(math.log(_share(ratio) * height / width)))
    sizes = {own: (width, height)}
    for ratio in _RATIOS if is_free else ():
        area, share = width * height, _share(ratio)
        sizes.setdefault(ratio, (_rounded(math.sqrt(area * share)), _rounded(math.sqrt(area / share))))
    return sizes


def _share(ratio: str) -> float:
    across, _, down = ratio.partition(":")
    return int(across) / int(down)


def _rounded(side: float) -> int:
    return max(_GRID, round(side / _GRID) * _GRID)


def _tier(width: int, height: int) -> str:
    side = math.sqrt(width * height)
    return f"{round(side / 1024)}K" if side >= 900 else f"{min(width, height)}p"


def _text(value: str) -> str:
    """As TOML writes it: its basic strings escape as JSON's do."""
    return json.dumps(value, ensure_ascii=False)
