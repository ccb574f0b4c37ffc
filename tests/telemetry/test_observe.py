"""What is counted of what the code says."""

from __future__ import annotations

import asyncio

import pytest

from safelight.domain.errors import ServiceUnavailable
from safelight.domain.generations import GenerationType, State
from safelight.domain.outcomes import (
    Accepted,
    CannotTell,
    Failed,
    FailureClass,
    FindOutcome,
    NeverTaken,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)
from safelight.telemetry import metrics, observe


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (Accepted({}), "ok"),
        (Pending(), "ok"),
        (NeverTaken(), "ok"),
        (Failed(FailureClass.RATE_LIMITED), "rate_limited"),
        (Unknown(), "unknown"),
        (CannotTell(), "unknown"),
        (TimeoutError(), "unknown"),
        (asyncio.CancelledError(), "unknown"),
        (ValueError(), "failed"),
    ],
)
def test_a_call_to_a_backend(outcome: SubmitOutcome | PollOutcome | FindOutcome | BaseException, result: str) -> None:
    labels = {"provider": "noop", "call": "submit", "result": result}
    before = value("safelight_provider_calls_total", **labels)
    try:
        with observe.BackendCall("noop", "submit") as call:
            if isinstance(outcome, BaseException):
                raise outcome
            call.came(outcome)
    except BaseException as error:
        assert error is outcome
    assert value("safelight_provider_calls_total", **labels) == before + 1


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, "ok"),
        (FileNotFoundError(), "ok"),
        (GeneratorExit(), "ok"),
        (asyncio.CancelledError(), "ok"),
        (ServiceUnavailable(), "error"),
    ],
)
def test_an_operation_of_the_store(error: BaseException | None, result: str) -> None:
    before = value("safelight_storage_operations_total", operation="get", result=result)
    try:
        with observe.StoreCall("get"):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert value("safelight_storage_operations_total", operation="get", result=result) == before + 1


@pytest.mark.parametrize(
    ("method", "status", "error", "told"),
    [
        ("GET", 200, None, ("GET", "200")),
        ("GET", 200, ValueError(), ("GET", "200")),
        ("BREW", 405, None, ("other", "405")),
        ("GET", 0, ValueError(), ("GET", "500")),
        ("GET", 0, asyncio.CancelledError(), ("GET", "499")),
        ("GET", 0, None, ("GET", "499")),
    ],
)
def test_a_request(method: str, status: int, error: BaseException | None, told: tuple[str, str]) -> None:
    labels = {"route": observe.UNMATCHED, "method": told[0], "status": told[1]}
    before, open_before = value("safelight_http_requests_total", **labels), value("safelight_http_in_flight")
    try:
        with observe.Request(method) as request:
            request.status = status
            assert value("safelight_http_in_flight") == open_before + 1
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert value("safelight_http_requests_total", **labels) == before + 1
    assert value("safelight_http_in_flight") == open_before


@pytest.mark.parametrize(
    ("state", "code", "outcome"),
    [
        (State.COMPLETED, None, "completed"),
        (State.CANCELED, "canceled", "canceled"),
        (State.FAILED, "generation_failed", "failed"),
        (State.FAILED, "content_policy_violation", "refused"),
        (State.FAILED, "invalid_parameter", "refused"),
    ],
)
def test_an_end(state: State, code: str | None, outcome: str) -> None:
    labels = {"type": "image", "model": "m", "outcome": outcome}
    before = value("safelight_generations_total", **labels)
    money = [value("safelight_money_nanos_total", movement=each) for each in ("captured", "released")]
    observe.settled(GenerationType.IMAGE, "m", state, code, captured_nanos=3, released_nanos=4)
    assert value("safelight_generations_total", **labels) == before + 1
    after = [value("safelight_money_nanos_total", movement=each) for each in ("captured", "released")]
    assert after == [money[0] + 3, money[1] + 4]


def test_credit_that_is_taken_back_is_no_credit() -> None:
    before = value("safelight_money_nanos_total", movement="credited")
    observe.credited(5)
    observe.credited(-3)
    assert value("safelight_money_nanos_total", movement="credited") == before + 5
