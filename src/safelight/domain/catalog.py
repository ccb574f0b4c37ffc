"""Models, their rates, and the backends that they are bound to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from safelight.domain.connections import Connection
from safelight.domain.errors import InvalidParameter, NotFound
from safelight.domain.generations import GenerationType
from safelight.domain.media import ReferenceRole
from safelight.domain.pipelines import Pipeline
from safelight.domain.text import quoted

RateSound = Literal["sound_on", "sound_off", "not_applicable"]
BillableUnit = Literal["image", "video_second"]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A price per unit. ``resolution`` None covers every resolution."""

    billable_unit: BillableUnit
    unit_price_nanos: int
    resolution: str | None
    sound: RateSound


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve a model: a connection by name, the backend's own name for the model, and options of its kind.

    ``sizes``: the backend's own word for a resolution and ratio, where pixels do not say it. ``provider_options``: what
    a request may pass through, by name. ``costs``: nano-dollars that a unit costs us, by resolution; None: any other.
    """

    connection: str
    upstream_model: str
    options: msgspec.Struct
    sizes: dict[str, dict[str, str]] = {}
    provider_options: tuple[str, ...] = ()
    costs: dict[str | None, int] = {}

    def size_word(self, resolution: str, aspect_ratio: str) -> str | None:
        return self.sizes.get(resolution, {}).get(aspect_ratio)

    def cost_nanos(self, resolution: str) -> int | None:
        """What a unit at this resolution costs us, if it is stated."""
        return self.costs.get(resolution, self.costs.get(None))


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A catalog entry. The first value of each list is the default. ``sizes`` maps resolution and ratio to pixels.

    ``deadline_seconds``: how long a generation may take; None: as long as the setting of its type says.
    ``provider_options``: what a request may pass through, as each of the bindings takes it. ``aliases``: other names
    for it, where a dialect's clients know only those of their own vendor; ``qualities``: resolutions by its words.
    """

    id: str
    name: str
    type: GenerationType
    created_at: datetime
    aspect_ratios: tuple[str, ...]
    resolutions: tuple[str, ...]
    durations: tuple[int, ...]
    references: dict[ReferenceRole, int]
    supports_sound: bool
    sizes: dict[str, dict[str, tuple[int, int]]]
    rates: tuple[Rate, ...]
    bindings: tuple[Binding, ...]
    deadline_seconds: int | None = None
    supports_seed: bool = False
    supports_negative_prompt: bool = False
    aliases: tuple[str, ...] = ()
    qualities: dict[str, str] = {}

    @property
    def provider_options(self) -> tuple[str, ...]:
        first, *others = self.bindings
        return tuple(name for name in first.provider_options if all(name in each.provider_options for each in others))


def repeated_word(model: Model, binding: Binding) -> str | None:
    """A word of the binding's that stands for several sizes of the model, and so tells none of them."""
    told = [binding.size_word(name, ratio) for name, ratios in model.sizes.items() for ratio in ratios]
    return next((word for word in told if word is not None and told.count(word) > 1), None)


class Catalog(msgspec.Struct, frozen=True):
    """Models by id, and connections by name: those that are declared, and those that a binding implies.

    ``pipelines`` are what the model server deploys; the API and workers only look whether they fit the rest.
    """

    models: dict[str, Model]
    connections: dict[str, Connection]
    pipelines: tuple[Pipeline, ...] = ()

    def find(self, model_id: str) -> Model:
        """The entry, or ``NotFound``."""
        model = self.models.get(model_id)
        if model is None:
            raise NotFound(f"There is no model {quoted(model_id)}. GET /v2/models lists them.", param="model")
        return model

    def for_type(self, model_id: str, wanted: GenerationType) -> Model:
        """The entry if it makes what is wanted; else ``InvalidParameter`` that names those that do."""
        model = self.models.get(model_id)
        if model is None or model.type is not wanted:
            known = ", ".join(m.id for m in self.models.values() if m.type is wanted) or "none"
            raise InvalidParameter(
                f"{quoted(model_id)} is not one of the {wanted} models. Available: {known}.", param="model"
            )
        return model

    def by_any_name(self, name: str) -> Model | None:
        """The model with this id, or with this alias."""
        if (model := self.models.get(name)) is not None:
            return model
        return next((model for model in self.models.values() if name in model.aliases), None)

    def used_connections(self) -> list[Connection]:
        """The connections that a model is bound to, each once."""
        names = dict.fromkeys(binding.connection for model in self.models.values() for binding in model.bindings)
        return [self.connections[name] for name in names]
