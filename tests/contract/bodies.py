"""Requests that must be refused, and what each refusal must say."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import msgspec

from safelight.providers.noop import png

IMAGES = "/v2/images/generations"
VIDEOS = "/v2/videos/generations"


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One bad request. ``says``: what the message must have in it, so that its reader knows what would work."""

    name: str
    path: str
    body: bytes
    param: str | None
    says: str
    code: str = "invalid_parameter"


def data_url(data: bytes, mime_type: str = "image/png") -> str:
    return f"data:{mime_type};base64,{base64.b64encode(data).decode()}"


PNG_URL = data_url(png())
_IMAGE: dict[str, Any] = {"model": "noop-image", "prompt": "A mountain at dawn"}
_VIDEO: dict[str, Any] = {"model": "noop-video", "prompt": "Clouds over a peak"}


def _image(name: str, param: str | None, says: str, /, **fields: Any) -> Case:
    return Case(name=name, path=IMAGES, body=json.dumps(_IMAGE | fields).encode(), param=param, says=says)


def _video(name: str, param: str | None, says: str, /, **fields: Any) -> Case:
    return Case(name=name, path=VIDEOS, body=json.dumps(_VIDEO | fields).encode(), param=param, says=says)


def _picture(name: str, says: str, url: Any) -> Case:
    return _image(name, "images[1].url", says, images=[{"url": PNG_URL}, {"url": url}])


def _missing(name: str, path: str, param: str, body: dict[str, Any]) -> Case:
    return Case(
        name=name,
        path=path,
        body=json.dumps(body).encode(),
        param=param,
        says=f"{param} is missing",
        code="parameter_missing",
    )


def _raw(name: str, body: bytes, says: str, param: str | None = None) -> Case:
    return Case(name=name, path=IMAGES, body=body, param=param, says=says)


def _with(text: str) -> bytes:
    """The smallest good image request and ``text`` after its last field."""
    return json.dumps(_IMAGE).encode()[:-1] + text.encode() + b"}"


BLANK = {
    "of spaces": "   ",
    "of line ends": "\n\t\r\n",
    "of control characters": "\x01\x1b\x7f\x9b",
    "of wide spaces": "\u00a0\u2003\u3000",
    "of zero width": "\u200b\u200d\u2060\ufeff",
    "of fillers": "\u3164\u115f\u2800",
    "of variation selectors": "\ufe0f\U000e0100",
    "of tags": "\U000e0041",
}
FIELDS = [
    _missing("no model", IMAGES, "model", {"prompt": "x"}),
    _missing("no prompt", VIDEOS, "prompt", {"model": "noop-video"}),
    _missing("no url", IMAGES, "images[0].url", {**_IMAGE, "images": [{"role": "reference_image"}]}),
    _missing("no role", VIDEOS, "images[0].role", {**_VIDEO, "images": [{"url": PNG_URL}]}),
    _image("unknown field", "steps", "It takes: model, prompt, aspect_ratio", steps=7),
    _image("a video's field", "duration", "It takes: model, prompt, aspect_ratio", duration=4),
    _video("an image's field", "output_format", "It takes: model, prompt, aspect_ratio", output_format="png"),
    _image("unknown field within", "images[0].weight", "It takes: url, role", images=[{"url": PNG_URL, "weight": 1}]),
    _image("a name that is very long", "y" * 80 + "...", "It takes: model", **{"y" * 90_000: 1}),
    _image("model of another type", "model", "expected a string", model=["noop-image"]),
    _image("model null", "model", "expected a string", model=None),
    _image("model empty", "model", "not empty", model=""),
    _image("model unknown", "model", "Available: noop-image", model="no-such-model"),
    _image("model unknown and odd", "model", "Available: noop-image", model="☃" * 100),
    _image("a video's model", "model", "Available: noop-image", model="noop-video"),
    _video("an image's model", "model", "Available: noop-video", model="noop-image"),
    _image("prompt of no character", "prompt", "not empty", prompt=""),
    *[_image(f"blank prompt {name}", "prompt", "Say what to make", prompt=text) for name, text in BLANK.items()],
    _image("prompt of 4,097 characters", "prompt", "at most 4096 characters", prompt="é" * 4097),
    _image("prompt a number", "prompt", "expected a string", prompt=5),
    _image("ratio unknown", "aspect_ratio", "Use one of: 1:1, 16:9", aspect_ratio="17:9"),
    _image("ratio that is very long", "aspect_ratio", "Use one of: 1:1, 16:9", aspect_ratio="9" * 2_000_000),
    _image("resolution unknown", "resolution", "Use one of: 1K, 2K", resolution="8K"),
    _image("resolution a number", "resolution", "expected a string", resolution=1024),
    _image("format unknown", "output_format", "Use one of: png, jpeg, webp", output_format="gif"),
    _image("format in capitals", "output_format", "Use one of: png, jpeg, webp", output_format="PNG"),
    _video("duration unknown", "duration", "Use one of: 4, 5", duration=7),
    _video("duration true", "duration", "expected a whole number", duration=True),
    _video("duration a string", "duration", "expected a whole number", duration="4"),
    _video("duration with a fraction", "duration", "expected a whole number", duration=4.5),
    _video("duration beyond 64 bits", "duration", "Use one of: 4, 5", duration=2**64 - 1),
    _video("duration below 64 bits", "duration", "Use one of: 4, 5", duration=-(2**64)),
    _video("sound a string", "sound", "expected true or false", sound="on"),
    _video("sound a number", "sound", "expected true or false", sound=1),
    _image("seed below", "seed", "0", seed=-1),
    _image("seed above", "seed", "4294967295", seed=2**32),
    _image("seed true", "seed", "expected a whole number", seed=True),
    _image("seed a string", "seed", "expected a whole number", seed="7"),
    _image("seed with a fraction", "seed", "expected a whole number", seed=7.5),
    _video("seed of a model without", "seed", "Leave it out", model="silent-video", seed=7),
    _image("negative prompt a list", "negative_prompt", "expected a string", negative_prompt=["fog"]),
    _image("negative prompt too long", "negative_prompt", "at most 4096", negative_prompt="x" * 4097),
    _image("negative prompt with NUL", None, "NUL", negative_prompt="fog\0"),
    _video(
        "negative prompt of a model without", "negative_prompt", "takes no", model="silent-video", negative_prompt="x"
    ),
    _image("options a list", "provider_options", "expected an object", provider_options=["steps"]),
    _image("option that is not passed", "provider_options.size", "It passes: steps", provider_options={"size": 1}),
    _image(
        "option that is very long", "provider_options." + "y" * 80 + "...", "steps", provider_options={"y" * 9999: 1}
    ),
    _image("option with NUL within", None, "NUL", provider_options={"steps": [{"a\0": 1}]}),
    _image("options too large", "provider_options", "16384 bytes", provider_options={"steps": "x" * 16384}),
    _video("options of a model without", "provider_options.a", "none", model="silent-video", provider_options={"a": 1}),
    _video("sound of a silent model", "sound", "Leave sound out", model="silent-video", sound=True),
]

REFERENCES = [
    _image("images no list", "images", "expected a list", images={"url": PNG_URL}),
    _image("image no object", "images[0]", "expected an object", images=[PNG_URL]),
    _image("nine images", "images", "at most 8", images=[{"url": PNG_URL}] * 9),
    _image("more images than the model takes", "images", "at most 2", images=[{"url": PNG_URL}] * 3),
    _video("two first frames", "images", "at most 1", images=[{"url": PNG_URL, "role": "first_frame"}] * 2),
    _video(
        "a role the model does not take",
        "images[0].role",
        "Roles it takes: first_frame (up to 1)",
        model="silent-video",
        images=[{"url": PNG_URL, "role": "last_frame"}],
    ),
    _video("unknown role", "images[0].role", "last_frame", images=[{"url": PNG_URL, "role": "middle_frame"}]),
    _image("a video's role", "images[0].role", "reference_image", images=[{"url": PNG_URL, "role": "first_frame"}]),
    _image("no pictures for this model", "images[0].role", "none", model="failing-image", images=[{"url": PNG_URL}]),
    _picture("url empty", "not empty", ""),
    _picture("url null", "expected a string", None),
    _picture("bare base64", "data:image/png;base64", base64.b64encode(png()).decode()),
    _picture("no base64", "data:image/png;base64", "data:image/png,%89PNG"),
    _picture("not a picture", "PNG, JPEG or WebP", data_url(b"text", "text/plain")),
    _picture("svg", "PNG, JPEG or WebP", data_url(b"<svg/>", "image/svg+xml")),
    _picture("the URL alphabet", "base64", "data:image/png;base64,-_-_"),
    _picture("a blank in base64", "base64", PNG_URL[:40] + " " + PNG_URL[40:]),
    _picture("padding missing", "base64", data_url(b"ab").rstrip("=")),
    _picture("padding too long", "base64", PNG_URL + "=="),
    _picture("nothing in it", "holds no image", "data:image/png;base64,"),
    _picture("no picture in it", "", data_url(b"these are words, and no picture")),
    _picture("another type than it says", "", data_url(png(), "image/jpeg")),
    _picture("cut off picture", "", data_url(png()[:60])),
    _picture("one byte too many", "10 MiB", data_url(b"\0" * (10 * 1024 * 1024 + 1))),
    _picture("plain http", "https", "http://pictures.example/a.png"),
    _picture("another scheme", "", "ftp://pictures.example/a.png"),
    _picture("a file", "", "file:///etc/passwd"),
    _picture("a place on this machine", "", "https://127.0.0.1/a.png"),
    _picture("no address", "", "picture.png"),
]

DOCUMENTS = [
    _raw("empty", b"", "Send a JSON object"),
    _raw("blank", b" \r\n", "Send a JSON object"),
    _raw("words", b"make me a mountain", "Send a JSON object"),
    _raw("a form", b"model=noop-image&prompt=A+mountain", "Send a JSON object"),
    _raw("null", b"null", "must be a JSON object"),
    _raw("a list", json.dumps([_IMAGE]).encode(), "must be a JSON object"),
    _raw("a string", b'"noop-image"', "must be a JSON object"),
    _raw("cut off", json.dumps(_IMAGE).encode()[:-1], "not valid JSON"),
    _raw("two documents", json.dumps(_IMAGE).encode() * 2, "not valid JSON"),
    _raw("a comma too many", _with(","), "not valid JSON"),
    _raw("UTF-16", json.dumps(_IMAGE).encode("utf-16"), "is UTF-16. Send JSON encoded as UTF-8"),
    _raw(
        "UTF-16 of the other order", "\ufeff".encode("utf-16-be") + json.dumps(_IMAGE).encode("utf-16-be"), "is UTF-16"
    ),
    _raw("UTF-16 without a mark", json.dumps(_IMAGE).encode("utf-16-le"), "is UTF-16"),
    _raw("UTF-16 of the other order without a mark", json.dumps(_IMAGE).encode("utf-16-be"), "is UTF-16"),
    _raw("UTF-32", json.dumps(_IMAGE).encode("utf-32"), "is UTF-32"),
    _raw("UTF-32 without a mark", json.dumps(_IMAGE).encode("utf-32-be"), "is UTF-32"),
    _raw("gzip that does not say so", gzip.compress(json.dumps(_IMAGE).encode()), "is compressed (gzip)"),
    _raw("zstd that does not say so", b"\x28\xb5\x2f\xfd" + json.dumps(_IMAGE).encode(), "is compressed (zstd)"),
    _raw("deflate that does not say so", zlib.compress(json.dumps(_IMAGE).encode()), "is compressed (deflate)"),
    _raw("Latin-1", json.dumps({**_IMAGE, "prompt": "é"}, ensure_ascii=False).encode("latin-1"), "UTF-8"),
    _raw("a byte order mark and nothing else", b"\xef\xbb\xbf", "body is empty"),
    _raw("NaN", _with(', "duration": NaN'), "NaN is not a JSON number"),
    _raw("Infinity", _with(', "duration": -Infinity'), "not a JSON number"),
    _raw("a number of 5,000 digits", _with(', "duration": ' + "9" * 5_000), "at most 40"),
    _raw("a number past all floats", _with(', "duration": 1e999'), "at most 40"),
    _raw("a number past all numbers", _with(', "duration": 1e-99999999999999999999'), "exponent"),
    _raw("half a surrogate pair", _with(r', "resolution": "\ud83d"'), "whole characters"),
    _raw("half a surrogate pair for a name", _with(r', "\udc00": 1'), "whole characters"),
    _raw("half a surrogate pair for a name, twice", _with(r', "\udc00": 1, "\udc00": 1'), "given twice", "?"),
    _raw("NUL", _with(r', "resolution": "\u0000"'), "NUL"),
    _raw("NUL as it is", _with(', "resolution": "\0"'), "not valid JSON"),
    _raw("a name given twice", _with(', "prompt": "B"'), "Send it once", "prompt"),
    _raw("a name given twice, spelled apart", _with(r', "\u0070rompt": "B"'), "Send it once", "prompt"),
    _raw("a name given twice, within", _with(', "images": [{"url": "a", "url": "b"}]'), "Send it once", "url"),
    _raw("100,000 lists deep", b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
    _raw("100,000 objects deep", b'{"a":' * 100_000, "nested too deeply"),
    _raw("100,000 deep in a field", _with(', "images": ' + "[" * 100_000 + "]" * 100_000), "nested too deeply"),
]
