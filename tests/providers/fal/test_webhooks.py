"""fal's callbacks are told from anybody else's, and what is forged costs nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safelight.domain.ports import Callback
from safelight.providers.fal.provider import FalProvider
from safelight.providers.fal.webhooks import SigningKeys, keys_in
from tests.providers.fal.fake import FakeFal, Work
from tests.providers.fal.studio import open_provider

WORK = Work(id="019a-1", model="m", word="a", webhook=None)


def callback(headers: dict[str, str], body: bytes) -> Callback:
    return Callback(job_id="req-1", headers=headers, body=body)


async def test_its_own_word_is_news(fake: FakeFal, provider: FalProvider) -> None:
    for _ in range(3):
        assert await provider.hint(callback(*fake.callback(WORK)))
    assert fake.fetches == 1, "its keys are kept"
    asked = next(each for each in fake.asked if each.path == "/.well-known/jwks.json")
    assert asked.method == "GET"


@pytest.mark.parametrize("name", ["request-id", "user-id", "timestamp", "signature"])
@pytest.mark.parametrize("value", [None, "", "x", "00" * 64, "é", "9" * 30])
async def test_a_header_that_is_missing_or_another_is_no_news(
    fake: FakeFal, provider: FalProvider, name: str, value: str | None
) -> None:
    headers, body = fake.callback(WORK)
    given = {**headers, f"x-fal-webhook-{name}": value}
    assert not await provider.hint(callback({key: each for key, each in given.items() if each is not None}, body))


@pytest.mark.parametrize("seconds", [-400, 400, -(10**9)])
async def test_what_is_too_old_or_of_tomorrow_is_no_news(fake: FakeFal, provider: FalProvider, seconds: int) -> None:
    assert not await provider.hint(callback(*fake.callback(WORK, sent_at=time.time() + seconds)))
    assert fake.fetches == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"request_id": 7}', b"[" * 100_000, b'"a"'])
async def test_another_body_is_no_news(fake: FakeFal, provider: FalProvider, body: bytes) -> None:
    headers, signed = fake.callback(WORK)
    assert not await provider.hint(callback(headers, body))
    assert not await provider.hint(callback(headers, signed + b" "))


async def test_what_is_forged_costs_one_request_in_all(fake: FakeFal, provider: FalProvider) -> None:
    headers, body = fake.callback(WORK)
    forged = {**headers, "x-fal-webhook-signature": "ab" * 64}
    assert not any([await provider.hint(callback(forged, body)) for _ in range(20)])
    assert fake.fetches == 1
    assert await provider.hint(callback(headers, body)), "and hides nothing that is genuine"


@pytest.mark.parametrize(
    "keys", [500, {"keys": []}, {"keys": None}, [], "x", {"keys": [{"x": "AAAA"}, 7, {"x": None}]}]
)
async def test_without_its_keys_nothing_is_news(fake: FakeFal, provider: FalProvider, keys: Any) -> None:
    fake.keys = keys
    assert not await provider.hint(callback(*fake.callback(WORK)))


async def test_nobody_there_to_tell_the_keys_is_no_surprise(fake: FakeFal) -> None:
    provider = open_provider(fake, jwks_url="http://127.0.0.1:9/jwks.json")
    assert not await provider.hint(callback(*fake.callback(WORK)))
    await provider.close()


class _Publisher:
    """Publishes ``document`` by a clock of its own."""

    def __init__(self) -> None:
        self.now, self.fetches, self.document = 0.0, 0, None
        self.keys = SigningKeys(self._fetch, lambda: self.now)

    async def _fetch(self) -> Any:
        self.fetches += 1
        return self.document

    async def takes(self, signer: Ed25519PrivateKey) -> bool:
        body = b"{}"
        message = "\n".join(["a", "b", "1000", hashlib.sha256(body).hexdigest()]).encode()
        named = {"request-id": "a", "user-id": "b", "timestamp": "1000", "signature": signer.sign(message).hex()}
        headers = {f"x-fal-webhook-{name}": value for name, value in named.items()}
        return await self.keys.signed(callback(headers, body), 1000)


def published(*signers: Ed25519PrivateKey) -> Any:
    keys = [base64.urlsafe_b64encode(each.public_key().public_bytes_raw()).decode() for each in signers]
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in keys]}


async def test_a_new_key_is_fetched_but_not_for_every_call() -> None:
    old, new, publisher = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), _Publisher()
    publisher.document = published(old)
    assert await publisher.takes(old)
    publisher.document = published(new, old)
    assert not await publisher.takes(new), "the keys were fetched just now"
    publisher.now += 301
    assert await publisher.takes(new) and await publisher.takes(old)
    assert publisher.fetches == 2


async def test_keys_that_cannot_be_fetched_again_are_good_for_a_day() -> None:
    signer, publisher = Ed25519PrivateKey.generate(), _Publisher()
    publisher.document = published(signer)
    assert await publisher.takes(signer)
    publisher.document = None
    publisher.now += 23 * 3600
    assert not await publisher.takes(Ed25519PrivateKey.generate())
    assert await publisher.takes(signer)
    publisher.now += 3600
    assert not await publisher.takes(signer)


def test_keys_are_read_with_padding_and_without() -> None:
    signer = Ed25519PrivateKey.generate()
    document = published(signer)
    (key,) = keys_in(document)
    document["keys"][0]["x"] = document["keys"][0]["x"].rstrip("=")
    assert keys_in(document) == (key,)
    document["keys"][0]["crv"] = "X25519"
    assert keys_in(document) == ()
    assert keys_in(json.loads('{"keys": {"a": 1}}')) == ()
