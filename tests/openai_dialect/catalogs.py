"""The catalogs that tests look into: the one of this folder, and the one that ships."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.providers.registry import KINDS


def catalog_here() -> Catalog:
    return _read(Path(__file__).with_name("catalog.toml").read_text())


def shipped_catalog() -> Catalog:
    return _read(resources.files("safelight").joinpath("catalog.toml").read_text())


def _read(text: str) -> Catalog:
    return read_catalog(tomllib.loads(text), source="a catalog", kinds=KINDS)
