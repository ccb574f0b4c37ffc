"""What Google answers to an order when it makes nothing. ``CANARY_MARK`` becomes the key, or the newest token."""

from __future__ import annotations

from typing import Any

CANARY_MARK = "{canary}"


def _error(code: int, status: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"code": code, "message": f"{message} {CANARY_MARK}", "status": status}
    return {"error": {**told, "details": list(details)} if details else told}


def _info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def _quota(quota_id: str, value: str = "50") -> dict[str, Any]:
    violation = {"quotaId": quota_id, "quotaValue": value, "quotaMetric": "generate_requests"}
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}


def _field(field: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]}


def retry(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


_QUOTA = "You exceeded your current quota, please check your plan and billing details."

FAULTS: dict[str, tuple[int, Any] | tuple[int, Any, dict[str, str]]] = {
    "policy": (400, _error(400, "INVALID_ARGUMENT", "The prompt could not be submitted: it violates our policies.")),
    "guidelines": (
        400,
        _error(400, "INVALID_ARGUMENT", "Vertex AI's usage guidelines. Support codes: 58061214."),
    ),
    "bad_prompt": (
        400,
        _error(400, "INVALID_ARGUMENT", "The prompt is too long.", _field("contents[0].parts[0].text")),
    ),
    "bad_seed": (400, _error(400, "INVALID_ARGUMENT", "Invalid seed.", _field("generation_config.seed"))),
    "bad_ratio": (
        400,
        _error(400, "INVALID_ARGUMENT", "Invalid ratio.", _field("generation_config.image_config.image_size")),
    ),
    "bad_argument": (400, _error(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")),
    "precondition": (400, _error(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
    "bad_key": (400, _error(400, "INVALID_ARGUMENT", "API key not valid.", _info("API_KEY_INVALID"))),
    "unauthenticated": (401, _error(401, "UNAUTHENTICATED", "Who are you?")),
    "org_policy": (400, _error(400, "FAILED_PRECONDITION", "Policy violation: constraints/vertexai.allowedModels.")),
    "suspended": (403, _error(403, "PERMISSION_DENIED", "The project is suspended, as its use violates our policies.")),
    "denied": (403, _error(403, "PERMISSION_DENIED", "No.")),
    "no_billing": (403, _error(403, "PERMISSION_DENIED", "Enable billing.", _info("BILLING_DISABLED"))),
    "retired": (404, _error(404, "NOT_FOUND", "models/gemini-image is no longer available.")),
    "soon": (429, _error(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("PerMinutePerProject"), retry("0.2s"))),
    "minute": (429, _error(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("PerMinutePerProject"), retry("37.5s"))),
    "vertex_rate": (
        429,
        _error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for aiplatform.googleapis.com/online."),
        {"Retry-After": "9"},
    ),
    "day": (429, _error(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("GenerateRequestsPerDayPerModel"), retry("20s"))),
    "no_free_tier": (429, _error(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("PerMinute", "0"), retry("20s"))),
    "no_credit": (429, _error(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.")),
    "internal": (500, _error(500, "INTERNAL", "An internal error has occurred.")),
    "overloaded": (503, _error(503, "UNAVAILABLE", "The model is overloaded."), {"Retry-After": "3"}),
    "late": (504, _error(504, "DEADLINE_EXCEEDED", "The request timed out.")),
    "page": (502, "<html>502 Bad Gateway</html>"),
    "list": (400, [_error(400, "INVALID_ARGUMENT", "As streaming endpoints answer.")]),
    "words": (400, {"error": "in words alone"}),
    "redirect": (302, "", {"Location": "http://127.0.0.1:1/"}),
}


def _finished(reason: str, *parts: Any, **more: Any) -> dict[str, Any]:
    candidate = {"content": {"parts": list(parts)}, "finishReason": reason, **more}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}}


PICTURES: dict[str, Any] = {
    "blocked": {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}},
    "blocked_other": {"promptFeedback": {"blockReason": "OTHER"}},
    "blocked_tomorrow": {"promptFeedback": {"blockReason": "OF_TOMORROW", "blockReasonMessage": CANARY_MARK}},
    "empty": {},
    "no_candidates": {"candidates": []},
    "words_alone": _finished("STOP", {"text": f"I can't make that, {CANARY_MARK}."}),
    "draft_alone": _finished("STOP", {"inlineData": {"mimeType": "image/png", "data": "aGk="}, "thought": True}),
    "odd": _finished("STOP", None, 3, {"inlineData": None}, {"inlineData": {"data": 7}}),
    "bad_base64": _finished("STOP", {"inlineData": {"mimeType": "image/png", "data": "!!!"}}),
    "error_in_200": {"error": {"code": 3, "message": f"Bad, {CANARY_MARK}", "status": "INVALID_ARGUMENT"}},
    "page_in_200": "<html>Sign in</html>",
    "array": [],
    **{
        reason: _finished(reason)
        for reason in (
            "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION", "MAX_TOKENS", "MODEL_ARMOR",
            "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "ESCALATION", "PUP_LIMITED_DISABLED", "CONTINUATION",
            "VIDEO_SAFETY_OF_TOMORROW", "OF_TOMORROW",
        )
    },
}  # fmt: skip
