"""What a catalog says of backends: connections by name, what each may be told, keys by reference."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

_REFERENCE = re.compile(r"(env|file):(\S.*)")


class Secret:
    """A secret by reference, ``env:NAME`` or ``file:PATH``: a catalog can be shown, and its keys cannot.

    Raises ``ValueError`` for anything else.
    """

    def __init__(self, reference: str) -> None:
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise ValueError("a key is written as env:NAME or file:PATH, never as itself")
        self.reference = reference
        self.source: str = match[1]
        self.name: str = match[2]

    def __repr__(self) -> str:
        return f"Secret({self.reference!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)


DEFAULT_POLLS_PER_SECOND = 10.0


BaseUrl = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="an address such as http://10.0.0.7:8000/v1, without user, query or fragment",
    ),
]
"""What paths are put behind."""


HeaderName = Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$", description="the name of a header")]

S = TypeVar("S", bound="ConnectionSettings")
Q = TypeVar("Q", bound=msgspec.Struct)


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one process asks of the connection at most.

    ``concurrency``: orders at once; None: as many as there are. ``polls_per_second``: questions about jobs.
    """

    concurrency: Annotated[int, Meta(ge=1)] | None = None
    polls_per_second: Annotated[float, Meta(ge=0.01, le=1000)] = DEFAULT_POLLS_PER_SECOND


class ConnectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What any connection may be told. A kind of backend adds its own.

    ``flat_is_refusal``: it shows nothing instead of what it refuses. A black, one-coloured or clear picture, or a clip
    of nothing else, is then a refusal; else it is what was ordered, such as a plain background.
    """

    limits: ConnectionLimits = ConnectionLimits()
    flat_is_refusal: bool = False


class HttpConnectionSettings(ConnectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection over HTTP may be told besides.

    ``base_url``: what the backend's paths are put behind. ``key``: what it is asked with. ``allow``: hosts,
    ``host:port``s or networks that are not public, and that this connection may reach all the same.
    """

    base_url: BaseUrl
    key: Secret | None = None
    allow: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            _ = urlsplit(self.base_url).port
        except ValueError as error:
            raise ValueError(f"base_url: {error}") from None


def with_keys_of(quirks: type[msgspec.Struct], base: type[S], *, module: str) -> type[S]:
    """The settings with a key besides for each quirk of a server. None, unless said: ``quirks_over`` tells."""
    keys = [(quirk.name, quirk.type | None, None) for quirk in msgspec.structs.fields(quirks)]
    settings = msgspec.defstruct(
        "Settings", keys, bases=(base,), module=module, frozen=True, kw_only=True, forbid_unknown_fields=True
    )
    return cast("type[S]", settings)


def quirks_over(flavor: Q, settings: ConnectionSettings) -> Q:
    """The quirks of a flavor, and over them those that the settings say."""
    said = {name: getattr(settings, name, None) for name in flavor.__struct_fields__}
    return msgspec.structs.replace(flavor, **{name: value for name, value in said.items() if value is not None})


class NoOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a binding to a kind of backend that has none."""


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A backend that the catalog names. ``settings`` is of its kind's own type."""

    name: str
    kind: str
    settings: ConnectionSettings

    def secrets(self) -> list[Secret]:
        """The secrets that its settings refer to."""
        values = (getattr(self.settings, name) for name in self.settings.__struct_fields__)
        return [value for value in values if isinstance(value, Secret)]
