"""Answers that a server of OpenAI's shape gives when it refuses, breaks, or says a success in its own way."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.providers.openai.media import picture

if TYPE_CHECKING:
    from tests.providers.openai.fake import FakeServer

Fault = Callable[["FakeServer"], web.Response]


def words_of(fake: FakeServer) -> str:
    """What the server says: with its canary in it."""
    return f"something is wrong {fake.canary}".strip()


def _error(status: int, headers: dict[str, str] | None = None, **fields: Any) -> Fault:
    def fault(fake: FakeServer) -> web.Response:
        error = {"message": words_of(fake), "type": "invalid_request_error", "code": None, "param": None, **fields}
        return web.json_response(
            {"error": error}, status=status, headers={"x-request-id": "req_fault", **(headers or {})}
        )

    return fault


def _body(status: int, make: Callable[[str], Any]) -> Fault:
    return lambda fake: web.json_response(make(words_of(fake)), status=status)


def _page(status: int) -> Fault:
    return lambda fake: web.Response(
        text=f"<html><h1>{words_of(fake)}</h1></html>", status=status, content_type="text/html"
    )


FAULTS: dict[str, Fault] = {
    "moderation_blocked": _error(400, type="image_generation_user_error", code="moderation_blocked"),
    "old_policy": _error(400, code="content_policy_violation"),
    "policy_words": _body(400, lambda words: {"code": "invalid", "error": f"Rejected by content moderation. {words}"}),
    "flagged": _error(403, code=403, metadata={"reasons": ["violence"], "flagged_input": "a fox"}),
    "quota": _error(429, {"retry-after": "5"}, type="insufficient_quota", code="insufficient_quota"),
    "rate_limited": _error(429, {"retry-after": "7"}, type="requests", code="rate_limit_exceeded"),
    "rate_limited_ms": _error(429, {"retry-after-ms": "1500"}),
    "no_money": _error(402),
    "too_large": _error(413),
    "timed_out": _error(408),
    "conflict": _error(409),
    "auth": _error(401, code="invalid_api_key"),
    "forbidden": _error(403),
    "no_model": _error(404, code="model_not_found"),
    "unknown_parameter": _error(400, code="unknown_parameter"),
    "bad_request": _error(400, code="invalid_value"),
    "server_error": _error(500, type="server_error"),
    "unavailable": _error(503, {"retry-after": "3"}, code=503, type=""),
    "error_text": _body(400, lambda words: {"error": words}),
    "detail_text": _body(400, lambda words: {"detail": words}),
    "detail_list": _body(422, lambda words: {"detail": [{"loc": ["body"], "msg": words, "type": "missing"}]}),
    "json_exception": _body(
        500, lambda words: {"error": "server_error", "message": f"[json.exception.type_error.302] {words}"}
    ),
    "html": _page(502),
    "gateway_timeout": _page(504),
    "empty": lambda fake: web.Response(status=500),
    "opaque": lambda fake: web.Response(status=400),
    "loading": lambda fake: web.Response(status=503, headers={"Retry-After": "4"}),
    "redirect": lambda fake: web.Response(status=307, headers={"Location": "/elsewhere"}),
}
"""Refusals, by name."""


def _item(make: Callable[[FakeServer], Any]) -> Fault:
    return lambda fake: web.json_response({"created": 1, "data": [make(fake)]})


def _coded() -> str:
    return base64.b64encode(picture(64, 64)).decode()


def _wrapped() -> str:
    text = _coded()
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76)).rstrip("=")


def _chat(message: dict[str, Any], **choice: Any) -> Fault:
    return lambda fake: web.json_response({"id": "gen-1", "choices": [{"index": 0, "message": message, **choice}]})


ANSWERS: dict[str, Fault] = {
    "none": lambda fake: web.json_response({"created": 1, "data": [], "note": words_of(fake)}),
    "null": lambda fake: web.json_response({"created": 1, "data": None, "note": words_of(fake)}),
    "blank": _item(lambda fake: {"b64_json": "", "url": None}),
    "error_in_200": lambda fake: web.json_response(
        {"error": {"message": words_of(fake), "code": "moderation_blocked"}}
    ),
    "bad_base64": _item(lambda fake: {"b64_json": "this is *no* base64"}),
    "wrapped_base64": _item(lambda fake: {"b64_json": _wrapped()}),
    "data_url_base64": _item(lambda fake: {"b64_json": f"data:image/png;base64,{_coded()}"}),
    "data_url": _item(lambda fake: {"url": f"data:image/png;base64,{_coded()}"}),
    "own_url": _item(lambda fake: {"url": f"{fake.root_url}/files/own.png"}),
    "relative_url": _item(lambda fake: {"url": "/files/relative.png"}),
    "other_url": _item(lambda fake: {"url": "https://cdn.example/picture.png"}),
    "broken_url": _item(lambda fake: {"url": "http://[broken"}),
    "raw": lambda fake: web.Response(body=picture(64, 64), content_type="image/png"),
    "raw_octets": lambda fake: web.Response(body=picture(64, 64), content_type="application/octet-stream"),
    "json_as_octets": lambda fake: web.Response(
        text=f'{{"data": [{{"b64_json": "{_coded()}"}}]}}', content_type="application/octet-stream"
    ),
    "zip": lambda fake: web.Response(body=b"PK\x03\x04and so on", content_type="application/zip"),
    "page": lambda fake: _page(200)(fake),
    "broken_json": lambda fake: web.Response(text='{"created": 1, "data": [{"b64', content_type="application/json"),
    "list": lambda fake: web.json_response([{"b64_json": _coded()}]),
    "revised": _item(lambda fake: {"b64_json": _coded(), "revised_prompt": "a red fox in snow, at dawn"}),
    "odd_types": lambda fake: web.json_response(
        {"created": "now", "data": [{"b64_json": _coded(), "revised_prompt": 5}], "usage": "none", "seed": 77}
    ),
    "two": lambda fake: web.json_response({"data": [{"b64_json": _coded()}, {"b64_json": _coded()}]}),
    "no_id": lambda fake: web.json_response({"status": "queued"}),
    "failed_at_once": lambda fake: web.json_response(
        {"id": "video_x", "status": "failed", "error": {"code": "moderation_blocked", "message": words_of(fake)}}
    ),
    "clip": lambda fake: web.Response(body=b"\0\0\0\x18ftypmp42", content_type="video/mp4"),
    "chat_text": _chat({"role": "assistant", "content": "I cannot draw that."}, finish_reason="stop"),
    "chat_filtered": _chat({"role": "assistant", "content": None}, finish_reason="content_filter"),
    "chat_error": lambda fake: web.json_response(
        {"choices": [{"error": {"code": 429, "message": words_of(fake)}, "message": {"role": "assistant"}}]}
    ),
    "chat_parts": _chat(
        {"content": [{"type": "text", "text": "so"}, {"type": "image_url", "image_url": f"data:;base64,{_coded()}"}]}
    ),
}
"""Successes in another shape, or in name only."""
