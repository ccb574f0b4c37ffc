"""The catalog's ``[[pipelines]]``: what is read, what is refused, and the page that tells it."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from safelight.cli.model_checks import of_catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.errors import ConfigurationError
from safelight.domain.pipeline_reader import read_pipelines
from safelight.domain.pipelines import Pipeline
from safelight.model_server.app import make_app
from safelight.model_server.application import Arguments, pipelines_in, read_arguments
from safelight.model_server.weights import check_folder, folder_of, weights_bytes
from safelight.node.settings import Settings
from safelight.providers.registry import KINDS
from tests.model_server.stand_in import StandIn
from tests.test_docs import DOCS, ROOT, rows

PAGE = "docs/model-server.md"
LEAST: dict[str, Any] = {"name": "x", "source": "owner/name", "tasks": ["text-to-image"]}


def read(**more: Any) -> Pipeline:
    entry = {name: value for name, value in {**LEAST, **more}.items() if value is not None}
    return read_pipelines([entry], source="shop.toml")[0]


def test_a_pipeline_is_read() -> None:
    found = read(min_replicas=0, max_replicas=3, gpus=0.5, warm_up={"size": "512x384"})
    assert (found.least_replicas, found.most_replicas) == (0, 3)
    assert found.warm_up is not None and found.warm_up.pixels == (512, 384)
    assert (read().least_replicas, read().most_replicas) == (1, 1)
    assert (read(replicas=4).least_replicas, read(replicas=4).most_replicas) == (4, 4)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"name": "a b"}, "name: 'a b' is not a name"),
        ({"source": "gpt"}, "source: 'gpt' is no repository and no folder"),
        ({"source": "./x", "revision": "main"}, "revision: a folder has none"),
        ({"tasks": []}, "tasks: it is empty"),
        ({"tasks": ["text-to-image", "text-to-image"]}, "tasks: it is empty or repeats"),
        ({"tasks": ["text-to-image", "text-to-video"], "fps": 8}, "tasks: pictures and videos"),
        ({"tasks": ["text-to-video"]}, "fps: a video needs it"),
        ({"fps": 8}, "fps: a picture has none"),
        ({"warm_up": {"size": "64x64", "frames": 9}}, "warm_up.frames: a picture has none"),
        ({"warm_up": {"size": "64"}}, "warm_up.size: Expected"),
        ({"gpus": 1.5}, "gpus: 1.5 is not to be had"),
        ({"gpus": 0, "offload": "model"}, "offload: without a graphics card"),
        ({"replicas": 1, "max_replicas": 2}, "replicas: the number is fixed"),
        ({"min_replicas": 1}, "max_replicas: it is missing"),
        ({"min_replicas": 3, "max_replicas": 2}, "min_replicas: it is more"),
        ({"call": {"prompt": "x"}}, "call: prompt is said by orders"),
        ({"allow": ["generator"]}, "allow: generator is said by orders"),
        ({"allow": ["_x"]}, "allow: '_x' is no argument"),
        ({"max_images": 9}, "max_images: Expected `int` <= 8"),
        ({"gpu": 1}, "gpu: there is no such key. Did you mean gpus?"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_key(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**more)
    assert caught.value.message.startswith(f"shop.toml: pipelines[0].{told}")


def test_a_name_is_there_once() -> None:
    with pytest.raises(ConfigurationError, match=r"pipelines\[1\].name: 'x' is there twice"):
        read_pipelines([LEAST, LEAST], source="shop.toml")


def test_the_page_tells_every_key() -> None:
    told = {name for cells in rows(PAGE, "Pipelines") for name in cells[0].replace("`", "").split(", ")}
    assert told == set(Pipeline.__struct_fields__)
    assert {cells[0].strip("`") for cells in rows(PAGE, "On Kubernetes")} == set(Arguments.__struct_fields__)


def test_the_page_tells_every_route() -> None:
    told = {cells[0].strip("`") for cells in rows(PAGE, "What it speaks")}
    known = set()
    for route in make_app(StandIn(), None).routes:
        methods = set(getattr(route, "methods", None) or ()) - {"HEAD"}
        known |= {f"{method} {getattr(route, 'path', '')}" for method in methods}
    assert told == known


def test_the_manifest_of_kuberay_is_what_the_application_takes(tmp_path: Path) -> None:
    config_map, service = yaml.safe_load_all((ROOT / "deploy/kubernetes/kuberay.yaml").read_text())
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    module, _, name = application["import_path"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    arguments = read_arguments(application["args"])
    folder, _, file = arguments.catalog.rpartition("/")
    (tmp_path / file).write_text(config_map["data"][file])
    assert pipelines_in(tmp_path / file)
    cluster = service["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert [mount["mountPath"] for mount in container["volumeMounts"]] == [folder]
        assert pod["volumes"][0]["configMap"]["name"] == config_map["metadata"]["name"]
        assert arguments.key is not None and arguments.key.name in [each["name"] for each in container["env"]]
    pins = (ROOT / "requirements/ray.txt").read_text()
    assert f"\nray=={cluster['rayVersion']} " in pins


@pytest.mark.parametrize(
    "args",
    [{}, {"catalog": "x"}, {"catalog": "x", "key": "sk-1"}, {"catalog": "x", "open": True, "key": "env:A"}, {"c": 1}],
)
def test_arguments_that_leave_it_open_by_mistake_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^args"):
        read_arguments(args)
    assert read_arguments({"catalog": "x", "open": True}).key is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "There is no catalog"),
        ("pipelines = 3", "it is no list of tables"),
        ("models = []", "there is none. Declare"),
        ("[[pipelines]]\nname = 3", "pipelines[0].name"),
    ],
)
def test_a_catalog_without_pipelines_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "catalog.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        pipelines_in(path)
    assert told in caught.value.message


def test_a_folder_is_looked_for_beside_the_catalog(tmp_path: Path) -> None:
    assert folder_of(read(source="./w"), tmp_path) == tmp_path / "w"
    assert folder_of(read(source=str(tmp_path / "v")), Path("/nowhere")) == tmp_path / "v"
    assert folder_of(read(), tmp_path) is None


def test_only_safetensors_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "w"
    unet = folder / "unet"
    for make, told in (
        (lambda: None, "there is no such folder"),
        (lambda: unet.mkdir(parents=True), "no model_index.json"),
        (lambda: (folder / "model_index.json").write_text("{}"), "no safetensors"),
        (lambda: (unet / "model.bin").write_bytes(b"x"), "safetensors alone are loaded"),
        (lambda: (folder / "a.safetensors").write_bytes(b"x"), "safetensors alone are loaded"),
    ):
        make()
        with pytest.raises(ConfigurationError, match=told):
            check_folder(folder)
    (unet / "model.safetensors").write_bytes(b"12345")
    (unet / "model.fp16.safetensors").write_bytes(b"123")
    check_folder(folder)
    assert (weights_bytes(folder, None), weights_bytes(folder, "fp16")) == (6, 4)


def test_what_is_bound_is_compared_with_what_is_deployed() -> None:
    page = DOCS["docs/providers/openai.md"].split("### A model server of your own")[1]
    recipe = tomllib.loads(page.partition("```toml")[2].partition("```")[0])
    assert not problems(recipe)
    recipe["models"][0]["bindings"][0]["model"] = "flux"
    recipe["models"][1]["references"] = {"first_frame": 1}
    first, second = problems(recipe)
    assert "no [[pipelines]] of this connection is named flux" in first
    assert "has no task image-to-video" in second
    del recipe["pipelines"]
    assert not problems(recipe)


def problems(document: dict[str, Any]) -> list[str]:
    catalog = read_catalog(msgspec.convert(document, dict[str, Any]), source="shop.toml", kinds=KINDS)
    found = of_catalog(Settings(), catalog, list(catalog.models.values()))
    return [each.text for each in found if each.subject == "pipeline"]
