"""One request in each way: what is shown is run, and orders what the form would have ordered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from safelight.api.bodies import parse_body
from safelight.api.getimg.requests import ImageGenerationBody, VideoGenerationBody
from safelight.dashboard.snippets import Picture, Snippet, snippets_of
from safelight.domain.generations import GenerationType
from safelight.mcp.schemas import input_schema
from tests.contract.accounts import Account
from tests.dashboard.benches import picture
from tests.dashboard.conftest import House
from tests.support.server import PATIENCE_SECONDS, clean_environment

IMAGE, VIDEO = GenerationType.IMAGE, GenerationType.VIDEO
NASTY = "$(touch pwned) `touch pwned` it's \"quoted\" \\n \\ ${HOME} !! %s\n'; touch pwned #\tü 🦊 EOF"
NASTIER = ["--help", "-", "-i first.png", "'", '"""', "\\", "~/x", "*", "a\r\nb\nJSON\n", "{n}", "\u2028 \x7f"]
ROOT = Path(__file__).parents[2]
FULL = {
    "model": "still",
    "prompt": NASTY,
    "aspect_ratio": "1:1",
    "resolution": "1K",
    "output_format": "png",
    "seed": 7,
    "negative_prompt": "-- $(touch pwned) 'x'",
}
MOVING = {
    "model": "talkie",
    "prompt": NASTY,
    "aspect_ratio": "1:1",
    "resolution": "720p",
    "duration": 4,
    "sound": True,
    "seed": 7,
    "negative_prompt": "blur",
}
TWO = [
    Picture(role="reference_image", name="one '$(x).png"),
    Picture(role="reference_image", name="two.jpg", mime_type="image/jpeg"),
]


@pytest.fixture(scope="module")
def account(house: House) -> Account:
    return house.create(image_rpm=1000, video_rpm=1000, concurrency=100)


def shown(
    account: Account, type_: GenerationType, fields: Mapping[str, Any], pictures: list[Picture] | None = None
) -> dict[str, Snippet]:
    found = {each.id: each for each in snippets_of(account.base_url, type_, fields, pictures or [])}
    assert not any("sk_" in (each.text or "") for each in found.values())
    return found


def shell(account: Account, text: str, folder: Path) -> str:
    """Run as somebody types it."""
    env = clean_environment({"SAFELIGHT_API_KEY": account.key, "PYTHONPATH": f"{ROOT / 'src'}", "HOME": str(folder)})
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", text],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def python(account: Account, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(os.environ, "SAFELIGHT_API_KEY", account.key)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client calls its own videos deprecated
        exec(compile(text, "snippet", "exec"), {})


def newest(house: House, account: Account) -> tuple[str, dict[str, Any], bool]:
    """What was ordered last: its model, its spec, and whether it is kept."""
    found = house.run(
        "select g.model, g.request, g.is_stored from generations g join workspaces w on w.id = g.workspace_id "
        "where w.name = %s order by g.id desc limit 1",
        account.workspace,
    )
    return found[0][0], found[0][1], found[0][2]


def ordered(house: House, account: Account, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of what was ordered last, which is what the fields say."""
    model, spec, is_stored = newest(house, account)
    wanted = {("duration_seconds" if name == "duration" else name): value for name, value in fields.items()}
    assert is_stored is wanted.pop("store", True)
    wanted.pop("retention_seconds", None)
    assert {"model": model, **{name: spec.get(name) for name in wanted if name != "model"}} == wanted
    return spec


def files(folder: Path) -> None:
    (folder / TWO[0].name).write_bytes(picture())
    (folder / TWO[1].name).write_bytes(picture("blue", kind="JPEG"))


def untouched(folder: Path) -> None:
    assert not (folder / "pwned").exists()


def test_json_is_what_the_api_decodes(account: Account) -> None:
    extra = {"provider_options": {"steps": 5, "odd": [None, {"a": "'"}]}, "retention_seconds": 3600, "store": False}
    body = parse_body(str(shown(account, IMAGE, {**FULL, **extra})["json"].text).encode(), ImageGenerationBody)
    request = body.request()
    assert (request.prompt, request.seed, request.store) == (NASTY, 7, False)
    assert request.provider_options == extra["provider_options"]
    with_pictures = shown(account, VIDEO, MOVING, [Picture(role="last_frame", name="a.png")])["json"].text
    moving = parse_body(str(with_pictures).encode(), VideoGenerationBody).request()
    assert (moving.duration, moving.sound, moving.images[0].role) == (4, True, "last_frame")


def test_curl(house: House, account: Account, tmp_path: Path) -> None:
    fields = {**FULL, "provider_options": {"steps": 5}, "store": False, "retention_seconds": 60}
    shell(account, str(shown(account, IMAGE, fields)["curl"].text), tmp_path)
    ordered(house, account, fields)
    files(tmp_path)
    answer = shell(account, str(shown(account, IMAGE, FULL, TWO)["curl"].text), tmp_path)
    assert json.loads(answer)["data"]
    assert len(ordered(house, account, FULL)["references"]) == 2
    shell(account, str(shown(account, VIDEO, MOVING)["curl"].text), tmp_path)
    ordered(house, account, MOVING)
    untouched(tmp_path)


def test_getimgs_client(house: House, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {**FULL, "provider_options": {"steps": 5, "x": True}, "store": False}
    fields["provider_options"] = {"steps": {"a": None, "b": [True, "'"]}}
    python(account, str(shown(account, IMAGE, fields)["python"].text), tmp_path, monkeypatch)
    ordered(house, account, fields)
    files(tmp_path)
    python(account, str(shown(account, IMAGE, FULL, TWO)["python"].text), tmp_path, monkeypatch)
    assert len(ordered(house, account, FULL)["references"]) == 2
    frames = [Picture(role="first_frame", name=TWO[0].name), Picture(role="last_frame", name=TWO[0].name)]
    python(account, str(shown(account, VIDEO, MOVING, frames)["python"].text), tmp_path, monkeypatch)
    assert [each["role"] for each in ordered(house, account, MOVING)["references"]] == ["first_frame", "last_frame"]


def test_openais_client(house: House, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {**FULL, "provider_options": {"steps": {"a": [None, 1]}}, "store": False}
    python(account, str(shown(account, IMAGE, fields)["openai"].text), tmp_path, monkeypatch)
    ordered(house, account, fields)
    files(tmp_path)
    python(account, str(shown(account, IMAGE, fields, TWO)["openai"].text), tmp_path, monkeypatch)
    assert len(ordered(house, account, fields)["references"]) == 2
    first = [Picture(role="first_frame", name=TWO[0].name)]
    python(account, str(shown(account, VIDEO, MOVING, first)["openai"].text), tmp_path, monkeypatch)
    assert [each["role"] for each in ordered(house, account, MOVING)["references"]] == ["first_frame"]
    python(account, str(shown(account, VIDEO, MOVING)["openai"].text), tmp_path, monkeypatch)
    assert list(tmp_path.glob("req-*.mp4"))
    for roles in (["first_frame", "last_frame"], ["reference_image"]):
        unsaid = shown(account, VIDEO, MOVING, [Picture(role=role, name="a.png") for role in roles])["openai"]
        assert unsaid.text is None
        assert "OpenAI's API takes" in unsaid.note


def test_the_command_line(house: House, account: Account, tmp_path: Path) -> None:
    fields = {**FULL, "provider_options": {"steps": 5}}
    shell(account, str(shown(account, IMAGE, fields)["cli"].text), tmp_path)
    ordered(house, account, fields)
    files(tmp_path)
    earlier = house.run("select max(id) from generations g where model = 'still' and state = 'completed'")[0][0]
    pictures = [TWO[0], Picture(role="reference_image", name="gone.png", generation_id=earlier)]
    dashed = {**FULL, "prompt": "--help $(touch pwned) '"}
    shell(account, str(shown(account, IMAGE, dashed, pictures)["cli"].text), tmp_path)
    assert len(ordered(house, account, dashed)["references"]) == 2
    shell(account, str(shown(account, VIDEO, MOVING)["cli"].text), tmp_path)
    ordered(house, account, MOVING)
    untouched(tmp_path)
    unsaid = shown(account, IMAGE, {**FULL, "store": False})["cli"]
    assert (unsaid.text, unsaid.note) == (None, "safelight generate has no option for store.")


def test_shells_pass_every_prompt_on_as_it_is(account: Account, tmp_path: Path) -> None:
    (tmp_path / "curl").write_text('#!/bin/bash\nprintf "%s" "${@: -1}" > said\n')
    (tmp_path / "safelight").write_text(
        '#!/bin/bash\nif [ "$2" = - ]; then cat > said; else printf "%s" "$2" > said; fi\n'
    )
    for name in ("curl", "safelight"):
        (tmp_path / name).chmod(0o755)
    for prompt in [NASTY, *NASTIER]:
        found = shown(account, IMAGE, {"model": "still", "prompt": prompt})
        shell(account, f"PATH=.:$PATH\n{found['curl'].text}", tmp_path)
        assert json.loads((tmp_path / "said").read_bytes())["prompt"] == prompt
        shell(account, f"PATH=.:$PATH\nexport PATH\n{found['cli'].text}", tmp_path)
        assert (tmp_path / "said").read_bytes().decode() == prompt
    untouched(tmp_path)


def test_a_tools_arguments_are_what_its_schema_takes(account: Account) -> None:
    earlier = Picture(role="first_frame", name="x.png", generation_id="req-00000000000000000000000000")
    cases = [
        (IMAGE, FULL, TWO),
        (VIDEO, MOVING, [earlier, Picture(role="last_frame", name="a.png")]),
        (VIDEO, MOVING, [Picture(role="reference_image", name="a.png")]),
    ]
    for type_, fields, pictures in cases:
        call = json.loads(str(shown(account, type_, fields, list(pictures))["mcp"].text))
        jsonschema.validate(call["arguments"], input_schema(call["name"]))
        assert call["arguments"]["prompt"] == NASTY
    assert call["arguments"]["reference_images"] == ["data:image/png;base64,<a.png>"]
    unsaid = shown(account, IMAGE, {**FULL, "provider_options": {"steps": 1}})["mcp"]
    assert (unsaid.text, unsaid.note) == (None, "The tool generate_image has no parameter for provider_options.")
