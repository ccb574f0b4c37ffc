"""Whether an API can be told all that an order says. What it cannot be told is never left out in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from safelight.domain.catalog import Binding, Model
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Host, Job
from safelight.domain.request import Order
from safelight.providers.google.settings import Api, Options, Settings, is_said_by_order, leaves

_AUTO = "auto"
_TOP_LEVEL: dict[Api, frozenset[str]] = {
    "generate-content": frozenset({"safetySettings", "serviceTier", "labels", "systemInstruction"}),
    "interactions": frozenset({"safety_settings", "service_tier", "labels", "system_instruction"}),
    "veo": frozenset({"labels"}),
}
_OPTIONS_IN: dict[Api, str] = {
    "generate-content": "generationConfig",
    "interactions": "generation_config",
    "veo": "parameters",
}


class Size(msgspec.Struct, frozen=True):
    """A size in their words. None: it is not told, and the model decides."""

    resolution: str | None
    ratio: str | None


def size_of(order: Order, job: Job[Any]) -> Size | None:
    """The size as it is told: ``2K`` or ``2K 16:9`` where the catalog has a word, ``auto`` for a part that is not told.

    None where the word is no such thing.
    """
    match (job.size_word or order.spec.resolution).split():
        case [resolution]:
            ratio = order.spec.aspect_ratio
        case [resolution, ratio]:
            pass
        case _:
            return None
    return Size(*(None if part == _AUTO else part for part in (resolution, ratio)))


def refused(order: Order, job: Job[Options], api: Api, settings: Settings) -> Failed | None:
    """Why this order is not even given; None: it can be said."""
    if taken := sorted({name for name in leaves(order.spec.provider_options) if is_said_by_order(name)}):
        return Failed(FailureClass.BAD_INPUT, f"provider_options: an order says {', '.join(taken)} by itself")
    spec = order.spec
    why = (
        unsayable_type(order.type, api, settings, job.options)
        or unsayable_roles([reference.role for reference in order.references], api)
        or unsayable_negative(api, is_wanted=spec.negative_prompt is not None)
        or unsayable_sound(api, is_wanted=spec.sound is not None)
    )
    if why is None and size_of(order, job) is None:
        why = f"the size word {job.size_word!r} is not written as '2K' or '2K 16:9'"
    return Failed(FailureClass.PERMANENT, why) if why else None


def unsayable_type(kind: GenerationType, api: Api, settings: Settings, options: Options) -> str | None:
    if settings.platform == "gemini" and api == "veo":
        return 'veo is an API of platform = "vertex"; with a key, clips are made by interactions'
    if settings.platform == "gemini" and options.storage_uri is not None:
        return 'storage_uri is for platform = "vertex"'
    if settings.platform == "vertex" and api == "interactions" and _needs_bucket(options):
        return 'delivery = "uri" on Vertex takes storage_uri'
    return unmade(kind, api)


def unmade(kind: GenerationType, api: Api) -> str | None:
    if kind is GenerationType.VIDEO and api == "generate-content":
        return "generate-content makes no clips"
    if kind is GenerationType.IMAGE and api == "veo":
        return "veo makes no pictures"
    return None


def unsayable_roles(roles: Iterable[ReferenceRole], api: Api) -> str | None:
    """Why these pictures together cannot be given."""
    given = set(roles)
    if api == "generate-content":
        return None
    if api == "interactions" and "last_frame" in given:
        return "interactions has no word for a last_frame"
    if "reference_image" in given and len(given) > 1:
        return f"{api} takes frames or reference images, not both"
    if given == {"last_frame"}:
        return f"{api} takes a last_frame beside a first_frame alone"
    return None


def unsayable_negative(api: Api, *, is_wanted: bool) -> str | None:
    return f"{api} takes no negative prompt" if is_wanted and api != "veo" else None


def unsayable_sound(api: Api, *, is_wanted: bool) -> str | None:
    return f"{api} has no switch for sound" if is_wanted and api != "veo" else None


def unsayable_of(model: Model, api: Api) -> Iterator[tuple[str, str, str]]:
    """What a model offers and the API cannot be told: subject, why, and the remedy."""
    if (why := unmade(model.type, api)) is not None:
        yield "api", why, "Bind the model to another api."
        return
    offered = model.references
    if api == "interactions" and "last_frame" in offered:
        yield "references", "interactions has no word for a last_frame", "Take last_frame out of the references."
    if api == "veo" and "last_frame" in offered and "first_frame" not in offered:
        yield "references", "veo takes a last_frame beside a first_frame alone", "Offer first_frame as well."
    if (why := unsayable_negative(api, is_wanted=model.supports_negative_prompt)) is not None:
        yield "negative_prompt", why, "Remove supports_negative_prompt from the model."
    if (why := unsayable_sound(api, is_wanted=model.supports_sound)) is not None:
        yield "sound", why, "Remove supports_sound from the model."


def check_binding(model: Model, binding: Binding, host: Host) -> None:
    """What can be found without the connection. Raises ``ConfigurationError``."""
    options = binding.options
    assert isinstance(options, Options)
    api = options.api or ("generate-content" if model.type is GenerationType.IMAGE else None)
    if api == "generate-content" and "IMAGE" not in options.modalities:
        raise ConfigurationError("modalities: without IMAGE there is no picture. Add it.")
    if options.storage_uri is not None and api == "generate-content":
        raise ConfigurationError("storage_uri: generate-content writes to no folder. Remove it.")
    if options.duration == "none" and len(model.durations) > 1:
        raise ConfigurationError('duration: with "none" the model makes clips of one length. Offer one duration.')
    if api is not None:
        for _, why, remedy in unsayable_of(model, api):
            raise ConfigurationError(f"api: {why}. {remedy}")


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two bodies as one, at every depth. The second wins."""
    found = dict(under)
    for name, value in over.items():
        before = found.get(name)
        found[name] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return found


def body_of(said: Mapping[str, Any], order: Order, job: Job[Options], api: Api) -> dict[str, Any]:
    """The body of an order: what it says itself, over the request's own options, over the binding's."""
    options = order.spec.provider_options
    own = {name: value for name, value in options.items() if name in _TOP_LEVEL[api]}
    rest = {name: value for name, value in options.items() if name not in own}
    more = merged(own, {_OPTIONS_IN[api]: rest}) if rest else own
    return merged(merged(job.options.body, more), said)


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _needs_bucket(options: Options) -> bool:
    return options.delivery == "uri" and options.storage_uri is None
