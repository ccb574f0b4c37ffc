"""What the stand-in answers an order with when it is told to misbehave: status, body, headers."""

from __future__ import annotations

import json
from typing import Any


def error(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """An error as the vendor writes it; its key is quoted in it."""
    return {"error": {"code": code, "message": f"{message} Key: {{key}}.", "param": param, "type": "BadRequest"}}


def _item(code: str) -> dict[str, Any]:
    counted = {"generated_images": 0, "output_tokens": 0, "total_tokens": 0}
    return {"model": "m", "created": 1, "data": [{"code": code, "message": "No, {key}."}], "usage": counted}


Fault = tuple[int, Any, dict[str, str]]

FAULTS: dict[str, Fault] = {
    "policy_text": (400, error("InputTextSensitiveContentDetected", "No."), {}),
    "policy_face": (400, error("InputImageSensitiveContentDetected.PrivacyInformation", "A face."), {}),
    "policy_old": (400, error("SensitiveContentDetected.Violence", "No."), {}),
    "policy_risk": (400, error("OutputImageRiskDetection", "No."), {}),
    "policy_output": (400, error("OutputImageSensitiveContentDetected", "No."), {}),
    "policy_in_words": (500, error("BadResponse", "It said OutputVideoSensitiveContentDetected."), {}),
    "policy_item": (200, _item("OutputImageSensitiveContentDetected"), {}),
    "policy_in_200": (200, error("InputTextSensitiveContentDetected.PolicyViolation", "No."), {}),
    "rate_endpoint": (429, error("RateLimitExceeded.EndpointRPMExceeded", "Slow."), {"Retry-After": "7"}),
    "rate_model": (429, error("ModelAccountIpmRateLimitExceeded", "Slow."), {"Retry-After": "1"}),
    "overloaded": (429, error("ServerOverloaded", "Busy."), {}),
    "loading": (429, error("ModelLoadingError", "Loading."), {}),
    "burst": (429, error("RequestBurstTooFast", "Slow."), {}),
    "unheard_of_429": (429, error("OfTomorrow", "Slow."), {}),
    "queue_is_full": (429, error("QuotaExceeded", "Too many tasks are in the queue."), {}),
    "quota": (429, error("QuotaExceeded", "The free trial quota is used up."), {}),
    "set_limit": (429, error("SetLimitExceeded", "The limit that was set is reached."), {}),
    "overdue": (403, error("AccountOverdueError", "Pay first."), {}),
    "service_overdue": (403, error("OperationDenied.ServiceOverdue", "Pay first."), {}),
    "denied": (403, error("AccessDenied", "Not yours."), {}),
    "auth": (401, error("AuthenticationError", "The key is wrong."), {}),
    "not_open": (404, error("ModelNotOpen", "Activate it."), {}),
    "service_not_open": (403, error("OperationDenied.ServiceNotOpen", "Activate it."), {}),
    "no_endpoint": (404, error("InvalidEndpointOrModel.NotFound", "No such model."), {}),
    "endpoint_gone": (404, error("InvalidEndpoint.NotFound", "No such endpoint."), {}),
    "bad_prompt": (400, error("InvalidParameter", "The parameter `prompt` is not valid."), {}),
    "bad_content": (400, error("InvalidParameter", "Odd.", "content[1].image_url"), {}),
    "bad_size": (400, error("InvalidParameter", "The parameter `size` is not valid: too few pixels."), {}),
    "bad_suffix": (400, error("InvalidParameter.resolution", "Not valid."), {}),
    "bad_something": (400, error("InvalidParameter", "Not valid."), {}),
    "unsupported": (400, error("InvalidParameter.UnsupportedParameter", "Not here."), {}),
    "missing": (400, error("MissingParameter.model", "Not there."), {}),
    "scan_broke": (400, error("ContentSecurityDetectionError", "Again, please."), {}),
    "broken": (500, error("InternalServiceError", "Again, please."), {"Retry-After": "1"}),
    "wrapped": (403, {"ResponseMetadata": {"Error": {"Code": "AccessDenied", "Message": "No, {key}."}}}, {}),
    "in_words": (400, {"error": "in words alone, {key}"}, {}),
    "gateway": (504, "<html>{key}</html>", {"Content-Type": "text/html"}),
    "timed_out": (504, error("InternalServiceTimeout", "Who knows."), {}),
    "timed_out_500": (500, error("InternalServiceTimeout", "Who knows."), {}),
    "timed_out_200": (200, error("InternalServiceTimeout", "Who knows."), {}),
    "conflict": (409, error("OfTomorrow", "Odd."), {}),
    "bare_500": (500, "{key}", {"Content-Type": "text/plain"}),
    "page": (200, "<html>{key}</html>", {"Content-Type": "text/html"}),
    "empty": (200, "", {}),
    "list": (200, [], {}),
    "no_id": (200, {"id": None, "safety_identifier": None}, {}),
    "odd_id": (200, {"id": "../models?x=1"}, {}),
    "nothing": (200, {"model": "m", "created": 1, "data": [], "usage": None, "error": None}, {}),
    "nulls": (200, {"model": None, "data": [{"url": None, "b64_json": None, "size": None}], "error": None}, {}),
    "lost_picture": (200, {"data": [], "usage": {"generated_images": 1}}, {}),
    "bad_base64": (200, {"data": [{"b64_json": "%%%"}], "usage": {"generated_images": 1}}, {}),
    "bad_url": (200, {"data": [{"url": "http://[::1"}], "usage": {"generated_images": 1}}, {}),
}


def body_of(fault: Fault, key: str) -> str:
    text = fault[1] if isinstance(fault[1], str) else json.dumps(fault[1])
    return text.replace("{key}", key)
