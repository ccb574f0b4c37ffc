"""The HTTP API as a page, from the OpenAPI document that the server answers with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docs_site.markdown import cell, code, either, page, table
from safelight.api.getimg.openapi import document

Schema = dict[str, Any]

_ABOUT = """\
Every route of the v2 API: what it takes and what it answers. The server has the same at `/docs`, and as OpenAPI 3.1
at `/openapi.json`. [The API](../api.md) tells what holds for all of them; [errors](errors.md) what each code means.
In the tables, what is not *required* may be left out, or be null in a request."""


def http_page() -> str:
    """docs/reference/http.md."""
    described = document()
    parts = []
    for tag in described["tags"]:
        parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
        for path, methods in described["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts.append(_operation(method.upper(), path, operation))
    parts.append("## Objects\n\nWhat bodies and answers are made of.\n")
    parts += [_object(name, schema) for name, schema in described["components"]["schemas"].items()]
    return page("HTTP", _ABOUT, *parts)


def _operation(method: str, path: str, operation: Schema) -> str:
    parts = [f"### {operation['summary'].rstrip('?')}\n", f"`{method} {path}`\n"]
    if about := operation.get("description"):
        parts.append(f"{about}\n")
    if parameters := operation.get("parameters"):
        rows = [
            (
                code(each["name"]),
                each["in"],
                _told(each["schema"], each.get("required", False)),
                each.get("description", ""),
            )
            for each in parameters
        ]
        parts.append(table(("parameter", "in", "value", "what"), rows))
    if body := operation.get("requestBody"):
        parts.append(f"Body: {_type(body['content']['application/json']['schema'])}.\n")
    answers = [
        (status, cell(answer["description"]), _content(answer))
        for status, answer in operation["responses"].items()
        if status < "400"
    ]
    parts.append(table(("answer", "what", "body"), answers))
    codes = sorted(
        {
            found
            for status, answer in operation["responses"].items()
            if status >= "400"
            for found in re.findall(r"`(\w+)`:", answer["description"])
        }
    )
    if codes:
        parts.append(f"Errors: {', '.join(f'[`{each}`](errors.md#{each})' for each in codes)}.\n")
    return "\n".join(parts)


def _content(answer: Schema) -> str:
    return "; ".join(
        _type(each["schema"]) if kind == "application/json" else f"`{kind}`"
        for kind, each in answer.get("content", {}).items()
    )


def _object(name: str, schema: Schema) -> str:
    needed = schema.get("required", [])
    rows = [
        (code(field), _told(value, field in needed), value.get("description", ""))
        for field, value in schema["properties"].items()
    ]
    about = f"{schema['description']}\n\n" if "description" in schema else ""
    return f"### {name}\n\n{about}{table(('field', 'value', 'what'), rows)}"


def _told(schema: Schema, is_required: bool) -> str:
    return f"{_type(schema)}{', **required**' if is_required else ''}"


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(dict.fromkeys(_type(each) for each in choices if each.get("type") != "null"))
    if "enum" in schema:
        return either(*schema["enum"])
    if schema.get("type") == "array":
        most = f", {schema['maxItems']} at most" if "maxItems" in schema else ""
        return f"list of {_type(schema.get('items', {}))}{most}"
    return ", ".join([str(schema.get("type", "any")), *_bounds(schema)])


def _bounds(schema: Schema) -> Iterator[str]:
    if "minimum" in schema or "maximum" in schema:
        yield (
            f"{schema.get('minimum', '')} to {schema.get('maximum', '')}"
            if "maximum" in schema
            else (f"at least {schema['minimum']}")
        )
    if "maxLength" in schema:
        yield f"up to {schema['maxLength']} characters"
    if "format" in schema:
        yield schema["format"]
