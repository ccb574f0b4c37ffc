"""Each row of the error table, as the official client raises it; and when that client asks again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from getimg import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GetimgAI,
    InternalServerError,
    NotFoundError,
    RateLimitError,
    UnprocessableEntityError,
)

from tests.contract.accounts import Account, Accounts

IMAGE = {"model": "noop-image", "prompt": "A mountain at dawn"}


def _client(account: Account, **options: Any) -> GetimgAI:
    return GetimgAI(base_url=account.base_url, api_key=account.key, **{"max_retries": 0, **options})


@pytest.fixture
def client(account: Account) -> Iterator[GetimgAI]:
    with _client(account) as made:
        yield made


def _error(error: APIStatusError) -> dict[str, Any]:
    """The body's error, with its fields and their order checked."""
    body = error.response.json()
    assert error.body == body
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"]
    return body["error"]


Call = Callable[[GetimgAI], Any]
ROWS: list[tuple[str, Call, type[APIStatusError], int, str, str | None]] = [
    (
        "prompt missing",
        lambda c: c.images.generate(**IMAGE, extra_body={"prompt": ""}),
        BadRequestError,
        400,
        "invalid_parameter",
        "prompt",
    ),
    (
        "model missing",
        lambda c: c.post("/v2/images/generations", body={"prompt": "x"}, cast_to=object),
        BadRequestError,
        400,
        "parameter_missing",
        "model",
    ),
    (
        "broken picture",
        lambda c: c.images.generate(**IMAGE, images=[{"url": "data:image/png;base64,AAAA"}]),
        BadRequestError,
        400,
        "invalid_parameter",
        "images[0].url",
    ),
    ("no such model", lambda c: c.models.retrieve("no-such-model"), NotFoundError, 404, "not_found", "model"),
    (
        "no such video",
        lambda c: c.videos.generations.retrieve("req-00000000000000000000000000"),
        NotFoundError,
        404,
        "not_found",
        None,
    ),
    (
        "refused by the backend",
        lambda c: c.images.generate(model="refused-image", prompt="x"),
        UnprocessableEntityError,
        422,
        "content_policy_violation",
        None,
    ),
    (
        "failed in the backend",
        lambda c: c.images.generate(model="failing-image", prompt="x"),
        InternalServerError,
        502,
        "generation_failed",
        None,
    ),
    (
        "body too large",
        lambda c: c.images.generate(**IMAGE, extra_body={"prompt": "x" * (25 * 1024 * 1024)}),
        APIStatusError,
        413,
        "request_too_large",
        None,
    ),
]


@pytest.mark.parametrize(("call", "kind", "status", "code", "param"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_errors_of_the_request(
    client: GetimgAI, call: Call, kind: type[APIStatusError], status: int, code: str, param: str | None
) -> None:
    with pytest.raises(kind) as caught:
        call(client)
    assert caught.value.status_code == status
    error = _error(caught.value)
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize("key", ["nonsense", "sk_" + "0" * 49])
def test_a_wrong_key(account: Account, key: str) -> None:
    stranger = GetimgAI(base_url=account.base_url, api_key=key, max_retries=0)
    with stranger, pytest.raises(AuthenticationError) as caught:
        stranger.models.list()
    assert _error(caught.value)["code"] == "invalid_api_key"


def test_not_enough_balance(accounts: Accounts) -> None:
    poor = accounts.create(credit="0.012")
    with _client(poor) as client, pytest.raises(APIStatusError) as caught:
        client.images.generate(**IMAGE)
    assert caught.value.status_code == 402
    assert _error(caught.value)["code"] == "quota_exceeded"
    assert accounts.traces(poor) == (0, 1)  # the credit, and nothing since


def test_too_many_a_minute(accounts: Accounts) -> None:
    busy = accounts.create(image_rpm=1)
    with _client(busy) as client, pytest.raises(RateLimitError) as caught:
        for _ in range(3):  # a minute may end in between, once
            client.images.generate(**IMAGE)
    assert _error(caught.value)["code"] == "rate_limit"
    headers = caught.value.response.headers
    assert 1 <= int(headers["retry-after"]) <= 60
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("1", "0")


def test_too_many_at_once(accounts: Accounts) -> None:
    busy = accounts.create(concurrency=1)
    with _client(busy) as client:
        client.videos.generations.create(model="slow-video", prompt="x")
        for submit in (
            lambda: client.videos.generations.create(model="noop-video", prompt="x"),
            lambda: client.images.generate(**IMAGE),
        ):
            with pytest.raises(RateLimitError) as caught:
                submit()
            assert _error(caught.value)["code"] == "rate_limit"
            assert "retry-after" not in caught.value.response.headers  # nobody knows when the video ends


def test_an_idempotency_key_used_for_another_body(client: GetimgAI) -> None:
    headers = {"Idempotency-Key": "once-for-mountains"}
    client.images.generate(**IMAGE, extra_headers=headers)
    with pytest.raises(ConflictError) as caught:
        client.images.generate(model="noop-image", prompt="The sea at dusk", extra_headers=headers)
    assert _error(caught.value)["code"] == "idempotency_conflict"


class _Counted(httpx.HTTPTransport):
    """Notes the retry count that each request carries."""

    def __init__(self) -> None:
        super().__init__()
        self.retry_counts: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.retry_counts.append(request.headers["x-stainless-retry-count"])
        return super().handle_request(request)


@pytest.mark.parametrize(
    ("call", "told", "retry_counts"),
    [
        # A 409 and a 5xx are asked again by default; the answer says where that would be in vain.
        (
            lambda c: [
                c.images.generate(model="noop-image", prompt=prompt, extra_headers={"Idempotency-Key": "once"})
                for prompt in ("first", "second")
            ],
            "false",
            ["0", "0"],
        ),
        (lambda c: c.images.generate(model="failing-image", prompt="again"), "true", ["0", "1"]),
    ],
    ids=["conflict", "failure"],
)
def test_retries_obey_the_answer(
    account: Account, monkeypatch: pytest.MonkeyPatch, call: Call, told: str, retry_counts: list[str]
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    transport = _Counted()
    with (
        httpx.Client(transport=transport, base_url=account.base_url) as http,
        _client(account, max_retries=1, http_client=http) as client,
        pytest.raises(APIStatusError) as caught,
    ):
        call(client)
    assert caught.value.response.headers["x-should-retry"] == told
    assert transport.retry_counts == retry_counts
