"""Reading a form: ``multipart/form-data`` (RFC 7578), strictly."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from io import BytesIO

import msgspec
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, MultipartParser, MultipartState, parse_options_header
from starlette.requests import Request

from safelight.api.bodies import MAX_BODY_BYTES, read_aside, receive_body
from safelight.domain.errors import InvalidParameter
from safelight.domain.text import cut
from safelight.media.sniff import FIRST_BYTES, sniff

MAX_PARTS = 64
_FORM = b"multipart/form-data"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part. ``filename`` is None of a field, and a name, perhaps an empty one, of a file."""

    name: str
    filename: str | None
    content_type: str
    data: bytes


class Form(msgspec.Struct, frozen=True):
    """The parts, in the order in which they came."""

    parts: tuple[Part, ...]

    def texts(self) -> dict[str, str]:
        """The fields. Raises ``InvalidParameter`` for one that comes twice, or is not text."""
        texts: dict[str, str] = {}
        for part in self.parts:
            if part.filename is not None:
                continue
            if part.name in texts:
                raise InvalidParameter(f"{cut(part.name)} is given twice. Send it once.", param=cut(part.name))
            try:
                text = part.data.decode("utf-8")
            except UnicodeDecodeError:
                raise InvalidParameter(f"{cut(part.name)} is not UTF-8.", param=cut(part.name)) from None
            if "\0" in text:
                raise InvalidParameter(f"{cut(part.name)} has a NUL character. Remove it.", param=cut(part.name))
            texts[part.name] = text
        return texts

    def files(self) -> list[Part]:
        """The files. A browser sends one that was not chosen as an empty file without a name: it is none."""
        return [part for part in self.parts if part.filename is not None and (part.filename or part.data)]

    def digest(self) -> bytes:
        """SHA-256 of what the parts are: not of what lies between them, which a client makes up anew at each repeat."""
        digest = hashlib.sha256()
        for part in self.parts:
            for fact in (part.name, "-" if part.filename is None else f"+{part.filename}", part.content_type):
                digest.update(b"%d:%b" % (len(encoded := fact.encode("utf-8", "surrogatepass")), encoded))
            digest.update(hashlib.sha256(part.data).digest())
        return digest.digest()


def data_url_of(file: Part, param: str) -> str:
    """A picture that came as a file, as the address that holds it. What it is, its first bytes say: clients often do
    not. Raises ``InvalidParameter``."""
    mime_type = sniff(file.data[:FIRST_BYTES])
    if mime_type is None or not mime_type.startswith("image/"):
        raise InvalidParameter(f"{cut(file.filename or 'The file')} is no PNG, JPEG or WebP image.", param=param)
    return f"data:{mime_type};base64,{base64.b64encode(file.data).decode()}"


def is_form(request: Request) -> bool:
    """Whether the body is a form, by its own word."""
    content_type, _ = parse_options_header(request.headers.get("content-type"))
    return content_type.lower() == _FORM


async def read_form(request: Request) -> tuple[Form, bytes]:
    """The form, and its digest. Raises ``InvalidParameter``, and what ``receive_body`` raises."""
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidParameter("The form's boundary is missing. Send it in Content-Type.", param="Content-Type")
    raw = await receive_body(request)
    return await read_aside(len(raw), partial(_parsed, raw, boundary))


def _parsed(raw: bytes, boundary: bytes) -> tuple[Form, bytes]:
    parts: list[Part] = []

    def on_field(field: Field) -> None:
        take(field.field_name, None, field.content_type, field.value or b"")

    def on_file(file: File) -> None:
        assert isinstance(file.file_object, BytesIO), "none is larger than what is kept in memory"
        data = file.file_object.getvalue()  # which is not copied
        file.close()
        take(file.field_name, _text(file.file_name or b""), file.content_type, data)

    def take(name: bytes | None, filename: str | None, content_type: str | None, data: bytes) -> None:
        if len(parts) == MAX_PARTS:
            raise InvalidParameter(f"The form has more than {MAX_PARTS} parts. Send fewer.")
        parts.append(
            Part(name=_text(name or b""), filename=filename, content_type=(content_type or "").lower(), data=data)
        )

    _check_boundaries(raw, b"\r\n--" + boundary)
    try:
        parser = FormParser(
            _FORM.decode(), on_field, on_file, boundary=boundary, config={"MAX_MEMORY_FILE_SIZE": MAX_BODY_BYTES + 1}
        )
        parser.write(raw)
        parser.finalize()
    except FormParserError:
        raise InvalidParameter("The body is not a form (RFC 7578). Send multipart/form-data.") from None
    if not isinstance(parser.parser, MultipartParser) or parser.parser.state != MultipartState.END:
        raise InvalidParameter("The form ends before its last part does. Send all of it.")
    form = Form(tuple(parts))
    return form, form.digest()


def _check_boundaries(raw: bytes, boundary: bytes) -> None:
    """Refuse what the parser would walk through byte by byte: for 25 MiB that takes it many seconds.

    No part contains its boundary, and nobody pads one, though a receiver may be asked to bear it (RFC 2046, 5.1.1).
    """
    if raw.count(boundary) > MAX_PARTS + 1:
        raise InvalidParameter(f"The form has more than {MAX_PARTS} parts. Send fewer.")
    if boundary + b" " in raw or boundary + b"\t" in raw:
        raise InvalidParameter("A boundary of the form ends with a space. Send none.")


def _text(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidParameter("The name of a part is not UTF-8.") from None
