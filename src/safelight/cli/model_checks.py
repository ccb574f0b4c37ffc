"""A look at what models are bound to: what the catalog promises, and what each backend says of it.

Nothing is ordered. What is found is told without the secrets of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from safelight import wiring
from safelight.cli.model_facts import in_words, trouble_with
from safelight.domain.catalog import Binding, Catalog, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import format_usd
from safelight.domain.outcomes import Finding
from safelight.domain.ports import Algorithmic, Backend, Backends, Checkable
from safelight.domain.pricing import unit_margins
from safelight.domain.text import first_bytes, without_secrets
from safelight.node.settings import Settings
from safelight.telemetry.exceptions import without_message

LIMIT_SECONDS = 10.0
_CLOSING_SECONDS = 1.0
_AT_ONCE = 4
"""How many models are asked about on one connection at a time."""
_MAX_WORDS_BYTES = 2048
_PROMISES = {"seed": "supports_seed", "negative_prompt": "supports_negative_prompt"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, and what it is about. ``models`` are those that it was found at; none: the connection itself."""

    level: Literal["ok", "warning", "problem"]
    connection: str | None
    models: tuple[str, ...] = ()
    subject: str
    text: str
    remedy: str = ""


def of_catalog(settings: Settings, catalog: Catalog, models: Sequence[Model]) -> list[Found]:
    """What the catalog promises and cannot hold, as far as that is seen without asking anybody."""
    return [found for model in models for found in _of_model(settings, catalog, model)]


async def of_backends(
    settings: Settings, catalog: Catalog, models: Sequence[Model], limit_seconds: float = LIMIT_SECONDS
) -> list[Found]:
    """What the backends say that the models are bound to, all asked at once. It takes ``limit_seconds`` at most."""
    bound: dict[str, list[tuple[Model, Binding]]] = {}
    for model in models:
        for binding in model.bindings:
            bound.setdefault(binding.connection, []).append((model, binding))
    found: list[Found] = []
    looks: dict[asyncio.Task[list[Found]], Found] = {}
    async with wiring.open_backends(settings, catalog) as backends:
        for name, pairs in bound.items():
            backend = _opened(settings, catalog, backends, name)
            if isinstance(backend, Found):
                found.append(backend)
            elif isinstance(backend.provider, Checkable):
                places = asyncio.Semaphore(_AT_ONCE)
                for model, binding in pairs:
                    look = asyncio.create_task(_look(backend, backend.provider, model, binding, places))
                    looks[look] = _silent(name, model, limit_seconds)
            else:
                found.append(_not_to_be_checked(backend))
        found += await _within(looks, limit_seconds)
    return _each_once(found)


def _of_model(settings: Settings, catalog: Catalog, model: Model) -> Iterator[Found]:
    try:
        wiring.check_deadline(settings, model)
    except ConfigurationError as error:
        what, _, remedy = error.message.removeprefix(f"model {model.id!r}: ").partition(". ")
        yield Found(level="problem", connection=None, models=(model.id,), subject="deadline", text=what, remedy=remedy)
    for place, binding in enumerate(model.bindings):
        yield from _below_cost(model, binding, is_first=place == 0)
        yield from _unserved(settings, catalog, model, place)
        yield from _without_pipeline(catalog, model, binding)
        kind = catalog.connections[binding.connection].kind
        for promise in wiring.kinds()[kind].ignores:
            if getattr(model, _PROMISES[promise]):
                yield Found(
                    level="problem",
                    connection=binding.connection,
                    models=(model.id,),
                    subject=promise,
                    text=f"the model promises it, and no backend of kind {kind!r} is told of it",
                    remedy=f"Remove {_PROMISES[promise]} from the model, or bind it elsewhere.",
                )


def _unserved(settings: Settings, catalog: Catalog, model: Model, place: int) -> Iterator[Found]:
    try:
        wiring.check_declared_binding(settings, catalog, model, place)
    except ConfigurationError as error:
        what, _, remedy = error.message.removeprefix(f"model {model.id!r}: ").partition(". ")
        connection = model.bindings[place].connection
        yield Found(
            level="problem", connection=connection, models=(model.id,), subject="binding", text=what, remedy=remedy
        )


def _without_pipeline(catalog: Catalog, model: Model, binding: Binding) -> Iterator[Found]:
    """What the catalog's own pipelines, if the connection leads to them, do not make."""
    there = {each.name: each for each in catalog.pipelines if each.connection == binding.connection}
    if not there:
        return
    pipeline = there.get(binding.upstream_model)
    made = () if pipeline is None else pipeline.tasks
    wanted = [f"text-to-{model.type}"] + ([f"image-to-{model.type}"] if model.references else [])
    if pipeline is None:
        text = f"no [[pipelines]] of this connection is named {binding.upstream_model}"
        remedy = f"Name one as the binding's model: {', '.join(sorted(there))}."
    elif lacking := [task for task in wanted if task not in made]:
        text = f"the pipeline {pipeline.name} has no task {' and no '.join(lacking)}"
        remedy = "Add it to the pipeline's tasks, or bind the model elsewhere."
    else:
        return
    yield Found(
        level="problem",
        connection=binding.connection,
        models=(model.id,),
        subject="pipeline",
        text=text,
        remedy=remedy,
    )


def _below_cost(model: Model, binding: Binding, *, is_first: bool) -> Iterator[Found]:
    """What is only asked where others failed may be dearer on purpose."""
    for margin in unit_margins(model, binding):
        if margin.cost_nanos is not None and margin.price_nanos < margin.cost_nanos:
            yield Found(
                level="problem" if is_first else "warning",
                connection=binding.connection,
                models=(model.id,),
                subject="price",
                text=f"{in_words(margin)} is sold at {format_usd(margin.price_nanos)} a unit, and costs "
                f"{format_usd(margin.cost_nanos)}",
                remedy="Raise the rate, or correct the binding's cost.",
            )


def _opened(settings: Settings, catalog: Catalog, backends: Backends, name: str) -> Backend | Found:
    trouble = trouble_with(catalog.connections[name], settings)
    try:
        if trouble is None:
            return backends.open(name)
    except ConfigurationError as error:
        trouble = error.message
    what, _, remedy = trouble.partition(". ")
    return Found(level="problem", connection=name, subject="connection", text=what.rstrip("."), remedy=remedy)


def _not_to_be_checked(backend: Backend) -> Found:
    provider = backend.provider
    if isinstance(provider, Algorithmic) and provider.is_algorithmic:
        text, level = "it draws here by rule: there is nothing to look at", "ok"
    else:
        text, level = "it cannot be checked without ordering", "warning"
    return msgspec.convert(
        {"level": level, "connection": backend.connection, "subject": "connection", "text": text}, Found
    )


async def _look(
    backend: Backend, provider: Checkable, model: Model, binding: Binding, places: asyncio.Semaphore
) -> list[Found]:
    try:
        async with places:
            findings = await provider.check(model, binding)
        return [_told(backend, model, finding) for finding in findings]
    except Exception as error:
        return [
            Found(
                level="problem",
                connection=backend.connection,
                models=(model.id,),
                subject="check",
                text="the check itself broke: {error} at {at}".format(**without_message(error)),
                remedy="That is a fault of the adapter: tell whoever wrote it.",
            )
        ]


def _told(backend: Backend, model: Model, finding: Finding) -> Found:
    secrets = backend.every_secret()

    def cleared(text: str) -> str:
        return first_bytes(without_secrets(text[: 4 * _MAX_WORDS_BYTES], secrets), _MAX_WORDS_BYTES)

    return Found(
        level=finding.level,
        connection=backend.connection,
        models=(model.id,),
        subject=cleared(finding.subject),
        text=cleared(finding.text),
        remedy=cleared(finding.remedy),
    )


def _silent(connection: str, model: Model, limit_seconds: float) -> Found:
    return Found(
        level="problem",
        connection=connection,
        models=(model.id,),
        subject="connection",
        text=f"it told nothing within {limit_seconds:g} s",
        remedy="See that the backend runs and answers soon.",
    )


async def _within(looks: dict[asyncio.Task[list[Found]], Found], limit_seconds: float) -> list[Found]:
    """What the looks found, or in its place what is to be told of one that takes too long."""
    if not looks:
        return []
    _, silent = await asyncio.wait(looks, timeout=limit_seconds)
    for look in silent:
        look.cancel()
    if silent:
        await asyncio.wait(silent, timeout=_CLOSING_SECONDS)
    return [found for look, why in looks.items() for found in ([why] if look in silent else look.result())]


def _each_once(found: Sequence[Found]) -> list[Found]:
    """What is the same at several models of a connection, told once; by connection."""
    merged: dict[Found, list[str]] = {}
    for each in found:
        merged.setdefault(msgspec.structs.replace(each, models=()), []).extend(each.models)
    return [msgspec.structs.replace(each, models=tuple(dict.fromkeys(names))) for each, names in merged.items()]
