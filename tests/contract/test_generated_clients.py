"""The description as others' validators and generators take it: clients made of it make an image, a video, a list."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import openapi_spec_validator
import pytest

from tests.contract.accounts import Account

BIN = Path(sys.executable).parent
GENERATORS = Path(__file__).parents[1] / "generators"
PACKAGES = GENERATORS / "node_modules"  # laid by `make test`
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}  # nobody else is asked or told anything
IMAGE_TYPES = {"image/png", "image/jpeg", "image/webp"}


@pytest.fixture(scope="module")
def description(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document as it is served, in a file."""
    path = tmp_path_factory.mktemp("description") / "openapi.json"
    path.write_bytes(httpx.get(f"{account.base_url}/openapi.json").content)
    return path


def ok(*command: str | Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, env=os.environ | QUIET, timeout=240
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def node(*arguments: str | Path) -> str:
    assert PACKAGES.is_dir(), "the packages of npm are not there: run `make test` once"
    return ok(BIN / "node", *arguments).stdout


def test_it_is_valid_for_the_specification_s_validator(description: Path) -> None:
    openapi_spec_validator.validate(json.loads(description.read_text()))


def test_it_is_valid_for_redocly(description: Path) -> None:
    redocly = PACKAGES / "@redocly/cli/bin/cli.js"
    report = json.loads(node(redocly, "lint", "--extends", "recommended", "--format", "json", description))
    assert report["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, report


def test_it_says_where_the_api_is(description: Path, account: Account) -> None:
    assert json.loads(description.read_text())["servers"] == [{"url": account.base_url}]


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("type"), str) or "enum" in value:
            yield value
        for inner in value.values():
            yield from _schemas(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _schemas(inner)


def test_no_schema_leaves_a_generator_to_guess(description: Path) -> None:
    document = json.loads(description.read_text())
    for schema in _schemas(document):
        assert "type" in schema, schema
        assert schema["type"] != "array" or schema.get("items"), schema
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema["properties"].items():
            assert "default" not in described, f"{name}.{field}: some take it for always given"
            may_be_null = {"type": "null"} in described.get("anyOf", [])
            is_request = schema.get("additionalProperties") is False
            if is_request:
                assert may_be_null != (field in schema["required"]), f"{name}.{field}"
            else:
                assert not may_be_null or field in schema["required"], f"{name}.{field}: left out, or null?"


@pytest.fixture(scope="module")
def python_client(description: Path) -> Iterator[ModuleType]:
    """The package that ``openapi-python-client`` makes."""
    config, package = description.with_name("config.yaml"), description.with_name("generated_client")
    config.write_text("post_hooks: []\n")
    options = ["--meta", "none", "--config", config, "--output-path", package]
    done = ok(BIN / "openapi-python-client", "generate", "--path", description, *options)
    said = done.stdout + done.stderr
    # It knows no pictures and no films: links to files are fetched as they are.
    left_out = re.findall(r"WARNING parsing (.+) within", said)
    assert left_out == ["GET /v2/downloads/{id}/{index}", "GET /v2/downloads/{id}/{index}/thumbnail"], said
    assert "Unable to process schema" not in said, said
    sys.path.insert(0, str(package.parent))
    yield importlib.import_module(package.name)
    sys.path.remove(str(package.parent))


def _call(package: ModuleType, name: str) -> Any:
    return importlib.import_module(f"{package.__name__}.api.{name}").sync


def test_a_client_of_openapi_python_client(python_client: ModuleType, account: Account) -> None:
    models = importlib.import_module(f"{python_client.__name__}.models")
    with python_client.AuthenticatedClient(base_url=account.base_url, token=account.key) as client:
        body = models.ImageGenerationBody(model="noop-image", prompt="A mountain at dawn", aspect_ratio=None)
        image = _call(python_client, "images.create_image")(client=client, body=body)
        assert isinstance(image, models.CompletedImage), image
        assert (image.data[0].width, image.data[0].mime_type in IMAGE_TYPES) == (64, True)
        assert image.usage.total_cost == 0.013

        body = models.VideoGenerationBody(model="noop-video", prompt="Clouds over a peak", images=None)
        accepted = _call(python_client, "videos.create_video")(client=client, body=body)
        assert isinstance(accepted, models.PendingGeneration), accepted
        video = accepted
        while isinstance(video, models.PendingGeneration):
            video = _call(python_client, "videos.get_video")(accepted.id, client=client, wait=30)
        assert isinstance(video, models.CompletedVideo), video
        assert video.data[0].duration == video.usage.quantity

        page = _call(python_client, "history.list_generations")(client=client, limit=2)
        assert [(type(one), one.id) for one in page.data] == [
            (models.ListedVideo, video.id),
            (models.ListedImage, image.id),
        ]
        assert page.data[0].data[0].fps == video.data[0].fps

        body = models.ImageGenerationBody(model="noop-image", prompt=" ")
        refused = _call(python_client, "images.create_image")(client=client, body=body)
        assert refused.error.param == "prompt"


@pytest.fixture(scope="module")
def typescript_client(description: Path) -> Path:
    """``make.mts`` beside the types that ``openapi-typescript`` makes, compiled without a complaint."""
    folder = description.parent
    node(PACKAGES / "openapi-typescript/bin/cli.js", description, "--output", folder / "schema.d.ts")
    (folder / "node_modules").symlink_to(PACKAGES)
    program = folder / "make.mts"
    program.write_text((GENERATORS / "make.mts").read_text())
    strict = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--allowImportingTsExtensions"]
    node(PACKAGES / "typescript/bin/tsc", *strict, "--lib", "es2022,dom", "--skipLibCheck", program)
    return program


def test_a_client_of_openapi_typescript(typescript_client: Path, account: Account) -> None:
    made = json.loads(node(typescript_client, account.base_url, account.key))
    assert made["image"].startswith("req-") and made["video"].startswith("req-")
    assert (made["width"], made["cost"], made["seconds"] > 0) == (64, 0.013, True)
    assert [line.split()[0] for line in made["listed"]] == [made["video"], made["image"]]
    assert made["listed"][1].split()[1] in IMAGE_TYPES
    assert made["refused"] == "prompt"
