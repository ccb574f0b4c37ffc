"""Secrets and signatures, by the section "Verifying webhook authenticity" of the Standard Webhooks specification.

A secret is ``whsec_`` and the base64 of 24 to 64 random bytes. A signature is ``v1,`` and the base64 of an HMAC-SHA256
over ``id.timestamp.body``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from safelight.domain.errors import InvalidParameter

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def read_secret(secret: str) -> bytes:
    """The key in a secret. Raises ``InvalidParameter`` without repeating it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise InvalidParameter(
            f"A webhook secret is {_PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} bytes in base64.", param="secret"
        )
    return key


def signed_headers(event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt: a signature for each secret, the newest first. ``timestamp`` is in Unix seconds."""
    content = f"{event_id}.{timestamp}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(_signature(read_secret(secret), content) for secret in secrets),
    }


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
