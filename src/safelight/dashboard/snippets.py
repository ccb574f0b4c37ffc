"""One request as people send it otherwise: as JSON, by curl, by clients, from the command line, as a call of a tool.

No key is in any of them: each reads it from ``SAFELIGHT_API_KEY``, as the documentation does.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import EXTENSION_OF_MIME, MimeType, ReferenceRole
from safelight.lifecycle.views import GenerationDetail

SnippetId = Literal["json", "curl", "python", "openai", "cli", "mcp"]

_KEY = 'os.environ["SAFELIGHT_API_KEY"]'
_KEEPING = ("retention_seconds", "store", "webhook_url")
_OF_OPENAI = ("model", "prompt", "output_format")
_OF_GETIMG = ("model", "prompt", "aspect_ratio", "resolution", "output_format", "duration", "sound")
_OPTIONS = {"output_format": "format"}
_CLI_ROLES = {"first_frame": "first", "last_frame": "last", "reference_image": "ref"}


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A reference image. ``name``: of the file, which lies where the request is sent from. ``generation_id``: the
    earlier image that it is, if it is one."""

    role: ReferenceRole
    name: str
    mime_type: MimeType = "image/png"
    generation_id: str | None = None


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """``text`` is None where the request cannot be said so; then ``note`` says why not."""

    id: SnippetId
    name: str
    text: str | None
    note: str = ""


def snippets_of(
    base_url: str, type_: GenerationType, fields: Mapping[str, Any], pictures: Sequence[Picture] = ()
) -> list[Snippet]:
    """The request in each way. ``fields``: as in the API's JSON, without ``images``; a video's with its duration."""
    asked = _Asked(base_url=base_url.rstrip("/"), type=type_, fields=dict(fields), pictures=tuple(pictures))
    return [_json(asked), _curl(asked), _python(asked), _openai(asked), _cli(asked), _mcp(asked)]


def fields_of(found: GenerationDetail) -> dict[str, Any]:
    """What was asked for, as the API's JSON has it, without images; nothing of it once the request is gone."""
    spec = found.spec
    if spec is None:
        return {}
    fields = {
        "model": found.view.model,
        "prompt": spec.prompt,
        "aspect_ratio": spec.aspect_ratio,
        "resolution": spec.resolution,
        "output_format": spec.output_format,
        "duration": spec.duration_seconds,
        "sound": spec.sound,
        "seed": spec.seed,
        "negative_prompt": spec.negative_prompt,
        "provider_options": spec.provider_options or None,
        "store": None if found.is_stored else False,
    }
    return {name: value for name, value in fields.items() if value is not None}


def pictures_of(found: GenerationDetail) -> list[Picture]:
    """The references that it went by: what they were called is not on record."""
    references = found.spec.references if found.spec else ()
    return [
        Picture(
            role=each.role,
            name=f"reference-{place}.{EXTENSION_OF_MIME[each.mime_type]}",
            mime_type=each.mime_type,
        )
        for place, each in enumerate(references, 1)
    ]


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    base_url: str
    type: GenerationType
    fields: dict[str, Any]
    pictures: tuple[Picture, ...]

    @property
    def is_image(self) -> bool:
        return self.type is GenerationType.IMAGE

    @property
    def address(self) -> str:
        return f"{self.base_url}/v2/{self.type}s/generations"

    @property
    def files(self) -> str:
        """What is said of files that it reads."""
        return _files_of(self.pictures)

    def given(self, *names: str) -> list[str]:
        return [name for name in names if name in self.fields]


def _json(asked: _Asked) -> Snippet:
    body = dict(asked.fields)
    if asked.pictures:
        body["images"] = [{"url": _placeholder(each), "role": each.role} for each in asked.pictures]
    note = f"POST {asked.address}"
    if asked.pictures:
        note += ". In place of each <name> goes that file in base64."
    return Snippet(id="json", name="JSON", text=_dumps(body), note=note)


def _curl(asked: _Asked) -> Snippet:
    call = f"curl --fail-with-body -s {shlex.quote(asked.address)} \\\n"
    call += "  -H \"Authorization: Bearer $SAFELIGHT_API_KEY\" -H 'Content-Type: application/json' \\\n"
    note = asked.files
    if not asked.is_image:
        note = f"{note} GET {asked.address}/{{id}}?wait=30 tells how it stands.".lstrip()
    if not asked.pictures:
        return Snippet(id="curl", name="curl", text=f"{call}  -d {shlex.quote(_dumps(asked.fields))}\n", note=note)
    pieces, text = [], _dumps(asked.fields)[:-2] + ',\n  "images": ['
    for place, each in enumerate(asked.pictures):
        text += f'{", " if place else ""}{{"role": "{each.role}", "url": "data:{each.mime_type};base64,'
        pieces += [f"printf %s {shlex.quote(text)}", f"base64 < {shlex.quote(each.name)} | tr -d '\\n'"]
        text = '"}'
    pieces.append(f"printf %s {shlex.quote(text + ']}')}")
    text = "{\n" + "".join(f"  {piece}\n" for piece in pieces) + f"}} | {call}  --data-binary @-\n"
    return Snippet(id="curl", name="curl", text=text, note=note)


def _python(asked: _Asked) -> Snippet:
    imports = ["os"] + (["base64"] if asked.pictures else []) + ([] if asked.is_image else ["time"])
    lines = [f"import {name}" for name in sorted(imports)]
    lines += ["", "from getimg import GetimgAI", ""]
    lines += [f"client = GetimgAI(base_url={_literal(asked.base_url)}, api_key={_KEY})", ""]
    values = {name: _literal(asked.fields[name]) for name in asked.given(*_OF_GETIMG)}
    if asked.pictures:
        lines += ["", "def data_url(name, mime_type):"]
        lines += ['    with open(name, "rb") as file:']
        lines += ['        return f"data:{mime_type};base64,{base64.b64encode(file.read()).decode()}"', "", ""]
        values["images"] = _items(
            f'{{"url": data_url({_literal(each.name)}, "{each.mime_type}"), "role": "{each.role}"}}'
            for each in asked.pictures
        )
    rest = {name: value for name, value in asked.fields.items() if name not in _OF_GETIMG}
    if rest:
        values["extra_body"] = _literal(rest)
    if asked.is_image:
        lines += _call("image = client.images.generate", values)
        lines += ["print(image.data[0].url, image.usage.total_cost)"]
    else:
        lines += _call("video = client.videos.generations.create", values)
        lines += ['while video.status == "pending":', "    time.sleep(1)"]
        lines += ["    video = client.videos.generations.retrieve(video.id)"]
        lines += ['if video.status == "failed":', "    raise SystemExit(video.error.message)"]
        lines += ["print(video.data[0].url, video.usage.total_cost)"]
    note = " ".join(filter(None, ["pip install getimg.", asked.files]))
    return Snippet(id="python", name="Python", text=_lines(lines), note=note)


def _openai(asked: _Asked) -> Snippet:
    if why_not := _not_by_openai(asked):
        return Snippet(id="openai", name="OpenAI's Python", text=None, note=why_not)
    lines = ["import os", "", "from openai import OpenAI", ""]
    lines += [f"client = OpenAI(base_url={_literal(asked.base_url + '/v1')}, api_key={_KEY})", ""]
    values = {name: _literal(asked.fields[name]) for name in asked.given(*_OF_OPENAI)}
    rest = {name: value for name, value in asked.fields.items() if name not in (*_OF_OPENAI, "duration")}
    if asked.pictures and "provider_options" in rest:
        rest["provider_options"] = json.dumps(rest["provider_options"], ensure_ascii=False)  # as a form has it
    if asked.is_image:
        values |= {"output_format": _literal(asked.fields.get("output_format", "jpeg")), "response_format": '"url"'}
        if asked.pictures:
            values["image"] = _items(f'open({_literal(each.name)}, "rb")' for each in asked.pictures)
    else:
        if "duration" in asked.fields:
            values["seconds"] = _literal(str(asked.fields["duration"]))
        if asked.pictures:
            values["input_reference"] = f'open({_literal(asked.pictures[0].name)}, "rb")'
    if rest:
        values["extra_body"] = _literal(rest)
    if asked.is_image:
        lines += _call(f"made = client.images.{'edit' if asked.pictures else 'generate'}", values)
        lines += ["print(made.data[0].url)"]
    else:
        lines += _call("video = client.videos.create_and_poll", values)
        lines += ['if video.status == "failed":', "    raise SystemExit(video.error.message)"]
        lines += ['client.videos.download_content(video.id).write_to_file(f"{video.id}.mp4")']
    note = " ".join(filter(None, ["pip install openai.", asked.files]))
    return Snippet(id="openai", name="OpenAI's Python", text=_lines(lines), note=note)


def _not_by_openai(asked: _Asked) -> str:
    roles = [each.role for each in asked.pictures]
    if not asked.is_image and len(roles) > 1:
        return "OpenAI's API takes one picture for a video, and this request has more."
    if not asked.is_image and roles and roles != ["first_frame"]:
        return "OpenAI's API takes a picture for a video as its first frame alone, and this request has another."
    return ""


def _cli(asked: _Asked) -> Snippet:
    if unsaid := asked.given(*_KEEPING):
        note = f"safelight generate has no option for {', '.join(unsaid)}."
        return Snippet(id="cli", name="Command line", text=None, note=note)
    prompt, before = str(asked.fields.get("prompt", "")), ""
    if prompt.startswith("-"):  # it might be an option
        before, prompt = f"printf %s {shlex.quote(prompt)} | ", "-"
    words = [shlex.quote(prompt)]
    named = ("model", "aspect_ratio", "resolution", "output_format", "duration", "seed", "negative_prompt")
    for name in asked.given(*named):
        option = _OPTIONS.get(name, name).replace("_", "-")
        words.append(f"--{option}={shlex.quote(str(asked.fields[name]))}")
    if "sound" in asked.fields:
        words.append("--sound" if asked.fields["sound"] else "--no-sound")
    for name, value in asked.fields.get("provider_options", {}).items():
        words.append(f"--option={shlex.quote(f'{name}={json.dumps(value, ensure_ascii=False)}')}")
    for each in asked.pictures:
        words.append(f"-i {shlex.quote(f'{_CLI_ROLES[each.role]}:{each.generation_id or each.name}')}")
    command = f"{before}SAFELIGHT_BASE_URL={shlex.quote(asked.base_url)} safelight generate "
    note = _files_of([each for each in asked.pictures if each.generation_id is None])
    note = " ".join(filter(None, ["SAFELIGHT_API_KEY holds the key.", note]))
    return Snippet(id="cli", name="Command line", text=f"{command}{' '.join(words)}\n", note=note)


def _mcp(asked: _Asked) -> Snippet:
    if unsaid := asked.given("provider_options", *_KEEPING):
        note = f"The tool generate_{asked.type} has no parameter for {', '.join(unsaid)}."
        return Snippet(id="mcp", name="MCP", text=None, note=note)
    arguments = dict(asked.fields)
    sources = [(each.role, each.generation_id or _placeholder(each)) for each in asked.pictures]
    arguments |= {role: source for role, source in sources if role != "reference_image"}
    if given := [source for role, source in sources if role == "reference_image"]:
        arguments["reference_images"] = given
    note = f"A call of a tool at {asked.base_url}/mcp"
    if any(each.generation_id is None for each in asked.pictures):
        note += ". In place of each <name> goes that file in base64."
    call = {"name": f"generate_{asked.type}", "arguments": arguments}
    return Snippet(id="mcp", name="MCP", text=_dumps(call), note=note)


def _files_of(pictures: Sequence[Picture]) -> str:
    names = ", ".join(dict.fromkeys(each.name for each in pictures))
    return f"It reads {names} from the folder that it runs in." if names else ""


def _placeholder(picture: Picture) -> str:
    return f"data:{picture.mime_type};base64,<{picture.name}>"


def _dumps(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _literal(value: object) -> str:
    """A value of JSON as Python writes it."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f"{_literal(name)}: {_literal(each)}" for name, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_literal, value)) + "]"
    return repr(value)


def _items(texts: Iterable[str]) -> str:
    return "[" + ", ".join(texts) + "]"


def _call(function: str, values: Mapping[str, str]) -> list[str]:
    return [f"{function}(", *(f"    {name}={value}," for name, value in values.items()), ")"]


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
