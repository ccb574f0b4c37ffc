"""The reading of a catalog document.

``read_catalog`` takes the parsed TOML and answers a ``Catalog``, or raises ``ConfigurationError`` naming the key at
fault and the remedy. Reading the file itself is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from safelight.domain.catalog import BillableUnit, Binding, Catalog, Model, Rate, RateSound
from safelight.domain.connection_reader import ConnectionReader, explained
from safelight.domain.errors import ConfigurationError
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.money import NANOS_PER_USD, parse_usd
from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Pipeline
from safelight.domain.ports import ProviderKind

_MODEL_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}", re.ASCII)
_ALIAS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._:/@-]{0,99}", re.ASCII)
QUALITIES = ("low", "medium", "high", "xhigh", "max", "standard", "hd")
"""The words of OpenAI's API for how good a picture is to be, besides ``auto``."""
_RATIO = re.compile(r"[1-9]\d{0,3}:[1-9]\d{0,3}", re.ASCII)
_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})", re.ASCII)
_MAX_SIDE = 8192
_MAX_REFERENCES = 8
_MAX_DEADLINE_SECONDS = 30 * 24 * 3600
_MAX_UNIT_PRICE_NANOS = 1_000_000 * NANOS_PER_USD  # so that 600 seconds of it still fit an account


class _RateDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    unit_price: str
    resolution: str | None = None
    sound: RateSound = "not_applicable"


class _BindingDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``provider`` is an older word for ``connection``. ``cost``: of a unit, or by resolution."""

    connection: str | None = None
    provider: str | None = None
    model: str | None = None
    options: dict[str, Any] = {}
    sizes: dict[str, dict[str, str]] = {}
    provider_options: list[str] = []
    cost: str | dict[str, str] | None = None


class _OpenAiDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``quality``: resolutions by the words that clients of OpenAI's API have for them."""

    quality: dict[str, str] = {}


class _ModelDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    name: str
    type: GenerationType
    created_at: datetime
    aspect_ratios: list[str]
    resolutions: list[str]
    sizes: dict[str, dict[str, str]]
    rates: list[_RateDocument]
    bindings: list[_BindingDocument]
    durations: list[int] = []
    references: dict[ReferenceRole, int] = {}
    supports_sound: bool = False
    supports_seed: bool = False
    supports_negative_prompt: bool = False
    deadline_seconds: int | None = None
    aliases: list[str] = []
    openai: _OpenAiDocument | None = None


class _CatalogDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    models: list[_ModelDocument]
    connections: list[dict[str, Any]] = []
    pipelines: list[dict[str, Any]] = []


def read_catalog(document: object, *, source: str, kinds: Mapping[str, ProviderKind]) -> Catalog:
    """The catalog in a parsed document. ``source`` names the file in errors; ``kinds`` are the backends there are."""
    try:
        parsed = msgspec.convert(document, _CatalogDocument)
    except msgspec.ValidationError as error:
        raise explained(error, f"{source}: ") from None
    connections = ConnectionReader(source, kinds)
    for place, declared in enumerate(parsed.connections):
        connections.declare(place, declared)
    models: dict[str, Model] = {}
    for position, entry in enumerate(parsed.models):
        reader = _EntryReader(f"{source}: models[{position}]", entry, connections)
        if entry.id in models:
            raise reader.error("id", f"{entry.id!r} is there twice", "give each model its own id")
        models[entry.id] = reader.read()
    models = _with_aliases(models, source)
    if not models:
        raise ConfigurationError(f"{source}: models: there is none. Declare at least one [[models]].")
    pipelines = read_pipelines(parsed.pipelines, source=source)
    _check_pipelines(pipelines, connections, source)
    return Catalog(models, connections.found, pipelines)


def _with_aliases(models: Mapping[str, Model], source: str) -> dict[str, Model]:
    """The models without aliases that are another's id, which goes first. Find one that stands for two models."""
    of: dict[str, str] = {}
    for position, model in enumerate(models.values()):
        for alias in model.aliases:
            if (other := of.setdefault(alias, model.id)) != model.id:
                raise ConfigurationError(
                    f"{source}: models[{position}].aliases: {alias!r} is {other!r} already; use a name of its own."
                )
    return {
        id_: msgspec.structs.replace(model, aliases=tuple(alias for alias in model.aliases if alias not in models))
        for id_, model in models.items()
    }


def _check_pipelines(pipelines: tuple[Pipeline, ...], connections: ConnectionReader, source: str) -> None:
    for place, pipeline in enumerate(pipelines):
        if pipeline.connection is not None:
            connections.find(pipeline.connection, f"{source}: pipelines[{place}].connection")


class _EntryReader:
    """Checks one entry; every error names the key and the remedy."""

    def __init__(self, where: str, entry: _ModelDocument, connections: ConnectionReader) -> None:
        self.where = where
        self.entry = entry
        self.connections = connections

    def error(self, key: str, what: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(f"{self.where}.{key}: {what}; {remedy}.")

    def read(self) -> Model:
        entry = self.entry
        if _MODEL_ID.fullmatch(entry.id) is None:
            raise self.error("id", f"{entry.id!r} is not an id", "use lower-case letters, digits, '-' and '.'")
        if not entry.name.strip():
            raise self.error("name", "it is empty", "give the model a name that people read")
        return Model(
            id=entry.id,
            name=entry.name,
            type=entry.type,
            created_at=self.created_at(),
            aspect_ratios=self.aspect_ratios(),
            resolutions=self.unique("resolutions", entry.resolutions),
            durations=self.durations(),
            references=self.references(),
            supports_sound=self.supports_sound(),
            sizes=self.sizes(),
            rates=self.rates(),
            bindings=self.bindings(),
            deadline_seconds=self.deadline_seconds(),
            supports_seed=entry.supports_seed,
            supports_negative_prompt=entry.supports_negative_prompt,
            aliases=self.aliases(),
            qualities=self.qualities(),
        )

    def created_at(self) -> datetime:
        if self.entry.created_at.tzinfo is None:
            raise self.error("created_at", "it has no time zone", "write it as 2026-01-20T00:00:00Z")
        return self.entry.created_at.astimezone(UTC)

    def unique(self, key: str, values: list[str]) -> tuple[str, ...]:
        if not values or len(set(values)) != len(values):
            raise self.error(key, "it is empty or repeats a value", "list each value once, the default first")
        return tuple(values)

    def aspect_ratios(self) -> tuple[str, ...]:
        for ratio in self.entry.aspect_ratios:
            if _RATIO.fullmatch(ratio) is None:
                raise self.error("aspect_ratios", f"{ratio!r} is not a ratio", "write it as '16:9'")
        return self.unique("aspect_ratios", self.entry.aspect_ratios)

    def durations(self) -> tuple[int, ...]:
        durations = self.entry.durations
        if self.entry.type is GenerationType.IMAGE:
            if durations:
                raise self.error("durations", "an image has none", "remove the key")
            return ()
        if not durations or len(set(durations)) != len(durations) or not all(0 < d <= 600 for d in durations):
            raise self.error("durations", "a video model needs them", "list whole seconds, 1 to 600, each once")
        return tuple(durations)

    def deadline_seconds(self) -> int | None:
        seconds = self.entry.deadline_seconds
        if seconds is not None and not 0 < seconds <= _MAX_DEADLINE_SECONDS:
            raise self.error("deadline_seconds", f"{seconds} is out of range", f"use 1 to {_MAX_DEADLINE_SECONDS}")
        return seconds

    def aliases(self) -> tuple[str, ...]:
        aliases = self.entry.aliases
        for alias in aliases:
            if _ALIAS.fullmatch(alias) is None:
                raise self.error("aliases", f"{alias!r} is not a name", "use letters, digits and '-._:/@', 100 at most")
        if len(set(aliases)) != len(aliases):
            raise self.error("aliases", "it repeats a name", "list each name once")
        return tuple(aliases)

    def qualities(self) -> dict[str, str]:
        qualities = self.entry.openai.quality if self.entry.openai else {}
        for word, resolution in qualities.items():
            if word not in QUALITIES:
                raise self.error(f"openai.quality.{word}", "no client sends it", f"use one of: {', '.join(QUALITIES)}")
            self.check_listed(f"openai.quality.{word}", resolution, self.entry.resolutions)
        return dict(qualities)

    def references(self) -> dict[ReferenceRole, int]:
        for role, most in self.entry.references.items():
            if not 0 < most <= _MAX_REFERENCES:
                raise self.error(f"references.{role}", f"{most} is out of range", "use 1 to 8")
            if role != "reference_image" and (self.entry.type is GenerationType.IMAGE or most > 1):
                raise self.error(f"references.{role}", "only a video has one", "remove it, or set it to 1")
        return dict(self.entry.references)

    def supports_sound(self) -> bool:
        if self.entry.supports_sound and self.entry.type is GenerationType.IMAGE:
            raise self.error("supports_sound", "an image has no sound", "remove the key")
        return self.entry.supports_sound

    def sizes(self) -> dict[str, dict[str, tuple[int, int]]]:
        return {
            resolution: {ratio: self.size(resolution, ratio) for ratio in self.entry.aspect_ratios}
            for resolution in self.entry.resolutions
        }

    def size(self, resolution: str, ratio: str) -> tuple[int, int]:
        key = f'sizes."{resolution}"."{ratio}"'
        text = self.entry.sizes.get(resolution, {}).get(ratio)
        if text is None:
            raise self.error(key, "it is missing", "give the pixels, such as '1920x1080'")
        match = _SIZE.fullmatch(text)
        if match is None:
            raise self.error(key, f"{text!r} is not a size", "write it as '1920x1080'")
        width, height = int(match[1]), int(match[2])
        if max(width, height) > _MAX_SIDE:
            raise self.error(key, f"{text!r} is too large", f"use at most {_MAX_SIDE} pixels a side")
        if self.entry.type is GenerationType.VIDEO and (width % 2 or height % 2):
            raise self.error(key, f"{text!r} has an odd side", "a video needs even sides")
        return width, height

    def rates(self) -> tuple[Rate, ...]:
        unit: BillableUnit = "image" if self.entry.type is GenerationType.IMAGE else "video_second"
        rates = []
        for position, rate in enumerate(self.entry.rates):
            key = f"rates[{position}]"
            price = self.price(f"{key}.unit_price", rate.unit_price)
            if rate.resolution is not None and rate.resolution not in self.entry.resolutions:
                raise self.error(f"{key}.resolution", f"{rate.resolution!r} is not listed", "use a listed one")
            if rate.sound != "not_applicable" and not self.entry.supports_sound:
                raise self.error(f"{key}.sound", "the model has no sound", "remove the key")
            rates.append(Rate(billable_unit=unit, unit_price_nanos=price, resolution=rate.resolution, sound=rate.sound))
        keys = [(rate.resolution, rate.sound) for rate in rates]
        if len(set(keys)) != len(keys):
            raise self.error("rates", "two rates cover the same case", "keep one for each resolution and sound")
        self.check_every_case_has_a_rate(set(keys))
        return tuple(sorted(rates, key=lambda rate: rate.unit_price_nanos))

    def check_every_case_has_a_rate(self, keys: set[tuple[str | None, RateSound]]) -> None:
        sounds: tuple[RateSound, ...] = ("sound_on", "sound_off") if self.entry.supports_sound else ("not_applicable",)
        for resolution in self.entry.resolutions:
            for sound in sounds:
                if not keys & {(r, s) for r in (resolution, None) for s in (sound, "not_applicable")}:
                    raise self.error("rates", f"nothing prices {resolution} with {sound}", "add a rate that covers it")

    def bindings(self) -> tuple[Binding, ...]:
        if not self.entry.bindings:
            raise self.error("bindings", "there is none", "bind the model to at least one connection")
        return tuple(self.binding(f"bindings[{place}]", entry) for place, entry in enumerate(self.entry.bindings))

    def binding(self, key: str, entry: _BindingDocument) -> Binding:
        word = "provider" if entry.provider is not None else "connection"
        name = entry.provider if entry.provider is not None else entry.connection
        if name is None:
            raise self.error(f"{key}.connection", "it is missing", "name a connection")
        if entry.provider is not None and entry.connection is not None:
            raise self.error(f"{key}.provider", "the connection is named twice", "keep 'connection' and remove it")
        connection = self.connections.find(name, f"{self.where}.{key}.{word}")
        return Binding(
            connection=connection.name,
            upstream_model=entry.model or self.entry.id,
            options=self.connections.options(connection, entry.options, f"{self.where}.{key}.options"),
            sizes=self.size_words(f"{key}.sizes", entry.sizes),
            provider_options=self.passed_on(f"{key}.provider_options", entry.provider_options),
            costs=self.costs(f"{key}.cost", entry.cost),
        )

    def size_words(self, key: str, sizes: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for resolution, words in sizes.items():
            self.check_listed(f'{key}."{resolution}"', resolution, self.entry.resolutions)
            for ratio, word in words.items():
                self.check_listed(f'{key}."{resolution}"."{ratio}"', ratio, self.entry.aspect_ratios)
                if not word.strip():
                    raise self.error(f'{key}."{resolution}"."{ratio}"', "it is empty", "give the backend's own word")
        return sizes

    def check_listed(self, key: str, value: str, listed: list[str]) -> None:
        if value not in listed:
            raise self.error(key, f"{value!r} is not listed", f"use one of: {', '.join(listed)}")

    def passed_on(self, key: str, names: list[str]) -> tuple[str, ...]:
        if len(set(names)) != len(names) or not all(names):
            raise self.error(key, "it repeats a name, or one is empty", "list each name once")
        return tuple(names)

    def costs(self, key: str, cost: str | dict[str, str] | None) -> dict[str | None, int]:
        if cost is None:
            return {}
        if isinstance(cost, str):
            return {None: self.price(key, cost)}
        for resolution in cost:
            self.check_listed(f'{key}."{resolution}"', resolution, self.entry.resolutions)
        return {resolution: self.price(f'{key}."{resolution}"', price) for resolution, price in cost.items()}

    def price(self, key: str, text: str) -> int:
        """Nano-dollars of a unit."""
        try:
            price = parse_usd(text)
        except ValueError as error:
            raise self.error(key, str(error), "use a decimal string") from None
        if price % 1000:  # so that a price times thousandths of a second stays whole nano-dollars
            raise self.error(key, f"{text!r} is too fine", "use at most 6 decimals")
        if price > _MAX_UNIT_PRICE_NANOS:
            raise self.error(key, f"{text!r} is too much", "use at most 1000000")
        return price
