"""The backend behind a binding: the one that is asked, and the one that the row says was asked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from safelight.domain.catalog import Binding
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Backend, Backends, Provider, Repeatable
from safelight.lifecycle.claims import Claim


class Target(msgspec.Struct, frozen=True):
    """The binding that is asked, and the backend behind it."""

    binding: Binding
    backend: Backend

    @property
    def provider(self) -> Provider:
        return self.backend.provider

    @property
    def is_repeatable(self) -> bool:
        return isinstance(self.provider, Repeatable) and self.provider.repeatable


class Absent(msgspec.Struct, frozen=True):
    """The backend that was asked cannot be asked now; ``why`` is the operator's."""

    why: str


class Elsewhere(msgspec.Struct, frozen=True):
    """No backend was asked, as this worker cannot: another may. ``why`` is the operator's."""

    why: str


def target_on_record(backends: Backends, claim: Claim, bindings: Sequence[Binding]) -> Target | Absent:
    """The backend that was asked before, whatever the catalog says of it now.

    ``bindings`` are the model's of today: a node of the release before recorded a place among them alone.
    """
    intent = claim.intent
    try:
        if intent is not None:
            backend = backends.open(intent.connection)
            options = msgspec.convert(intent.options, backend.options)
            binding = Binding(connection=intent.connection, upstream_model=intent.upstream_model, options=options)
            return Target(_of_today(binding, bindings), backend)
        if claim.binding_place < len(bindings):
            binding = bindings[claim.binding_place]
            return Target(binding, backends.open(binding.connection))
    except ConfigurationError as error:
        return Absent(error.message)
    except msgspec.ValidationError as error:
        return Absent(f"the options on record are not options of connection {intent and intent.connection}: {error}")
    return Absent("nothing tells which backend was asked")


def _of_today(binding: Binding, bindings: Sequence[Binding]) -> Binding:
    """The binding as the catalog has it now, with its sizes and costs, if it is still there."""

    def is_same(other: Binding) -> bool:
        return (other.connection, other.upstream_model, other.options) == (
            binding.connection,
            binding.upstream_model,
            binding.options,
        )

    return next(filter(is_same, bindings), binding)
