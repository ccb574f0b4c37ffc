"""A look at the live account and at a model's own input schema, held against what the catalog would send to it.

Nothing is ordered. A schema is the model author's, and no more than it says is held against the binding.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.field_map import filled
from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat
from safelight.domain.outcomes import Failed, Finding
from safelight.domain.request import Order, Spec
from safelight.domain.text import listed
from safelight.outbound.backend_api import BackendApi, Exchange, Reply, remedy_of
from safelight.outbound.loose_json import at, object_in
from safelight.providers.replicate.failures import problem_in
from safelight.providers.replicate.settings import Options, Target, target_of

_SECONDS = 5.0
_MOST_BYTES = 16 * 1024 * 1024
_SHOWN = 12
_MOST_ORDERS = 1000
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class Schema(msgspec.Struct, frozen=True):
    """The input of a model: what each key takes, and which must be there."""

    keys: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]


async def findings_of(api: BackendApi, model: Model, binding: Binding) -> Sequence[Finding]:
    """What there is to say of a binding of the model."""
    account = await _get(api, "/account")
    if (trouble := _trouble(account)) is not None:
        return [trouble]
    found = [Finding.ok("key", "it takes the key")]
    target = target_of(binding.upstream_model)
    if target is None:
        return [*found, Finding.problem("model", f"{binding.upstream_model!r} names nothing there", _NAMES)]
    if not target.owner:
        text = "a version alone cannot be looked at"
        return [*found, Finding.warning("model", text, "Write owner/name before it, and a colon between them.")]
    described = await _described(api, target)
    if isinstance(described, Finding):
        return [*found, described]
    found.append(Finding.ok("model", f"it has {binding.upstream_model}"))
    schema = _schema_in(described)
    if schema is None:
        return [*found, Finding.warning("input", "it does not tell what the model takes", "See the model's page.")]
    return [
        *found,
        *(list(_held_against(schema, model, binding)) or [Finding.ok("input", "the model takes all that is sent")]),
    ]


_NAMES = "Write owner/name, owner/name:VERSION or deployments/owner/name as the binding's model."


async def _get(api: BackendApi, path: str) -> Exchange:
    return await api.call("GET", path, deadline_seconds=_SECONDS, max_bytes=_MOST_BYTES)


async def _described(api: BackendApi, target: Target) -> dict[str, Any] | Finding:
    """The version that would run; or what keeps one from being run."""
    if target.version is not None:
        return _document(await _get(api, f"{target.path}/versions/{target.version}"), target)
    told = _document(await _get(api, target.path), target)
    if isinstance(told, Finding):
        return told
    if not target.is_deployment:
        if told.get("is_official") is False:
            text = f"{target.owner}/{target.name} is no official model: only a version of it can be run"
            return Finding.problem("model", text, "Write the version after it: owner/name:VERSION.")
        return object_in(told.get("latest_version"))
    release = told.get("current_release")
    run = target_of(f"{release.get('model')}:{release.get('version')}") if isinstance(release, dict) else None
    if run is None:
        return {}
    return _document(await _get(api, f"{run.path}/versions/{run.version}"), run)


def _document(reply: Exchange, target: Target) -> dict[str, Any] | Finding:
    if isinstance(reply, Reply) and reply.status == 404:
        what = "deployment" if target.is_deployment else "model" if target.version is None else "version"
        return Finding.problem("model", f"it has no {what} of that name, or this key may not use it", _NAMES)
    if (trouble := _trouble(reply)) is not None:
        return trouble
    return object_in(reply.json() if isinstance(reply, Reply) else None)


def _trouble(reply: Exchange) -> Finding | None:
    if not isinstance(reply, Reply):
        remedy = remedy_of(reply, "Correct base_url, or see whether the backend is up.")
        return Finding.problem("address", reply.detail, remedy)
    if reply.is_ok and isinstance(reply.json(), dict):
        return None
    problem = problem_in(reply.json())
    words = problem.words if problem is not None else f"HTTP {reply.status}"
    if reply.status in (401, 403):
        return Finding.problem("key", words, "Correct the connection's key.")
    return Finding.problem("address", f"HTTP {reply.status}: {words}", "Correct base_url, which ends in /v1.")


def _schema_in(version: Mapping[str, Any]) -> Schema | None:
    """The input's schema, with what it refers to put in place."""
    parts = object_in(at(version, "openapi_schema", "components", "schemas"))
    keys, required = at(parts, "Input", "properties"), at(parts, "Input", "required")
    if not isinstance(keys, dict):
        return None
    return Schema(
        {name: _resolved(key, parts) for name, key in keys.items() if isinstance(key, dict)},
        tuple(name for name in required if isinstance(name, str)) if isinstance(required, list) else (),
    )


def _resolved(key: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """A key's schema, and over it that of the parts that it is all of."""
    merged = dict(key)
    both = key.get("allOf")
    for part in [key, *(both if isinstance(both, list) else [])]:
        name = at(part, "$ref")
        referred = parts.get(name.rpartition("/")[2]) if isinstance(name, str) else None
        merged |= object_in(referred)
    return merged


def _held_against(schema: Schema, model: Model, binding: Binding) -> Iterator[Finding]:
    options = binding.options
    assert isinstance(options, Options)
    places = {f"fields.{name}": place.partition(".")[0] for name, place in options.fields.places().items()}
    sent = {**places, **{f"input.{name}": name for name in options.input}}
    passed_on = [("provider_options", name) for name in binding.provider_options]
    for option, key in [*sent.items(), *passed_on]:
        if key not in schema.keys:
            near = difflib.get_close_matches(key, schema.keys, 1)
            hint = f"Did you mean {near[0]}? " if near else ""
            yield Finding.problem(
                option, f"the model has no input {key}", f"{hint}It has {listed(sorted(schema.keys), _SHOWN)}."
            )
    for key in schema.required:
        if key not in sent.values():
            yield Finding.problem(
                "input", f"the model wants {key}, and nothing says it", f"Map it, or give it in input: {key}."
            )
    yield from _refused_values(schema, model, binding, options)


def _refused_values(schema: Schema, model: Model, binding: Binding, options: Options) -> Iterator[Finding]:
    told: set[str] = set()
    for order in itertools.islice(_orders(model), _MOST_ORDERS):
        word = binding.size_word(order.spec.resolution, order.spec.aspect_ratio)
        given = filled(options.fields, order, word, fixed=options.input, urls=())
        if isinstance(given, Failed):
            if given.detail not in told:
                yield Finding.problem("fields", given.detail, "Map it in the binding's fields.")
            told.add(given.detail)
            continue
        for key, value in given.items():
            why = _why_not(value, schema.keys.get(key, {}))
            text = f"{key} does not take {value!r}: {why}"
            if why is not None and text not in told:
                told.add(text)
                yield Finding.problem(
                    key, text, "Correct the model's lists, or say its own word (sizes, output_format_words)."
                )


def _orders(model: Model) -> Iterator[Order]:
    """Orders of every size, then of every duration and format, that the model may get."""
    shapes = [(name, ratio, *pixels) for name, ratios in model.sizes.items() for ratio, pixels in ratios.items()]
    is_image = model.type is GenerationType.IMAGE
    others: Sequence[tuple[Any, Any]] = (
        [(None, each) for each in get_args(ImageFormat)] if is_image else [(each, None) for each in model.durations]
    )
    cases = [*((shape, others[0]) for shape in shapes), *((shapes[0], other) for other in others[1:])]
    for (resolution, ratio, width, height), (duration, output_format) in cases:
        spec = Spec(
            prompt="a hill",
            aspect_ratio=ratio,
            resolution=resolution,
            width=width,
            height=height,
            output_format=output_format,
            duration_seconds=duration,
            sound=True if model.supports_sound else None,
            seed=7 if model.supports_seed else None,
            negative_prompt="fog" if model.supports_negative_prompt else None,
        )
        yield Order(id="check", type=model.type, model=model.id, spec=spec)


def _why_not(value: Any, key: Mapping[str, Any]) -> str | None:
    """Why a key does not take the value; None: as far as its schema says, it does."""
    words = key.get("enum")
    if isinstance(words, list) and words:
        return None if value in words else f"it takes {listed(words, _SHOWN)}"
    kind = key.get("type")
    types = _TYPES.get(kind) if isinstance(kind, str) else None
    if types is not None and (not isinstance(value, types) or (isinstance(value, bool) and kind != "boolean")):
        return f"it takes a value of type {kind}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    least, most = key.get("minimum"), key.get("maximum")
    if isinstance(least, int | float) and value < least:
        return f"the least is {least}"
    if isinstance(most, int | float) and value > most:
        return f"the most is {most}"
    return None
