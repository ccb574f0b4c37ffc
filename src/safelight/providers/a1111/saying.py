"""Whether a server can be told all that an order says. What it cannot be told is never left out in silence."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from typing import Any

from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.outcomes import Failed, FailureClass
from safelight.domain.ports import Job
from safelight.domain.request import Order
from safelight.providers.a1111.settings import MODEL_SETTING, Options, Quirks, unfit_options

PIXELS = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)


def refused(order: Order, job: Job[Options], quirks: Quirks) -> Failed | None:
    """Why this order is not even given; None: it can be said."""
    if (why := unfit_options(order.spec.provider_options)) is not None:
        return Failed(FailureClass.BAD_INPUT, f"provider_options: {why}")
    why = (
        unsayable_type(order.type, quirks)
        or unsayable_engine(order.type, job.options)
        or unsayable_roles(order.type, [reference.role for reference in order.references], quirks)
        or unsayable_sound(job.options, is_wanted=bool(order.spec.sound))
        or unsayable_size(job.size_word)
    )
    return Failed(FailureClass.PERMANENT, why) if why else None


def unsayable_type(kind: GenerationType, quirks: Quirks) -> str | None:
    if kind is GenerationType.VIDEO and not quirks.jobs:
        return "videos are made by jobs alone, which this server does not have (jobs)"
    return None


def unsayable_engine(kind: GenerationType, options: Options) -> str | None:
    if kind is GenerationType.VIDEO and options.job == "video" and not options.engine:
        return "the binding's options do not say the engine of its model (engine)"
    return None


def unsayable_roles(kind: GenerationType, roles: Iterable[ReferenceRole], quirks: Quirks) -> str | None:
    """Why these pictures together cannot be given."""
    given = list(roles)
    if kind is GenerationType.VIDEO:
        if "reference_image" in given or len(set(given)) < len(given):
            return "a video takes a first and a last frame, and no other picture"
        return None
    if given and quirks.references == "none" and not quirks.jobs:
        return "this server takes no reference images (references)"
    if len(given) > quirks.max_references:
        return f"this server takes {quirks.max_references} of role reference_image (max_references)"
    return None


def unsayable_sound(options: Options, *, is_wanted: bool) -> str | None:
    return "this job makes no sound (job)" if is_wanted and options.job != "ltx" else None


def unsayable_size(word: str | None) -> str | None:
    if word is not None and PIXELS.fullmatch(word) is None:
        return "the size's word is not of the form 1024x768, and this server wants width and height"
    return None


def pixels_of(order: Order, job: Job[Options]) -> tuple[int, int]:
    """Width and height to ask for; a word of the catalog stands for the pixels."""
    found = PIXELS.fullmatch(job.size_word or f"{order.spec.width}x{order.spec.height}")
    assert found is not None
    return int(found[1]), int(found[2])


def frames_of(order: Order, options: Options) -> int:
    """As many as the clip lasts at least."""
    wanted, step = (order.spec.duration_seconds or 1) * options.fps, options.frames_step
    return math.ceil((wanted - 1) / step) * step + 1


def seed_of(order: Order, job: Job[Options], quirks: Quirks) -> int | None:
    """The seed to send: the one that was asked for, or one of our own for a server that does not tell its own."""
    if order.spec.seed is None and quirks.own_seed:
        return int.from_bytes(hashlib.sha256(job.id.encode()).digest()[:4]) >> 1
    return order.spec.seed


def options_of(order: Order, job: Job[Options]) -> dict[str, Any]:
    """What an order carries besides. A request's own win over the binding's."""
    told = job.options.body | order.spec.provider_options
    return {name: value for name, value in told.items() if name != "override_settings"}


def settings_of(order: Order, job: Job[Options], quirks: Quirks) -> dict[str, Any]:
    """The server's own settings while it makes the order, with the model among them."""
    ours: dict[str, Any] = job.options.body.get("override_settings", {})
    theirs: dict[str, Any] = order.spec.provider_options.get("override_settings", {})
    model = {} if quirks.model_choice == "none" else {MODEL_SETTING: job.upstream_model}
    return {**ours, **theirs, **model}
