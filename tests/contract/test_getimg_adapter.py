"""The kind ``getimg`` before another Safelight, which the official client judges in this folder's other tests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from safelight.domain.catalog_reader import read_catalog
from safelight.domain.connections import Secret
from safelight.domain.outcomes import (
    Accepted,
    Cancellation,
    CannotTell,
    Completed,
    Failed,
    FailureClass,
    Found,
    NeverTaken,
    Pending,
    PollOutcome,
    RemoteFile,
    Stage,
)
from safelight.domain.ports import Callback, Cancelable, Findable, Hintable, Host, Job
from safelight.providers.getimg.provider import KIND, SafelightProvider, Settings
from safelight.providers.registry import KINDS
from tests.contract.accounts import Account, Accounts
from tests.contract.test_official_client import PICTURE
from tests.domain.catalogs import IMAGE as ENTRY
from tests.providers.getimg_orders import IMAGE, VIDEO, job, order
from tests.support.server import PATIENCE_SECONDS

CLIP = {"resolution": "480p", "duration_seconds": 4}


def open_provider(account: Account, key: str | None = None, **settings: Any) -> SafelightProvider:
    told = Settings(base_url=account.base_url, key=Secret("env:KEY"), flavor="safelight", **settings)
    host = Host(data_dir=Path("/nonexistent"), render_processes=1, read_secret=lambda _: key or account.key)
    opened = KIND.open(told, host)
    assert isinstance(opened, SafelightProvider)
    return opened


@pytest.fixture
async def provider(account: Account) -> AsyncIterator[SafelightProvider]:
    opened = open_provider(account)
    yield opened
    await opened.close()


def new_job(model: str, **facts: Any) -> Job[Any]:
    type_ = VIDEO if model.endswith("video") else IMAGE
    return job(type_, f"req-{secrets.token_hex(8)}", upstream_model=model, **facts)


async def ended(provider: SafelightProvider, handle: dict[str, Any], asked: Job[Any]) -> PollOutcome:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while isinstance(outcome := await provider.poll(handle, asked), Pending):
            await asyncio.sleep(0.05)
    return outcome


def test_it_can_do_all_that_the_contract_adds(provider: SafelightProvider) -> None:
    assert isinstance(provider, Findable)
    assert isinstance(provider, Cancelable)
    assert isinstance(provider, Hintable)


async def test_an_image_and_its_repeat_are_one(provider: SafelightProvider, account: Account) -> None:
    asked, before = new_job("noop-image"), await balance(account)
    first, second = [await provider.submit(order("a mountain"), asked) for _ in range(2)]
    assert isinstance(first, Completed)
    assert isinstance(second, Completed)
    assert first.answer.words == second.answer.words
    assert (first.answer.cost_nanos, before - await balance(account)) == (20_000_000, 20_000_000)
    assert first.answer.request_id
    assert first.answer.usage is not None
    assert first.answer.usage.images == 1
    (file,) = first.media
    assert isinstance(file, RemoteFile)
    assert httpx.get(file.url).headers["content-type"] == "image/png"


async def test_a_video_with_pictures_is_polled_to_its_end(provider: SafelightProvider) -> None:
    asked = new_job("noop-video")
    outcome = await provider.submit(order("clouds", VIDEO, **CLIP), asked)
    assert isinstance(outcome, Accepted)
    done = await ended(provider, outcome.handle, asked)
    assert isinstance(done, Completed)
    assert done.answer.cost_nanos == 44_000_000


async def test_an_order_is_found_by_its_key_and_none_is_made(provider: SafelightProvider, account: Account) -> None:
    asked, before = new_job("noop-video"), await balance(account)
    assert await provider.find(asked) == NeverTaken()
    outcome = await provider.submit(order("clouds", VIDEO, **CLIP), asked)
    assert isinstance(outcome, Accepted)
    assert await provider.find(asked) == Found(Accepted(outcome.handle))
    await ended(provider, outcome.handle, asked)
    assert before - await balance(account) == 44_000_000
    old = new_job("noop-video", submitted_at=datetime.now(UTC) - timedelta(hours=21))
    assert isinstance(await provider.find(old), CannotTell), "keys are forgotten after a day"


async def test_the_same_order_in_other_words_is_the_first(provider: SafelightProvider) -> None:
    """A link in it is signed anew at each try, so that the bytes differ: a 409, and no second order."""
    asked = new_job("noop-video")
    first = await provider.submit(order("clouds", VIDEO, **CLIP), asked)
    assert isinstance(first, Accepted)
    second = await provider.submit(order("other clouds", VIDEO, **CLIP), asked)
    assert isinstance(second, Accepted)
    assert second.handle == first.handle
    assert second.answer.code == "idempotency_conflict"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("failing-image", FailureClass.PERMANENT),
        ("refused-image", FailureClass.CONTENT_POLICY),
        ("failing-video", FailureClass.PERMANENT),
        ("refused-video", FailureClass.CONTENT_POLICY),
        ("no-such-image", FailureClass.PERMANENT),
    ],
)
async def test_what_fails_there_is_told_by_its_code(
    provider: SafelightProvider, model: str, reason: FailureClass
) -> None:
    asked = new_job(model)
    outcome: Any = await provider.submit(
        order(
            "a mountain",
            asked.type,
            resolution="480p" if "video" in model else "1K",
            aspect_ratio="16:9" if "video" in model else "1:1",
            duration_seconds=4 if "video" in model else None,
            sound=None,
        ),
        asked,
    )
    if isinstance(outcome, Accepted):
        outcome = await ended(provider, outcome.handle, asked)
        assert isinstance(outcome, Failed)
        assert outcome.answer.is_billed is False
    assert isinstance(outcome, Failed)
    assert (outcome.reason, bool(outcome.answer.code)) == (reason, True)


async def test_a_video_is_canceled_for_free(provider: SafelightProvider) -> None:
    asked = new_job("slow-video")
    outcome = await provider.submit(order("clouds", VIDEO, **CLIP, sound=None), asked)
    assert isinstance(outcome, Accepted)
    pending = await provider.poll(outcome.handle, asked)
    assert isinstance(pending, Pending)
    assert pending.stage in (Stage.QUEUED, Stage.RUNNING)
    assert await provider.cancel(outcome.handle, asked) is Cancellation.FREE
    failed = await provider.poll(outcome.handle, asked)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureClass.CANCELED
    assert await provider.cancel({"id": "req-none"}, asked) is Cancellation.TOO_LATE


async def test_no_money_there_and_too_many_there_are_no_fault_of_the_order(accounts: Accounts) -> None:
    poor = open_provider(accounts.create(credit="0.001"))
    outcome = await poor.submit(order("a mountain"), new_job("noop-image"))
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.answer.status) == (FailureClass.QUOTA, 402)
    slowed = open_provider(accounts.create(image_rpm=1))
    await slowed.submit(order("a mountain"), new_job("noop-image"))
    outcome = await slowed.submit(order("a mountain"), new_job("noop-image"))
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.RATE_LIMITED
    assert outcome.retry_after_seconds
    await poor.close()
    await slowed.close()


async def test_a_wrong_key_is_told(account: Account) -> None:
    stranger = open_provider(account, key="sk_stranger")
    outcome = await stranger.submit(order("a mountain"), new_job("noop-image"))
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.AUTH
    await stranger.close()


async def test_retention_and_callback_are_passed_on(account: Account) -> None:
    brief = open_provider(account, retention_seconds=120)
    outcome = await brief.submit(order("a mountain"), new_job("noop-image"))
    assert isinstance(outcome, Completed)
    assert outcome.answer.words
    with account.http() as http:
        made = http.get(f"/v2/images/generations/{outcome.answer.words.split()[1]}").json()
    assert datetime.fromisoformat(made["data"][0]["deletes_at"]) < datetime.now(UTC) + timedelta(minutes=30)
    calling = open_provider(account, callbacks=True)
    outcome = await calling.submit(order("a mountain"), new_job("noop-image", callback_url="http://127.0.0.1/here"))
    assert isinstance(outcome, Failed)
    assert outcome.reason is FailureClass.PERMANENT, "an address that it cannot reach is no fault of the client's"
    assert "webhook_url" in outcome.detail
    await brief.close()
    await calling.close()


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b'{"type": "generation.completed", "timestamp": "t", "data": {"id": "req-1"}}', True),
        (b'{"type": "balance.low"}', False),
        (b"{}", False),
        (b"not JSON", False),
        (b'{"type": ' + b"[" * 100_000, False),
    ],
)
async def test_an_event_of_a_generation_is_a_hint(provider: SafelightProvider, body: bytes, is_one: bool) -> None:
    assert await provider.hint(Callback(job_id="req-1", headers={}, body=body)) is is_one


async def test_a_binding_is_held_against_what_it_lists(provider: SafelightProvider) -> None:
    connection = {"name": "back", "kind": "getimg", "base_url": "https://back.example", "key": "env:KEY"}
    entry = {**ENTRY, "bindings": [{"connection": "back", "model": "noop-image"}], "references": {"reference_image": 3}}
    read = read_catalog({"connections": [connection], "models": [entry]}, source="-", kinds=KINDS)
    model = next(iter(read.models.values()))
    found = {finding.subject: finding.level for finding in await provider.check(model, model.bindings[0])}
    assert found == {"key": "ok", "model": "ok", "references": "problem", "price": "ok", "balance": "ok"}


async def test_only_what_a_key_stands_for_is_listed(account: Account, accounts: Accounts) -> None:
    key = secrets.token_hex(8)
    asked: dict[str, Any] = {"model": "noop-image", "prompt": "a mountain", "images": [{"url": PICTURE}]}
    with account.http() as http, accounts.create().http() as other:
        made = http.post("/v2/images/generations", json=asked, headers={"Idempotency-Key": key}).json()

        def listed(client: httpx.Client, **query: str) -> list[str]:
            answer = client.get("/v2/generations", params={"idempotency_key": key, **query})
            assert answer.status_code == 200, answer.text
            return [each["id"] for each in answer.json()["data"]]

        assert listed(http) == listed(http, type="image", status="completed", limit="1") == [made["id"]]
        assert listed(http, type="video") == listed(http, status="failed") == listed(other) == []
        assert listed(http, idempotency_key="another") == []
        refused = http.get("/v2/generations", params={"idempotency_key": "a\nb"})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "idempotency_key")


async def balance(account: Account) -> int:
    """In nano-dollars."""
    with account.http() as http:
        return round(float(http.get("/v2/billing/balance").json()["balance"]) * 1e9)
