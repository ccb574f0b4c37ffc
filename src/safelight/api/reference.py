"""A dialect described: an OpenAPI document for machines, and a page for people that needs nothing from elsewhere.

The page is read whole without its script, which adds a search and buttons that copy.
"""

from __future__ import annotations

import functools
import html
import json
import re
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from safelight.api.auth import api_state
from safelight.api.dialect import Handler, Route, has_dialect
from safelight.api.schemas import Document

_CODE = re.compile(r"`([^`]+)`")
_PARAMETER = re.compile(r"\{(\w+)\}")
_ICON = (
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'>"
    "<circle cx='4' cy='4' r='3' fill='%23a8231b'/></svg>"
)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_SCRIPT = resources.files("safelight.api").joinpath("reference.js").read_bytes()


_SEARCH = (
    '<div class="search" hidden><label for="search">Search <kbd>/</kbd></label>'
    '<input id="search" type="search" autocomplete="off" spellcheck="false" aria-describedby="found">'
    '<p id="found" role="status"></p></div>'
)


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is made of: an OpenAPI document, and what the examples on the page say.

    ``values`` are those of fields, by ``field`` or by ``struct.field``; ``bodies`` are whole request bodies, by struct.
    ``playable`` are the operations that a person can try in the playground, by their ids.
    """

    document: Document
    values: Mapping[str, Any]
    bodies: Mapping[str, Mapping[str, Any]]
    playable: frozenset[str] = frozenset()


def reference_routes(describe: Callable[[str], Description], *, document: str, page: str) -> tuple[Route, ...]:
    """Routes for anybody to read: the document at one path, the page at the other, and the page's script below it.

    ``describe`` is told the address that clients reach the API at.
    """
    script = f"{page}/reference.js"

    @functools.cache
    def made_document(public_url: str) -> bytes:
        return msgspec.json.encode(describe(public_url).document)

    @functools.cache
    def made_page(public_url: str, has_playground: bool) -> str:
        described = describe(public_url)
        if not has_playground:
            described = msgspec.structs.replace(described, playable=frozenset())
        return html_page(described, document_path=document, script_path=script)

    async def get_document(request: Request) -> Response:
        return Response(made_document(api_state(request).public_url), media_type="application/json")

    async def get_page(request: Request) -> Response:
        page = made_page(api_state(request).public_url, has_dialect(request.scope, "dashboard"))
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    async def get_script(_: Request) -> Response:
        headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
        return Response(_SCRIPT, media_type="text/javascript", headers=headers)

    handlers = {document: get_document, page: get_page, script: get_script}
    gets = [Route("GET", path, handler, needs_key=False) for path, handler in handlers.items()]
    heads = [Route("HEAD", path, _without_body(handler), needs_key=False) for path, handler in handlers.items()]
    return (*gets, *heads)


def _without_body(handler: Handler) -> Handler:
    """The same for HEAD: the headers of the answer, and none of its body."""

    async def answer(request: Request) -> Response:
        response = await handler(request)
        response.body = b""
        return response

    return answer


def html_page(description: Description, *, document_path: str, script_path: str) -> str:
    """The reference as one HTML page. Its links are relative: the service may be below a path of its operator's."""
    spec = description.document
    style = resources.files("safelight.api").joinpath("reference.css").read_text()
    info = spec["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Safelight API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{html.escape(_ICON)}"><style>{style}</style>'
        f'<script src="{script_path.lstrip("/")}" defer></script></head><body>'
        f'<nav aria-label="Reference"><h1>Safelight</h1><p>API reference, {info["version"]}</p>{_SEARCH}'
        f"{_contents(spec)}</nav>"
        f'<main><section class="intro"><p>{_text(info["description"])}</p>'
        "<p>Send your key with every request, as <code>Authorization: Bearer sk_…</code>. "
        f'The same for machines: <a href="{document_path.lstrip("/")}">{document_path.lstrip("/")}</a>.</p></section>'
        f"{''.join(_section(description, tag) for tag in spec['tags'])}</main></body></html>"
    )


def _operations(spec: Document, tag: Document) -> list[tuple[str, str, Document]]:
    return [
        (method.upper(), path, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    ]


def _contents(spec: Document) -> str:
    parts = []
    for tag in spec["tags"]:
        links = "".join(
            f'<li><a href="#{operation["operationId"]}">{_text(operation["summary"])}</a></li>'
            for _, _, operation in _operations(spec, tag)
        )
        parts.append(f'<h2><a href="#{tag["name"].lower()}">{tag["name"]}</a></h2><ul>{links}</ul>')
    return "".join(parts)


def _section(spec: Description, tag: Document) -> str:
    articles = "".join(_article(spec, *operation) for operation in _operations(spec.document, tag))
    return (
        f'<section><h2 id="{tag["name"].lower()}">{tag["name"]}</h2><p>{_text(tag["description"])}</p>'
        f"{articles}</section>"
    )


def _article(spec: Description, method: str, path: str, operation: Document) -> str:
    """One operation: what it does and takes on the left, what that looks like on the right."""
    body = _body(operation)
    words = [
        f"<h3>{_text(operation['summary'])}</h3>",
        f'<p class="path"><span class="method {method}">{method}</span>{html.escape(path)}</p>',
        f"<p>{_text(operation.get('description', ''))}</p>",
    ]
    if parameters := operation.get("parameters"):
        fields = [(p["name"], p["schema"], p.get("description", ""), p.get("required", False)) for p in parameters]
        words.append(f"<h4>Parameters</h4>{_fields(spec, fields)}")
    if body:
        schema = _resolve(spec, body)
        required = schema.get("required", [])
        fields = [
            (name, field, field.get("description", ""), name in required)
            for name, field in schema["properties"].items()
        ]
        words.append(f"<h4>Body</h4>{_fields(spec, fields)}")
    words.append(_errors(operation))
    examples = [f"<h4>Request</h4>{_to_copy(_curl(spec, method, path, operation))}{_playground(spec, operation)}"]
    examples += [
        _answer(spec, status, answer) for status, answer in operation["responses"].items() if status.startswith("2")
    ]
    return (
        f'<article id="{operation["operationId"]}"><div>{"".join(words)}</div>'
        f'<div class="examples">{"".join(examples)}</div></article>'
    )


def _fields(spec: Description, fields: list[tuple[str, Document, str, bool]]) -> str:
    return "<dl>{}</dl>".format(
        "".join(
            f"<div><dt><code>{html.escape(name)}</code> <span>{html.escape(_kind(spec, schema))}</span>"
            f"{' <em>required</em>' if required else ''}</dt><dd>{_text(text)}</dd></div>"
            for name, schema, text, required in fields
        )
    )


def _errors(operation: Document) -> str:
    failures = {status: answer for status, answer in operation["responses"].items() if not status.startswith("2")}
    if not failures:
        return ""
    lines = "".join(
        f"<div><dt><code>{status}</code></dt><dd>{_text(answer['description'])}</dd></div>"
        for status, answer in failures.items()
    )
    return f"<details><summary>Errors: {', '.join(failures)}</summary><dl>{lines}</dl></details>"


def _curl(spec: Description, method: str, path: str, operation: Document) -> str:
    """A request to paste, with the key and the address in variables."""
    url = _PARAMETER.sub(lambda match: str(spec.values[match[1]]), path)
    needed = [p["name"] for p in operation.get("parameters", []) if p.get("required") and p["in"] == "query"]
    query = "&".join(f"{name}={spec.values[name]}" for name in needed)
    parts = [f'curl "$SAFELIGHT_URL{url}{"?" if query else ""}{query}"']
    if method == "HEAD":
        parts.append("--head")
    elif method not in ("GET", "POST"):
        parts.append(f"-X {method}")
    elif _is_file(operation):
        parts.append("-o file")
    if operation["security"]:
        parts.append('-H "Authorization: Bearer $SAFELIGHT_KEY"')
    if example := _example_body(spec, operation):
        sent = json.dumps(example, indent=2)
        parts.append(f"--json '{sent}'")
    return " \\\n  ".join(parts)


def _answer(spec: Description, status: str, answer: Document) -> str:
    headline = f'<p class="answer"><b>{status}</b>{_text(answer["description"])}</p>'
    content = answer.get("content", {}).get("application/json")
    if content is None:
        return headline
    schema = content["schema"]
    bodies = [json.dumps(_example(spec, item), indent=2, ensure_ascii=False) for item in schema.get("oneOf", [schema])]
    return headline + "".join(_to_copy(body) for body in bodies)


def _to_copy(text: str) -> str:
    """An example: it can be scrolled with the keyboard, and the script adds a button that copies it."""
    return f'<div class="example"><pre tabindex="0"><code>{html.escape(text)}</code></pre></div>'


def _playground(spec: Description, operation: Document) -> str:
    """A link to the example as a form that is filled in, where there is one."""
    if operation["operationId"] not in spec.playable:
        return ""
    sent = _example_body(spec, operation)
    address = html.escape(f"dashboard/playground?{urlencode({name: sent[name] for name in ('model', 'prompt')})}")
    return f'<p><a class="play" href="{address}">Open in playground</a></p>'


def _example_body(spec: Description, operation: Document) -> Mapping[str, Any]:
    """What an operation's example sends; nothing if it takes no body."""
    body = _body(operation)
    return spec.bodies[body["$ref"].rpartition("/")[2]] if body else {}


def _is_file(operation: Document) -> bool:
    return any(
        kind.startswith(("image/", "video/")) for kind in operation["responses"].get("200", {}).get("content", {})
    )


def _body(operation: Document) -> Document | None:
    body = operation.get("requestBody")
    return body["content"]["application/json"]["schema"] if body else None


def _kind(spec: Description, schema: Document) -> str:
    schema = _resolve(spec, schema)
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(spec, item) for item in schema["anyOf"] if item.get("type") != "null")
    if schema.get("type") == "array":
        item = _resolve(spec, schema["items"])
        fields = ", ".join(item.get("properties", {}))
        return f"list of {{{fields}}}" if fields else f"list of {_kind(spec, item)}"
    return str(schema.get("type", "any"))


def _example(spec: Description, schema: Document) -> Any:
    """A value of the schema's shape, to be read by people."""
    schema = _resolve(spec, schema)
    if "anyOf" in schema:
        return _example(spec, schema["anyOf"][0])
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            title = schema.get("title", "")
            return {name: _value(spec, title, name, field) for name, field in schema.get("properties", {}).items()}
        case "array":
            return [_example(spec, schema.get("items", {}))]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case kind:
            return str(schema.get("examples", ["…"])[0]) if kind == "string" else None


def _value(spec: Description, title: str, name: str, field: Document) -> Any:
    for key in (f"{title}.{name}", name):
        if key in spec.values:
            return spec.values[key]
    return _example(spec, field)


def _resolve(spec: Description, schema: Document) -> Document:
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return schema
    return {**spec.document["components"]["schemas"][name], **{k: v for k, v in schema.items() if k != "$ref"}}


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", html.escape(text))
