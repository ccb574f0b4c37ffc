"""Tells fal's callbacks from anybody else's: Ed25519 over four lines, by one of the keys that it publishes.

The lines are the request's id, the user's id, the time in seconds, and the SHA-256 of the body in hexadecimal digits.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from safelight.domain.ports import Callback

_TOLERANCE_SECONDS = 300
_KEYS_LAST_SECONDS = 24 * 3600.0
_REFETCH_SECONDS = 300.0
"""Keys are fetched no oftener, whatever comes: what is forged costs no more than that."""
_MOST_KEYS = 16
_SIGNED = ("request-id", "user-id", "timestamp")

log = structlog.get_logger()


class SigningKeys:
    """The keys as they were last fetched. ``fetch`` gives the published document, or None; it raises nothing."""

    def __init__(self, fetch: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[Ed25519PublicKey, ...] = ()
        self._fetched_at = self._asked_at = -_KEYS_LAST_SECONDS
        self._lock = asyncio.Lock()

    async def signed(self, callback: Callback, now: float) -> bool:
        """Whether fal signed it, within five minutes of ``now`` (seconds since 1970)."""
        read = _signature_of(callback, now)
        if read is None:
            return False
        message, signature = read
        if self._clock() - self._fetched_at < _KEYS_LAST_SECONDS and self._verify(message, signature):
            return True
        async with self._lock:
            await self._refresh()
        return self._verify(message, signature)

    def _verify(self, message: bytes, signature: bytes) -> bool:
        for key in self._keys:
            try:
                key.verify(signature, message)
            except InvalidSignature:
                continue
            return True
        return False

    async def _refresh(self) -> None:
        now = self._clock()
        if now - self._asked_at < _REFETCH_SECONDS:
            return
        self._asked_at = now
        keys = keys_in(await self._fetch())
        if keys:
            self._keys, self._fetched_at = keys, now
        else:
            log.warning("no keys to verify callbacks with", vendor="fal")
            if now - self._fetched_at >= _KEYS_LAST_SECONDS:
                self._keys = ()


def keys_in(document: Any) -> tuple[Ed25519PublicKey, ...]:
    """The Ed25519 keys of a JWKS (RFC 7517, RFC 8037); with padding, too, as fal writes them."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found = []
    for entry in entries[:_MOST_KEYS] if isinstance(entries, list) else ():
        x = entry.get("x") if isinstance(entry, dict) else None
        if not isinstance(x, str) or entry.get("crv", "Ed25519") != "Ed25519":
            continue
        try:
            raw = base64.urlsafe_b64decode(x.rstrip("=") + "=" * (-len(x.rstrip("=")) % 4))
            found.append(Ed25519PublicKey.from_public_bytes(raw))
        except (ValueError, binascii.Error):
            continue
    return tuple(found)


def _signature_of(callback: Callback, now: float) -> tuple[bytes, bytes] | None:
    """What was signed, and the signature; None where either is missing, malformed or too old."""
    given: Mapping[str, str] = callback.headers
    parts = [given.get(f"x-fal-webhook-{name}", "") for name in _SIGNED]
    timestamp = parts[-1]
    if not all(parts) or not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        return None
    if abs(now - int(timestamp)) > _TOLERANCE_SECONDS:
        return None
    try:
        signature = bytes.fromhex(given.get("x-fal-webhook-signature", ""))
    except ValueError:
        return None
    if len(signature) != 64:
        return None
    return "\n".join([*parts, hashlib.sha256(callback.body).hexdigest()]).encode(), signature
