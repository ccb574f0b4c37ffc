"""The field map: where in a workflow each part of an order goes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Model
from safelight.domain.field_map import frames_of
from safelight.domain.media import ReferenceRole
from safelight.domain.request import Spec
from safelight.providers.comfyui.workflow import Workflow

_MOST_SEED = 2**64
"""The server's own bound."""

Place = Annotated[str, Meta(min_length=1)]
"""An input of a node, as ``6.text``: the node's id, a dot, the input's name. ``misfits`` looks at its form.

msgspec 0.22 crashes at the end of a process over a union of a string with a pattern and a tuple of such.
"""
Places = Place | Annotated[tuple[Place, ...], Meta(min_length=1)]
NodeId = Annotated[str, Meta(pattern=r"^[^.\s]+$")]


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where each part of an order goes; what has several places goes to each of them.

    ``references``: one place for each reference image, in order. ``size``: the backend's own word for the size (the
    binding's ``sizes``). ``fps``: frames a second, as a number or as the place where the workflow has it; it is read,
    not written. ``options``: those of a request's ``provider_options`` that the binding passes on. ``output``: the node
    whose file is the result.
    """

    prompt: Places | None = None
    negative_prompt: Places | None = None
    width: Places | None = None
    height: Places | None = None
    size: Places | None = None
    seed: Places | None = None
    references: tuple[Place, ...] = ()
    first_frame: Places | None = None
    last_frame: Places | None = None
    duration: Places | None = None
    frames: Places | None = None
    fps: Annotated[float, Meta(gt=0, le=1000)] | Place | None = None
    sound: Places | None = None
    options: dict[str, Places] = {}
    output: NodeId | None = None

    def images(self) -> list[tuple[ReferenceRole, tuple[str, ...]]]:
        """The places of images, by role and in order: each takes one."""
        first, last = each_of(self.first_frame), each_of(self.last_frame)
        slots: list[tuple[ReferenceRole, tuple[str, ...]]] = [
            ("reference_image", (place,)) for place in self.references
        ]
        return slots + ([("first_frame", first)] if first else []) + ([("last_frame", last)] if last else [])

    def every_place(self) -> Iterator[tuple[str, str]]:
        """Each key of the map with a place of it."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "options":
                for option, places in value.items():
                    yield from ((f"options.{option}", place) for place in each_of(places))
            elif name != "output" and not isinstance(value, float):
                yield from ((name, place) for place in each_of(value))


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``workflow`` is a file, relative to the catalog's folder; ``fields`` is its field map.

    ``frames_step``: the model makes one frame more than a multiple of this.
    """

    workflow: Annotated[str, Meta(min_length=1)]
    fields: Fields = Fields()
    frames_step: Annotated[int, Meta(ge=1, le=1000)] = 1


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the workflow. ``images``: uploaded files, in the order of ``Fields.images``; None: no such.

    What has no place is left out.
    """

    spec: Spec
    seed: int
    size_word: str | None
    images: Sequence[str | None]
    prefix: str


def each_of(places: Any) -> tuple[str, ...]:
    if places is None:
        return ()
    return (places,) if isinstance(places, str) else tuple(places)


def split(place: str) -> tuple[str, str]:
    """Node and input of a place. An input's name may have a dot, a node's id has none."""
    node_id, _, name = place.partition(".")
    return node_id, name


def misfits(workflow: Workflow, options: Options, model: Model) -> list[str]:
    """What of the map does not fit the workflow, or the model that is bound to it; each with what to do."""
    return [*_outside(workflow, options.fields), *_unserved(workflow, options, model)]


def _outside(workflow: Workflow, fields: Fields) -> Iterator[str]:
    for key, place in fields.every_place():
        node_id, name = split(place)
        node = workflow.nodes.get(node_id)
        if not name:
            yield f"fields.{key}: {place!r} is no place. Write a node's id, a dot and an input's name, such as 6.text."
        elif node is None:
            yield f"fields.{key}: the workflow has no node {node_id}; it has: {', '.join(workflow.nodes)}."
        elif name not in node.inputs:
            yield f"fields.{key}: {workflow.named(node_id)} has no input {name!r}; it has: {', '.join(node.inputs)}."
    if fields.output is not None and fields.output not in workflow.nodes:
        yield f"fields.output: the workflow has no node {fields.output}; it has: {', '.join(workflow.nodes)}."


def _unserved(workflow: Workflow, options: Options, model: Model) -> Iterator[str]:
    fields = options.fields
    if model.supports_seed and fields.seed is None:
        yield "fields.seed: the model supports_seed, and nothing says where it goes. Map it."
    if model.supports_negative_prompt and fields.negative_prompt is None:
        yield "fields.negative_prompt: the model supports_negative_prompt, and nothing says where it goes. Map it."
    slots = [role for role, _ in fields.images()]
    for role, most in model.references.items():
        if most > slots.count(role):
            key = "references" if role == "reference_image" else role
            yield f"fields.{key}: the model takes {most} of role {role}, and {slots.count(role)} are mapped. Map each."
    if fields.frames is not None and frames_per_second(workflow, fields) is None:
        yield "fields.fps: frames are counted from seconds, and it tells no rate. Give a number, or where it is."


def frames_per_second(workflow: Workflow, fields: Fields) -> float | None:
    """The rate of the clips, if the map says one."""
    rate: Any = fields.fps
    if isinstance(rate, str):
        node_id, name = split(rate)
        node = workflow.nodes.get(node_id)
        rate = None if node is None else node.inputs.get(name)
    is_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 < rate <= 1000
    return float(rate) if is_rate else None


def filled(workflow: Workflow, options: Options, values: Values) -> dict[str, dict[str, Any]]:
    """The graph with an order's values in it. Raises ``KeyError`` for a place that it does not have."""
    graph, fields, spec = copy.deepcopy(workflow.graph), options.fields, values.spec
    put: dict[str, Any] = {
        "prompt": spec.prompt,
        "negative_prompt": spec.negative_prompt,
        "width": spec.width,
        "height": spec.height,
        "size": values.size_word,
        "seed": values.seed,
        "duration": spec.duration_seconds,
        "frames": _frames(workflow, options, spec.duration_seconds),
        "sound": spec.sound,
    }
    for name, value in put.items():
        if value is not None:
            _put(graph, each_of(getattr(fields, name)), value)
    for name, value in spec.provider_options.items():
        _put(graph, each_of(fields.options.get(name)), value)
    for (_, places), uploaded in zip(fields.images(), values.images, strict=True):
        if uploaded is not None:
            _put(graph, places, uploaded)
    for node in graph.values():
        if "filename_prefix" in node.get("inputs", {}):
            node["inputs"]["filename_prefix"] = values.prefix
    return graph


def _put(graph: dict[str, dict[str, Any]], places: Sequence[str], value: Any) -> None:
    for place in places:
        node_id, name = split(place)
        inputs = graph[node_id].setdefault("inputs", {})
        is_text = isinstance(inputs.get(name), str) and isinstance(value, int | float) and not isinstance(value, bool)
        inputs[name] = str(value) if is_text else value  # some nodes list numbers as words


def _frames(workflow: Workflow, options: Options, seconds: int | None) -> int | None:
    """As many as the clip lasts at least."""
    rate = frames_per_second(workflow, options.fields)
    if seconds is None or rate is None:
        return None
    return frames_of(seconds, rate, options.frames_step)


def unfit_option(options: Mapping[str, Any], fields: Fields) -> str | None:
    """An option of a request that has no place, or a value that would be a link or no value of an input."""
    for name, value in options.items():
        if name not in fields.options:
            return f"provider_options.{name} has no place in the workflow"
        if not isinstance(value, str | int | float | bool):
            return f"provider_options.{name} is no text, number or true or false"
    return None


def seed_in(graph: object, fields: Fields) -> int | None:
    """The seed that a graph on the server was given."""
    places = each_of(fields.seed)
    if not places or not isinstance(graph, dict):
        return None
    node_id, name = split(places[0])
    node = graph.get(node_id)
    inputs = node.get("inputs") if isinstance(node, dict) else None
    value = inputs.get(name) if isinstance(inputs, dict) else None
    is_seed = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST_SEED
    return value if is_seed else None
