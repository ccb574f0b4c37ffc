"""A look at a live server: is it there, does it take the key, has it the model and the sampler, can it be told all.

Nothing is ordered. What is said to be refused is refused for certain; what is not known is not said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Finding
from safelight.domain.text import listed
from safelight.outbound.backend_api import BackendApi, Exchange, NoReply, NotSent, Reply, remedy_of
from safelight.outbound.loose_json import at, objects_in
from safelight.providers.a1111.saying import (
    unsayable_engine,
    unsayable_roles,
    unsayable_size,
    unsayable_sound,
    unsayable_type,
)
from safelight.providers.a1111.settings import Options, Quirks, unfit_options

_SECONDS = 8.0
_MAX_BYTES = 16 * 1024 * 1024
_SHOWN = 8
_ENDINGS = (".safetensors", ".ckpt", ".gguf", ".sft")
_FORMATS = ("png", "jpg", "jpeg", "webp")


async def look(api: BackendApi, quirks: Quirks, model: Model, binding: Binding, *, has_key: bool) -> Sequence[Finding]:
    options = binding.options
    assert isinstance(options, Options)
    is_video = model.type is GenerationType.VIDEO
    paths = ["/sdapi/v1/sd-models", "/sdapi/v1/samplers", "/sdapi/v1/options"]
    paths += ["/sdapi/v2/jobs?limit=1"] if quirks.jobs else []
    paths += ["/sdapi/v2/video/engines"] if quirks.jobs and is_video else []
    exchanges = dict(zip(paths, await asyncio.gather(*(_get(api, path) for path in paths)), strict=True))
    reached = [*_of_connection(api, exchanges["/sdapi/v1/sd-models"], has_key=has_key)]
    if any(finding.level == "problem" for finding in reached):
        return [*reached, *_of_catalog(quirks, model, binding, options)]
    of_model = (
        _of_engine(exchanges.get("/sdapi/v2/video/engines"), binding, options)
        if is_video
        else _of_models(_items(exchanges["/sdapi/v1/sd-models"]), quirks, binding)
    )
    return [
        *reached,
        *_of_jobs(exchanges.get("/sdapi/v2/jobs?limit=1")),
        *of_model,
        *_of_samplers(_items(exchanges["/sdapi/v1/samplers"]), options),
        *_of_options(exchanges["/sdapi/v1/options"], quirks),
        *_of_catalog(quirks, model, binding, options),
    ]


async def _get(api: BackendApi, path: str) -> Exchange:
    return await api.call("GET", path, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)


def _of_connection(api: BackendApi, exchange: Exchange, *, has_key: bool) -> Iterator[Finding]:
    match exchange:
        case NotSent(detail) | NoReply(detail):
            remedy = "See that the server runs, and that base_url leads to it. A first start may take long."
            text = f"{api.base_url} does not answer: {detail}"
            yield Finding.problem("connection", text, remedy_of(exchange, remedy))
        case Reply(status) if status in (401, 403):
            remedy = "Set user and key as the server was started with (--api-auth user:password)."
            yield Finding.problem("key", f"the user and key are not taken (HTTP {status})", remedy)
        case Reply(404):
            yield Finding.warning(
                "connection",
                f"{api.base_url} is there, and lists no models (HTTP 404)",
                "Start the server with --api. base_url ends before /sdapi.",
            )
        case Reply(status) if not exchange.is_ok:
            yield Finding.warning(
                "connection", f"{api.base_url} lists no models (HTTP {status})", "Look at the server's log."
            )
        case Reply() if not isinstance(exchange.json(), list):
            yield Finding.problem(
                "connection", "what answers is no such API", "Correct base_url, which ends before /sdapi."
            )
        case Reply():
            yield Finding.ok("connection", f"{api.base_url} answers{', and takes the key' if has_key else ''}")


def _of_jobs(exchange: Exchange | None) -> Iterator[Finding]:
    if isinstance(exchange, Reply) and not exchange.is_ok:
        yield Finding.problem(
            "jobs",
            f"the server has no jobs (HTTP {exchange.status})",
            "Take a newer SD.Next, or set jobs = false on the connection: then there are no videos.",
        )


def _of_models(entries: list[dict[str, Any]] | None, quirks: Quirks, binding: Binding) -> Iterator[Finding]:
    if not entries or quirks.model_choice == "none":
        return
    if binding.upstream_model in chain.from_iterable(map(_names, entries)):
        yield Finding.ok("model", f"{binding.upstream_model} is there")
        return
    yield Finding.problem(
        "model",
        f"the server has no {binding.upstream_model}, and would take the one that is loaded",
        f"Name one that it has as the binding's model: {_listed(entry.get('title') for entry in entries)}.",
    )


def _names(entry: dict[str, Any]) -> Iterator[str]:
    """What a checkpoint may be called by."""
    title, digest = entry.get("title"), entry.get("hash")
    file = str(entry.get("filename") or "").replace("\\", "/").rpartition("/")[2]
    names = [title, entry.get("model_name"), digest, entry.get("sha256"), file, str(title).partition(" [")[0]]
    for name in filter(None, names):
        yield str(name)
        yield from (str(name).removesuffix(ending) for ending in _ENDINGS if str(name).endswith(ending))


def _of_engine(exchange: Exchange | None, binding: Binding, options: Options) -> Iterator[Finding]:
    """Whether the engine has the model of a job of type video."""
    engines = _items(exchange)
    if engines is None or options.job != "video":
        return
    found = next((each for each in engines if each.get("engine") == options.engine), None)
    if found is None:
        remedy = f"Say one of its engines in the binding's options: {_listed(each.get('engine') for each in engines)}."
        yield Finding.problem("engine", f"the server has no engine {options.engine!r}", remedy)
        return
    models = found.get("models")
    names = models if isinstance(models, list) else []
    if binding.upstream_model in names:
        yield Finding.ok("model", f"{binding.upstream_model} is there")
    else:
        text = f"{options.engine} has no {binding.upstream_model}"
        yield Finding.problem("model", text, f"Name one that it has as the binding's model: {_listed(names)}.")


def _of_samplers(entries: list[dict[str, Any]] | None, options: Options) -> Iterator[Finding]:
    wanted = options.body.get("sampler_name")
    if entries is None or not isinstance(wanted, str):
        return
    aliases = [entry.get("aliases") for entry in entries]
    known = {entry.get("name") for entry in entries} | {
        name for each in aliases if isinstance(each, list) for name in each if isinstance(name, str)
    }
    if wanted not in known:
        text = f"the server has no sampler {wanted!r}"
        yield Finding.problem(
            "sampler", text, f"Say one of its own: {_listed(entry.get('name') for entry in entries)}."
        )


def _of_options(exchange: Exchange, quirks: Quirks) -> Iterator[Finding]:
    document = exchange.json() if isinstance(exchange, Reply) and exchange.is_ok else None
    form = at(document, "samples_format")
    if isinstance(form, str) and form.lower() not in _FORMATS:
        remedy = "Set samples_format to png in the server's settings."
        yield Finding.problem("samples_format", f"the server answers with {form}, which is not read here", remedy)
    if document is None and quirks.model_choice != "none":
        yield Finding.warning(
            "options", "the server does not tell its settings", "See that samples_format is png in them."
        )


def _of_catalog(quirks: Quirks, model: Model, binding: Binding, options: Options) -> Iterator[Finding]:
    """What the catalog offers, and this connection could not say."""
    if (why := unsayable_type(model.type, quirks)) is not None:
        yield Finding.problem("connection", why, "Bind the model to a connection with jobs, which SD.Next has.")
    if (why := unsayable_engine(model.type, options)) is not None:
        yield Finding.problem("engine", why, "Say the group of GET /sdapi/v2/video/engines that lists the model.")
    for role, most in model.references.items():
        if (why := unsayable_roles(model.type, [role] * most, quirks)) is not None:
            yield Finding.problem("references", why, f"Take {role} out of the model's references, or fewer of it.")
    if model.supports_sound and (why := unsayable_sound(options, is_wanted=True)) is not None:
        yield Finding.problem("sound", why, "Remove supports_sound from the model.")
    if (why := unfit_options({name: {} for name in binding.provider_options})) is not None:
        yield Finding.problem("provider_options", why, "Take it out of the binding's provider_options.")
    for resolution, ratios in model.sizes.items():
        for ratio, (width, height) in ratios.items():
            word = binding.size_word(resolution, ratio)
            if (why := unsayable_size(word)) is not None:
                yield Finding.problem(
                    f"size {resolution} {ratio}", why, "Write the word as 1024x768 in the binding's sizes."
                )
            elif word is None and (width % 8 or height % 8):
                text = f"{width}x{height} is rounded to multiples of 8, at least"
                yield Finding.warning(f"size {resolution} {ratio}", text, "Take pixels that 8, or better 64, divides.")


def _items(exchange: Exchange | None) -> list[dict[str, Any]] | None:
    """A list of objects; None: there is none."""
    document = exchange.json() if isinstance(exchange, Reply) and exchange.is_ok else None
    return objects_in(document) if isinstance(document, list) else None


def _listed(names: Iterable[object]) -> str:
    return listed(sorted({name for name in names if isinstance(name, str)}), _SHOWN) or "it lists none"
