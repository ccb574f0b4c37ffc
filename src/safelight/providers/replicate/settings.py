"""What a connection and a binding may be told, and what a binding's model name means."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Binding, Model
from safelight.domain.connections import HttpConnectionSettings, Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.field_map import Fields, check_fields
from safelight.domain.ports import Host

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
_VERSION = "[0-9a-f]{64}"
_MODEL = re.compile(f"({_NAME})/({_NAME})(?::({_VERSION}))?")
_DEPLOYMENT = re.compile(f"deployments/({_NAME})/({_NAME})")
_BARE_VERSION = re.compile(_VERSION)

Words = tuple[Annotated[str, Meta(min_length=3)], ...]
"""Parts of a text, in any letter case."""


class Settings(HttpConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection may be told.

    ``references``: how reference images are given: within the order up to 256 KiB and uploaded if larger (``auto``),
    always within it, always uploaded, or by a link to this service. ``callbacks``: whether each order names an address
    to tell at when it ended; it is also what an order whose answer was lost is known by. ``webhook_key``: what those
    calls are signed with; else the API is asked for it. ``cancel_after_seconds``: a prediction that takes longer is
    stopped there. ``refusal_words``, ``transient_words``: parts of an error's text that tell a refusal by policy, or
    trouble that passes, besides those that are known.
    """

    key: Secret
    references: Literal["auto", "inline", "upload", "link"] = "auto"
    callbacks: bool = False
    webhook_key: Secret | None = None
    cancel_after_seconds: Annotated[int, Meta(ge=5, le=86_400)] | None = None
    refusal_words: Words = ()
    transient_words: Words = ()


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a binding. ``fields``: where each part of an order goes in the model's input.

    ``input``: what each order's input has besides. ``output``: where in the output the file is, if it has several:
    keys and positions with dots between them, such as ``video`` or ``images.0``; ``-1`` is the last of a list.
    """

    fields: Fields = Fields()
    input: dict[str, Any] = {}
    output: Annotated[str, Meta(pattern=r"^[^.\s]+(\.[^.\s]+)*$")] | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a binding's model name means. ``owner`` and ``name`` are empty for a version whose model is not said."""

    owner: str = ""
    name: str = ""
    version: str | None = None
    is_deployment: bool = False

    @property
    def orders_path(self) -> str:
        """Where a prediction is ordered."""
        if self.version is not None:
            return "/predictions"
        return f"{self.path}/predictions"

    @property
    def path(self) -> str:
        """Where the model, or the deployment, is looked at."""
        return f"/{'deployments' if self.is_deployment else 'models'}/{self.owner}/{self.name}"


def target_of(upstream_model: str) -> Target | None:
    """The meaning of ``owner/name``, ``owner/name:VERSION``, ``VERSION`` or ``deployments/owner/name``; None: none."""
    if _BARE_VERSION.fullmatch(upstream_model):
        return Target(version=upstream_model)
    if found := _DEPLOYMENT.fullmatch(upstream_model):
        return Target(owner=found[1], name=found[2], is_deployment=True)
    if found := _MODEL.fullmatch(upstream_model):
        return Target(owner=found[1], name=found[2], version=found[3])
    return None


def check_binding(model: Model, binding: Binding, host: Host) -> None:
    """Whether the binding can say all that the model promises. Raises ``ConfigurationError``."""
    if target_of(binding.upstream_model) is None:
        raise ConfigurationError(
            f"model: {binding.upstream_model!r} names nothing there. Write owner/name for an official model, "
            "owner/name:VERSION with the version's 64 digits for any other, or deployments/owner/name."
        )
    assert isinstance(binding.options, Options)
    check_fields(binding.options.fields, model, binding)
