"""The request that gives an order, and what no order of a binding could say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from safelight.domain.catalog import Binding, Model, repeated_word
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.providers.dashscope.settings import (
    INPUTS,
    MESSAGE_APIS,
    REFERENCE_INPUTS,
    RESERVED,
    VIDEO_APIS,
    Options,
    Shape,
    SizeStyle,
    shape_of,
)

MAX_SEED = 2**31 - 1

_PIXELS_OF_OTHERS = re.compile(r"\d+\s*[x×X:]\s*\d+")


def body_of(order: Order, job: Job[Options], shape: Shape, references: Literal["inline", "link"]) -> dict[str, Any]:
    """What is posted. What the order says comes last, and wins over every option."""
    urls = [
        job.reference_url(at) if references == "link" else reference.data_url()
        for at, reference in enumerate(order.references)
    ]
    into_input, into_parameters = _told(order, job, shape)
    spec, is_message = order.spec, shape.api in MESSAGE_APIS
    parameters = {**into_parameters, **_size(order, job, shape), **_switches(order, job.options)}
    if spec.seed is not None:
        parameters["seed"] = spec.seed
    if is_message:
        content = [*({"image": url} for url in urls), {"text": spec.prompt}]
        given: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    else:
        given = {"prompt": spec.prompt, **_pictures(order, urls, shape)}
    if spec.negative_prompt is not None:
        (parameters if is_message else given)["negative_prompt"] = spec.negative_prompt
    return {"model": job.upstream_model, "input": {**into_input, **given}, "parameters": parameters}


def refused(order: Order, job: Job[Options], shape: Shape) -> Failed | None:
    """Why this order cannot be said as it was asked for; None: it can."""
    if order.spec.seed is not None and order.spec.seed > MAX_SEED:
        return Failed(FailureClass.BAD_INPUT, f"seeds go up to {MAX_SEED}")
    counts: Counter[ReferenceRole] = Counter(reference.role for reference in order.references)
    why = [
        _misfit(order.type, shape),
        _unsayable_word(job.size_word, shape.size),
        *(_unsayable_role(role, count, shape) for role, count in counts.items()),
        _taken_options(order.spec.provider_options, job.options, shape, has_sound=order.spec.sound is not None),
    ]
    return next((Failed(FailureClass.PERMANENT, each) for each in why if each is not None), None)


def check_binding(model: Model, binding: Binding, host: Host) -> None:
    """Raises ``ConfigurationError`` that begins with the option at fault."""
    for option, why in troubles(model, binding):
        raise ConfigurationError(f"{option}: {why}")


def troubles(model: Model, binding: Binding) -> Iterator[tuple[str, str]]:
    """What the model promises and no order of the binding could say: the option at fault, and why."""
    assert isinstance(binding.options, Options)
    shape = shape_of(binding.upstream_model, model.type, binding.options)
    if (why := _misfit(model.type, shape)) is not None:
        yield "api", f"{why}. Say another api."
    if shape.api in MESSAGE_APIS and binding.options.inputs:
        yield "inputs", f"with api = {shape.api} pictures go in a message. Remove it."
    for role, most in model.references.items():
        if (why := _unsayable_role(role, most, shape)) is not None:
            yield "inputs", f"{why}. Say one, or take {role} out of the model's references."
    if shape.size == "resolution" and len(model.aspect_ratios) > 1:
        yield "size", "orders tell a resolution and no ratio. Give the model one aspect ratio, or say another size."
    yield from _word_troubles(model, binding, shape)
    has_sound, passed = model.supports_sound, dict.fromkeys(binding.provider_options)
    if (why := _taken_options(passed, binding.options, shape, has_sound=has_sound)) is not None:
        yield "parameters", f"{why}. Take it out of the binding's provider_options."
    if has_sound and binding.options.sound in binding.options.parameters:
        yield "parameters", f"an order says {binding.options.sound} by itself. Remove it."
    if shape.size == "resolution-ratio" and "ratio" in binding.options.parameters:
        yield "parameters", "an order says ratio by itself. Remove it, or say another size."


def _word_troubles(model: Model, binding: Binding, shape: Shape) -> Iterator[tuple[str, str]]:
    if (word := repeated_word(model, binding)) is not None:
        yield "sizes", f"{word!r} stands for several sizes. Give each one of its own, or none."
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            if (why := _unsayable_word(binding.size_word(resolution, ratio), shape.size)) is not None:
                yield "size", f"{why}. Correct the binding's sizes."


def _told(order: Order, job: Job[Options], shape: Shape) -> tuple[dict[str, Any], dict[str, Any]]:
    """What goes into ``input`` and into ``parameters`` besides the order: the binding's, then the request's own."""
    options, asked = job.options, order.spec.provider_options
    switches = {"prompt_extend": options.prompt_extend, "watermark": options.watermark}
    said = {name: value for name, value in switches.items() if name not in options.unsaid}
    into_input = set() if shape.api in MESSAGE_APIS else {*INPUTS, *options.input_options}
    return (
        {**options.input, **{name: value for name, value in asked.items() if name in into_input}},
        {**said, **options.parameters, **{name: value for name, value in asked.items() if name not in into_input}},
    )


def _size(order: Order, job: Job[Options], shape: Shape) -> dict[str, Any]:
    spec, word = order.spec, job.size_word
    match shape.size:
        case "size":
            return {"size": word or f"{spec.width}*{spec.height}"}
        case "resolution":
            return {"resolution": word or spec.resolution.upper()}
        case "resolution-ratio":
            resolution, ratio = word.split() if word else (spec.resolution.upper(), spec.aspect_ratio)
            return {"resolution": resolution, "ratio": ratio}


def _switches(order: Order, options: Options) -> dict[str, Any]:
    """How many there are, how long it is, and whether it sounds."""
    if order.type is GenerationType.IMAGE:
        return {} if "n" in options.unsaid else {"n": 1}
    sound = {} if order.spec.sound is None else {options.sound: order.spec.sound}
    return {"duration": order.spec.duration_seconds, **sound}


def _pictures(order: Order, urls: list[str], shape: Shape) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for reference, url in zip(order.references, urls, strict=True):
        name = shape.inputs[reference.role]
        if name == "media[]":
            given.setdefault("media", []).append({"type": reference.role, "url": url})
        elif name.endswith("[]"):
            given.setdefault(name.removesuffix("[]"), []).append(url)
        else:
            given[name] = url
    return given


def _misfit(type_: GenerationType, shape: Shape) -> str | None:
    if (type_ is GenerationType.VIDEO) is (shape.api in VIDEO_APIS):
        return None
    return f"{shape.api} makes no {type_}"


def _unsayable_role(role: ReferenceRole, count: int, shape: Shape) -> str | None:
    if shape.api in MESSAGE_APIS:
        return None
    name = shape.inputs.get(role)
    if name is None:
        return f"there is no input for a picture of role {role} (api = {shape.api})"
    shared = [each for each, other in shape.inputs.items() if other == name and each != role]
    if not name.endswith("[]") and (count > 1 or shared):
        return f"{name} takes one picture"
    return None


def _unsayable_word(word: str | None, style: SizeStyle) -> str | None:
    """Why a word of the binding's own is no size in this style."""
    if word is None:
        return None
    if style == "size" and _PIXELS_OF_OTHERS.fullmatch(word):
        return f"{word!r} is written with an asterisk there, as 1280*720"
    if style == "resolution" and len(word.split()) != 1:
        return f"{word!r} is not written as '720P'"
    if style == "resolution-ratio" and len(word.split()) != 2:
        return f"{word!r} is not written as '720P 16:9'"
    return None


def _taken_options(named: Mapping[str, Any], options: Options, shape: Shape, *, has_sound: bool) -> str | None:
    taken = RESERVED | REFERENCE_INPUTS | {"ratio", *(name.removesuffix("[]") for name in shape.inputs.values())}
    if has_sound:
        taken |= {options.sound}
    found = sorted(taken & named.keys())
    return f"an order says {', '.join(found)} by itself" if found else None
