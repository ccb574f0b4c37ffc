"""Catalog entries for tests, and what reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from safelight.domain.catalog import Catalog, Model
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import HttpConnectionSettings
from safelight.domain.media import ImageFormat
from safelight.domain.outcomes import FailureClass
from safelight.domain.ports import Host, Provider, ProviderKind


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a binding to the kind ``other``."""

    behaviour: FailureClass | None = None
    level: Annotated[int, Meta(ge=0)] = 0
    rates: dict[FailureClass, float] = {}
    format: ImageFormat = "png"


def unopened(settings: object, host: Host) -> Provider:
    raise AssertionError("reading a catalog opens nothing")


KINDS = {
    "noop": ProviderKind(open=unopened),
    "other": ProviderKind(options=Options, open=unopened),
    "http": ProviderKind(settings=HttpConnectionSettings, options=Options, open=unopened),
}

IMAGE: dict[str, Any] = {
    "id": "still-1",
    "name": "Still 1",
    "type": "image",
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "aspect_ratios": ["1:1", "16:9"],
    "resolutions": ["2K", "1K"],
    "references": {"reference_image": 2},
    "sizes": {
        "2K": {"1:1": "2048x2048", "16:9": "2736x1536"},
        "1K": {"1:1": "1024x1024", "16:9": "1360x768"},
    },
    "rates": [{"unit_price": "0.05"}, {"unit_price": "0.03", "resolution": "1K"}],
    "bindings": [{"provider": "noop"}],
}
VIDEO: dict[str, Any] = {
    "id": "clip-1",
    "name": "Clip 1",
    "type": "video",
    "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "aspect_ratios": ["16:9", "1:1"],
    "resolutions": ["720p", "1080p"],
    "durations": [5, 10],
    "supports_sound": True,
    "references": {"reference_image": 3, "first_frame": 1},
    "sizes": {
        "720p": {"1:1": "960x960", "16:9": "1280x720"},
        "1080p": {"1:1": "1440x1440", "16:9": "1920x1080"},
    },
    "rates": [{"unit_price": "0.12", "sound": "sound_on"}, {"unit_price": "0.1"}],
    "bindings": [{"provider": "noop"}, {"provider": "other", "model": "theirs", "options": {"level": 1}}],
}


def read(*entries: dict[str, Any], connections: list[dict[str, Any]] | None = None) -> Catalog:
    document = {"models": list(entries), "connections": connections or []}
    return read_catalog(document, source="shop.toml", kinds=KINDS)


def model_of(entry: dict[str, Any]) -> Model:
    return read(entry).models[entry["id"]]
