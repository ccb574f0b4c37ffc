"""Whose word a call back is: signed by the vendor, as Standard Webhooks has it, and lately."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted
from safelight.domain.ports import Callback
from safelight.providers.replicate import callbacks
from safelight.providers.replicate.provider import KIND, ReplicateProvider
from tests.providers.replicate.fake import SECRET, FakeReplicate
from tests.providers.replicate.studio import catalog, host, job, opened, order

OTHER = "whsec_" + base64.b64encode(b"another key of thirty-two bytes.").decode()


async def sent(fake: FakeReplicate, provider: ReplicateProvider, **facts: Any) -> Callback:
    """The webhook of a prediction that was ordered."""
    assert isinstance(await provider.submit(order(), job()), Accepted)
    headers, body = fake.webhook(fake.newest(), datetime.now(UTC) - facts.get("late", timedelta()))
    return Callback(job_id="req-1", headers={**headers, **facts.get("headers", {})}, body=facts.get("body", body))


def asked_for_key(fake: FakeReplicate) -> int:
    return len(fake.asked(path="/v1/webhooks"))


async def test_the_key_is_asked_for_once_and_is_a_secret(fake: FakeReplicate) -> None:
    async with opened(fake, callbacks=True) as provider:
        callback = await sent(fake, provider)
        assert provider.secrets == ()
        assert await provider.hint(callback) and await provider.hint(callback)
        assert provider.secrets == (SECRET, SECRET.removeprefix("whsec_"))
    assert asked_for_key(fake) == 1


async def test_a_key_that_the_connection_has_is_not_asked_for(fake: FakeReplicate) -> None:
    async with opened(fake, callbacks=True, webhook_key="env:HOOK_KEY") as provider:
        callback = await sent(fake, provider)
        assert await provider.hint(callback)
        fake.secret = OTHER
        assert not await provider.hint(await sent(fake, provider))
    assert asked_for_key(fake) == 0


async def test_a_connection_without_callbacks_listens_to_nobody(fake: FakeReplicate) -> None:
    async with opened(fake) as provider:
        assert not await provider.hint(await sent(fake, provider))
    assert asked_for_key(fake) == 0


FORGED: list[dict[str, Any]] = [
    {"body": b"[]"},
    {"body": b""},
    {"body": b"\xff"},
    {"body": b'{"id": "p", "status": "succeeded"}'},
    {"headers": {"webhook-signature": ""}},
    {"headers": {"webhook-signature": "v1,bm90aGluZw=="}},
    {"headers": {"webhook-signature": "v1, v1 ,,, \udcff"}},
    {"headers": {"webhook-id": "msg_2"}},
    {"headers": {"webhook-id": ""}},
    {"headers": {"webhook-timestamp": "1"}},
    {"headers": {"webhook-timestamp": "now"}},
    {"headers": {"webhook-timestamp": "9" * 400}},
    {"headers": {"webhook-timestamp": ""}},
    {"late": timedelta(minutes=6)},
    {"late": timedelta(minutes=-6)},
]


@pytest.mark.parametrize("facts", FORGED)
async def test_what_is_not_signed_by_it_lately_is_no_news(fake: FakeReplicate, facts: dict[str, Any]) -> None:
    async with opened(fake, callbacks=True, webhook_key="env:HOOK_KEY") as provider:
        assert not await provider.hint(await sent(fake, provider, **facts))
        assert not await provider.hint(Callback(job_id="req-1", headers={}, body=b"{}"))


async def test_forged_calls_do_not_make_it_ask_and_ask(fake: FakeReplicate) -> None:
    fake.secrets_get = [500]
    async with opened(fake, callbacks=True) as provider:
        callback = await sent(fake, provider)
        for _ in range(5):
            assert not await provider.hint(callback)
        assert not await provider.hint(Callback(job_id="req-1", headers={}, body=callback.body))
    assert asked_for_key(fake) == 1, "a failed question is not put again at once"


async def test_a_key_that_was_changed_is_asked_for_anew(fake: FakeReplicate, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(fake, callbacks=True) as provider:
        assert await provider.hint(await sent(fake, provider))
        fake.secret = OTHER
        changed = await sent(fake, provider)
        assert not await provider.hint(changed), "too soon"
        monkeypatch.setattr(callbacks, "_ASKED_AGAIN_SECONDS", 0.0)
        assert await provider.hint(changed)
        assert provider.secrets[0] == OTHER
    assert asked_for_key(fake) == 2


async def test_a_key_that_is_none_is_no_key(fake: FakeReplicate) -> None:
    fake.secret = "whsec_"
    async with opened(fake, callbacks=True) as provider:
        assert isinstance(await provider.submit(order(), job()), Accepted)
        fake.secret, given = SECRET, fake.secret
        headers, body = fake.webhook(fake.newest())
        fake.secret = given
        assert not await provider.hint(Callback(job_id="req-1", headers=headers, body=body))


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_%%", ""])
def test_a_connections_key_that_is_none_is_told(fake: FakeReplicate, secret: str) -> None:
    declared = catalog(fake.connection(webhook_key="env:HOOK_KEY"))
    with pytest.raises(ConfigurationError, match="webhook_key") as told:
        KIND.open(declared.connections["replicate"].settings, host(HOOK_KEY=secret))
    assert not secret or secret not in str(told.value).replace("whsec_ and", "")
