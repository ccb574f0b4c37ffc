"""A look at a live one: is it there, does it take the key, has it the model, can it be told what the model offers.

Nothing is ordered: the list of tasks tells whether the key is good. The list of models is not in the vendor's own
documentation, so what it lacks is a warning.
"""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter
from collections.abc import Iterator, Sequence

from safelight.domain.catalog import Binding, Model
from safelight.domain.generations import GenerationType
from safelight.domain.outcomes import Finding
from safelight.outbound.backend_api import BackendApi, Exchange, Reply, remedy_of
from safelight.outbound.loose_json import at, objects_in, text_in
from safelight.providers.ark.errors import error_in
from safelight.providers.ark.settings import RESERVED, Options, pixels_of

_SECONDS = 8.0
_MAX_BYTES = 16 * 1024 * 1024
_SHOWN = 8
_NEW_LEAST_PIXELS = 3_686_400
_NEW_IMAGE_MODELS = ("seedream-4-5", "seedream-5")
_RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")
_KEY_STATUSES = (401, 403)


async def look(api: BackendApi, tasks_path: str, model: Model, binding: Binding) -> Sequence[Finding]:
    listed, models = await asyncio.gather(
        _get(api, f"{tasks_path}?page_num=1&page_size=1"),
        _get(api, "/models"),
    )
    findings = [*_of_connection(api, listed)]
    if findings[0].level == "ok":
        findings += [*_of_models(models, binding)]
    return [*findings, *_of_catalog(model, binding)]


async def _get(api: BackendApi, path: str) -> Exchange:
    return await api.call("GET", path, deadline_seconds=_SECONDS, max_bytes=_MAX_BYTES)


def _of_connection(api: BackendApi, listed: Exchange) -> Iterator[Finding]:
    if not isinstance(listed, Reply):
        remedy = "See that base_url is the vendor's, of the key's own region, and ends in /api/v3."
        yield Finding.problem(
            "connection", f"{api.base_url} does not answer: {listed.detail}", remedy_of(listed, remedy)
        )
        return
    said = error_in(listed.json())
    words = f"HTTP {listed.status}" + (f": {said.code}" if said.code else "")
    if listed.status in _KEY_STATUSES:
        remedy = said.remedy() or "Correct the connection's key. Keys are of one region: see that base_url is the same."
        yield Finding.problem("key", f"the key is not taken ({words})", remedy)
    elif listed.status == 429:
        text = f"the vendor asks to be left alone, or nothing is left ({words})"
        yield Finding.warning("key", text, said.remedy() or "Look at the account's limits.")
    elif not listed.is_ok or not isinstance(listed.json(), dict) or "items" not in listed.json():
        remedy = said.remedy() or "See that base_url is the vendor's, and ends in /api/v3."
        yield Finding.problem("connection", f"{api.base_url} does not list tasks ({words})", remedy)
    else:
        yield Finding.ok("key", f"{api.base_url} answers, and takes the key")


def _of_models(models: Exchange, binding: Binding) -> Iterator[Finding]:
    document = models.json() if isinstance(models, Reply) and models.is_ok else None
    entries = at(document, "data")
    name = binding.upstream_model
    if not isinstance(entries, list) or name.startswith("ep-"):
        what = "an endpoint" if name.startswith("ep-") else "a model"
        yield Finding.ok("model", f"not looked up: no list tells of {what} such as {name}")
        return
    ids = [each for entry in objects_in(entries) if (each := text_in(entry.get("id")))]
    if name in ids:
        yield Finding.ok("model", f"{name} is there")
        return
    near = difflib.get_close_matches(name, ids, _SHOWN, 0.4)
    shown = f"Near: {', '.join(near)}. " if near else ""
    yield Finding.warning(
        "model",
        f"the vendor's list has no {name}",
        f"{shown}Name a model with its date, or an endpoint (ep-...), and activate it in the vendor's console.",
    )


def _of_catalog(model: Model, binding: Binding) -> Iterator[Finding]:
    """What the catalog offers, and the vendor is not told, or is said to refuse."""
    if taken := sorted(RESERVED & set(binding.provider_options)):
        text = f"an order says {', '.join(taken)} by itself, and refuses it as an option"
        yield Finding.problem("provider_options", text, "Take it out of the binding's provider_options.")
    if model.supports_negative_prompt:
        yield Finding.problem(
            "negative_prompt", "the vendor takes none", "Remove supports_negative_prompt from the model."
        )
    yield from _of_images(model, binding) if model.type is GenerationType.IMAGE else _of_videos(model, binding)


def _of_images(model: Model, binding: Binding) -> Iterator[Finding]:
    for resolution in model.resolutions:
        words = [binding.size_word(resolution, ratio) for ratio in model.aspect_ratios]
        for word, count in Counter(word for word in words if word is not None).items():
            if count > 1:
                text = f"{word} is said for {count} ratios of {resolution}, so that none of them is told"
                yield Finding.problem("sizes", text, "Write pixels as the word, such as 2560x1440, or none.")
    if not any(name in binding.upstream_model for name in _NEW_IMAGE_MODELS):
        return
    for resolution, ratios in model.sizes.items():
        for ratio in ratios:
            pixels = pixels_of(model, binding, resolution, ratio)
            if pixels is not None and pixels[0] * pixels[1] < _NEW_LEAST_PIXELS:
                text = f"{resolution} {ratio} is {pixels[0]}x{pixels[1]}: newer models are said to take no fewer than "
                remedy = "Offer larger sizes if it is refused, and state the model's own least_pixels."
                yield Finding.warning("sizes", f"{text}{_NEW_LEAST_PIXELS} pixels", remedy)
                return


def _of_videos(model: Model, binding: Binding) -> Iterator[Finding]:
    assert isinstance(binding.options, Options)
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            parts = (binding.size_word(resolution, ratio) or resolution).split()
            if len(parts) not in (1, 2):
                text = f"{' '.join(parts)!r} is no size of its"
                yield Finding.problem("sizes", text, "Write the word as '720p' or '720p 16:9'.")
    unknown = sorted({each for each in model.aspect_ratios if each not in _RATIOS and not _has_words(binding, each)})
    if unknown:
        yield Finding.warning(
            "aspect_ratios",
            f"{', '.join(unknown)} is none that is known of the vendor",
            f"It takes {', '.join(_RATIOS[:-1])}. Offer those, or say its own word in the binding's sizes.",
        )
    roles = set(model.references)
    if "reference_image" in roles and len(roles) > 1:
        text = "a first or last frame and reference images together are refused, and the model takes both"
        yield Finding.warning("references", text, "Offer them as two models, if clients are not to find out.")
    if "last_frame" in roles and "first_frame" not in roles:
        text = "a last frame without a first one is refused"
        yield Finding.warning("references", text, "Add first_frame to the model's references.")
    if binding.options.execution_expires_after is not None and model.deadline_seconds is None:
        text = "whether it ends before the deadline is not known: the model has none of its own"
        yield Finding.warning("execution_expires_after", text, "Give the model a deadline_seconds that is no shorter.")


def _has_words(binding: Binding, ratio: str) -> bool:
    return any(ratio in words for words in binding.sizes.values())
