"""A look at a live server: is it there, does it take the key, has it the model, can it be told what the model offers.

Nothing is ordered. What is said to be refused is refused for certain; what is not known is not said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from typing import Literal

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import Finding
from safelight.domain.text import listed
from safelight.outbound.backend_api import BackendApi, Exchange, NoReply, NotSent, Reply, remedy_of
from safelight.outbound.loose_json import at, objects_in, text_in
from safelight.providers.openai.saying import (
    PIXELS,
    size_style,
    unsayable_negative,
    unsayable_roles,
    unsayable_seed,
    unsayable_size,
    unsayable_type,
)
from safelight.providers.openai.settings import RESERVED, Quirks

_SECONDS = 8.0
_MAX_BYTES = 16 * 1024 * 1024
_SHOWN = 8
_TAKEN_BY_ALL = ("steps", "num_inference_steps", "guidance", "guidance_scale", "strength")
_FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536", "auto")


async def look(api: BackendApi, quirks: Quirks, model: Model, binding: Binding, *, has_key: bool) -> Sequence[Finding]:
    path = quirks.models_path
    if model.type is GenerationType.VIDEO and quirks.video_models_path:
        path = quirks.video_models_path
    asked = [_get(api, found) for found in (path, quirks.key_path) if found]
    exchanges = await asyncio.gather(*asked)
    models = exchanges[0] if path else None
    key = exchanges[-1] if quirks.key_path else models
    return [
        *(_of_connection(api, key, has_key=has_key) if key is not None else ()),
        *(_of_list(models, quirks, binding) if isinstance(models, Reply) else ()),
        *(_of_declared(models, model, binding) if quirks.declares_models and isinstance(models, Reply) else ()),
        *_of_catalog(quirks, model, binding),
    ]


async def _get(api: BackendApi, path: str) -> Exchange:
    return await api.call("GET", path, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)


def _of_connection(api: BackendApi, exchange: Exchange, *, has_key: bool) -> Iterator[Finding]:
    match exchange:
        case NotSent(detail) | NoReply(detail):
            remedy = "See that the server runs, and that base_url leads to it. A first start may take long."
            yield Finding.problem(
                "connection", f"{api.base_url} does not answer: {detail}", remedy_of(exchange, remedy)
            )
        case Reply(status) if status in (401, 403):
            yield Finding.problem(
                "key",
                f"the key is not taken (HTTP {status})",
                "Set the connection's key to one that this server gave, with access to the model.",
            )
        case Reply(status) if status == 429:
            yield Finding.warning(
                "key",
                "the server asks to be left alone, or the account has nothing left (HTTP 429)",
                "Look at the account's limits and credit.",
            )
        case Reply(status) if not exchange.is_ok:
            yield Finding.warning(
                "connection",
                f"{api.base_url} is there, and lists no models (HTTP {status})",
                "If orders come to nothing, correct base_url: what stands before /images, mostly with /v1.",
            )
        case Reply():
            text = f"{api.base_url} answers{', and takes the key' if has_key else ''}"
            yield Finding.ok("connection", text)


def _of_list(reply: Reply, quirks: Quirks, binding: Binding) -> Iterator[Finding]:
    if not reply.is_ok or not quirks.lists_models:
        return
    entries = at(reply.json(), "data")
    if not isinstance(entries, list):
        yield Finding.problem(
            "connection",
            "what answers is no such API: its list of models is none",
            "See whether base_url has to end in /v1.",
        )
        return
    ids = [name for entry in objects_in(entries) if (name := text_in(entry.get("id")))]
    if binding.upstream_model in ids:
        yield Finding.ok("model", f"{binding.upstream_model} is there")
        return
    yield Finding.problem(
        "model",
        f"the server has no {binding.upstream_model}, or this key may not use it",
        f"Name one that it has as the binding's model: {listed(sorted(ids), _SHOWN) or 'it lists none'}.",
    )


class _Declared(msgspec.Struct):
    """What a list that ``declares_models`` says of one."""

    id: str
    tasks: list[str] = []
    status: str = "ready"
    message: str = ""
    size_multiple: int | None = None
    max_images: int = 1
    options: list[str] = []


class _DeclaredList(msgspec.Struct):
    data: list[_Declared]


_declared = msgspec.json.Decoder(_DeclaredList)


def _of_declared(listed: Reply, model: Model, binding: Binding) -> Iterator[Finding]:
    """How the model stands there, and what the catalog offers that it does not do."""
    entries = listed.read(_declared)
    said = next((entry for entry in entries.data if entry.id == binding.upstream_model), None) if entries else None
    if said is None:
        return
    if said.status != "ready":
        level: Literal["problem", "warning"] = "warning" if said.status == "starting" else "problem"
        text = f"{said.id} is {said.status} there{': ' if said.message else ''}{said.message}"
        yield Finding(level=level, subject="model", text=text, remedy="See what the server says, or wait for it.")
    wanted = [f"text-to-{model.type}"] + ([f"image-to-{model.type}"] if model.references else [])
    for task in wanted:
        if task not in said.tasks:
            text = f"{said.id} makes no {task} there, and {', '.join(said.tasks) or 'nothing'}"
            remedy = "Bind the model to one that does, or add the task to its tasks."
            yield Finding.problem("tasks", text, remedy)
    most = model.references.get("reference_image", 0)
    if most > said.max_images:
        yield Finding.problem(
            "references", f"{said.id} takes {said.max_images} at most", "Offer fewer, or set max_images."
        )
    if unknown := sorted(set(binding.provider_options) - {*said.options, *_TAKEN_BY_ALL}):
        text = f"{said.id} takes no {', '.join(unknown)}"
        yield Finding.problem(
            "provider_options", text, "Take it out of provider_options, or into the pipeline's allow."
        )
    multiple = said.size_multiple or 1
    for resolution, ratios in model.sizes.items():
        for ratio, (width, height) in ratios.items():
            if binding.size_word(resolution, ratio) is None and (width % multiple or height % multiple):
                text = f"{width}x{height}: {said.id} makes sides that {multiple} divides"
                yield Finding.problem(
                    f"size {resolution} {ratio}", text, "Change it, or name one as the binding's size."
                )


def _of_catalog(quirks: Quirks, model: Model, binding: Binding) -> Iterator[Finding]:
    """What the catalog offers, and this connection could not say."""
    if (why := unsayable_type(model.type, quirks)) is not None:
        yield Finding.problem("connection", why, "Bind the model to a connection that makes videos.")
    for roles in _offered(model):
        if (why := unsayable_roles(model.type, roles, quirks)) is not None:
            yield Finding.problem("references", why, f"Take {', '.join(roles)} out of the model's references.")
            break
    if (why := unsayable_seed(quirks, is_wanted=model.supports_seed)) is not None:
        yield Finding.problem("seed", why, "Remove supports_seed from the model, or set seed on the connection.")
    if (why := unsayable_negative(quirks, is_wanted=model.supports_negative_prompt)) is not None:
        remedy = "Remove supports_negative_prompt from the model, or set negative_prompt on the connection."
        yield Finding.problem("negative_prompt", why, remedy)
    if taken := sorted(RESERVED & set(binding.provider_options)):
        text = f"an order says {', '.join(taken)} by itself, and refuses it as an option"
        yield Finding.problem("provider_options", text, "Take it out of the binding's provider_options.")
    if model.supports_sound and quirks.sound == "none":
        yield Finding.warning(
            "sound",
            "whether there is sound is not said to this server (sound)",
            "Remove supports_sound from the model, or set sound on the connection.",
        )
    yield from _of_sizes(quirks, model, binding)


def _of_sizes(quirks: Quirks, model: Model, binding: Binding) -> Iterator[Finding]:
    style = size_style(model.type, quirks)
    for resolution, ratios in model.sizes.items():
        for ratio, (width, height) in ratios.items():
            word = binding.size_word(resolution, ratio)
            why = unsayable_size(word, style)
            if why is None and style == "size":
                why = _refused_by_name(binding.upstream_model, word or f"{width}x{height}")
            if why is not None:
                remedy = (
                    f'Give the server\'s own word in the binding: sizes = {{"{resolution}" = {{"{ratio}" = "..."}}}}.'
                )
                yield Finding.problem(f"size {resolution} {ratio}", why, remedy)


def _refused_by_name(upstream_model: str, size: str) -> str | None:
    """What OpenAI's own models certainly refuse."""
    family = upstream_model.rpartition("/")[2]
    if family.startswith("gpt-image-1"):
        return None if size in _FIXED_SIZES else f"{family} takes {', '.join(_FIXED_SIZES)}, and not {size}"
    pixels = PIXELS.fullmatch(size)
    if not family.startswith("gpt-image-2") or size == "auto":
        return None
    if pixels is None:
        return f"{family} takes sizes such as 1024x1024, and not {size}"
    sides = sorted(map(int, pixels.groups()))
    if any(side % 16 for side in sides):
        return f"{family} takes sides that 16 divides, and not {size}"
    if sides[1] > 3 * sides[0] or sides[1] > 3840 or sides[0] > 2160:
        return f"{family} takes at most 3840x2160, and sides of at most 3 to 1, and not {size}"
    return None


def _offered(model: Model) -> Iterator[tuple[ReferenceRole, ...]]:
    """Sets of pictures that the model takes: each role alone, at its most, then two roles together."""
    yield from ((role,) * most for role, most in model.references.items())
    yield from (pair for pair in combinations_with_replacement(model.references, 2) if pair[0] != pair[1])
