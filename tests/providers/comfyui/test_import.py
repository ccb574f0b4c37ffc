"""``safelight comfyui import``: what it proposes is what a catalog takes, and what it cannot place it says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from safelight.cli import run
from safelight.domain.catalog import Catalog
from safelight.domain.catalog_reader import read_catalog
from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Host
from safelight.providers.comfyui.workflow import MAX_BYTES
from safelight.providers.registry import KINDS, check_connections

WORKFLOWS = Path(__file__).with_name("workflows")


def imported(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """What it prints, and that read as a catalog document. A catalog of it has to be in order."""
    assert run(["comfyui", "import", str(path), *options]) == 0
    printed = capsys.readouterr().out
    document = tomllib.loads(printed)
    check(path.parent, document)
    return printed, document


def check(folder: Path, document: dict[str, Any]) -> Catalog:
    catalog = read_catalog(document, source="catalog.toml", kinds=KINDS)
    host = Host(data_dir=folder, render_processes=1, read_secret=lambda secret: "x", catalog_dir=folder)
    check_connections(catalog, host)
    return catalog


def fields(document: dict[str, Any]) -> dict[str, Any]:
    return dict(document["models"][0]["bindings"][0]["options"]["fields"])


def test_a_plain_workflow_is_placed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    printed, document = imported(capsys, WORKFLOWS / "portrait.json")
    assert fields(document) == {
        "prompt": "6.text",
        "negative_prompt": "7.text",
        "width": "5.width",
        "height": "5.height",
        "seed": "3.seed",
        "output": "9",
    }
    (model,) = document["models"]
    assert (model["type"], model["supports_seed"], model["supports_negative_prompt"]) == ("image", True, True)
    assert model["sizes"]["512p"]["1:1"] == "512x512"
    assert "Every part of a request" in printed


def test_values_that_come_by_links_are_placed_where_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    printed, document = imported(capsys, WORKFLOWS / "harbour.json")
    assert fields(document) == {
        "prompt": "20.value",
        "width": "21.value",
        "height": "22.value",
        "seed": "6.noise_seed",
        "output": "13",
    }
    assert "# - negative_prompt: " in printed
    assert "batch_size is 2" in printed


def test_a_clip_has_frames_a_rate_and_its_two_ends(capsys: pytest.CaptureFixture[str]) -> None:
    printed, document = imported(capsys, WORKFLOWS / "voyage.json")
    (model,) = document["models"]
    assert (model["type"], model["durations"], model["references"]) == (
        "video",
        [5],
        {"first_frame": 1, "last_frame": 1},
    )
    assert model["bindings"][0]["options"]["frames_step"] == 4
    placed = fields(document)
    assert (placed["first_frame"], placed["last_frame"]) == ("52.image", "53.image")
    assert (placed["frames"], placed["fps"], placed["width"]) == ("67.length", "60.fps", "67.width")
    assert "node 54 (ImageScale): it has a size of its own" in printed


def test_where_several_would_do_none_is_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    printed, document = imported(capsys, WORKFLOWS / "two-stages.json")
    placed = fields(document)
    assert not placed.keys() & {"prompt", "negative_prompt", "output"}
    assert placed["seed"] == ["6.seed", "7.seed"]
    for said in ("prompt: 2.text, 3.text", "node 9 (SaveImage), node 11 (SaveImage)", "a mask has no part"):
        assert said in printed


def test_a_workflow_of_references_and_nothing_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    graph = {
        "10": {"class_type": "LoadImage", "inputs": {"image": "b.png"}},
        "2": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "11": {"class_type": "ImageBatch", "inputs": {"image1": ["2", 0], "image2": ["10", 0]}},
        "12": {"class_type": "SaveImage", "inputs": {"images": ["11", 0], "filename_prefix": "x"}},
    }
    (tmp_path / "Pair of pictures!.json").write_text(json.dumps({"prompt": graph, "client_id": "x"}))
    printed, document = imported(capsys, tmp_path / "Pair of pictures!.json")
    assert fields(document) == {"references": ["2.image", "10.image"], "output": "12"}
    (model,) = document["models"]
    assert (model["id"], model["name"]) == ("pair-of-pictures", "Pair of pictures")
    assert model["references"] == {"reference_image": 2}
    assert model["aspect_ratios"] == ["1:1"]
    for key in ("prompt", "width", "seed"):
        assert f"# - {key}: " in printed


def test_names_are_taken_as_given(capsys: pytest.CaptureFixture[str]) -> None:
    given = [
        "--model",
        "tiny",
        "--name",
        'My "best" one',
        "--connection",
        "attic",
        "--url",
        "https://gpu.example/comfy",
    ]
    _, document = imported(capsys, WORKFLOWS / "portrait.json", *given)
    (model,), (connection,) = document["models"], document["connections"]
    assert (model["id"], model["name"], model["bindings"][0]["connection"]) == ("tiny", 'My "best" one', "attic")
    assert connection == {"name": "attic", "kind": "comfyui", "base_url": "https://gpu.example/comfy"}


@pytest.mark.parametrize("option", [("--model", "No Id"), ("--connection", "A B"), ("--url", "gpu.example")])
def test_a_name_that_no_catalog_takes_is_refused(option: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["comfyui", "import", str(WORKFLOWS / "portrait.json"), *option]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


HOSTILE = {
    "1": {
        "class_type": 'Save\nImage"]\n[[models]]\x1b[2J',
        "inputs": {"filename_prefix": "x", "width": 1, "height": 1, "text": "a", "prompt": "b"},
    },
    "2": {"class_type": "Latent\u2028x", "inputs": {"width": 10**40, "height": -5}},
    "3": {"class_type": "KSampler", "inputs": {"positive": ["3", 0], "negative": [3, 0], "latent_image": ["3", 0]}},
    "4": {"class_type": "KSampler", "inputs": {"positive": ["absent", 0], "seed": True, "noise": ["4", 0]}},
}


def test_a_workflow_of_an_enemy_is_a_catalog_or_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "w.json").write_text(json.dumps(HOSTILE))
    if run(["comfyui", "import", str(tmp_path / "w.json")]) == 0:
        document = tomllib.loads(capsys.readouterr().out)
        assert len(document["models"]) == 1
    else:
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"3": ', "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it is no workflow"),
        (b"{}", "it has no nodes"),
        (b'{"a": {"inputs": {}}}', "'a' is no node"),
        (b'{"a": {"class_type": "X", "inputs": []}}', "its inputs are no object"),
        (b'{"nodes": [], "links": []}', "as the editor saves it"),
        (b'{"prompt": {"nodes": [], "links": []}}', "as the editor saves it"),
        (b" " * (MAX_BYTES + 1), "it is over 8 MiB"),
    ],
)
def test_what_is_no_workflow_is_one_line(
    content: bytes, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "workflow.json"
    path.write_bytes(content)
    assert run(["comfyui", "import", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "Export (API)" in line


def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        assert run(["comfyui", "import", str(path)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(path) in line


def test_an_id_that_no_place_can_name_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "workflow.json"
    path.write_text('{"正.词": {"class_type": "CLIPTextEncode", "inputs": {"text": "x"}}}')
    assert run(["comfyui", "import", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "node '正.词' has a dot in its id" in line and "Give it another" in line


def test_a_catalog_elsewhere_finds_the_workflow(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "catalog.toml"
    target.parent.mkdir()
    assert run(["comfyui", "import", str(WORKFLOWS / "portrait.json"), "--output", str(target)]) == 0
    (model,) = tomllib.loads(target.read_text())["models"]
    place = model["bindings"][0]["options"]["workflow"]
    assert (target.parent / place).samefile(WORKFLOWS / "portrait.json")


def test_a_file_is_overwritten_only_when_that_is_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    target = tmp_path / "catalog.toml"
    target.write_text("mine")
    arguments = ["comfyui", "import", str(WORKFLOWS / "portrait.json"), "--output", str(target)]
    assert run(arguments) == 1
    assert target.read_text() == "mine"
    assert "--overwrite" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0
    assert tomllib.loads(target.read_text())["models"]


def catalog_of(**options: Any) -> dict[str, Any]:
    model: dict[str, Any] = {
        "id": "portrait",
        "name": "Portrait",
        "type": "image",
        "created_at": "2026-01-01T00:00:00Z",
        "aspect_ratios": ["1:1"],
        "resolutions": ["1K"],
        "sizes": {"1K": {"1:1": "1024x1024"}},
        "rates": [{"unit_price": "0.01"}],
        **options.pop("model", {}),
    }
    binding = {
        "connection": "studio",
        **options.pop("binding", {}),
        "options": {"workflow": "portrait.json", **options},
    }
    connection = {"name": "studio", "kind": "comfyui", "base_url": "http://127.0.0.1:8188"}
    return {"models": [{**model, "bindings": [binding]}], "connections": [connection]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workflow": "absent.json"}, "bindings[0].options.workflow: "),
        ({"workflow": "editor.json"}, "as the editor saves it"),
        (
            {"fields": {"prompt": "6.txt"}},
            "fields.prompt: node 6 (CLIPTextEncode) has no input 'txt'; it has: text, clip",
        ),
        ({"fields": {"prompt": ["6.text", "66.text"]}}, "fields.prompt: the workflow has no node 66"),
        ({"fields": {"output": "99"}}, "fields.output: the workflow has no node 99"),
        ({"fields": {"options": {"steps": "3.step"}}}, "fields.options.steps: node 3 (KSampler) has no input 'step'"),
        ({"fields": {"prompt": "text"}}, "fields.prompt: 'text' is no place"),
        ({"fields": {"promt": "6.text"}}, "promt"),
        ({"fields": {"frames": "5.width"}}, "fields.fps"),
        ({"fields": {"frames": "5.width", "fps": "6.text"}}, "fields.fps"),
        ({"fields": {"fps": 0}}, "fields.fps"),
        ({"model": {"supports_seed": True}}, "fields.seed: the model supports_seed"),
        ({"model": {"supports_negative_prompt": True}}, "fields.negative_prompt"),
        ({"model": {"references": {"reference_image": 1}}}, "fields.references: the model takes 1"),
        ({"binding": {"provider_options": ["steps"]}}, "fields.options.steps: the binding passes it on"),
    ],
)
def test_what_does_not_fit_is_found_before_anybody_is_asked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        check(WORKFLOWS, catalog_of(**options))
    assert said in found.value.message


def test_a_map_may_have_several_places_and_a_number_for_the_rate() -> None:
    placed = {"prompt": ["6.text", "7.text"], "fps": 16, "frames": "5.batch_size", "options": {"steps": "3.steps"}}
    catalog = check(WORKFLOWS, catalog_of(fields=placed, binding={"provider_options": ["steps"]}))
    assert catalog.models["portrait"].provider_options == ("steps",)
