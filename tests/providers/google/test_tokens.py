"""Access tokens: got, kept, renewed before they end, and told to nobody."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import google.auth.jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from safelight.domain.errors import ConfigurationError
from safelight.domain.outcomes import Accepted, Completed, Failed, FailureClass, Pending, Unknown
from safelight.domain.ports import HoldsSecrets
from safelight.outbound.policy import OutboundPolicy
from safelight.providers.google import tokens
from safelight.providers.google.tokens import AuthorizedUser, MetadataServer, ServiceAccount, grant_of
from tests.providers.google.fake import FakeGoogle, private_key, public_key
from tests.providers.google.faults import CANARY_MARK
from tests.providers.google.studio import VIDEO, job, order, provider_of

AUTH, TRANSIENT = FailureClass.AUTH, FailureClass.TRANSIENT
CLOSED = OutboundPolicy()
METADATA = "/computeMetadata/v1/instance/service-accounts/default/token"


def account(**more: Any) -> str:
    facts = {"type": "service_account", "client_email": "a@b", "private_key": private_key(), "private_key_id": "key-1"}
    return json.dumps({name: value for name, value in {**facts, **more}.items() if value is not None})


def asked_for(fake: FakeGoogle) -> int:
    return sum(call.path in ("/token", METADATA) for call in fake.calls)


def test_a_statement_is_as_google_reads_it() -> None:
    grant, project = grant_of(account(), CLOSED)
    assert isinstance(grant, ServiceAccount) and project is None
    now = int(time.time())
    text = grant.assertion(now)
    claims = google.auth.jwt.decode(text, certs={"key-1": public_key()}, audience=tokens.TOKEN_URI)
    assert dict(claims) == {
        "iss": "a@b",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": now,
        "exp": now + 3600,
    }
    assert google.auth.jwt.decode_header(text) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    with pytest.raises(Exception, match="audience"):
        google.auth.jwt.decode(text, certs={"key-1": public_key()}, audience="https://another.example/token")


WAYS = ["service account", "authorized user", "metadata"]


def connection(fake: FakeGoogle, way: str) -> dict[str, Any]:
    """How a connection is told to get its tokens. The metadata server is where nothing is opened but its address."""
    match way:
        case "service account":
            return {}
        case "authorized user":
            return {"credentials": fake.authorized_user(quota_project_id="payer-2")}
        case _:
            return {"metadata": True}


@pytest.mark.parametrize("way", WAYS)
async def test_one_token_for_many_orders_at_once(fake: FakeGoogle, tmp_path: Path, way: str) -> None:
    async with provider_of(fake, "vertex", **connection(fake, way)) as provider:
        orders = (provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3")) for _ in range(8))
        outcomes = await asyncio.gather(*orders)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        assert asked_for(fake) == 1
        assert isinstance(provider, HoldsSecrets) and fake.tokens[0] in provider.secrets
    payer = fake.orders()[-1].headers.get("x-goog-user-project")
    assert payer == ("payer-2" if way == "authorized user" else None)


def test_what_a_token_is_got_with_is_secret() -> None:
    grant, _ = grant_of(account(), CLOSED)
    assert private_key() in grant.secrets
    consent = {"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}
    user, _ = grant_of(json.dumps(consent), CLOSED)
    assert isinstance(user, AuthorizedUser) and user.secrets == ("b", "c")


async def test_a_statement_that_was_sent_is_secret(fake: FakeGoogle, tmp_path: Path) -> None:
    """Whoever has it gets a token with it for an hour, and the endpoint may quote it."""
    fake.token_faults = [(400, {"error": "invalid_grant", "error_description": CANARY_MARK})]
    async with provider_of(fake, "vertex") as provider:
        outcome = await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3"))
        assert isinstance(outcome, Failed) and outcome.answer.words
        assert fake.calls[0].body["assertion"] in provider.secrets


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ((400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}), AUTH),
        ((401, {"error": "invalid_client"}), AUTH),
        ((403, "<html>no</html>"), AUTH),
        ((404, {}), AUTH),
        ((200, {}), AUTH),
        ((200, "<html>Sign in</html>"), AUTH),
        ((200, []), AUTH),
        ((200, {"access_token": 7}), AUTH),
        ((200, {"access_token": ""}), AUTH),
        ((200, {"access_token": "a\nb"}), AUTH),
        ((302, {}), AUTH),
        ((400, {"error": "internal_failure"}), TRANSIENT),
        ((429, {}), TRANSIENT),
        ((500, {"error": 7}), TRANSIENT),
        ((503, "<html>"), TRANSIENT),
    ],
)
async def test_without_a_token_nothing_is_ordered(
    fake: FakeGoogle, tmp_path: Path, fault: tuple[int, Any], reason: FailureClass
) -> None:
    fake.token_faults = [fault]
    async with provider_of(fake, "vertex") as provider:
        outcome = await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3"))
        assert isinstance(outcome, Failed) and outcome.reason is reason, outcome
        assert fake.orders() == []
        again = await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3"))
        assert isinstance(again, Accepted), "it is asked for anew"


async def test_a_token_endpoint_that_is_away(fake: FakeGoogle, tmp_path: Path) -> None:
    credentials = fake.service_account(token_uri="https://127.0.0.1:9/token")
    async with provider_of(fake, "vertex", credentials=credentials) as provider:
        outcome = await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3"))
    assert isinstance(outcome, Failed) and outcome.reason is TRANSIENT


async def test_a_job_outlives_a_token_that_cannot_be_got(fake: FakeGoogle, tmp_path: Path) -> None:
    async with provider_of(fake, "vertex") as provider:
        asked = job(tmp_path, VIDEO, "veo-3")
        taken = await provider.submit(order(VIDEO), asked)
        assert isinstance(taken, Accepted)
        fake.revoked.add(fake.tokens[-1])
        fake.token_faults = [(400, {"error": "invalid_grant"})]
        answers = [await provider.poll(taken.handle, asked) for _ in range(3)]
    assert [type(answer) for answer in answers] == [Unknown, Unknown, Completed]


async def test_a_token_that_is_taken_no_more_is_exchanged(fake: FakeGoogle, tmp_path: Path) -> None:
    async with provider_of(fake, "vertex") as provider:
        fake.is_held = True
        first, second, third = [job(tmp_path, VIDEO, "veo-3", id_=f"req-{number}") for number in range(3)]
        assert isinstance(await provider.submit(order(VIDEO), first), Accepted)
        fake.revoked.add(fake.tokens[-1])
        outcome = await provider.submit(order(VIDEO), second)
        assert isinstance(outcome, Failed) and outcome.reason is TRANSIENT, "another token may be taken"
        taken = await provider.submit(order(VIDEO), third)
        assert isinstance(taken, Accepted) and isinstance(await provider.poll(taken.handle, third), Pending)
    assert len(fake.tokens) == 2


async def test_each_order_under_way_with_a_token_that_is_taken_no_more_is_told_so(
    fake: FakeGoogle, tmp_path: Path
) -> None:
    async with provider_of(fake, "vertex") as provider:
        assert isinstance(await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3")), Accepted)
        fake.revoked.add(fake.tokens[-1])
        orders = [provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3", id_=f"req-{n}")) for n in range(3)]
        outcomes = await asyncio.gather(*orders)
        assert [outcome.reason for outcome in outcomes if isinstance(outcome, Failed)] == [TRANSIENT] * 3
        # A metadata server gives the same one for a while: then it is a matter of rights.
        fake.revoked.add("same")
        fake.token_faults = [(200, {"access_token": "same", "expires_in": 3600})] * 2
        again = [await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3")) for _ in range(2)]
    assert [outcome.reason for outcome in again if isinstance(outcome, Failed)] == [AUTH] * 2


async def test_a_token_is_secret_for_as_long_as_it_may_be_good(
    fake: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that does not say so, and is exchanged every half minute while an order is under way with it."""
    now = 1000.0
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    fake.lifetime_seconds = "3600"
    async with provider_of(fake, "vertex") as provider:
        for number in range(20):
            now += 31
            assert isinstance(
                await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3", id_=f"req-{number}")), Accepted
            )
        assert len(fake.tokens) == 20 and set(fake.tokens) <= set(provider.secrets)
        now += 3600
        assert isinstance(await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3")), Accepted)
        assert set(fake.tokens) & set(provider.secrets) == {fake.tokens[-1]}
    assert len(set(fake.tokens)) == 21


async def test_a_token_that_was_never_taken_is_a_matter_of_rights(fake: FakeGoogle, tmp_path: Path) -> None:
    async with provider_of(fake, "vertex") as provider:
        fake.behave("unauthenticated")
        outcome = await provider.submit(order(VIDEO), job(tmp_path, VIDEO, "veo-3"))
    assert isinstance(outcome, Failed) and outcome.reason is AUTH


@pytest.mark.parametrize(
    ("lasts", "after", "asked"),
    [
        (3600, 3200, 1),
        (3600, 3400, 2),
        (100, 45, 1),
        (100, 55, 2),
        (None, 20, 1),
        (None, 40, 2),
        ("odd", 40, 2),
        (10**400, 20, 1),
        (10**400, 40, 2),
    ],
)
async def test_a_token_is_renewed_before_it_ends(
    fake: FakeGoogle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasts: Any, after: float, asked: int
) -> None:
    now = 1000.0
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    fake.lifetime_seconds = lasts
    async with provider_of(fake, "vertex") as provider:
        assert provider._tokens is not None
        await provider._tokens.get()
        now += after
        await provider._tokens.get()
    assert asked_for(fake) == asked


async def test_a_token_is_used_to_its_end_where_no_other_is_to_be_had(
    fake: FakeGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now)
    async with provider_of(fake, "vertex") as provider:
        assert provider._tokens is not None
        first = await provider._tokens.get()
        fake.token_faults = [(503, {}), (503, {})]
        now += 3500
        assert await provider._tokens.get() == first
        now += 101
        assert isinstance(await provider._tokens.get(), Failed)


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ("not JSON", "service account"),
        ("[]", "service account"),
        (json.dumps({"type": "external_account"}), "metadata_url"),
        (account(client_email=None), "client_email"),
        (account(private_key="-----BEGIN"), "PEM"),
        (account(private_key=7), "private_key"),
        (account(token_uri="http://oauth2.example/token"), "https"),
        (account(token_uri="file:///etc/passwd"), "https"),
        (account(token_uri=7), "https"),
        (account(token_uri="https://[::1"), "https"),
        (json.dumps({"type": "authorized_user", "client_id": "a", "client_secret": "b"}), "refresh_token"),
    ],
)
def test_credentials_that_are_none_are_refused_without_quoting_them(credentials: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        grant_of(credentials, CLOSED)
    assert refused.value.message.startswith("credentials: ") and "BEGIN" not in refused.value.message


def test_another_kind_of_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    with pytest.raises(ConfigurationError, match="RSA"):
        grant_of(account(private_key=pem), CLOSED)


async def test_a_metadata_server_is_one_of_googles(fake: FakeGoogle) -> None:
    """Whatever else answers at that address may hand out a token of its own: it is not taken."""
    server = MetadataServer(f"{fake.base_url}")
    server._url = f"{fake.base_url}/cdn/token"
    access = tokens.AccessTokens(server)
    outcome = await access.get()
    assert isinstance(outcome, Failed) and "no metadata server" in outcome.detail
    await access.close()
