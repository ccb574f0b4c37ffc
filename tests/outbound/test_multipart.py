"""Forms as common clients write them: read back by another's reader."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from safelight.outbound.multipart import FilePart, multipart


def parts_of(body: bytes, content_type: str) -> list[Message]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    return [part for part in message.get_payload() if isinstance(part, Message)]


def test_a_form_is_read_as_it_was_written() -> None:
    files = [FilePart("image[]", f"{at}.png", "image/png", bytes([at, 13, 10]) * 9_000) for at in range(2)]
    text, *pictures = parts_of(*multipart([("prompt", "a f\u00f8x\r\n--\r\nin snow")], files))
    assert text.get_param("name", header="content-disposition") == "prompt"
    assert text.get_payload(decode=True) == "a f\u00f8x\r\n--\r\nin snow".encode()
    for part, file in zip(pictures, files, strict=True):
        assert part.get_param("name", header="content-disposition") == "image[]"
        assert (part.get_filename(), part.get_content_type()) == (file.name, file.mime_type)
        assert part.get_payload(decode=True) == file.data


def test_a_text_has_no_type_of_its_own_and_a_name_starts_no_line() -> None:
    body, _ = multipart([('a "name"\r\nX-Injected: 1', "4")])
    assert b"Content-Type" not in body and b"\nX-Injected" not in body
