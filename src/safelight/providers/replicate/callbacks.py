"""Tells the vendor's webhooks from anybody else's, by the section "Verifying signatures" of Standard Webhooks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time

import msgspec

from safelight.domain.errors import ConfigurationError
from safelight.domain.ports import Callback
from safelight.outbound.backend_api import BackendApi, Reply
from safelight.providers.replicate.predictions import Prediction

_PREFIX = "whsec_"
_TOLERANCE_SECONDS = 300
_ASKED_AGAIN_SECONDS = 300.0
"""The API is asked for the key no oftener, whatever is sent here."""
_SECONDS = 10.0
_MOST_SIGNATURES = 16


class _Secret(msgspec.Struct, frozen=True):
    key: str


class Signatures:
    """The account's signing key: as the connection says, or else asked for when the first webhook comes.

    One that was asked for and does not fit any more is asked for anew. Raises ``ConfigurationError`` for a ``secret``
    that is none.
    """

    def __init__(self, api: BackendApi, secret: str | None) -> None:
        if secret is not None and _key_in(secret) is None:
            raise ConfigurationError("webhook_key: a signing key is whsec_ and base64. Correct it.")
        self._api = api
        self._secret = secret
        self._is_given = secret is not None
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        if self._secret is None:
            return ()
        return self._secret, self._secret.removeprefix(_PREFIX)

    async def is_news(self, callback: Callback) -> bool:
        """Whether it is a prediction that the vendor sent, and lately."""
        headers = callback.headers
        name, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or not _is_fresh(sent_at) or not _is_prediction(callback.body):
            return False
        content = f"{name}.{sent_at}.".encode("utf-8", "replace") + callback.body
        signatures = headers.get("webhook-signature", "").split()[:_MOST_SIGNATURES]
        if not signatures:
            return False
        if self._fits(signatures, content):
            return True
        return await self._ask() and self._fits(signatures, content)

    def _fits(self, signatures: list[str], content: bytes) -> bool:
        key = None if self._secret is None else _key_in(self._secret)
        if key is None:
            return False
        expected = b"v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
        return any(hmac.compare_digest(each.encode("utf-8", "replace"), expected) for each in signatures)

    async def _ask(self) -> bool:
        """Whether there is another key now than before."""
        if self._is_given:
            return False
        before = self._secret
        async with self._asking:
            if self._secret != before:
                return True
            now = time.monotonic()
            if self._asked_at is not None and now - self._asked_at < _ASKED_AGAIN_SECONDS:
                return False
            self._asked_at = now
            reply = await self._api.call("GET", "/webhooks/default/secret", deadline_seconds=_SECONDS)
            found = reply.read(msgspec.json.Decoder(_Secret)) if isinstance(reply, Reply) and reply.is_ok else None
            if found is None or _key_in(found.key) is None or found.key == before:
                return False
            self._secret = found.key
            return True


def _key_in(secret: str) -> bytes | None:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if secret.startswith(_PREFIX) and key else None


def _is_fresh(sent_at: str) -> bool:
    if not sent_at.isascii() or not sent_at.isdecimal() or len(sent_at) > 12:
        return False
    return abs(time.time() - int(sent_at)) <= _TOLERANCE_SECONDS


def _is_prediction(body: bytes) -> bool:
    try:
        told = msgspec.json.decode(body, type=Prediction)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return told.is_known and bool(told.word)
