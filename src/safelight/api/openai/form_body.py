"""A form as the JSON body that says the same, and a picture in it as an address."""

from __future__ import annotations

import re
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from safelight.api.bodies import convert_body, parse_json
from safelight.api.forms import Form, Part
from safelight.domain.errors import InvalidParameter
from safelight.domain.media import Reference
from safelight.domain.text import cut
from safelight.media.sniff import sniff

T = TypeVar("T", bound=msgspec.Struct)

_WITHIN = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_SCALAR = re.compile(r"true|false|null|-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)


def form_body(form: Form, into: type[T]) -> T:
    """The fields of a form as a body, where a number comes as its digits, and a boolean as ``true`` or ``false``.

    An object is written as JSON, or each thing in it as a field of its own, such as ``provider_options[steps]``. Raises
    ``InvalidParameter`` or ``ParameterMissing`` naming the parameter.
    """
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(into)}
    document: dict[str, Any] = {}
    for name, text in form.texts().items():
        within = _WITHIN.fullmatch(name)
        outer = within[1] if within else name
        if outer in document and not (within and isinstance(document[outer], dict)):
            raise InvalidParameter(f"{cut(outer)} is given twice. Send it once.", param=cut(outer))
        if within:
            value = parse_json(text.encode()) if _SCALAR.fullmatch(text) else text
            document.setdefault(outer, {})[within[2]] = value
        else:
            document[name] = _value(text, kinds.get(name, str))
    return convert_body(document, into)


def data_url_of(file: Part) -> str:
    """A picture that came as a file, as an address (RFC 2397).

    Clients guess a file's type by its name, or tell none: its first bytes tell it. What is no picture is refused later,
    with the words for that.
    """
    found = sniff(file.data)
    mime_type = found if found is not None and found.startswith("image/") else "image/png"
    return Reference(role="reference_image", mime_type=mime_type, data=file.data).data_url()


def _value(text: str, kind: Any) -> object:
    """The text as a JSON body has it; itself where that is not of the kind, which is said of it later."""
    kinds = [_bare(each) for each in get_args(kind)] if get_origin(kind) in (Union, UnionType) else [_bare(kind)]
    if text.startswith("{") and any(get_origin(each) is dict or _is_struct(each) for each in kinds):
        return parse_json(text.encode())
    try:
        value: object = msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError:
        for each in kinds:
            if each in (int, float) and _SCALAR.fullmatch(text):
                return parse_json(text.encode())  # a number that is out of bounds
        return text
    return value


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
