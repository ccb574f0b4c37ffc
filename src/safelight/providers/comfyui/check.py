"""A look at a live server: whether it is there, and has what a workflow needs. Nothing is run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

from safelight.domain.catalog import Model
from safelight.domain.outcomes import Finding
from safelight.outbound.backend_api import BackendApi, NoReply, NotSent, remedy_of
from safelight.outbound.loose_json import at, is_number
from safelight.providers.comfyui.classes import NodeClass, read_classes
from safelight.providers.comfyui.fields import Fields, Options, each_of, misfits, split
from safelight.providers.comfyui.workflow import Workflow, WorkflowError, read_workflow

_CALL_SECONDS = 4.0
_LISTED = 8


async def look_at(api: BackendApi, folder: Path, model: Model, options: Options) -> list[Finding]:
    """Every trouble is a finding. It takes three answers of a server one after another, ten seconds at most."""
    try:
        workflow = await asyncio.to_thread(read_workflow, folder / options.workflow)
    except WorkflowError:
        return []  # that is seen without asking anybody, and has been told
    found = [
        Finding.problem("field map", each, "Correct the map in the catalog.")
        for each in misfits(workflow, options, model)
    ]
    if options.fields.prompt is None:
        found.append(
            Finding.warning(
                "field map",
                "prompt has no place: what a client writes changes nothing",
                "Map fields.prompt to the input that holds the text.",
            )
        )
    reached = await _reached(api)
    found.append(reached)
    if reached.level == "problem":
        return found
    classes = {node.class_type for node in workflow.nodes.values()}
    known = await read_classes(api, classes)
    if known is None:
        found.append(
            Finding.problem("nodes", "the server does not tell about its nodes (/object_info)", "Look at its log.")
        )
        return found
    troubles = [*_absent_nodes(workflow, known), *_absent_choices(workflow, known, options.fields)]
    troubles += _unfit_sizes(workflow, known, options.fields, model)
    found += troubles
    if not any(trouble.level == "problem" for trouble in troubles):
        text = f"{options.workflow}: its {len(classes)} kinds of nodes and the models that it names are there"
        found.append(Finding.ok("workflow", text))
    return found


async def _reached(api: BackendApi) -> Finding:
    reply = await api.call("GET", "/system_stats", deadline_seconds=_CALL_SECONDS)
    if isinstance(reply, NotSent | NoReply):
        return Finding.problem(
            "server",
            f"{api.base_url} does not answer ({reply.detail})",
            remedy_of(reply, "Start ComfyUI there, or correct base_url."),
        )
    if reply.status in (401, 403):
        return Finding.problem(
            "server", f"it refuses us (HTTP {reply.status})", "Set the connection's key, as its proxy asks for."
        )
    body = reply.json()
    system = at(body, "system") if reply.is_ok else None
    if not isinstance(system, dict):
        return Finding.problem(
            "server", f"{api.base_url} answers, and is no ComfyUI (HTTP {reply.status})", "Correct base_url."
        )
    return Finding.ok("server", f"ComfyUI {system.get('comfyui_version', 'of some version')} answers")


def _absent_nodes(workflow: Workflow, known: Mapping[str, NodeClass]) -> Iterator[Finding]:
    for node_id, node in workflow.nodes.items():
        if not known[node.class_type].is_there:
            yield Finding.problem(
                "nodes",
                f"{workflow.named(node_id)}: the server has no such node",
                "Install the custom nodes that bring it, and restart ComfyUI.",
            )


def _absent_choices(workflow: Workflow, known: Mapping[str, NodeClass], fields: Fields) -> Iterator[Finding]:
    """Values that a node does not list, such as model files; not those that an order replaces."""
    replaced = {place for key, place in fields.every_place() if key != "fps"}
    for node_id, node in workflow.nodes.items():
        inputs = known[node.class_type].inputs
        for name, value in node.inputs.items():
            choices = inputs[name].choices if name in inputs else None
            if choices is None or not isinstance(value, str) or value in choices or f"{node_id}.{name}" in replaced:
                continue
            more = f" and {len(choices) - _LISTED} more" if len(choices) > _LISTED else ""
            there = (", ".join(str(choice) for choice in choices[:_LISTED]) or "none") + more
            yield Finding.problem(
                "models",
                f"{workflow.named(node_id)}: {name} is {value!r}, which the server does not have. It has {there}",
                "Put the file into the server's models folder, or export the workflow with one that is there.",
            )


def _unfit_sizes(workflow: Workflow, known: Mapping[str, NodeClass], fields: Fields, model: Model) -> Iterator[Finding]:
    """Sizes of the model that a mapped input does not take."""
    sizes = [size for by_ratio in model.sizes.values() for size in by_ratio.values()]
    for key, places, sides in (
        ("width", each_of(fields.width), {width for width, _ in sizes}),
        ("height", each_of(fields.height), {height for _, height in sizes}),
    ):
        for place in places:
            node_id, name = split(place)
            node = workflow.nodes.get(node_id)
            bounds = known[node.class_type].inputs.get(name) if node else None
            if bounds is None:
                continue
            least, most, step = (
                float(value) if is_number(value) else None for value in map(bounds.bounds.get, ("min", "max", "step"))
            )
            for side in sorted(sides):
                if (least is not None and side < least) or (most is not None and side > most):
                    yield Finding.problem(
                        "sizes",
                        f"{key} {side}: {workflow.named(node_id)} takes {least:g} to {most:g}"
                        if least is not None and most is not None
                        else f"{key} {side} is out of what {workflow.named(node_id)} takes",
                        "Correct the model's sizes in the catalog.",
                    )
                elif step and side % step:
                    yield Finding.warning(
                        "sizes",
                        f"{key} {side} is no multiple of {step:g}, as {workflow.named(node_id)} has it: "
                        "the result may have another size",
                        "Correct the model's sizes in the catalog.",
                    )
