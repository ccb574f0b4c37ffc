"""Reading ``data:`` URLs strictly (RFC 2397, base64 of RFC 4648 section 4), within a size known beforehand."""

from __future__ import annotations

import base64
import binascii
import re

from safelight.domain.errors import InvalidParameter
from safelight.domain.media import MimeType, read_mime_type
from safelight.domain.text import quoted

MAX_IMAGE_BYTES = 10 * 1024 * 1024
"""The most bytes a reference image may have, decoded from base64 or fetched."""

_HEAD = re.compile(r"data:([^,]*);base64,", re.IGNORECASE | re.ASCII)
_LONGEST_HEAD = 200  # of a type with parameters, such as ``;charset=utf-8`` or ``;name=...``
_EXAMPLE = "data:image/png;base64,..."
_WANTED = "A data URL must be a base64 PNG, JPEG or WebP image"


def is_data_url(url: str) -> bool:
    """Whether ``url`` has the ``data`` scheme, in any letter case."""
    return url[:5].lower() == "data:"


def parse_data_url(url: str, param: str) -> tuple[MimeType, bytes]:
    """The declared type and the bytes of a base64 image.

    The decoded size is known from the text's length, so one that is too large is refused before anything of
    its size is allocated. Raises ``InvalidParameter`` naming ``param``.
    """
    head = _HEAD.match(url[:_LONGEST_HEAD])
    if head is None:
        raise InvalidParameter(f"{_WANTED}: start it with '{_EXAMPLE}'.", param=param)
    mime_type = read_mime_type(head[1])
    if mime_type is None or not mime_type.startswith("image/"):
        named = quoted(head[1].partition(";")[0].strip())
        raise InvalidParameter(f"{_WANTED}, not {named}: start it with '{_EXAMPLE}'.", param=param)
    start = head.end()
    if decoded_size_bytes(url, start) > MAX_IMAGE_BYTES:
        raise InvalidParameter("The image is over the limit of 10 MiB.", param=param)
    data = _decode(url[start:])
    if data is None:
        raise InvalidParameter("The data URL is not valid base64 (RFC 4648, padded).", param=param)
    if not data:
        raise InvalidParameter("The data URL holds no image.", param=param)
    return mime_type, data


def decoded_size_bytes(url: str, start: int) -> int:
    """Bytes that the base64 from ``start`` on decodes to, from its length and padding alone."""
    length = len(url) - start
    if length <= 0:
        return 0
    padding = 2 if url.endswith("==") else 1 if url.endswith("=") else 0
    return -(-length // 4) * 3 - padding


def _decode(text: str) -> bytes | None:
    if len(text) % 4 or not text.isascii():
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # Bits left over in the last letter must be zero (RFC 4648 section 3.5): one image, one spelling.
    if base64.b64encode(data[-(len(data) % 3 or 3) :]).decode() != text[-4:]:
        return None
    return data


def looks_like_bare_base64(url: str) -> bool:
    """Whether ``url`` seems to be an image's base64 that lacks its ``data:`` prefix."""
    return len(url) >= 64 and re.fullmatch(r"[A-Za-z0-9+/\s]{64}", url[:64]) is not None


def bare_base64_refused(param: str) -> InvalidParameter:
    """What a client is told who sent base64 without the prefix."""
    return InvalidParameter(f"Bare base64 is not accepted: prefix it with its type, as in '{_EXAMPLE}'.", param=param)
