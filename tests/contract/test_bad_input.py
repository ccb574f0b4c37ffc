"""Bad requests: the right code and parameter, a message that says what would work, and no trace of them."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.accounts import Account, Accounts
from tests.contract.bodies import DOCUMENTS, FIELDS, IMAGES, REFERENCES, VIDEOS, Case

LONGEST_MESSAGE = 400


@pytest.mark.parametrize("case", [*FIELDS, *REFERENCES, *DOCUMENTS], ids=lambda case: case.name)
def test_a_bad_request_is_refused(case: Case, http: httpx.Client, account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    answer = http.post(case.path, content=case.body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == (case.code, case.param), error
    assert case.says in error["message"]
    assert len(error["message"]) < LONGEST_MESSAGE
    assert error["message"].endswith(".")
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)
    assert accounts.traces(account) == before


@pytest.mark.parametrize("case", [*FIELDS, *REFERENCES, *DOCUMENTS], ids=lambda case: case.name)
def test_a_quote_refuses_it_in_the_same_words(case: Case, http: httpx.Client) -> None:
    quoted = http.post(f"{case.path}/quote", content=case.body)
    if case.name == "cut off picture":
        assert quoted.status_code == 200, "only decoding tells"
    else:
        assert (quoted.status_code, quoted.json()) == (400, http.post(case.path, content=case.body).json())


@pytest.mark.parametrize("path", [IMAGES, VIDEOS])
def test_the_content_type_does_not_matter_and_the_body_does(path: str, http: httpx.Client) -> None:
    model = "noop-image" if path == IMAGES else "noop-video"
    for headers in ({}, {"Content-Type": "text/plain"}):
        content = f'{{"model": "{model}", "prompt": "A mountain"}}'.encode()
        assert http.post(path, content=content, headers=headers).is_success
    assert http.post(path, data={"model": model, "prompt": "A mountain"}).status_code == 400
    assert http.post(path, files={"model": b"noop-image"}).status_code == 400


@pytest.mark.parametrize("prompt", ["x", "é" * 4096, "🏔" * 4096, "\n.", "\u0301"])
def test_a_prompt_is_counted_in_characters(prompt: str, http: httpx.Client) -> None:
    assert http.post(IMAGES, json={"model": "noop-image", "prompt": prompt}).status_code == 200


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("", "parameter_missing", "start"),
        ("start=2026-05-01T00:00:00Z", "parameter_missing", "end"),
        ("start=2026-05-01&end=2026-05-02T00:00:00Z", "invalid_parameter", "start"),
        ("start=2026-05-01T00:00:00&end=2026-05-02T00:00:00Z", "invalid_parameter", "start"),
        ("start=yesterday&end=2026-05-02T00:00:00Z", "invalid_parameter", "start"),
        ("start=%ff%00&end=2026-05-02T00:00:00Z", "invalid_parameter", "start"),
        ("start=2026-05-02T00:00:00Z&end=2026-05-02T00:00:00Z", "invalid_parameter", "end"),
        ("start=2026-05-02T00:00:00Z&end=2026-05-01T00:00:00Z", "invalid_parameter", "end"),
        ("start=2026-01-01T00:00:00Z&end=2026-06-30T00:00:01Z", "invalid_parameter", "end"),
        ("start=0001-01-01T00:00:00%2B10:00&end=0001-01-01T01:00:00%2B10:00", "invalid_parameter", "start"),
        ("start=9999-12-31T00:00:00Z&end=9999-12-31T23:00:00-10:00", "invalid_parameter", "end"),
    ],
)
def test_bad_ranges_of_costs(query: str, code: str, param: str, http: httpx.Client) -> None:
    answer = http.get(f"/v2/billing/costs?{query}")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


def test_a_bad_model_filter(http: httpx.Client) -> None:
    answer = http.get("/v2/models", params={"type": "sound"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_parameter", "type")
    assert "image or video" in error["message"]


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\tin it"], ids=["empty", "256 characters", "a control character"])
def test_bad_idempotency_keys(key: str, http: httpx.Client, account: Account, accounts: Accounts) -> None:
    before = accounts.traces_at_rest(account)
    body = {"model": "noop-image", "prompt": "A mountain"}
    answer = http.post(IMAGES, json=body, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "Idempotency-Key"
    assert accounts.traces(account) == before


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", IMAGES, "POST"),
        ("PUT", IMAGES, "POST"),
        ("DELETE", VIDEOS, "POST"),
        ("GET", f"{IMAGES}/quote", "POST"),
        ("POST", f"{IMAGES}/req-00000000000000000000000000", "GET, HEAD"),
        ("POST", "/v2/models", "GET, HEAD"),
        ("PATCH", "/v2/models/noop-image", "GET, HEAD"),
        ("POST", "/v2/billing/balance", "GET, HEAD"),
        ("PUT", "/v2/billing/costs", "GET, HEAD"),
        ("POST", "/v2/downloads/req-00000000000000000000000000/0", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
        ("BREW", "/v2/models", "GET, HEAD"),
    ],
)
def test_wrong_methods(method: str, path: str, allowed: str, http: httpx.Client) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) - {"OPTIONS"} == set(allowed.split(", "))
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert allowed.split(", ")[0] in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v2", "/v3/images/generations", "/v2/image/generations", "/v2/models/a/b"])
def test_unknown_paths(path: str, http: httpx.Client) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "/docs" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "generation_id",
    ["req-00000000000000000000000000", "req-", "nonsense", "%00", "req-" + "Z" * 26, "x" * 30_000, "%E2%98%83"],
    ids=["unknown", "cut off", "no id", "NUL", "past all ids", "30,000 characters", "a snowman"],
)
@pytest.mark.parametrize("path", [IMAGES, VIDEOS])
def test_unknown_ids(path: str, generation_id: str, http: httpx.Client) -> None:
    answer = http.get(f"{path}/{generation_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert len(answer.json()["error"]["message"]) < LONGEST_MESSAGE


@pytest.mark.parametrize("model", ["no-such-model", "%00", "%ff", "x" * 30_000])
def test_unknown_models(model: str, http: httpx.Client) -> None:
    answer = http.get(f"/v2/models/{model}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "/v2/models" in answer.json()["error"]["message"]
    assert len(answer.json()["error"]["message"]) < LONGEST_MESSAGE


def test_an_image_is_no_video_and_the_other_way_round(http: httpx.Client) -> None:
    image = http.post(IMAGES, json={"model": "noop-image", "prompt": "A mountain"}).json()["id"]
    video = http.post(VIDEOS, json={"model": "noop-video", "prompt": "A mountain"}).json()["id"]
    assert http.get(f"{IMAGES}/{image}").status_code == 200
    assert http.get(f"{VIDEOS}/{video}").status_code == 200
    assert http.get(f"{VIDEOS}/{image}").status_code == 404
    assert http.get(f"{IMAGES}/{video}").status_code == 404


def test_another_workspace_sees_what_it_would_of_an_unknown_id(http: httpx.Client, accounts: Accounts) -> None:
    made = http.post(IMAGES, json={"model": "noop-image", "prompt": "A mountain"}).json()["id"]
    with accounts.create().http() as stranger:
        theirs = stranger.get(f"{IMAGES}/{made}")
        nobodys = stranger.get(f"{IMAGES}/req-00000000000000000000000000")
    assert theirs.status_code == 404
    assert theirs.content == nobodys.content
