"""A backend that the suite can command: what it is to do next, and what it was asked."""

from __future__ import annotations

import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from safelight.domain.catalog import Catalog
from safelight.domain.generations import GenerationType

CANARY = "sk-canary-a41f-conformance"
"""The key of every vendor's connection. Vendors quote it in what they say; it must turn up nowhere."""


def spellings_of_the_key() -> list[bytes]:
    """The key as it is, and as base64 has it, wherever in a text it begins."""
    key = CANARY.encode()
    encoded = [base64.b64encode(bytes(before) + key) for before in range(3)]
    return [key, encoded[0][:-4], encoded[1][4:-4], encoded[2][4:-4]]


class Scenario(StrEnum):
    """What each adapter is asked, in the words of the table's columns."""

    MADE = "made"
    CANCELED = "canceled"
    RESTARTED = "restart"
    EDITED = "catalog edit"
    REFUSED = "policy"
    RATE_LIMITED = "rate limit"
    EXHAUSTED = "429 for good"
    TRANSIENT = "transient"
    LOST = "lost answer"
    SIZED = "sizes"
    REFERENCED = "references"
    ASKED = "seed and more"
    COUNTED = "usage"
    CHECKED = "check"
    CALLED_BACK = "callback"
    BATCHED = "batch"
    READDRESSED = "fresh address"


class Trouble(StrEnum):
    """What the next order comes to."""

    REFUSES = "refuses"
    RATE_LIMITS = "rate limits"
    IS_EXHAUSTED = "is exhausted"
    BREAKS = "breaks"
    LOSES_ANSWER = "loses its answer"


class Seen(msgspec.Struct, kw_only=True):
    """One order as the backend read it. ``size`` is in its own words; None: it was not told."""

    prompt: str
    size: str | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    options: dict[str, Any] = {}
    references: int = 0
    callback_url: str | None = None


class Vendor(ABC):
    """One row of the table. ``lacks``: scenarios that cannot be, each with the reason that the table's notes give.

    ``judged``: what says that the fake is like the vendor, or that this is a real server. ``size_word``: a word of the
    backend's own for 1:1 at 2K, and ``size_in_word`` what it then is told, if that is more; ``size``: what it is told
    where it has none, at 1K. ``most_references``: so many pictures it takes for one. ``option``: one that may be passed
    on. ``cost_nanos``: what it says that the order of the suite costs. ``takes_key``: its connection has one.
    ``knows_models``: asked about one that it does not have, it says so. ``signs_callbacks``: what it calls back with is
    signed. ``quotes_key``: what it says of troubles has its key in it. ``new_database`` is there before it is opened.
    """

    name: str
    kind: str
    type: GenerationType = GenerationType.IMAGE
    judged: str
    lacks: Mapping[Scenario, str] = {}
    size: str | None = "64x64"
    size_word: str = "128x128"
    size_in_word: str | None = None
    most_references = 2
    option: tuple[str, Any] = ("steps", 4)
    supports_seed = True
    supports_negative_prompt = True
    cost_nanos: int | None = None
    takes_key = True
    knows_models = True
    signs_callbacks = False
    quotes_key = True
    upstream_model = "m"
    new_database: Callable[[], str]

    @abstractmethod
    async def open(self, folder: Path) -> None:
        """Start it, on a port of its own or in ``folder``."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def connection(self) -> dict[str, Any]:
        """What its entry in ``[[connections]]`` has besides name, kind and key."""

    def options(self) -> dict[str, Any]:
        """The options of a binding to it."""
        return {}

    @abstractmethod
    def next(self, trouble: Trouble) -> None:
        """The next order, and no other, comes to this."""

    def prepare(self, catalog: Catalog, data_dir: Path) -> None:  # noqa: B027  (few need it)
        """Called before each order, for a vendor that is told through its binding what it is to do."""

    def hold(self) -> None:
        """Jobs are not done before ``release``."""
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    @abstractmethod
    def orders(self) -> list[Seen]:
        """The orders that it was given and read, oldest first, since the start."""

    @abstractmethod
    def jobs(self) -> int:
        """How many of them it took, and would bill."""

    def callback(self) -> tuple[dict[str, str], bytes]:
        """What it posts to the callback address of the newest job as that ends: headers (in lower case), and body."""
        raise NotImplementedError

    def questions(self) -> int:
        """How many requests about jobs it was sent, since the start."""
        raise NotImplementedError

    def expire(self) -> None:
        """The address of a file that it tells next is good no more when the file is asked for; the one after is."""
        raise NotImplementedError

    def has_expired(self) -> bool:
        """Whether it told that address."""
        raise NotImplementedError

    async def is_stopped(self) -> bool:
        """Whether the newest job was stopped before it was done."""
        raise NotImplementedError

    def traces(self) -> list[bytes]:
        """What it writes into its files' metadata, and what must not be in a file that is delivered."""
        return []


def catalog_of(vendor: Vendor, key_file: Path, *, is_edited: bool = False) -> str:
    """A catalog whose one model is bound to the vendor. Edited: it is bound to another, and the connection is left."""
    connection = {"name": "vendor", "kind": vendor.kind, **vendor.connection()}
    if vendor.takes_key:
        connection["key"] = f"file:{key_file}"
    binding = {
        "connection": "vendor",
        "model": vendor.upstream_model,
        "options": vendor.options(),
        "provider_options": [vendor.option[0]],
        "sizes": {"2K": {"1:1": vendor.size_word}},
    }
    bindings = [{"connection": "noop"}] if is_edited else [binding]
    is_video = vendor.type is GenerationType.VIDEO
    model = {
        "id": "model",
        "name": "Model",
        "type": vendor.type.value,
        "aspect_ratios": ["1:1"],
        "resolutions": ["1K", "2K"],
        "sizes": {"1K": {"1:1": "64x64"}, "2K": {"1:1": "128x128"}},
        "rates": [{"unit_price": "0.1"}],
        "references": {"first_frame": 1} if is_video else {"reference_image": vendor.most_references},
        "supports_seed": vendor.supports_seed,
        "supports_negative_prompt": vendor.supports_negative_prompt,
        "bindings": bindings,
        **({"durations": [2]} if is_video else {}),
    }
    return f"connections = [{toml(connection)}]\n\n[[models]]\ncreated_at = 2026-01-01T00:00:00Z\n" + "".join(
        f"{name} = {toml(value)}\n" for name, value in model.items()
    )


def toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)
