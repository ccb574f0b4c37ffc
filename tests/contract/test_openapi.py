"""The served description: valid OpenAPI 3.1, of exactly the routes there are, and true to every answer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from safelight.api import health
from safelight.api.getimg.openapi import document as described
from safelight.api.getimg.routes import DIALECT
from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import PNG_URL

NOT_DESCRIBED = {"/openapi.json", "/docs", "/docs/reference.js"}
METHODS = {"get", "post", "put", "delete", "patch", "head"}


@pytest.fixture(scope="module")
def document(account: Account) -> dict[str, Any]:
    answer = httpx.get(f"{account.base_url}/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == described(account.base_url)
    return answer.json()


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    OPENAPI_31_VALIDATOR.validate(document)


def _generic(path: str) -> str:
    """The path with its parameters' names left out."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def test_it_has_exactly_the_routes_that_are_served(document: dict[str, Any]) -> None:
    served = {
        (_generic(route.path), route.method.lower())
        for route in (*health.ROUTES, *DIALECT.routes)
        if route.path not in NOT_DESCRIBED
    }
    told = {
        (_generic(path), method)
        for path, item in document["paths"].items()
        for method in METHODS & set(item)
        if not path.startswith("/v2/downloads")  # mounted below the router
    }
    assert told == served


def test_every_operation_has_its_own_name_and_words(document: dict[str, Any]) -> None:
    operations = [item[method] for item in document["paths"].values() for method in METHODS & set(item)]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for operation in operations:
        assert operation["summary"]
        assert set(operation["tags"]) <= tags


@pytest.fixture(scope="package")
def prober(accounts: Accounts) -> Account:
    """An account that no limit stops, for thousands of requests."""
    return accounts.create(credit="1000000", image_rpm=1_000_000, video_rpm=1_000_000, concurrency=1_000_000)


CONFIG = SchemathesisConfig.from_dict({"generation": {"allow-x00": True}})


def _operations() -> dict[str, APIOperation]:
    """Every operation by its label. (Schemathesis' own parametrisation gives all of them one name, and of tests with
    one name pytest-xdist runs one.)"""
    results = schemathesis.openapi.from_dict(described(), config=CONFIG).get_all_operations()
    return {operation.label: operation for operation in (result.ok() for result in results)}


OPERATIONS = _operations()
ENDLESS = "GET /v2/events"
"""Nothing that is asked of it rightly is ever answered to its end; ``test_followed_events`` reads what it says."""

every_operation = pytest.mark.parametrize("label", OPERATIONS)
bounded = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TAKEN = {
    "aspect_ratio": "16:9",
    "resolution": "480p",
    "duration": 4,
    "retention_seconds": 3600,
    "provider_options": {"steps": 4},
}
MODES = [
    (label, mode)
    for label, operation in OPERATIONS.items()
    for mode in GenerationMode
    if (mode is GenerationMode.POSITIVE or operation.definition.raw.get("parameters") or operation.body)
    and label != ENDLESS
]


def _make_acceptable(case: Any) -> None:
    """Turn what is random in a good body into what the models of this server take."""
    body = case.body
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        return
    is_video = "/videos/" in case.path
    body["model"] = "noop-video" if is_video else "noop-image"
    for name, value in TAKEN.items():
        if name in body:
            body[name] = value if is_video or name != "resolution" else "1K"
    body.pop("webhook_url", None)
    if body.get("images"):
        body["images"] = [{"url": PNG_URL, "role": "first_frame" if is_video else "reference_image"}]


@pytest.mark.parametrize(("label", "mode"), MODES)
@bounded
@given(data=st.data())
def test_answers_are_as_described(label: str, mode: GenerationMode, data: st.DataObject, prober: Account) -> None:
    case = data.draw(OPERATIONS[label].as_strategy(generation_mode=mode))
    excluded = [positive_data_acceptance]  # a model's name is any string, and only few are there
    if not OPERATIONS[label].body:
        excluded.append(negative_data_rejection)  # what is too much in a query or among headers is not looked at
    case.call_and_validate(base_url=prober.base_url, headers=prober.headers, timeout=60, excluded_checks=excluded)


@pytest.mark.parametrize("label", [label for label in OPERATIONS if label.startswith("POST")])
@bounded
@given(data=st.data())
def test_answers_to_what_the_models_take_are_as_described(label: str, data: st.DataObject, prober: Account) -> None:
    case = data.draw(OPERATIONS[label].as_strategy())
    _make_acceptable(case)
    case.headers.pop("Idempotency-Key", None)  # one that came up before, with another body, is a conflict
    answer = case.call_and_validate(base_url=prober.base_url, headers=prober.headers, timeout=60)
    assert answer.status_code in (200, 202)


@every_operation
@settings(bounded, max_examples=5)
@given(data=st.data())
def test_answers_without_a_key_are_as_described(label: str, data: st.DataObject, prober: Account) -> None:
    case = data.draw(OPERATIONS[label].as_strategy())
    answer = case.call_and_validate(base_url=prober.base_url, timeout=60, excluded_checks=[positive_data_acceptance])
    assert answer.status_code >= 400 or not case.operation.definition.raw["security"]


def _machine(prober: Account) -> Any:
    """Calls that go on from each other's answers, as the document's links say: a file that was made is asked for,
    deleted, its receipt read."""
    config = SchemathesisConfig.from_dict({"generation": {"mode": "positive"}})
    schema = schemathesis.openapi.from_dict(described(), config=config).exclude(operation_id="followEvents")

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: Any) -> None:
            _make_acceptable(case)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"base_url": prober.base_url, "headers": prober.headers, "timeout": 60}

        def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **sent: Any) -> None:
            case.validate_response(response, excluded_checks=[positive_data_acceptance], transport_kwargs=sent)

    return Machine


def test_answers_lead_on_as_described(prober: Account) -> None:
    steps = settings(bounded, max_examples=15, stateful_step_count=6)
    _machine(prober).run(settings=steps)
