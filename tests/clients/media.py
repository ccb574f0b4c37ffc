"""What a client got: pictures and clips, measured; and what it cost."""

from __future__ import annotations

import base64
import io
from decimal import Decimal
from pathlib import Path

import av
import pyvips

from tests.contract.accounts import Account

Picture = tuple[str, int, int]


def picture(content: bytes) -> Picture:
    """The format, the width and the height that libvips finds."""
    image = pyvips.Image.new_from_buffer(content, "")
    return str(image.get("vips-loader")).removesuffix("load_buffer"), image.width, image.height


def encoded_picture(content: str) -> Picture:
    """As ``picture``, of base64."""
    return picture(base64.b64decode(content, validate=True))


def clip(content: bytes | Path) -> tuple[int, int, int]:
    """The width, the height and the whole seconds of an MP4."""
    with av.open(str(content) if isinstance(content, Path) else io.BytesIO(content)) as container:
        assert "mp4" in container.format.name
        stream = container.streams.video[0]
        return stream.width, stream.height, round(float(stream.duration * stream.time_base))


def spent(account: Account) -> Decimal:
    """US dollars that a workspace which began with 1000 has spent."""
    with account.http() as http:
        return Decimal(1000) - Decimal(http.get("/v2/billing/balance").json()["balance"])


def statuses(account: Account) -> set[str]:
    """How the generations of a workspace stand, those of its first page."""
    with account.http() as http:
        return {each["status"] for each in http.get("/v2/generations").json()["data"]}
