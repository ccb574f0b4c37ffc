"""The schemas of wire structs, written so that generators of clients make of them what is meant.

Several generators take a property with a ``default`` for one that is always there, a list without ``items`` for none at
all, and an ``enum`` without a ``type`` for anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

Document = dict[str, Any]

REF = "#/components/schemas/{name}"


def schemas_of(structs: Iterable[type[msgspec.Struct]]) -> Document:
    """The schema of each struct and of those within, by name: of a request's body where it refuses unknown fields.

    An answer has all its fields, but for those that may be unset. What a request need not give may be null.
    """
    _, schemas = msgspec.json.schema_components(structs, schema_hook=_schema_hook, ref_template=REF)
    for schema in schemas.values():
        is_request = schema.get("additionalProperties") is False
        properties = schema.get("properties", {})
        with_default = [name for name, field in properties.items() if field.pop("default", _NONE) is not _NONE]
        if not is_request:
            schema["required"] = [name for name in properties if name in {*schema.get("required", []), *with_default}]
        for name, field in properties.items():
            properties[name] = _typed(_described_outside(field))
    return schemas


_NONE = object()


def _described_outside(field: Document) -> Document:
    """A field that may be null, with what is said of it beside ``anyOf``, where it is looked for."""
    kinds: list[Document] = field.get("anyOf", [])
    if len(kinds) != 2 or kinds[1] != {"type": "null"}:
        return field
    kind = dict(kinds[0])
    said: Document = {key: kind.pop(key) for key in ("description", "examples") if key in kind}
    return {**said, **field, "anyOf": [kind, kinds[1]]}


def _typed(schema: Any) -> Any:
    """A schema whose enumerations of strings say that they are; amounts are JSON numbers, exact to the last digit."""
    if isinstance(schema, list):
        return [_typed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    typed = {key: _typed(value) for key, value in schema.items()}
    if all(isinstance(value, str) for value in typed.get("enum", [None])):
        typed["type"] = "string"
    if typed.get("format") == "decimal":
        del typed["format"]
        typed["type"] = "number"
    return typed


def _schema_hook(kind: type) -> Document:
    if kind is Decimal:
        return {"type": "number"}
    raise NotImplementedError
