"""What a refusal comes to, however it is told; and that nothing of it gets out but as the server's own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from safelight.domain.outcomes import Answer, Completed, Failed, FailureClass, Pending, RemoteFile, Unknown
from safelight.outbound.backend_api import Reply
from safelight.providers.openai.answers import image_of, state_of
from safelight.providers.openai.settings import Quirks
from tests.providers.openai.fake import FakeServer
from tests.providers.openai.faults import ANSWERS, FAULTS
from tests.providers.openai.studio import image_order, job_of, provider_of

Start = Callable[..., FakeServer]

REASONS: dict[str, FailureClass | None] = {
    "moderation_blocked": FailureClass.CONTENT_POLICY,
    "old_policy": FailureClass.CONTENT_POLICY,
    "policy_words": FailureClass.BAD_INPUT,
    "flagged": FailureClass.CONTENT_POLICY,
    "quota": FailureClass.QUOTA,
    "rate_limited": FailureClass.RATE_LIMITED,
    "rate_limited_ms": FailureClass.RATE_LIMITED,
    "no_money": FailureClass.QUOTA,
    "too_large": FailureClass.BAD_INPUT,
    "timed_out": None,
    "conflict": None,
    "auth": FailureClass.AUTH,
    "forbidden": FailureClass.AUTH,
    "no_model": FailureClass.PERMANENT,
    "unknown_parameter": FailureClass.PERMANENT,
    "bad_request": FailureClass.BAD_INPUT,
    "server_error": FailureClass.TRANSIENT,
    "unavailable": FailureClass.TRANSIENT,
    "error_text": FailureClass.BAD_INPUT,
    "detail_text": FailureClass.BAD_INPUT,
    "detail_list": FailureClass.BAD_INPUT,
    "json_exception": FailureClass.BAD_INPUT,
    "html": None,
    "gateway_timeout": None,
    "empty": None,
    "opaque": FailureClass.BAD_INPUT,
    "loading": FailureClass.TRANSIENT,
    "redirect": FailureClass.PERMANENT,
}
WAITS = {"rate_limited": 7.0, "rate_limited_ms": 1.5, "unavailable": 3.0, "loading": 4.0}


async def refused(server: FakeServer, fault: str, **quirks: Any) -> Any:
    server.behave(fault)
    order = image_order(resolution="1K")
    async with provider_of(server, **quirks) as provider:
        return await provider.submit(order, job_of(order))


def test_every_fault_has_a_reason() -> None:
    assert REASONS.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_refusal_has_its_reason_and_the_servers_words(fake: Start, fault: str) -> None:
    server = fake()
    outcome = await refused(server, fault)
    assert len(server.posts()) == 1  # an order is given once, whatever the answer
    if REASONS[fault] is None:
        assert isinstance(outcome, Unknown)
    else:
        assert isinstance(outcome, Failed) and outcome.reason is REASONS[fault]
        assert outcome.retry_after_seconds == WAITS.get(fault)
    if fault not in ("empty", "opaque", "loading", "redirect"):
        assert server.words() in (outcome.answer.words or "")
    assert outcome.answer.status and "something is wrong" not in getattr(outcome, "detail", "")


async def test_codes_and_ids_are_told(fake: Start) -> None:
    server = fake()
    found = (await refused(server, "quota")).answer
    assert (found.code, found.request_id, found.status) == ("insufficient_quota", "req_fault", 429)
    assert (await refused(server, "detail_list")).answer.code == "missing"


async def test_words_that_tell_a_refusal_are_declared(fake: Start) -> None:
    assert (await refused(fake("xai"), "policy_words")).reason is FailureClass.CONTENT_POLICY
    outcome = await refused(fake(), "policy_words", refusal_words=["rejected by"])
    assert outcome.reason is FailureClass.CONTENT_POLICY


@pytest.mark.parametrize("answer", [*FAULTS, *ANSWERS])
async def test_a_secret_that_a_server_repeats_gets_out_as_its_words_alone(fake: Start, answer: str) -> None:
    server = fake("openrouter" if answer.startswith("chat_") else "openai", canary="sk-canary-5d1b")
    outcome = await refused(server, answer)
    told: Answer = outcome.answer
    rest = msgspec.structs.replace(outcome, answer=msgspec.structs.replace(told, words=None))
    assert "canary" not in repr(rest) and len(told.words or "") <= 4096
    assert server.key is not None and server.key not in repr(outcome.answer)


async def test_a_secret_in_a_success_is_not_kept(fake: Start) -> None:
    server = fake(canary="sk-canary-5d1b")
    order = image_order()
    async with provider_of(server) as provider:
        outcome = await provider.submit(order, job_of(order))
    assert outcome.answer.usage is not None and "canary" not in repr(outcome.answer)


NINES = b"9" * 400


@pytest.mark.parametrize(
    "said",
    [
        b'"progress": %b, "status": "queued"' % NINES,
        b'"inference_time_s": %b, "usage": {"cost": %b, "images": -%b}' % (NINES, NINES, NINES),
        b'"seed": %b, "usage": {"cost_in_usd_ticks": -1e308, "input_tokens": -1e308}' % NINES,
        b'"usage": %b1%b' % (b'{"a":' * 900, b"}" * 900),
        b'"progress": {"a": []}, "seed": 18446744073709551616, "usage": [1]',
    ],
)
def test_numbers_that_count_nothing_are_not_told(said: bytes) -> None:
    """And what came with them is not lost for them."""
    picture = Reply(200, {}, b'{"data": [{"b64_json": "iVBO"}], %b}' % said)
    made = image_of(picture, Quirks(), RemoteFile, prompt="a hill", seed=7)
    assert isinstance(made, Completed) and made.media
    assert (made.answer.seed, made.answer.cost_nanos) == (7, None)
    standing = state_of(Reply(200, {}, b'{"id": "v", %b}' % said), Quirks(), RemoteFile, None)
    assert isinstance(standing, Pending) and standing.progress is None
