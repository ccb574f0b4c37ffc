"""From what was wished for to what is sent: the model, the request's JSON, and the price before it is paid."""

from __future__ import annotations

import dataclasses
import json
import sys
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from safelight.cli.client.answers import Model, Quote, Type, read
from safelight.cli.client.connection import Answer, Connection
from safelight.cli.client.exits import Answered, Misuse
from safelight.cli.client.references import reference_of
from safelight.cli.client.targets import Target
from safelight.cli.client.wishes import Wishes
from safelight.domain.text import quoted

_FORMATS = ("png", "jpeg", "webp")
_OTHER_MEDIA = (".gif", ".avif", ".heic", ".tif", ".tiff", ".bmp", ".svg", ".mov", ".webm", ".mkv", ".avi", ".m4v")
_OF_VIDEOS = ("duration", "sound")
_STDIN_MOST = 1 << 20


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, ready to be sent: ``body`` is its JSON."""

    type: Type
    model: str
    body: bytes

    @property
    def path(self) -> str:
        return f"/v2/{self.type}s/generations"


def prompt_of(given: str) -> str:
    """The prompt, from stdin where ``-`` stands for it. Raises ``Misuse``."""
    if given.startswith("--"):
        raise Misuse(f"There is no option {quoted(given)}. A prompt that begins so is piped in with '-'.")
    prompt = sys.stdin.read(_STDIN_MOST).strip() if given == "-" else given
    if not prompt.strip():
        raise Misuse("The prompt is empty. Say what to make, or pipe it in with '-'.")
    return prompt


async def ask(connection: Connection, prompt: str, wishes: Wishes, target: Target | None) -> Asked:
    """Put a request together. Raises ``Misuse`` for wishes that exclude each other."""
    _check_text(prompt, wishes)
    format_ = _format(wishes, target)
    options = _options(wishes.option)
    if wishes.seed is not None and wishes.count > 1:
        raise Misuse(
            f"{wishes.count} of one seed would be the same one, charged {wishes.count} times. "
            "Leave --seed or --count out."
        )
    model = await _model(connection, wishes, target)
    body: dict[str, Any] = {"model": model.id, "prompt": prompt}
    named = ("aspect_ratio", "resolution", "duration", "sound", "seed", "negative_prompt")
    body |= {name: value for name in named if (value := getattr(wishes, name)) is not None}
    if model.type == "image":
        for name in _OF_VIDEOS:
            if name in body:
                raise Misuse(f"--{name} is for videos, and {model.id} makes images.")
        if format_:
            body["output_format"] = format_
    elif wishes.format:
        raise Misuse(f"--format is for images, and {model.id} makes videos.")
    if options:
        body["provider_options"] = options
    if wishes.images:
        body["images"] = [await reference_of(connection, given, model) for given in wishes.images]
    return Asked(type=model.type, model=model.id, body=msgspec.json.encode(body))


async def price(connection: Connection, asked: Asked) -> tuple[Answer, Quote]:
    """What one of it costs. Raises ``Answered``."""
    answer = await connection.post(f"{asked.path}/quote", asked.body)
    return answer, read(answer.body, Quote)


def usd(amount: Decimal) -> str:
    """Dollars with at least two decimals, exact."""
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(2, -exponent) if isinstance(exponent, int) else 2
    return f"{amount:.{decimals}f}"


def _check_text(prompt: str, wishes: Wishes) -> None:
    """What a shell hands over may be no text."""
    given = {"prompt": prompt, **dataclasses.asdict(wishes)}
    for name, value in given.items():
        for text in value if isinstance(value, tuple) else (value,):
            try:
                str(text).encode()
            except UnicodeEncodeError:
                raise Misuse(f"The {name.replace('_', ' ')} has bytes that are no UTF-8.") from None


def _format(wishes: Wishes, target: Target | None) -> str | None:
    given = wishes.format.lower() if wishes.format else None
    given = "jpeg" if given == "jpg" else given
    if given is not None and given not in _FORMATS:
        raise Misuse(f"--format {wishes.format!r} is none. Use png, jpeg or webp.")
    if target is None:
        return given
    if given and target.format and given != target.format:
        raise Misuse(f"-o {target.template} is {target.format}, and --format says {given}. Leave one out.")
    if target.type is None and target.suffix in _OTHER_MEDIA:
        raise Misuse(f"-o {target.template}: files are .png, .jpg, .webp or .mp4.")
    return given or target.format


def _options(given: tuple[str, ...]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for each in given:
        name, sign, text = each.partition("=")
        if not (name and sign):
            raise Misuse(f"--option {each!r} is not NAME=VALUE.")
        try:
            options[name] = json.loads(text, parse_constant=str)
        except ValueError:
            options[name] = text
    return options


async def _model(connection: Connection, wishes: Wishes, target: Target | None) -> Model:
    wanted = target.type if target else None
    if wishes.model is not None:
        found = await _named(connection, wishes.model)
        if wanted and wanted != found.type:
            name = target.template if target else ""
            raise Misuse(f"{found.id} makes {found.type}s, and {name} is {_a(wanted)}. Choose another model or name.")
        return found
    if wanted is None and (wishes.duration is not None or wishes.sound is not None):
        wanted = "video"
    answer = await connection.get("/v2/models", type=wanted or "image")
    models = read(answer.body, list[Model])
    if not models:
        raise Misuse(f"The server has no model that makes {wanted or 'image'}s.")
    return models[0]


async def _named(connection: Connection, model: str) -> Model:
    try:
        return read((await connection.get(f"/v2/models/{quote(model, safe='')}")).body, Model)
    except Answered as error:
        if error.answer_code not in ("not_found", "invalid_parameter"):
            raise
        models = read((await connection.get("/v2/models")).body, list[Model])
        raise Misuse(
            f"There is no model {quoted(model)}. There are: {', '.join(each.id for each in models)}."
        ) from None


def _a(type_: Type) -> str:
    return "an image" if type_ == "image" else "a video"
