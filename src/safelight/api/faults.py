"""What keeps a JSON value from being a body, in words that name the parameter and say what would work.

msgspec decides whether a body is good. Where it is not, the struct's own types are walked to say why: its fields, their
bounds and their choices are written down there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from safelight.domain.errors import InvalidParameter, ParameterMissing
from safelight.domain.text import cut

Fault = InvalidParameter | ParameterMissing

_WORDS: dict[type, str] = {
    str: "a string",
    int: "a whole number",
    float: "a number with a fraction",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def fault_in(value: object, kind: Any, path: str = "") -> Fault | None:
    """The first thing that keeps a JSON value from being of a type; None where nothing does.

    The type is a struct, or what its fields may be: strings, numbers, lists, dicts, literals, unions of these, or
    anything, each with its bounds. ``path`` is where the value stands, such as ``images[0].url``.
    """
    bounds: tuple[Any, ...] = ()
    if get_origin(kind) is Annotated:
        kind, *metas = get_args(kind)
        bounds = tuple(meta for meta in metas if isinstance(meta, msgspec.Meta))
    if get_origin(kind) in (Union, UnionType):
        return _fault_in_union(value, get_args(kind), path)
    if get_origin(kind) is Literal:
        return None if value in get_args(kind) else _not_among(get_args(kind), path)
    if kind is Any:
        return None
    found, expected = type(value), _json_type(kind)
    if found is not expected and not (found is int and expected is float):
        return InvalidParameter(f"{path}: expected {_WORDS[expected]}, got {_WORDS[found]}.", param=path or None)
    return _out_of_bounds(value, bounds, path) or _fault_within(value, kind, path)


def _json_type(kind: Any) -> type:
    """What JSON values of a type are in Python."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return dict
    found: type = get_origin(kind) or kind
    return found


def _fault_in_union(value: object, kinds: Iterable[Any], path: str) -> Fault | None:
    # That null is as good as nothing is not worth a word.
    kinds = [kind for kind in kinds if kind is not msgspec.UnsetType and (value is None or kind is not type(None))]
    faults = [fault_in(value, kind, path) for kind in kinds]
    if None in faults:
        return None
    fitting = [fault for kind, fault in zip(kinds, faults, strict=True) if _json_type(_bare(kind)) is type(value)]
    if fitting or len(faults) == 1:
        return (fitting or faults)[0]
    wanted = " or ".join(_WORDS[_json_type(_bare(kind))] for kind in kinds)
    return InvalidParameter(f"{path}: expected {wanted}, got {_WORDS[type(value)]}.", param=path or None)


def _bare(kind: Any) -> Any:
    """The type without its bounds; that of its values for a literal."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return type(get_args(bare)[0]) if get_origin(bare) is Literal else bare


def _not_among(choices: Iterable[object], path: str) -> Fault:
    return InvalidParameter(f"{path} is not supported. Use one of: {', '.join(map(str, choices))}.", param=path)


def _out_of_bounds(value: Any, bounds: Iterable[msgspec.Meta], path: str) -> Fault | None:
    for bound in bounds:
        unit = "items" if isinstance(value, list) else "characters"
        limit = None
        if bound.min_length is not None and len(value) < bound.min_length:
            limit = "that is not empty" if bound.min_length == 1 else f"of at least {bound.min_length} {unit}"
        elif bound.max_length is not None and len(value) > bound.max_length:
            limit = f"of at most {bound.max_length} {unit}"
        elif bound.ge is not None and value < bound.ge:
            limit = f">= {bound.ge}"
        elif bound.gt is not None and value <= bound.gt:
            limit = f"> {bound.gt}"
        elif bound.le is not None and value > bound.le:
            limit = f"<= {bound.le}"
        elif bound.lt is not None and value >= bound.lt:
            limit = f"< {bound.lt}"
        if limit is not None:
            return InvalidParameter(f"{path}: expected {_WORDS[type(value)]} {limit}.", param=path)
    return None


def _fault_within(value: Any, kind: Any, path: str) -> Fault | None:
    """The first fault of what a list or an object holds."""
    match value:
        case list():
            faults = (fault_in(item, get_args(kind)[0], f"{path}[{place}]") for place, item in enumerate(value))
        case dict() if get_origin(kind) is dict:
            faults = (fault_in(item, get_args(kind)[1], f"{path}.{cut(name)}") for name, item in value.items())
        case dict():
            return _fault_in_fields(value, kind, path)
        case _:
            return None
    return next((fault for fault in faults if fault is not None), None)


@cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Its fields by their names in JSON: finding their types takes longer than all else of a refusal."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _fault_in_fields(value: dict[str, object], struct: type[msgspec.Struct], path: str) -> Fault | None:
    prefix = f"{path}." if path else ""
    fields = _fields(struct)
    for name, item in value.items():
        if name in fields:
            if fault := fault_in(item, fields[name].type, prefix + name):
                return fault
        elif struct.__struct_config__.forbid_unknown_fields:
            param = prefix + cut(name)
            takes = ", ".join(fields)
            return InvalidParameter(f"{param} is not a parameter of this call. It takes: {takes}.", param=param)
    for name, field in fields.items():
        if field.required and name not in value:
            return ParameterMissing(f"{prefix}{name} is missing. It is required.", param=prefix + name)
    return None
