"""What is told by code and nothing else. A test compares the files with what this makes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from docs_site.http import http_page
from docs_site.markdown import code, either, page, table
from safelight import wiring
from safelight.api.errors import STATUS_OF_KIND
from safelight.api.getimg.examples import EVENTS
from safelight.api.openai.errors import STATUSES, error_body
from safelight.cli import client_commands, commands_of_an_installation, make_app
from safelight.domain import errors
from safelight.domain.catalog import Model, Rate
from safelight.domain.events import EventType
from safelight.domain.money import format_usd
from safelight.mcp.schemas import SHAPES, input_schema
from safelight.node.settings import PREFIX, Settings, setting_names
from safelight.webhooks.schedule import DELAYS_SECONDS

_ENDLESS = (1_000_000_000, 100 * 365 * 86400)  # bounds that are those of a database
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_WHEN = {
    EventType.GENERATION_COMPLETED: "A generation ended well: its media is there to be fetched.",
    EventType.GENERATION_FAILED: "A generation failed, and its hold was released. `error.code` says why.",
    EventType.GENERATION_CANCELED: "A generation was canceled, and its hold was released.",
    EventType.MODERATION_REFUSED: "The operator's content check refused a request. Nothing was held.",
    EventType.BALANCE_LOW: "A submission took the balance below `SAFELIGHT_LOW_BALANCE`.",
}


def pages() -> dict[str, str]:
    """The text of each file of docs/ that is made here, by its place there."""
    return {
        "reference/settings.md": _settings(),
        "reference/errors.md": _errors(),
        "reference/commands.md": _commands(),
        "reference/events.md": _events(),
        "reference/models.md": _models(),
        "reference/mcp-tools.md": _mcp_tools(),
        "reference/http.md": http_page(),
        "decisions/README.md": _decisions(),
    }


def write_pages(docs: Path) -> None:
    for name, text in pages().items():
        (docs / name).write_text(text)


def _decisions() -> str:
    files = sorted((Path(__file__).parents[1] / "docs/decisions").glob("0*.md"))
    links = [f"* [{path.read_text().splitlines()[0].removeprefix('# ')}]({path.name})" for path in files]
    about = """\
Why it is so: half a page for each choice that someone may want to undo, and what was tried instead. [The tour of the
architecture](../architecture.md) tells what came of them."""
    return page("Decisions", about, "\n".join(links), "")


def _settings() -> str:
    rows = []
    for name, field in setting_names().items():
        assert isinstance(field.type, msgspec.inspect.Metadata)
        told = (field.type.extra_json_schema or {})["description"]
        is_time = field.name.endswith("_seconds")
        value = getattr(Settings(), field.name)
        default = "" if value is None else code(duration(value) if is_time else value)
        rows.append((code(PREFIX + name.upper()), default, _values(field.type.type, is_time=is_time), told))
    about = """\
Every setting of the server, made from its code. Each is a variable of the environment; in `safelight.toml` it is
written in lower case without the prefix: `retention = "30d"`. The environment counts before the file.
[Operating](../operating.md#settings) tells more."""
    return page("Settings", about, table(("setting", "default", "values", "what"), rows))


def duration(seconds: int) -> str:
    """As settings write it: ``30s``, ``5m``, ``12h``, ``7d``."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def _values(kind: msgspec.inspect.Type, *, is_time: bool) -> str:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _values(kind.type, is_time=is_time)
    if isinstance(kind, msgspec.inspect.UnionType):
        return " or ".join(
            _values(each, is_time=is_time) for each in kind.types if not isinstance(each, msgspec.inspect.NoneType)
        )
    if isinstance(kind, msgspec.inspect.LiteralType):
        return either(*kind.values)
    if isinstance(kind, msgspec.inspect.IntType):
        written = duration if is_time else str
        least, most = kind.ge, kind.le
        return (
            f"{written(least or 0)} or more"
            if most in (None, *_ENDLESS)
            else f"{written(least or 0)} to {written(most)}"
        )
    return "path" if isinstance(kind, msgspec.inspect.CustomType) else "text"


def _errors() -> str:
    about = """\
Each error that the API answers with, by its code: its status, whether the very same request may be sent again, and
what it means. Its body is `{"error": {"message", "type", "param", "code"}}`: `message` says what would work, and
`param` names the parameter at fault. Nothing is charged where an error is the answer, but for a `generation_unknown`
whose file is there after all. Clients are told whether to repeat a request in `x-should-retry`, on each answer, and
that goes before what this page says. [What fails](../failure.md) tells the causes."""
    by_code: dict[str, list[type[errors.SafelightError]]] = {}
    for item in vars(errors).values():
        if isinstance(item, type) and issubclass(item, errors.SafelightError) and item is not errors.ConfigurationError:
            by_code.setdefault(item.code, []).append(item)
    parts = []
    for name in sorted(by_code):
        kinds = [each for each in by_code[name] if each is not errors.SafelightError]
        first = kinds[0]
        status = STATUS_OF_KIND[first.kind]
        openai = STATUSES.get(first.kind, status), error_body(first()).error.code
        also = f" Below `/v1`: {openai[0]} `{openai[1]}`." if openai != (status, name) else ""
        repeat = "yes" if first.retryable else "no"
        words = "\n".join(f"> {each().message}\n>" for each in kinds).removesuffix("\n>")
        parts.append(f"## {name}\n\nStatus {status}; the same request again: {repeat}.{also}\n\n{words}\n")
    parts.append("A video that was canceled is `failed` with the code `canceled`.\n")
    return page("Errors", about, *parts)


def _commands() -> str:
    about = """\
Every command and every option, made from the command itself: `safelight COMMAND --help` says the same. [The command
line](../cli.md) tells how those that make things behave, [operating](../operating.md#commands) has a table of all."""
    made = make_app().generate_docs()
    _, found, body = made.partition("\n## safelight generate\n")
    assert found, "cyclopts makes another document than it did"
    body = re.sub(r"^(#+) safelight ", r"\1 ", found + body, flags=re.M)
    body = re.sub(r"^\*\*Commands\*\*:\n\n(\* .*\n)+\n?", "", body, flags=re.M)
    body = re.sub(r" \*\[default: False\]\*", "", body)
    body = re.sub(r"^\*\*(Arguments|Parameters)\*\*:$", lambda match: match[1] + ":", body, flags=re.M)
    body = re.sub(r"(?<!```console\n)^safelight ", "    safelight ", body, flags=re.M)  # an example in a help text
    groups = [
        f"{about}:\n\n" + ", ".join(f"[`{' '.join(words)}`](#{'-'.join(words)})" for words in commands) + ".\n"
        for about, commands in (
            ("Make things, on a server that runs", client_commands()),
            ("Run an installation", commands_of_an_installation()),
        )
    ]
    return page("Commands", about, *groups, body.strip() + "\n")


def _events() -> str:
    about = """\
What a workspace is told, as [webhooks](../webhooks.md) and on the stream of [`GET
/v2/events`](../api.md#following-events). The examples are what `safelight trigger TYPE` sends."""
    parts = [f"## {each.value}\n\n{_WHEN[each]}\n\n```json\n{_example(each)}\n```\n" for each in EventType]
    rows = [(number, "none" if not wait else duration(wait)) for number, wait in enumerate(DELAYS_SECONDS, start=1)]
    tried = "## Attempts\n\nA webhook that gets no 2xx is tried again, up to a tenth later than this:\n"
    return page("Events", about, *parts, tried, table(("attempt", "after the one before"), rows))


def _example(type_: EventType) -> str:
    event = {"type": type_.value, "timestamp": "2026-05-02T12:30:00.123Z", "data": EVENTS[type_]}
    return json.dumps(event, indent=2)


def _models() -> str:
    about = """\
The catalog that ships: what a server offers until `SAFELIGHT_CATALOG` names another. All of it is drawn by the
built-in renderer, by rule and with no neural network; the ids are those of public quick starts, so that these run as
they stand. Prices are US dollars, an image or a second of video. The first value of each list is the default. [The
catalog](../catalog.md) tells how to write your own; `GET /v2/models` tells what a server has."""
    models = wiring.read_declared(Settings()).models.values()
    parts = [f"## {model.id}\n\n{_model(model)}" for model in sorted(models, key=lambda each: each.type.value)]
    return page("Models that ship", about, *parts)


def _model(model: Model) -> str:
    unit = "an image" if model.type.value == "image" else "a second"
    roles = ", ".join(f"{role} (up to {most})" for role, most in model.references.items())
    flags = {
        "sound": model.supports_sound,
        "seed": model.supports_seed,
        "negative prompt": model.supports_negative_prompt,
    }
    rows: list[tuple[str, Any]] = [
        ("makes", model.type.value),
        (f"price, {unit}", "; ".join(map(_price, model.rates))),
        ("aspect ratios", ", ".join(model.aspect_ratios)),
        ("resolutions", ", ".join(model.resolutions)),
        ("seconds", ", ".join(map(str, model.durations))),
        ("reference images", roles),
        ("takes", ", ".join(name for name, is_taken in flags.items() if is_taken)),
        ("names below `/v1`", code(*model.aliases) if model.aliases else ""),
    ]
    sizes = [
        (f"**{name}**", *(_pixels(model, name, ratio) for ratio in model.aspect_ratios)) for name in model.resolutions
    ]
    pixels = table(("pixels", *model.aspect_ratios), sizes)
    return f"{table(('', model.name), [(name, value) for name, value in rows if value])}\n{pixels}"


def _price(rate: Rate) -> str:
    sound = {"sound_on": "with sound", "sound_off": "silent"}.get(str(getattr(rate.sound, "value", rate.sound)), "")
    case = " ".join(filter(None, (rate.resolution, sound)))
    return f"{format_usd(rate.unit_price_nanos)}{f' ({case})' if case else ''}"


def _pixels(model: Model, resolution: str, ratio: str) -> str:
    width, height = model.sizes[resolution][ratio]
    return f"{width}x{height}"


def _mcp_tools() -> str:
    about = """\
The tools that hosts of MCP see, at `/mcp` and from `safelight mcp`. [MCP](../mcp.md) tells how to add them to a
host. On a server, the choices of `model`, `aspect_ratio`, `resolution` and `duration` are those of its catalog."""
    parts = []
    for name, shape in SHAPES.items():
        schema = input_schema(name)
        rows = [
            (code(field), f"{_kind(value)}{', **required**' if field in schema['required'] else ''}", _about(value))
            for field, value in schema["properties"].items()
        ]
        takes = table(("argument", "value", "what"), rows) if rows else "It takes nothing.\n"
        parts.append(f"## {name}\n\n{shape.description}\n\n{takes}")
    return page("MCP tools", about, *parts)


def _kind(value: dict[str, Any]) -> str:
    if "enum" in value:
        return either(*value["enum"])
    if "minimum" in value:
        return f"{value['type']}, {value['minimum']} to {value['maximum']}"
    return str(value.get("type", "any"))


def _about(value: dict[str, Any]) -> str:
    default = value.get("default")
    return f"{value.get('description', '')}{f' {default} by default.' if default is not None else ''}"
