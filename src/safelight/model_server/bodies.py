"""An order as HTTP brings it: JSON, or a form with files. What is not understood is refused, and nothing left out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from safelight.domain.generations import GenerationType
from safelight.domain.media import ImageFormat
from safelight.domain.pipelines import Task
from safelight.model_server.forms import read_form
from safelight.model_server.work import Fault, Work

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_PROMPT_LETTERS = 100_000
_MOST_FIELDS = 200
_MOST_VALUES = 1_000_000
"""Of a document, by its commas and brackets: millions of values take far more memory than their text."""
_MOST_NAME = 100
_MAX_SIDE = 8192
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})", re.ASCII)
_DATA_URL = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)
_FORMATS: tuple[ImageFormat, ...] = get_args(ImageFormat)
_OTHER_NAMES = {"steps": "num_inference_steps", "guidance": "guidance_scale", "image[]": "image"}
_OF_NO_EFFECT = ("user",)
_saying = msgspec.json.Encoder(order="deterministic")
_AS_EVER = {  # OpenAI's, which these pipelines know nothing of: what means no more than "as you like" is no wish
    "quality": ("auto",),
    "background": ("auto",),
    "moderation": ("auto",),
    "style": (),
    "stream": (False,),
    "response_format": ("b64_json",),
    "n": (1,),
}


class Refused(Exception):
    """The request cannot be answered as it is; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was read. ``digest``: the same for the same order, whatever seed was drawn where it named none."""

    model: str
    work: Work
    digest: bytes


def refused(param: str | None, message: str, code: str = "invalid_value") -> Refused:
    return Refused(Fault(code=code, message=message, param=param))


def read_order(body: bytes, content_type: str, makes: GenerationType, *, needs_image: bool) -> Ordered:
    """The order in a request's body. Raises ``Refused``."""
    is_form = content_type.partition(";")[0].strip().lower() == "multipart/form-data"
    taking = _Taking((_of_form if is_form else _of_json)(body, content_type), is_form=is_form)
    model = taking.one("model", _text)
    prompt = taking.one("prompt", _prompt)
    if model is None or prompt is None:
        missing = "model" if model is None else "prompt"
        raise refused(missing, f"{missing} is missing", "missing_required_parameter")
    width, height = taking.one("size", _size) or (None, None)
    is_video = makes is GenerationType.VIDEO
    images = taking.images("input_reference" if is_video else "image")
    if needs_image and not images:
        raise refused("image", "an edit needs a picture", "missing_required_parameter")
    seed = taking.one("seed", _whole(0, 2**63 - 1))
    seconds = taking.one("seconds", _number(0, 600)) if is_video else None
    frames = taking.one("num_frames", _whole(1, 10_000)) if is_video else None
    if seconds is not None and frames is not None:
        raise refused("num_frames", "seconds says how long it is already")
    text_task, image_task = (
        (Task.TEXT_TO_VIDEO, Task.IMAGE_TO_VIDEO) if is_video else (Task.TEXT_TO_IMAGE, Task.IMAGE_TO_IMAGE)
    )
    work = Work(
        id="",
        task=image_task if images else text_task,
        prompt=prompt,
        seed=secrets.randbits(32) if seed is None else seed,
        negative_prompt=taking.one("negative_prompt", _prompt),
        width=width,
        height=height,
        seconds=seconds,
        frames=frames,
        images=images,
        steps=taking.one("num_inference_steps", _whole(1, 500)),
        guidance=taking.one("guidance_scale", _number(-1, 100)),
        strength=taking.one("strength", _number(0, 1)),
        sound=taking.one("generate_audio", _flag) if is_video else None,
        output_format=(taking.one("output_format", _format) if not is_video else None) or "png",
        options=taking.rest(),
    )
    return Ordered(model=model, work=work, digest=_digest(model, work, has_seed=seed is not None))


class _Taking:
    """Takes fields one by one; what is left over are options."""

    def __init__(self, fields: dict[str, list[Any]], *, is_form: bool) -> None:
        self._fields = fields
        self._is_form = is_form
        for name, harmless in _AS_EVER.items():
            for value in fields.pop(name, []):
                if value is not None and _plain(value) not in harmless:
                    raise refused(name, f"{name} cannot be {str(value)[:100]!r} here", "unsupported_parameter")
        for name in _OF_NO_EFFECT:
            fields.pop(name, None)

    def one(self, name: str, read: Callable[[str, Any], Any]) -> Any:
        """The value of a field; None: it is not there, or null."""
        values = self._fields.pop(name, [])
        if len(values) > 1:
            raise refused(name, f"{name} is there twice")
        return None if not values or values[0] is None else read(name, values[0])

    def images(self, name: str) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for value in self._fields.pop(name, []):
            for each in value if isinstance(value, list) else [value]:
                if each is not None:
                    found.append(_image(name, each))
        return tuple(found)

    def rest(self) -> dict[str, Any]:
        """What is left. In JSON a text is a text, whatever it looks like."""
        if twice := next((name for name, values in self._fields.items() if len(values) > 1), None):
            raise refused(twice[:_MOST_NAME], f"{twice[:_MOST_NAME]} is there twice")
        left = {name: value for name, (value,) in self._fields.items() if value is not None}
        return {name: _plain(value) for name, value in left.items()} if self._is_form else left


def _of_form(body: bytes, content_type: str) -> dict[str, list[Any]]:
    """Values by field: texts, and bytes where they are files."""
    found: dict[str, list[Any]] = {}
    try:
        for part in read_form(body, content_type):
            value: Any = part.data if part.is_file else part.data.decode()
            found.setdefault(_OTHER_NAMES.get(part.name, part.name), []).append(value)
    except UnicodeDecodeError:
        raise refused(None, "a text of the form is no UTF-8", "invalid_form") from None
    except ValueError as error:
        raise refused(None, f"the body cannot be read: {error}", "invalid_form") from None
    return found


def _of_json(body: bytes, content_type: str) -> dict[str, list[Any]]:
    """Values by field."""
    found: dict[str, list[Any]] = {}
    if sum(map(body.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise refused(None, "the body has too many values", "invalid_json")
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise refused(None, "the body is no JSON, and no form", "invalid_json") from None
    if not isinstance(document, dict):
        raise refused(None, "the body is no JSON object", "invalid_json")
    if len(document) > _MOST_FIELDS:
        raise refused(None, f"the body has more than {_MOST_FIELDS} fields", "invalid_json")
    for name, value in document.items():
        found.setdefault(_OTHER_NAMES.get(str(name), str(name)), []).append(value)
    return found


def _digest(model: str, work: Work, *, has_seed: bool) -> bytes:
    """Of everything that the order says. Raises ``Refused`` for options that are nested too deeply."""
    pictures = [hashlib.sha256(image).hexdigest() for image in work.images]
    said = msgspec.structs.replace(work, images=(), seed=work.seed if has_seed else -1)
    try:
        return hashlib.sha256(_saying.encode((model, pictures, said))).digest()
    except RecursionError:
        raise refused(None, "the body is nested too deeply", "invalid_json") from None


def _plain(value: Any) -> Any:
    """A form's text as the number or the flag that it writes."""
    if not isinstance(value, str):
        return value
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value
    return decoded


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refused(name, f"{name} is no text, or empty")
    return value


def _prompt(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise refused(name, f"{name} is no text")
    if len(value) > MAX_PROMPT_LETTERS:
        raise refused(name, f"{name} is longer than {MAX_PROMPT_LETTERS} letters", "string_above_max_length")
    return value


def _size(name: str, value: Any) -> tuple[int, int] | None:
    if value == "auto":
        return None
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or max(int(match[1]), int(match[2])) > _MAX_SIDE:
        text = f"{name} is written as 1024x768, with sides of up to {_MAX_SIDE}"
        raise refused(name, text, "invalid_size")
    return int(match[1]), int(match[2])


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def read(name: str, value: Any) -> int:
        number = _plain(value)
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise refused(name, f"{name} is no whole number from {least} to {most}")
        return number

    return read


def _number(least: float, most: float) -> Callable[[str, Any], float]:
    def read(name: str, value: Any) -> float:
        number = _plain(value)
        if isinstance(number, bool) or not isinstance(number, int | float) or not least < number <= most:
            raise refused(name, f"{name} is no number over {least:g} and up to {most:g}")
        return float(number)

    return read


def _flag(name: str, value: Any) -> bool:
    flag = _plain(value)
    if not isinstance(flag, bool):
        raise refused(name, f"{name} is neither true nor false")
    return flag


def _format(name: str, value: Any) -> ImageFormat:
    if value not in _FORMATS:
        raise refused(name, f"{name} is one of: {', '.join(_FORMATS)}")
    found: ImageFormat = value
    return found


def _image(name: str, value: Any) -> bytes:
    """A picture: a form's file, or a data URL, alone or as ``image_url``. No address: nothing is fetched from here."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping):
        value = value.get("image_url")
        value = value.get("url") if isinstance(value, Mapping) else value
    head = _DATA_URL.match(value) if isinstance(value, str) else None
    if head is None:
        raise refused(name, f"{name} is no file of the form, and no data URL of a picture", "invalid_image")
    try:
        return base64.b64decode(value[head.end() :], validate=True)
    except binascii.Error:
        raise refused(name, f"{name}: its base64 cannot be read", "invalid_image") from None
