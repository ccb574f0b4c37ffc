"""Model entries against the catalog that ships, and their rates."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from importlib import resources
from typing import Any

import httpx
import pytest

from safelight.domain.money import format_usd, parse_usd
from tests.support.server import Server

_CATALOG = tomllib.loads(resources.files("safelight").joinpath("catalog.toml").read_text())["models"]
_EXAMPLES = {
    "seedream-5-lite",
    "seedream-4-5",
    "z-image-turbo",
    "gemini-3-1-flash-image",
    "seedance-v1-pro",
    "seedance-v1-5-pro",
}


def _get(server: Server, path: str) -> Any:
    answer = httpx.get(f"{server.base_url}{path}", headers=server.headers, timeout=60)
    assert answer.status_code == 200
    return answer.json()


def test_the_public_examples_are_there(server: Server) -> None:
    assert {entry["id"] for entry in _get(server, "/v2/models")} >= _EXAMPLES


@pytest.mark.parametrize("kind", ["image", "video"])
def test_models_of_one_type(server: Server, kind: str) -> None:
    everything = _get(server, "/v2/models")
    assert _get(server, f"/v2/models?type={kind}") == [entry for entry in everything if entry["type"] == kind]


@pytest.mark.parametrize("declared", _CATALOG, ids=lambda declared: declared["id"])
def test_an_entry_is_what_the_catalog_declares(server: Server, declared: dict[str, Any]) -> None:
    entry = _get(server, f"/v2/models/{declared['id']}")
    pricing = entry.pop("pricing")
    assert list(entry.items()) == [
        ("id", declared["id"]),
        ("name", declared["name"]),
        ("type", declared["type"]),
        ("created_at", declared["created_at"].strftime("%Y-%m-%dT%H:%M:%S.000Z")),
        ("supported_aspect_ratios", declared["aspect_ratios"]),
        ("supported_resolutions", declared["resolutions"]),
        ("supported_durations", declared.get("durations", [])),
        ("supported_references", declared.get("references", {})),
        ("supports_sound", declared.get("supports_sound", False)),
        ("supports_seed", declared.get("supports_seed", False)),
        ("supports_negative_prompt", False),
        ("supported_provider_options", []),
    ]
    assert "built-in renderer" in entry["name"]
    assert pricing["currency"] == "USD"
    rates = pricing["rates"]
    assert [list(rate) for rate in rates] == [["billable_unit", "unit_price", "resolution", "sound"]] * len(rates)
    prices = [Decimal(rate["unit_price"]) for rate in rates]
    assert prices == sorted(prices)
    assert {(rate["unit_price"], rate["resolution"], rate["sound"]) for rate in rates} == {
        (format_usd(parse_usd(rate["unit_price"])), rate.get("resolution"), rate.get("sound", "not_applicable"))
        for rate in declared["rates"]
    }
    unit = "image" if declared["type"] == "image" else "video_second"
    assert {rate["billable_unit"] for rate in rates} == {unit}
