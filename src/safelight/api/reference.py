"""The API described: ``/openapi.json`` for machines, and a page at ``/docs`` that needs nothing from elsewhere."""

from __future__ import annotations

import functools
import html
import json
import re
from typing import Any

import msgspec
from litestar import Response, get
from litestar.enums import MediaType

from safelight.api.openapi import Document, document

_CODE = re.compile(r"`([^`]+)`")
_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent);
  --soft: color-mix(in srgb, currentColor 6%, transparent); --red: #b3261e }
* { box-sizing: border-box } body { margin: 0; font: 16px/1.55 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 6rem }
h1 { font-size: 2rem; margin: 0 } h1 span { color: var(--red) } h2 { margin: 3rem 0 .25rem; font-size: 1.4rem }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin-top: 1rem }
article { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem; margin: 1rem 0 }
article h3 { margin: 0; font: 600 1rem/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
.method { display: inline-block; min-width: 3.5rem; color: var(--red) } p { margin: .4rem 0 }
code, pre { font: .875rem/1.5 ui-monospace, monospace; background: var(--soft); border-radius: 4px }
code { padding: .05rem .3rem } pre { padding: .8rem 1rem; overflow-x: auto }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem } h4 { margin: 1rem 0 .25rem }
td, th { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line) }
th { font-weight: 600; font-size: .85rem } small { opacity: .7 } a { color: inherit }
"""


@get("/openapi.json")
async def openapi() -> Response[bytes]:
    """The OpenAPI 3.1 document."""
    return Response(msgspec.json.encode(document()), media_type=MediaType.JSON)


@get("/docs")
async def docs() -> Response[str]:
    """The reference page."""
    policy = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(page(), media_type=MediaType.HTML, headers=policy)


@functools.cache
def page() -> str:
    """The reference as one HTML page without scripts."""
    spec = document()
    parts = [_section(spec, tag) for tag in spec["tags"]]
    links = "".join(f'<a href="#{tag["name"].lower()}">{tag["name"]}</a>' for tag in spec["tags"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Safelight API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><main>'
        f"<h1><span>●</span> Safelight</h1><p>{_text(spec['info']['description'])}</p>"
        f"<p>Send your key as <code>Authorization: Bearer sk_…</code>. For machines: "
        f'<a href="/openapi.json">openapi.json</a>. <small>Version {spec["info"]["version"]}</small></p>'
        f"<nav>{links}</nav>{''.join(parts)}</main></html>"
    )


def _section(spec: Document, tag: Document) -> str:
    articles = [
        _operation(spec, method, path, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    ]
    heading = f'<h2 id="{tag["name"].lower()}">{tag["name"]}</h2><p>{_text(tag["description"])}</p>'
    return heading + "".join(articles)


def _operation(spec: Document, method: str, path: str, operation: Document) -> str:
    parts = [
        f'<h3><span class="method">{method.upper()}</span> {html.escape(path)}</h3>',
        f"<p><b>{_text(operation['summary'])}.</b> {_text(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        rows = [(p["name"], _kind(spec, p["schema"]), p.get("description", ""), p.get("required")) for p in parameters]
        parts.append(_table("Parameters", rows))
    if body := operation.get("requestBody"):
        schema = _resolve(spec, body["content"]["application/json"]["schema"])
        parts.append(_table("Body", _fields(spec, schema)))
    for status, answer in operation["responses"].items():
        parts.append(f"<p><b>{status}</b> {_text(answer['description'])}</p>")
        content = answer.get("content", {}).get("application/json")
        if content and status.startswith("2"):
            parts.append(_answer(spec, content["schema"]))
    return f"<article>{''.join(parts)}</article>"


def _answer(spec: Document, schema: Document) -> str:
    choices = schema.get("oneOf", [schema])
    return "".join(f"<pre>{html.escape(json.dumps(_example(spec, item), indent=2))}</pre>" for item in choices)


def _table(title: str, rows: list[tuple[str, str, str, Any]]) -> str:
    lines = "".join(
        f"<tr><td><code>{html.escape(name)}</code>{' <small>required</small>' if needed else ''}</td>"
        f"<td>{html.escape(kind)}</td><td>{_text(text)}</td></tr>"
        for name, kind, text, needed in rows
    )
    return f"<h4>{title}</h4><table><tr><th>Name</th><th>Type</th><th></th></tr>{lines}</table>"


def _fields(spec: Document, schema: Document) -> list[tuple[str, str, str, Any]]:
    required = schema.get("required", [])
    return [
        (name, _kind(spec, field), field.get("description", ""), name in required)
        for name, field in schema.get("properties", {}).items()
    ]


def _kind(spec: Document, schema: Document) -> str:
    schema = _resolve(spec, schema)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(spec, item) for item in schema["anyOf"])
    if schema.get("type") == "array":
        item = _resolve(spec, schema["items"])
        fields = ", ".join(item.get("properties", {}))
        return f"list of {{{fields}}}" if fields else f"list of {_kind(spec, item)}"
    return str(schema.get("type", "any"))


def _example(spec: Document, schema: Document) -> Any:
    """A value of the schema's shape, to be read by people."""
    schema = _resolve(spec, schema)
    if "anyOf" in schema:
        return _example(spec, schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: _example(spec, field) for name, field in schema.get("properties", {}).items()}
        case "array":
            return [_example(spec, schema.get("items", {}))]
        case "integer":
            return 1
        case "number":
            return 0.05
        case "boolean":
            return True
        case kind:
            return str(schema.get("examples", ["…"])[0]) if kind == "string" else None


def _resolve(spec: Document, schema: Document) -> Document:
    name = schema.get("$ref", "").rpartition("/")[2]
    return (
        {**spec["components"]["schemas"][name], **{k: v for k, v in schema.items() if k != "$ref"}} if name else schema
    )


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text))
