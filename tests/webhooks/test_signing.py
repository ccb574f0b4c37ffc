"""Signatures and the schedule, against the specification and an independent implementation."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from safelight.domain.errors import InvalidParameter
from safelight.telemetry.logs import redact_text
from safelight.webhooks.schedule import DELAYS_SECONDS, MAX_RETRY_AFTER_SECONDS, next_delay_seconds
from safelight.webhooks.signing import new_secret, read_secret, signed_headers

BODY = '{"type":"generation.completed","data":{"prompt":"ein Kännchen 🫖"}}'.encode()
NOW = datetime(2026, 5, 2, 12, 30, tzinfo=UTC)


def test_an_independent_implementation_verifies_the_signature() -> None:
    secret = new_secret()
    headers = signed_headers("evt_1", int(time.time()), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers)["type"] == "generation.completed"
    for spoilt in (
        {**headers, "webhook-id": "evt_2"},
        {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
        signed_headers("evt_1", int(time.time()), BODY, [new_secret()]),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, spoilt)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"completed", b"xompleted"), headers)


def test_while_a_secret_rotates_both_verify() -> None:
    new, old = new_secret(), new_secret()
    headers = signed_headers("evt_1", int(time.time()), BODY, [new, old])
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(new).verify(BODY, headers) == Webhook(old).verify(BODY, headers)


def test_the_signature_is_that_of_a_known_answer() -> None:
    # Made with `openssl dgst -sha256 -mac HMAC`, from the example in the specification.
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    headers = signed_headers("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1674087231, b'{"foo":"bar"}', [secret])
    assert headers["webhook-signature"] == "v1,6liM2arHZBlS2BApIBOOXm/0lq/wocR7t71fKrgRue8="


def test_secrets_are_of_the_length_that_the_specification_gives() -> None:
    assert len(read_secret(new_secret())) == 32
    assert new_secret() != new_secret()
    for length in (24, 64):
        assert len(read_secret("whsec_" + base64.b64encode(bytes(length)).decode())) == length
    for wrong in (
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_not base64",
        "",
    ):
        with pytest.raises(InvalidParameter) as caught:
            read_secret(wrong)
        assert not wrong or wrong not in str(caught.value)


def test_no_log_line_shows_a_secret() -> None:
    secret = new_secret()
    assert redact_text(f"with {secret} it") == "with whsec_*** it"


def test_the_schedule_is_the_specification_s_and_ends() -> None:
    assert DELAYS_SECONDS == (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    for attempts, delay in enumerate(DELAYS_SECONDS):
        waits = [next_delay_seconds(attempts) for _ in range(200)]
        assert all(wait is not None and delay <= wait <= delay * 1.1 for wait in waits)
        assert delay == 0 or len(set(waits)) > 1, "jitter"
    assert next_delay_seconds(10) is None


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("120", 120),
        ("Sat, 02 May 2026 12:40:00 GMT", 600),
        ("Sat, 02 May 2026 12:00:00 GMT", 5),
        ("0", 5),
        ("9" * 40, MAX_RETRY_AFTER_SECONDS),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS),
        ("0000000000000120", 120),
        ("Sat, 02 May 99999999999999999999 12:40:00 GMT", 5),
        ("Sat, 99999999999 May 2026 12:40:00 GMT", 5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        ("-5", 5),
        ("soon", 5),
        ("", 5),
        (None, 5),
    ],
)
def test_retry_after_makes_the_wait_longer_within_bounds(header: str | None, least: int) -> None:
    wait = next_delay_seconds(1, header, NOW)
    assert wait is not None
    assert least <= wait <= least * 1.1
