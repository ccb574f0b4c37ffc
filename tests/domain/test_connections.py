"""Connections of a catalog, and options of bindings: what fits is read, what does not names key and remedy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight.domain.connections import (
    ConnectionLimits,
    ConnectionSettings,
    HttpConnectionSettings,
    Secret,
    quirks_over,
    with_keys_of,
)
from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import FailureClass
from tests.domain.catalogs import IMAGE, Options, read

HTTP = {"name": "farm", "kind": "http", "base_url": "https://gpu.example.com/v1", "key": "env:FARM_KEY"}


def bound_to(**binding: Any) -> dict[str, Any]:
    return {**IMAGE, "bindings": [binding]}


def refusal(entry: dict[str, Any], *connections: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(entry, connections=list(connections))
    assert caught.value.message.startswith("shop.toml: ")
    return caught.value.message


def test_a_connection_is_read_with_its_kinds_own_settings() -> None:
    full = {**HTTP, "limits": {"concurrency": 4}, "allow": ["10.0.0.0/8"]}
    catalog = read(bound_to(connection="farm", model="flux", options={"behaviour": "auth"}), connections=[full])
    assert catalog.connections["farm"].settings == HttpConnectionSettings(
        base_url="https://gpu.example.com/v1",
        key=Secret("env:FARM_KEY"),
        allow=("10.0.0.0/8",),
        limits=ConnectionLimits(concurrency=4),
    )
    (binding,) = catalog.models["still-1"].bindings
    assert (binding.connection, binding.upstream_model) == ("farm", "flux")
    assert binding.options == Options(behaviour=FailureClass.AUTH)


def test_several_connections_of_one_kind_stand_side_by_side() -> None:
    two = [HTTP, {**HTTP, "name": "other-farm", "base_url": "http://127.0.0.1:9"}]
    entry = {**IMAGE, "bindings": [{"connection": "farm"}, {"connection": "other-farm"}]}
    catalog = read(entry, connections=two)
    assert [c.name for c in catalog.used_connections()] == ["farm", "other-farm"]
    urls = [c.settings.base_url for c in catalog.used_connections() if isinstance(c.settings, HttpConnectionSettings)]
    assert urls == ["https://gpu.example.com/v1", "http://127.0.0.1:9"]


@pytest.mark.parametrize("word", ["provider", "connection"])
def test_a_kind_that_needs_no_settings_is_a_connection_of_its_own_name(word: str) -> None:
    catalog = read(bound_to(**{word: "noop"}))
    assert catalog.connections["noop"].kind == "noop"
    assert catalog.connections["noop"].settings == ConnectionSettings()


def test_a_declared_connection_may_take_the_name_of_a_kind() -> None:
    catalog = read(bound_to(provider="noop"), connections=[{**HTTP, "name": "noop"}])
    assert catalog.connections["noop"].kind == "http"


def test_a_connection_that_no_model_uses_is_known_and_not_used() -> None:
    catalog = read(IMAGE, connections=[HTTP])
    assert "farm" in catalog.connections
    assert [c.name for c in catalog.used_connections()] == ["noop"]


WRONG_CONNECTIONS = [
    ({"kind": "http"}, "connections[0].name: it is missing", "give it one"),
    ({"name": "farm"}, "connections[0].kind: it is missing", "give it one"),
    ({**HTTP, "name": 5}, "connections[0].name: it is not text", "give it one"),
    ({**HTTP, "name": "My Farm"}, "connections[0].name: 'My Farm'", "lower-case"),
    ({**HTTP, "kind": "htpp"}, "connections[0].kind: there is no kind 'htpp'", "http, noop, other"),
    ({"name": "farm", "kind": "http"}, "connections[0]: Object missing required field `base_url`", "Correct"),
    ({**HTTP, "base_url": "gpu.example.com"}, "connections[0].base_url: Expected an address such as http://", "query"),
    ({**HTTP, "base_url": "http://gpu.example.com:99999"}, "connections[0]: base_url: Port out of range", "Correct"),
    ({**HTTP, "base_url": "http://[::1/v1"}, "connections[0]: base_url: Invalid IPv6", "Correct"),
    ({**HTTP, "base_url": "ftp://gpu.example.com"}, "connections[0].base_url", "Correct"),
    ({**HTTP, "base_url": "https://user:pw@gpu.example.com"}, "connections[0].base_url", "Correct"),
    ({**HTTP, "base_url": 5}, "connections[0].base_url", "Correct"),
    ({**HTTP, "bas_url": "x"}, "connections[0].bas_url: there is no such key", "Did you mean base_url?"),
    ({**HTTP, "key": "sk-live-1234"}, "connections[0].key", "env:NAME or file:PATH"),
    ({**HTTP, "key": "env:"}, "connections[0].key", "env:NAME or file:PATH"),
    ({**HTTP, "key": 7}, "connections[0].key", "env:NAME or file:PATH"),
    ({**HTTP, "allow": "10.0.0.0/8"}, "connections[0].allow", "Correct"),
    ({**HTTP, "limits": {"concurrency": 0}}, "connections[0].limits.concurrency", "Correct"),
    ({**HTTP, "limits": {"rpm": 3}}, "connections[0].limits.rpm: there is no such key", "Correct"),
]


@pytest.mark.parametrize(("connection", "key", "remedy"), WRONG_CONNECTIONS)
def test_a_wrong_connection_is_refused(connection: dict[str, Any], key: str, remedy: str) -> None:
    message = refusal(IMAGE, connection)
    assert f"shop.toml: {key}" in message
    assert remedy in message
    assert "sk-live-1234" not in message, "what may be a key is not repeated"


def test_a_name_is_there_once() -> None:
    assert "connections[1].name: 'farm' is there twice" in refusal(IMAGE, HTTP, HTTP)


WRONG_BINDINGS = [
    ({}, "bindings[0].connection: it is missing", "name a connection"),
    ({"connection": "noop", "provider": "noop"}, "bindings[0].provider: the connection is named twice", "remove it"),
    ({"connection": "fram"}, "bindings[0].connection: there is no connection 'fram'", "[[connections]]"),
    ({"provider": "http"}, "bindings[0].provider: a connection of kind 'http' has to be told more", "[[connections]]"),
    ({"provider": "noop", "options": {"x": 1}}, "bindings[0].options.x: there is no such key", "It takes none"),
    (
        {"provider": "other", "options": {"behavour": "auth"}},
        "bindings[0].options.behavour: there is no such key",
        "Did you mean behaviour? It takes: behaviour, level, rates, format.",
    ),
    (
        {"provider": "other", "options": {"behaviour": "nonsense"}},
        "bindings[0].options.behaviour: Invalid enum value 'nonsense'",
        "Use one of: content_policy, rate_limited",
    ),
    (
        {"provider": "other", "options": {"format": "tiff"}},
        "bindings[0].options.format: Invalid enum value 'tiff'",
        "Use one of: png, jpeg, webp.",
    ),
    ({"provider": "other", "options": {"level": -1}}, "bindings[0].options.level", "Correct"),
    ({"provider": "other", "options": {"level": "1"}}, "bindings[0].options.level", "Correct"),
    ({"provider": "other", "options": {"rates": {"nope": 1}}}, "bindings[0].options.rates", "Use one of: content_"),
]


@pytest.mark.parametrize(("binding", "key", "remedy"), WRONG_BINDINGS)
def test_a_wrong_binding_is_refused(binding: dict[str, Any], key: str, remedy: str) -> None:
    message = refusal(bound_to(**binding))
    assert f"shop.toml: models[0].{key}" in message
    assert remedy in message


def test_a_secret_shows_where_it_is_and_not_what_it_is() -> None:
    assert repr(Secret("file:/run/secrets/farm")) == "Secret('file:/run/secrets/farm')"
    assert (Secret("env:A").source, Secret("env:A").name) == ("env", "A")


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    jobs: bool = True
    path: str = "/videos"


def test_a_quirk_that_is_said_goes_over_the_flavors() -> None:
    settings = with_keys_of(Quirks, ConnectionSettings, module=__name__)
    flavor = Quirks(path="/clips")
    assert quirks_over(flavor, settings()) == flavor
    said = msgspec.convert({"jobs": False, "path": "", "flat_is_refusal": True}, settings)
    assert quirks_over(flavor, said) == Quirks(jobs=False, path="")
    for wrong in ({"jobs": 1}, {"nobody": True}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, settings)
