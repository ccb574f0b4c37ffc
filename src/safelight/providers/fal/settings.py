"""What a connection to fal and a binding to one of its models may be told."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import BaseUrl, HttpConnectionSettings, Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.field_map import Fields, Place, check_fields
from safelight.domain.ports import Host

Address = Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+/[^\s?#]*$", description="an address without a query")]

_MODEL_ID = re.compile(r"[\w~-][\w.~-]*(/[\w~-][\w.~-]*)+", re.ASCII)
_NAMESPACES = ("workflows", "comfy")


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told.

    ``references``: whether reference images go along with an order, or are fetched here by a link. ``callbacks``: it
    is asked to tell when something ended. ``keep_seconds``: how long its files last; None: as its account says.
    ``store_io``: it keeps what was asked and answered for its dashboard. ``jwks_url``: the keys that its callbacks are
    signed with. ``models_url``: where its models are listed.
    """

    base_url: BaseUrl = "https://queue.fal.run"
    key: Secret
    references: Literal["inline", "link"] = "inline"
    callbacks: bool = False
    keep_seconds: Annotated[int, Meta(ge=3600)] | None = None
    store_io: bool = True
    jwks_url: Address = "https://rest.fal.ai/.well-known/jwks.json"
    models_url: Address = "https://api.fal.ai/v1/models"

    def headers(self) -> dict[str, str]:
        """Those of each order."""
        sent: dict[str, str] = {}
        if self.keep_seconds is not None:
            sent["X-Fal-Object-Lifecycle-Preference"] = f'{{"expiration_duration_seconds": {self.keep_seconds}}}'
        if not self.store_io:
            sent["X-Fal-Store-IO"] = "0"
        return sent


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding to a model.

    ``fields``: where in its input each part of an order goes; ``input``: what is in that of each order besides.
    ``output``: where in its output the file is, if that is an unusual place. ``flagged``: a picture that it marks as
    indecent is a refusal, or is delivered. ``priority``: its place in the queue. ``start_seconds``: it fails if it has
    not been begun by then. ``retries``: the queue itself tries again what fails for no fault of the order.
    """

    fields: Fields = Fields()
    input: dict[str, Any] = {}
    output: Place | None = None
    flagged: Literal["refused", "delivered"] = "refused"
    priority: Literal["normal", "low"] | None = None
    start_seconds: Annotated[float, Meta(gt=1, le=604_800)] | None = None
    retries: bool = True

    def headers(self) -> dict[str, str]:
        """Those of each order."""
        sent: dict[str, str] = {}
        if self.priority is not None:
            sent["X-Fal-Queue-Priority"] = self.priority
        if self.start_seconds is not None:
            sent["X-Fal-Request-Timeout"] = str(self.start_seconds)
        if not self.retries:
            sent["X-Fal-No-Retry"] = "1"
        return sent


def app_of(model_id: str) -> str:
    """Owner and app of a model's id, which is where its jobs are asked about: what follows is left out."""
    parts = model_id.split("/")
    return "/".join(parts[: 3 if parts[0] in _NAMESPACES else 2])


def check_binding(model: Model, binding: Binding, host: Host) -> None:
    """Raises ``ConfigurationError`` that begins with the option at fault."""
    assert isinstance(binding.options, Options)
    id_ = binding.upstream_model
    if not _MODEL_ID.fullmatch(id_) or len(id_.split("/")) < len(app_of(id_).split("/")):
        raise ConfigurationError(f"model: {id_!r} is no id of a model there. Write it as owner/app or owner/app/path.")
    if id_.split("/")[0] in _NAMESPACES and len(id_.split("/")) < 3:
        raise ConfigurationError(f"model: {id_!r} lacks its owner or its name. Write it as workflows/owner/name.")
    check_fields(binding.options.fields, model, binding)
    said = {place.partition(".")[0] for place in binding.options.fields.places().values()}
    if named := sorted(said.intersection(binding.provider_options)):
        raise ConfigurationError(
            f"fields: {', '.join(named)} is said by each order itself. Remove it from the binding's provider_options."
        )
