"""Reading what is asked for: the same from JSON and from a form, whose values are text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta
from starlette.requests import Request

from safelight.api.bodies import convert_body, parse_json, read_aside, receive_body
from safelight.api.forms import Part, is_form, read_form
from safelight.api.submission import body_digest
from safelight.domain.errors import InvalidParameter
from safelight.domain.numbers import json_integer
from safelight.domain.request import MAX_PROMPT_CHARACTERS
from safelight.domain.text import cut, quoted

T = TypeVar("T", bound=msgspec.Struct)

Prompt = Annotated[str, Meta(min_length=1, max_length=MAX_PROMPT_CHARACTERS)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
EndUser = Annotated[str, Meta(max_length=512)]
"""What a client calls whom it asks for."""

_OURS = ("seed", "negative_prompt", "provider_options", "retention_seconds", "store", "webhook_url")
_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)
_BRACKETS = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_BOOLEANS = {"true": True, "false": False}


class TakeBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every order may have, for another take of something too. Null is as good as left out, for every field.

    Ours are ``retention_seconds`` and what follows it.
    """

    prompt: Prompt
    user: EndUser | None = None
    safety_identifier: EndUser | None = None
    retention_seconds: Annotated[int, Meta(ge=60)] | None = None
    store: bool | None = None
    webhook_url: Annotated[str, Meta(min_length=1)] | None = None

    @property
    def end_user(self) -> str | None:
        """Whom it is for: the newer of the two names counts, unless it is empty."""
        return self.safety_identifier or self.user or None

    @property
    def ours(self) -> dict[str, Any]:
        """What goes by the same name in ``domain.request.Request``, as far as it is given."""
        return {name: value for name in _OURS if (value := getattr(self, name, None)) is not None}


class Body(TakeBody, forbid_unknown_fields=True, kw_only=True):
    """A request for something new. Ours are ``aspect_ratio`` and what follows it."""

    model: Name | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    seed: Annotated[int, Meta(ge=0, le=4294967295)] | None = None
    negative_prompt: Annotated[str, Meta(max_length=MAX_PROMPT_CHARACTERS)] | None = None
    provider_options: dict[str, Any] | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The values of a request by name, its files, and 32 bytes that are the same for a repeat of it."""

    values: dict[str, object]
    files: list[Part]
    digest: bytes
    is_form: bool

    async def into(self, kind: type[T], refused: Mapping[str, str], *, size_bytes: int = 0) -> T:
        """The values as a body. ``refused``: what is said of parameters that are known and not taken; null is none."""
        values = dict(self.values)
        for name in refused.keys() & values.keys():
            if values.pop(name) is not None:
                raise InvalidParameter(f"{name} is not supported. {refused[name]}", param=name)
        if self.is_form:
            values = _typed(values, kind)
        return await read_aside(size_bytes, partial(convert_body, values, kind))


async def read_asked(request: Request) -> Asked:
    """What a request says, in JSON or as a form. Raises what ``receive_body`` and ``read_form`` raise."""
    call = f"{request.method} {request.scope['path']}"
    if is_form(request):
        form, digest = await read_form(request)
        digest = await body_digest(call, digest)
        return Asked(values=dict(form.texts()), files=form.files(), digest=digest, is_form=True)
    raw = await receive_body(request)
    values = await read_aside(len(raw), partial(parse_json, raw))
    if not isinstance(values, dict):
        raise InvalidParameter("The body must be a JSON object, or a form (multipart/form-data).")
    return Asked(values=values, files=[], digest=await body_digest(call, raw), is_form=False)


def _typed(texts: Mapping[str, object], kind: type[msgspec.Struct]) -> dict[str, object]:
    """The texts of a form as the values of a body's fields. What holds more comes as JSON, or as ``name[key]``."""
    types = {field.encode_name: _bare(field.type) for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for name, text in texts.items():
        within = _BRACKETS.fullmatch(name)
        if within is not None and types.get(within[1]) is dict:
            held = values.setdefault(within[1], {})
            if not isinstance(held, dict):
                raise InvalidParameter(f"{cut(within[1])} is given twice. Send it once.", param=cut(within[1]))
            held[within[2]] = _scalar(str(text))
        elif name in values:
            raise InvalidParameter(f"{cut(name)} is given twice. Send it once.", param=cut(name))
        else:
            values[name] = _value(name, str(text), types.get(name, str)) if isinstance(text, str) else text
    return values


def _value(name: str, text: str, kind: type) -> object:
    if kind is bool:
        if text not in _BOOLEANS:
            raise InvalidParameter(f"{name} {quoted(text)} is not supported. Use true or false.", param=name)
        return _BOOLEANS[text]
    if kind is int:
        if _NUMBER.fullmatch(text) is None:
            raise InvalidParameter(f"{name} {quoted(text)} is not a whole number. Send digits.", param=name)
        return _integer(name, text)
    if kind is dict:
        try:
            return parse_json(text.encode())
        except InvalidParameter:
            raise InvalidParameter(f"{name} is not a JSON object. In a form, send it as JSON.", param=name) from None
    return text


def _integer(name: str, text: str) -> int:
    try:
        return json_integer(text)
    except ValueError as error:
        raise InvalidParameter(f"{name}: {error}.", param=name) from None


def _scalar(text: str) -> object:
    """What a form says within brackets: a number or a boolean where it reads as one."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return value if isinstance(value, int | float) else text


def _bare(kind: Any) -> type:
    """The type of a field, without null and bounds."""
    kinds = [each for each in get_args(kind) if each is not type(None)] if type(None) in get_args(kind) else [kind]
    bare = kinds[0]
    while get_origin(bare) is Annotated:
        bare = get_args(bare)[0]
    found = get_origin(bare) or bare
    return found if isinstance(found, type) and len(kinds) == 1 else str
