"""The page's five minutes, as they are pasted: from the workflow to a picture that tells nothing of it."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
from PIL import Image

from safelight.providers.comfyui.fields import Fields, Options
from safelight.providers.comfyui.provider import Settings
from tests.providers.comfyui.servers import Fake
from tests.support.server import Server, eventually, safelight

PAGE = (Path(__file__).parents[3] / "docs/providers/comfyui.md").read_text()
RECIPE = dict(re.findall(r"<!-- recipe: ([\w.]+) -->\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def test_the_recipe_goes_from_a_workflow_to_an_answer(
    fake: Callable[..., Fake], fresh_server: Callable[..., Server], server_folder: Path, tmp_path: Path
) -> None:
    comfy = fake()
    (server_folder / "portrait.json").write_text(RECIPE["portrait.json"])
    command, export = RECIPE["commands"].splitlines()
    program, *words = shlex.split(command)
    assert (program, export) == ("safelight", "export SAFELIGHT_CATALOG=$PWD/catalog.toml")
    paths = [str(server_folder / word) if "." in word else word for word in words]
    assert safelight(*paths).returncode == 0
    catalog = server_folder / "catalog.toml"
    written = re.sub(r"created_at = [\d-]+T", "created_at = 2026-01-01T", catalog.read_text())
    assert written.partition("\n\n")[2] == RECIPE["catalog.toml"]
    catalog.write_text(RECIPE["catalog.toml"].replace("http://127.0.0.1:8188", comfy.base_url))
    server = fresh_server(env={"SAFELIGHT_CATALOG": str(catalog)}).wait_until_ready()
    eventually(lambda: '{"model": "portrait", ' in server.log, "a request to try, for a model that there is")
    request = json.loads(RECIPE["request"])
    answer = httpx.post(
        f"{server.base_url}/v2/images/generations", json=request, headers=server.headers, timeout=60
    ).json()
    assert answer["seed"] == 7
    (found,) = answer["data"]
    delivered = httpx.get(found["url"]).content
    (saved,) = (comfy.folder / "output").iterdir()
    assert saved.name == f"{answer['id']}_00001_.png"
    for word in (b"class_type", b"lighthouse in fog", b"KSampler"):
        assert word in saved.read_bytes()
        assert word not in delivered
    (tmp_path / "delivered.png").write_bytes(delivered)
    with Image.open(tmp_path / "delivered.png") as image:
        assert image.size == (512, 512)
        assert image.text == {}  # type: ignore[attr-defined]
        assert image.convert("RGB").getpixel((0, 0)) == (7, 0, 0)
    graph = comfy.ask("/_test/taken")["graphs"][0]
    assert (graph["6"]["inputs"]["text"], graph["7"]["inputs"]["text"]) == ("a lighthouse in fog", "people")


def told(heading: str) -> set[str]:
    """The names in the first column of a heading's table."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}


def test_every_field_and_option_is_told() -> None:
    assert told("The field map") == set(Fields.__struct_fields__)
    assert told("The binding") == set(Options.__struct_fields__)
    assert told("The connection") == set(Settings.__struct_fields__)


def test_what_the_page_says_of_a_map_is_read_as_one() -> None:
    for text in re.findall(r"`((?:prompt|options) = .*?)`", PAGE):
        msgspec.convert(tomllib.loads(text), Fields)
