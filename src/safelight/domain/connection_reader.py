"""The reading of connections and of binding options, each against the types that its kind of backend declares."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from enum import EnumMeta
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec

from safelight.domain.connections import Connection, ConnectionSettings, Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import ProviderKind

T = TypeVar("T", bound=msgspec.Struct)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `([^`]*)`")


class ConnectionReader:
    """Reads the connections of one catalog; ``found`` has them by name."""

    def __init__(self, source: str, kinds: Mapping[str, ProviderKind]) -> None:
        self._source = source
        self._kinds = kinds
        self.found: dict[str, Connection] = {}

    def declare(self, place: int, entry: dict[str, Any]) -> None:
        """Read an entry of ``[[connections]]``. Raises ``ConfigurationError``."""
        where = f"{self._source}: connections[{place}]"
        name, kind = (self._text(entry, key, where) for key in ("name", "kind"))
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(
                f"{where}.name: {name!r} is not a name; use up to 63 lower-case letters, digits and '-'."
            )
        if name in self.found:
            raise ConfigurationError(f"{where}.name: {name!r} is there twice; give each connection its own name.")
        rest = {key: value for key, value in entry.items() if key not in ("name", "kind")}
        settings = read_struct(rest, self._kind(kind, f"{where}.kind").settings, where)
        self.found[name] = Connection(name=name, kind=kind, settings=settings)

    def find(self, name: str, where: str) -> Connection:
        """A declared connection; or, by the name of its kind, one that needs no settings."""
        if name not in self.found:
            if name not in self._kinds:
                known = ", ".join(sorted({*self.found, *self._kinds}))
                raise ConfigurationError(
                    f"{where}: there is no connection {name!r}; declare it in [[connections]], or use one of: {known}."
                )
            self.found[name] = Connection(name=name, kind=name, settings=self._implied(name, where))
        return self.found[name]

    def options(self, connection: Connection, options: dict[str, Any], where: str) -> msgspec.Struct:
        """The options of a binding to this connection. Raises ``ConfigurationError``."""
        return read_struct(options, self._kinds[connection.kind].options, where)

    def _implied(self, kind: str, where: str) -> ConnectionSettings:
        try:
            return msgspec.convert({}, self._kinds[kind].settings)
        except msgspec.ValidationError:
            raise ConfigurationError(
                f"{where}: a connection of kind {kind!r} has to be told more; declare it in [[connections]]."
            ) from None

    def _kind(self, kind: str, where: str) -> ProviderKind:
        if kind not in self._kinds:
            known = ", ".join(sorted(self._kinds))
            raise ConfigurationError(f"{where}: there is no kind {kind!r}; use one of: {known}.")
        return self._kinds[kind]

    def _text(self, entry: dict[str, Any], key: str, where: str) -> str:
        value = entry.get(key)
        if not isinstance(value, str):
            raise ConfigurationError(f"{where}.{key}: it is {'not text' if key in entry else 'missing'}; give it one.")
        return value


def read_struct(values: dict[str, Any], into: type[T], where: str) -> T:
    """A table of the catalog as a struct. Raises ``ConfigurationError`` naming ``where``, the key and the remedy."""
    try:
        return msgspec.convert(values, into, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise explained(error, where, into) from None


def explained(
    error: msgspec.ValidationError, where: str, into: type[msgspec.Struct] | None = None
) -> ConfigurationError:
    """The error with file, key and remedy. ``where`` ends in ``: `` where keys begin anew."""
    what, _, path = str(error).partition(" - at ")
    path = path.rpartition("` in `")[2].strip("`").removeprefix("$").lstrip(".")
    unknown = _UNKNOWN_FIELD.search(what)
    remedy = "Correct this key and start again."
    if unknown:
        path = ".".join(filter(None, (path, unknown[1])))
        what = "there is no such key"
        if into is not None and "." not in path:
            remedy = _known(unknown[1], into)
    elif into is not None and "enum value" in what:
        remedy = _choices(path, into) or remedy
    elif into is not None and "matching regex" in what and (wanted := _in_words(_type_of(path, into))):
        what = f"Expected {wanted}"
    if where.endswith(": "):
        key = f"{where}{path or 'the top level'}"
    else:
        key = f"{where}.{path}" if path and not path.startswith("[") else f"{where}{path}"
    return ConfigurationError(f"{key}: {what}. {remedy}")


def _known(name: str, into: type[msgspec.Struct]) -> str:
    fields = into.__struct_fields__
    if not fields:
        return "It takes none: remove it."
    near = difflib.get_close_matches(name, fields, 1)
    return f"{f'Did you mean {near[0]}? ' if near else ''}It takes: {', '.join(fields)}."


def _choices(path: str, into: type[msgspec.Struct]) -> str | None:
    """What a key with fixed values takes, from its type."""
    values = _fixed_values(_type_of(path, into))
    return f"Use one of: {', '.join(values)}." if values else None


def _type_of(path: str, into: type[msgspec.Struct]) -> Any:
    name = re.split(r"[.\[]", path)[0]
    return next((field.type for field in msgspec.structs.fields(into) if field.name == name), None)


def _in_words(kind: Any) -> str | None:
    """What a text has to look like, as its type describes it."""
    for each in getattr(kind, "__metadata__", ()):
        if isinstance(each, msgspec.Meta) and each.description:
            return each.description
    return next(filter(None, map(_in_words, get_args(kind))), None)


def _fixed_values(kind: Any) -> list[str]:
    if isinstance(kind, EnumMeta):
        return [str(item.value) for item in kind]  # type: ignore[var-annotated]
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [value for part in get_args(kind) for value in _fixed_values(part)]


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret:
        if not isinstance(value, str):
            raise ValueError("a key is written as env:NAME or file:PATH, never as itself")
        return Secret(value)
    raise NotImplementedError
