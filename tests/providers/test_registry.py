"""Kinds are found by their file, opened when they are asked for, and kept apart by the names of their connections."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight import providers
from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import Secret
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Host
from safelight.node.secrets import read_secret
from safelight.providers import registry
from safelight.providers.registry import KINDS, OpenBackends, check_connections
from tests.domain.catalogs import IMAGE

PLANTED = '''
"""A backend in one file."""
import msgspec

from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.outcomes import Completed, InlineBytes
from safelight.domain.ports import ProviderKind


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    steps: int = 4


class Planted:
    def __init__(self, settings, host):
        self.key = host.read_secret(settings.key)
        if self.key == "broken":
            raise RuntimeError(f"cannot use {self.key}")
        self.is_closed = False

    async def submit(self, order, attempt):
        return Completed((InlineBytes(b"x" * attempt.options.steps),))

    async def close(self):
        self.is_closed = True


KIND = ProviderKind(settings=HttpConnectionSettings, options=Options, open=Planted)
'''


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more file among the providers."""
    (tmp_path / "my_farm.py").write_text(PLANTED)
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
    yield
    sys.modules.pop("safelight.providers.my_farm", None)


def host(tmp_path: Path, **environ: str) -> Host:
    return Host(data_dir=tmp_path, render_processes=1, read_secret=lambda secret: read_secret(secret, environ))


def catalog(*names: str, **more: Any) -> Catalog:
    declared = [
        {"name": name, "kind": "my-farm", "base_url": "http://127.0.0.1:9", "key": f"env:{name.upper()}", **more}
        for name in names
    ]
    entry = {**IMAGE, "bindings": [{"connection": name, "options": {"steps": 2}} for name in names]}
    return read_catalog({"models": [entry], "connections": declared}, source="shop.toml", kinds=KINDS)


def test_every_file_is_a_kind_with_types_of_its_own() -> None:
    local = ["builtin", "chaos", "chaos-blind", "noop"]
    remote = ["a1111", "ark", "comfyui", "dashscope", "fal", "getimg", "google", "openai", "replicate"]
    assert list(KINDS) == sorted([*local, *remote])
    for name, kind in KINDS.items():
        assert kind.options.__struct_config__.forbid_unknown_fields, name
        assert kind.settings.__struct_config__.forbid_unknown_fields, name
    assert "registry" not in KINDS and "nobody" not in KINDS


@pytest.mark.usefixtures("planted")
async def test_a_file_is_all_that_a_kind_takes(tmp_path: Path) -> None:
    assert "my-farm" in KINDS
    read = catalog("east", "west", limits={"concurrency": 2})
    lent = host(tmp_path, EAST="east-key", WEST="west-key")
    check_connections(read, lent)
    backends = OpenBackends(read, lent)
    east, west = backends.open("east"), backends.open("west")
    assert east is backends.open("east") and east.provider is not west.provider
    assert (east.secrets, west.secrets) == (("east-key",), ("west-key",))
    assert east.places is not west.places and east.places is not None
    await backends.close()
    assert vars(east.provider)["is_closed"] and vars(west.provider)["is_closed"]


@pytest.mark.usefixtures("planted")
async def test_what_nobody_asks_for_is_not_opened(tmp_path: Path) -> None:
    backends = OpenBackends(catalog("east", "west"), host(tmp_path, EAST="k"))
    backends.open("east")
    with pytest.raises(ConfigurationError, match="connection 'west': env:WEST: the variable is not set"):
        backends.open("west")
    with pytest.raises(ConfigurationError, match="no connection 'north'"):
        backends.open("north")
    await backends.close()


@pytest.mark.usefixtures("planted")
def test_a_backend_that_breaks_at_its_opening_is_told_without_its_words(tmp_path: Path) -> None:
    backends = OpenBackends(catalog("east"), host(tmp_path, EAST="broken"))
    with pytest.raises(ConfigurationError, match="Connection 'east' cannot be opened: RuntimeError") as caught:
        backends.open("east")
    assert "cannot use" not in caught.value.message


@pytest.mark.usefixtures("planted")
def test_a_key_that_is_not_there_is_found_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="connection 'west': env:WEST"):
        check_connections(catalog("east", "west"), host(tmp_path, EAST="k"))


@pytest.mark.parametrize("name", sorted(KINDS))
def test_options_that_are_left_out_are_not_on_record(name: str) -> None:
    """A node of the release before takes up what it knows: an option that is new says nothing until it is used."""
    options = KINDS[name].options
    assert options.__struct_config__.omit_defaults or not options.__struct_fields__


def test_a_kind_whose_extra_is_missing_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    read = read_catalog({"models": [{**IMAGE, "bindings": [{"provider": "builtin"}]}]}, source="shop.toml", kinds=KINDS)
    with pytest.raises(ConfigurationError, match=r"pip install 'safelight\[builtin\]'"):
        check_connections(read, host(tmp_path))


def test_a_secret_is_read_from_its_variable_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("\ufefffile-key\r\n")
    assert read_secret(Secret("env:A"), {"A": " env-key "}) == "env-key"
    assert read_secret(Secret(f"file:{file}")) == "file-key"


@pytest.mark.parametrize("wrong", ["env:A", "file:/nowhere/at/all", "file:{empty}", "file:{binary}"])
def test_a_secret_that_cannot_be_read_names_its_reference_and_the_remedy(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    reference = wrong.format(empty=tmp_path / "empty", binary=tmp_path / "binary")
    with pytest.raises(ConfigurationError, match="key") as caught:
        read_secret(Secret(reference), {})
    assert caught.value.message.startswith(reference)
