"""The kinds of backends there are, by name, and the backends of one process, opened when they are first asked for.

A kind is a module or package of this folder with a ``KIND``: ``chaos-blind`` is ``chaos_blind.py``. It is imported when
a catalog names it, so that nobody pays for a library that no model of theirs needs.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator, Mapping
from typing import cast

import structlog

from safelight import providers
from safelight.domain.catalog import Binding, Catalog, Model
from safelight.domain.connections import Connection
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Backend, Host, Provider, ProviderKind
from safelight.telemetry.exceptions import without_message

log = structlog.get_logger()

_NO_KINDS = ("registry",)


class Kinds(Mapping[str, ProviderKind]):
    """Every kind by its name; looking at the names alone imports none."""

    def __getitem__(self, name: str) -> ProviderKind:
        if name not in self._names():
            raise KeyError(name)
        module = importlib.import_module(f"{providers.__name__}.{name.replace('-', '_')}")
        return cast(ProviderKind, module.KIND)

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def _names(self) -> list[str]:
        found = (module.name for module in pkgutil.iter_modules(providers.__path__))
        return sorted(name.replace("_", "-") for name in found if name not in _NO_KINDS and not name.startswith("_"))


KINDS = Kinds()


def check_connections(catalog: Catalog, host: Host) -> None:
    """Find what would keep a model's connection from being opened, or its binding from being served.

    Nobody is asked. Raises ``ConfigurationError``.
    """
    for connection in catalog.used_connections():
        check_connection(connection, host)
    for model in catalog.models.values():
        for place, binding in enumerate(model.bindings):
            check_binding(catalog, model, place, binding, host)


def check_connection(connection: Connection, host: Host) -> None:
    """Find what would keep a connection from being opened. Raises ``ConfigurationError``."""
    kind = KINDS[connection.kind]
    if kind.needs is not None:
        module, extra = kind.needs
        if importlib.util.find_spec(module) is None:
            raise ConfigurationError(
                f"connection {connection.name!r}: kind {connection.kind!r} is not installed. "
                f"Run: pip install 'safelight[{extra}]'."
            )
    _read_secrets(connection, host)


def check_binding(catalog: Catalog, model: Model, place: int, binding: Binding, host: Host) -> None:
    """Find what would keep a binding from being served, such as a file that is not there. Raises
    ``ConfigurationError``."""
    check = KINDS[catalog.connections[binding.connection].kind].check_binding
    if check is None:
        return
    try:
        check(model, binding, host)
    except ConfigurationError as error:
        where = f"model {model.id!r}: bindings[{place}]"
        where += "" if error.message.startswith("sizes:") else ".options"
        raise ConfigurationError(f"{where}.{error.message}") from None


class OpenBackends:
    """``domain.ports.Backends`` over one catalog."""

    def __init__(self, catalog: Catalog, host: Host) -> None:
        self._catalog = catalog
        self._host = host
        self._opened: dict[str, Backend] = {}

    def open(self, connection: str) -> Backend:
        if connection not in self._opened:
            found = self._catalog.connections.get(connection)
            if found is None:
                raise ConfigurationError(f"The catalog has no connection {connection!r}. Put it back.")
            self._opened[connection] = self._open(found)
        return self._opened[connection]

    def _open(self, connection: Connection) -> Backend:
        kind = KINDS[connection.kind]
        secrets = _read_secrets(connection, self._host)
        limits = connection.settings.limits
        return Backend(
            connection=connection.name,
            provider=self._provider(connection, kind),
            options=kind.options,
            secrets=secrets,
            places=None if limits.concurrency is None else asyncio.Semaphore(limits.concurrency),
            polls_per_second=limits.polls_per_second,
            flat_is_refusal=connection.settings.flat_is_refusal,
            kind=connection.kind,
        )

    def _provider(self, connection: Connection, kind: ProviderKind) -> Provider:
        try:
            return kind.open(connection.settings, self._host)
        except ConfigurationError:
            raise
        except Exception as error:
            log.error("provider broke in open", connection=connection.name, **without_message(error))
            raise ConfigurationError(
                f"Connection {connection.name!r} cannot be opened: {type(error).__name__}. The log says where."
            ) from None

    async def close(self) -> None:
        """Close what was opened; one that fails at it keeps no other open."""
        for backend in self._opened.values():
            try:
                await backend.provider.close()
            except Exception as error:
                log.error("provider broke in close", connection=backend.connection, **without_message(error))


def _read_secrets(connection: Connection, host: Host) -> tuple[str, ...]:
    try:
        return tuple(host.read_secret(secret) for secret in connection.secrets())
    except ConfigurationError as error:
        raise ConfigurationError(f"connection {connection.name!r}: {error.message}") from None
