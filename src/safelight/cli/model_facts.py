"""What the catalog says of models and connections, as facts to be printed."""

from __future__ import annotations

from typing import Any

import msgspec

from safelight import wiring
from safelight.cli.show import percent_of
from safelight.domain.catalog import Binding, Catalog, Model, Rate
from safelight.domain.connections import Connection, HttpConnectionSettings, Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.money import format_usd
from safelight.domain.pricing import UnitMargin, unit_margins
from safelight.node.settings import Settings

ANY = "any"
"""What a rate or a cost is for that names no resolution."""

_UNITS = {"image": "image", "video_second": "second"}
_SOUNDS = {"sound_on": "with sound", "sound_off": "without sound", "not_applicable": ""}


def listed(model: Model, catalog: Catalog) -> dict[str, Any]:
    """The model as a list has it."""
    return {
        "id": model.id,
        "type": model.type.value,
        "prices": [_rate(rate) for rate in model.rates],
        "bindings": [
            {
                "connection": binding.connection,
                "kind": catalog.connections[binding.connection].kind,
                "model": binding.upstream_model,
                "cost": _costs(binding),
            }
            for binding in model.bindings
        ],
        "supports": _supports(model),
    }


def full(model: Model, catalog: Catalog, settings: Settings) -> dict[str, Any]:
    """Everything that the catalog says of the model. The first value of each list is the default."""
    return {
        "id": model.id,
        "name": model.name,
        "type": model.type.value,
        "created_at": model.created_at,
        "resolutions": model.resolutions,
        "aspect_ratios": model.aspect_ratios,
        "durations": model.durations,
        "references": model.references,
        "supports_sound": model.supports_sound,
        "supports_seed": model.supports_seed,
        "supports_negative_prompt": model.supports_negative_prompt,
        "provider_options": model.provider_options,
        "deadline_seconds": model.deadline_seconds,
        "sizes": {
            resolution: {ratio: f"{width}x{height}" for ratio, (width, height) in ratios.items()}
            for resolution, ratios in model.sizes.items()
        },
        "rates": [_rate(rate) for rate in model.rates],
        "bindings": [_bound(model, binding, catalog, settings) for binding in model.bindings],
    }


def connection_facts(connection: Connection, settings: Settings, models: int) -> dict[str, Any]:
    """The connection, and whether it can be opened, asking nobody. ``models``: how many are bound to it."""
    return {
        "name": connection.name,
        "kind": connection.kind,
        "models": models,
        "state": trouble_with(connection, settings) or "ready",
    }


def trouble_with(connection: Connection, settings: Settings) -> str | None:
    """What keeps the connection from being opened, and the remedy; None: nothing."""
    try:
        wiring.check_declared(settings, connection)
    except ConfigurationError as error:
        return error.message.removeprefix(f"connection {connection.name!r}: ")
    return None


def in_words(margin: UnitMargin) -> str:
    """The case that it is of."""
    return f"{margin.resolution} {_SOUNDS[_sound(margin)]}".rstrip()


def price_in_words(rate: dict[str, Any]) -> str:
    case = " ".join(filter(None, (rate["resolution"], _SOUNDS[rate["sound"]])))
    return f"{rate['unit_price']}{f' ({case})' if case else ''}"


def cost_in_words(costs: dict[str, str]) -> str:
    return ", ".join(cost if name == ANY else f"{cost} ({name})" for name, cost in costs.items()) or "-"


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "unit_price": format_usd(rate.unit_price_nanos),
        "unit": _UNITS[rate.billable_unit],
        "resolution": rate.resolution,
        "sound": rate.sound,
    }


def _supports(model: Model) -> list[str]:
    promised = {"seed": model.supports_seed, "negative prompt": model.supports_negative_prompt}
    return [
        *(name for name, is_promised in promised.items() if is_promised),
        *(["sound"] if model.supports_sound else []),
        *(f"{most} {role}" for role, most in model.references.items()),
        *(f"option {name}" for name in model.provider_options),
    ]


def _bound(model: Model, binding: Binding, catalog: Catalog, settings: Settings) -> dict[str, Any]:
    connection = catalog.connections[binding.connection]
    told = connection.settings
    return {
        "connection": binding.connection,
        "kind": connection.kind,
        "state": trouble_with(connection, settings) or "ready",
        "address": told.base_url if isinstance(told, HttpConnectionSettings) else None,
        "keys": [secret.reference for secret in connection.secrets()],
        "model": binding.upstream_model,
        "options": _said(binding.options),
        "sizes": binding.sizes,
        "provider_options": binding.provider_options,
        "cost": _costs(binding),
        "margins": [_margin(margin) for margin in unit_margins(model, binding)],
    }


def _costs(binding: Binding) -> dict[str, str]:
    return {resolution or ANY: format_usd(nanos) for resolution, nanos in binding.costs.items()}


def _margin(margin: UnitMargin) -> dict[str, Any]:
    cost_nanos, left_nanos = margin.cost_nanos, margin.margin_nanos
    return {
        "of": in_words(margin),
        "price": format_usd(margin.price_nanos),
        "cost": None if cost_nanos is None else format_usd(cost_nanos),
        "margin": None if left_nanos is None else format_usd(left_nanos),
        "percent": None if left_nanos is None else percent_of(left_nanos, margin.price_nanos),
    }


def _sound(margin: UnitMargin) -> str:
    return {True: "sound_on", False: "sound_off", None: "not_applicable"}[margin.sound]


def _said(options: msgspec.Struct) -> dict[str, Any]:
    """What an options table says that goes without saying otherwise."""
    said = {}
    for field in msgspec.structs.fields(options):
        made = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        value = getattr(options, field.name)
        if made is msgspec.NODEFAULT or value != made:
            said[field.encode_name] = msgspec.to_builtins(value, enc_hook=_reference)
    return said


def _reference(value: Any) -> str:
    return value.reference if isinstance(value, Secret) else str(value)
