"""A look at a live model: what fal publishes of its input, held against what a binding says in its place.

Nothing is ordered. fal publishes its own models and its partners'; others can be served all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from safelight.domain.catalog import Binding, Model
from safelight.domain.outcomes import Finding
from safelight.domain.text import listed
from safelight.outbound.backend_api import BackendApi, Exchange, Reply, remedy_of
from safelight.providers.fal.answers import error_in
from safelight.providers.fal.settings import Options, Settings, app_of

_SECONDS = 8.0
_MAX_BYTES = 8 * 1024 * 1024
_NO_JOB = "00000000-0000-4000-8000-000000000000"
_SHOWN = 12


async def findings_of(api: BackendApi, settings: Settings, model: Model, binding: Binding) -> Sequence[Finding]:
    """What there is to say of a binding of the model."""
    wanted = {"endpoint_id": binding.upstream_model, "expand": "openapi-3.0"}
    job, listed = await asyncio.gather(
        api.call("GET", f"/{app_of(binding.upstream_model)}/requests/{_NO_JOB}/status", deadline_seconds=_SECONDS),
        api.call("GET", settings.models_url, query=wanted, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES),
    )
    return [*_of_the_queue(job), *_of_the_model(listed, model, binding)]


def _of_the_queue(reply: Exchange) -> Iterator[Finding]:
    """What it says of a job that nobody ordered."""
    if not isinstance(reply, Reply):
        yield Finding.problem("address", reply.detail, remedy_of(reply, "Correct base_url, or see whether it is up."))
        return
    if reply.status in (401, 403):
        if "balance" in (error_in(reply).words or "").lower():
            yield Finding.problem("balance", "nothing is left: it declines every order", "Add credit there.")
        else:
            yield Finding.problem(
                "key", f"it does not take the key (HTTP {reply.status})", "Correct the connection's key."
            )
    elif reply.status >= 500 or 300 <= reply.status < 400:
        yield Finding.problem("address", f"HTTP {reply.status}", "Correct base_url, or see whether it is up.")
    else:
        yield Finding.ok("key", "the queue answers, and does not refuse the key")


def _of_the_model(reply: Exchange, model: Model, binding: Binding) -> Iterator[Finding]:
    id_ = binding.upstream_model
    if not isinstance(reply, Reply) or (not reply.is_ok and reply.status != 404):
        said = f"HTTP {reply.status}" if isinstance(reply, Reply) else reply.detail
        yield Finding.warning("model", f"its list of models does not answer: {said}", "See models_url, or look there.")
        return
    entry = _entry(reply.json(), id_)
    if entry is None:
        yield Finding.warning(
            "model",
            f"it lists no model {id_!r}",
            "Put a model's id into the binding's model, unless it is one of your own there, which are not listed.",
        )
        return
    facts = entry.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    yield Finding.ok("model", f"it has {id_}")
    if facts.get("status") in ("deprecated", "inactive"):
        yield Finding.warning("model", f"it is {facts['status']}", "Bind another model.")
    category = facts.get("category")
    if isinstance(category, str) and "-to-" in category and not category.endswith(f"-to-{model.type}"):
        yield Finding.warning(
            "type", f"it is of the category {category}, ours makes a {model.type}", "Bind another model."
        )
    schema = _input_of(entry.get("openapi"), id_)
    if schema is None:
        yield Finding.warning(
            "input", "it does not publish its input", "Compare the binding's fields with its page there."
        )
    else:
        troubles = list(_of_the_input(schema, model, binding))
        yield from troubles or [Finding.ok("input", "it takes every field of the binding")]


def _of_the_input(schema: dict[str, Any], model: Model, binding: Binding) -> Iterator[Finding]:
    options = binding.options
    assert isinstance(options, Options)
    properties, places = schema["properties"], options.fields.places()
    said = {f"fields.{name}": place.partition(".")[0] for name, place in places.items()}
    said |= {f"input.{name}": name for name in options.input}
    said |= {f"provider_options {name}": name for name in binding.provider_options}
    for where, name in said.items():
        if name not in properties:
            yield Finding.warning(where, f"its input has no {name}", f"It has: {listed(properties, _SHOWN)}.")
    required = schema.get("required")
    for name in required if isinstance(required, list) else ():
        if isinstance(name, str) and name not in said.values():
            yield Finding.warning("input", f"it asks for {name}", "Give it a place in fields, or a value in input.")
    for name, words in _words_for(model, binding).items():
        place = places.get(name)
        known = _choices(properties.get(place)) if place is not None and "." not in place else None
        missing = [word for word in words if known is not None and word not in known]
        if missing:
            takes = listed(known or (), _SHOWN) or "none"
            yield Finding.warning(
                name,
                f"it does not take {listed(missing, _SHOWN)}",
                f"It takes: {takes}. Say its own words in the binding's sizes, or remove the others.",
            )


def _words_for(model: Model, binding: Binding) -> dict[str, list[Any]]:
    """What it is told of a size and a duration, by each of the catalog's."""
    options = binding.options
    assert isinstance(options, Options)
    pairs = [(resolution, ratio) for resolution in model.resolutions for ratio in model.aspect_ratios]
    words = [binding.size_word(*pair) for pair in pairs]
    durations: list[Any] = list(model.durations)
    match options.fields.duration_as:
        case "text":
            durations = [str(each) for each in durations]
        case "seconds":
            durations = [f"{each}s" for each in durations]
    has_size = options.fields.size is not None
    return {
        "size": [word for word in dict.fromkeys(words) if word is not None],
        "resolution": list(
            dict.fromkeys(
                pair[0] if has_size or word is None else word for pair, word in zip(pairs, words, strict=True)
            )
        ),
        "aspect_ratio": list(model.aspect_ratios),
        "duration": durations,
    }


def _choices(schema: Any) -> list[Any] | None:
    """The values that a property takes, where they are a list; None: others too, or it is not said."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("enum"), list):
        return list(schema["enum"])
    found: list[Any] = []
    either = schema.get("anyOf")
    for each in either if isinstance(either, list) else ():
        if isinstance(each, dict) and isinstance(each.get("enum"), list):
            found += each["enum"]
        elif not (isinstance(each, dict) and (each.get("type") == "null" or "$ref" in each)):
            return None
    return found or None


def _entry(document: Any, id_: str) -> dict[str, Any] | None:
    models = document.get("models") if isinstance(document, dict) else None
    for entry in models if isinstance(models, list) else ():
        if isinstance(entry, dict) and entry.get("endpoint_id") == id_:
            return entry
    return None


def _input_of(openapi: Any, id_: str) -> dict[str, Any] | None:
    """The schema of the body that an order has; None if it is not told as expected."""
    try:
        posts = [item["post"] for item in openapi["paths"].values() if "post" in item]
        exact = openapi["paths"].get(f"/{id_}", {}).get("post")
        schema = (exact or posts[0])["requestBody"]["content"]["application/json"]["schema"]
        if "$ref" in schema:
            schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema if isinstance(schema["properties"], dict) else None
    except (KeyError, TypeError, AttributeError, IndexError):
        return None
