"""Answers that a server gives instead of a picture. ``KEY`` in them becomes the key: servers quote what was sent."""

from __future__ import annotations

from typing import Any

import msgspec


class Fault(msgspec.Struct, frozen=True):
    """``body`` is JSON, or a text that goes as it is."""

    status: int
    body: Any
    headers: dict[str, str] = {}


def raised(name: str, errors: str, status: int = 500, detail: Any = "") -> Fault:
    """As the exception handlers of the WebUI and of its forks write it."""
    return Fault(status, {"error": name, "detail": detail, "body": "", "errors": f"{errors} (for KEY)"})


def refused(status: int, detail: Any) -> Fault:
    return raised("HTTPException", "", status, detail)


def unfit(field: str) -> Fault:
    """FastAPI's."""
    return Fault(
        422, {"detail": [{"loc": ["body", field], "msg": "value is not a valid integer", "type": "type_error"}]}
    )


FAULTS: dict[str, Fault] = {
    "out_of_memory": raised("OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.25 GiB"),
    "cpu_out_of_memory": raised("RuntimeError", "DefaultCPUAllocator: not enough memory: you tried to allocate"),
    "nans": raised("NansException", "A tensor with NaNs was produced in Unet."),
    "no_sampler": refused(404, "Sampler not found"),
    "no_sampler_400": refused(400, "Sampler not found"),
    "no_script": refused(422, "Script 'x/y/z plot' not found"),
    "no_always_on_script": refused(422, "always on script controlnet not found"),
    "bad_picture": refused(500, "Invalid encoded image"),
    "no_init_image": Fault(400, {"error": "Init image is none"}),
    "no_model": raised("RuntimeError", "model 'no-such-model' not found"),
    "no_model_404": refused(404, "Model not found"),
    "no_api": Fault(404, {"detail": "Not Found"}),
    "bad_steps": unfit("steps"),
    "bad_width": unfit("width"),
    "type_error": Fault(500, "'<' not supported between instances of 'str' and 'int'"),
    "type_error_named": raised("TypeError", "'<' not supported between instances of 'str' and 'int'"),
    "auth": Fault(401, {"detail": "Incorrect username or password"}, {"WWW-Authenticate": "Basic"}),
    "rate_limit": refused(429, "127.0.0.1:/sdapi/v1/txt2img: rate limit exceeded for KEY"),
    "busy": Fault(503, {"error": "server is starting"}, {"Retry-After": "3"}),
    "plain_500": Fault(500, "Internal Server Error"),
    "gateway": Fault(504, "<html>504 Gateway Time-out</html>", {"Content-Type": "text/html"}),
    "too_large": Fault(413, "<html>413</html>", {"Content-Type": "text/html"}),
    "moved": Fault(302, "", {"Location": "https://elsewhere.example/"}),
    "plain_error": Fault(400, {"error": "width and height must be positive"}),
    "cannot_read": Fault(
        500, {"error": "server_error", "message": "[json.exception.type_error.302] type must be number"}
    ),
    "no_results": Fault(500, {"error": "generate_image returned no results"}),
}

ODD: dict[str, Fault] = {
    "none": Fault(200, {"images": [], "parameters": {}, "info": ""}),
    "null": Fault(200, {"images": None, "parameters": None, "info": None}),
    "null_in_list": Fault(200, {"images": [None], "parameters": {}, "info": "{}"}),
    "bad_base64": Fault(200, {"images": ["%%%%"], "parameters": {}, "info": "{}"}),
    "empty_base64": Fault(200, {"images": [""], "parameters": {}, "info": "{}"}),
    "error_in_200": raised("RuntimeError", "mat1 and mat2 must have the same dtype", 200),
    "memory_in_200": raised("OutOfMemoryError", "CUDA out of memory", 200),
    "page": Fault(200, "<html>Gradio</html>", {"Content-Type": "text/html"}),
    "list": Fault(200, []),
    "number": Fault(200, 7),
    "broken_json": Fault(200, '{"images": ["'),
    "empty": Fault(200, ""),
}
"""Successes that are none."""
