"""An API process killed at every kill point of an image that it makes: a worker finishes it, or nothing ever was."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from safelight.domain.generations import GenerationType
from safelight.providers.chaos import _media
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model

MODELS = (
    Model("sync", "image", ("chaos", {})),
    Model("job", "image", ("chaos", {"behaviour": "job"})),
    Model("lost", "image", ("chaos", {"behaviour": "lost_answer"})),
)
NEVER_WAS = {"references-after-store": "sync", "submit-before-commit": "sync"}
WALKED = {
    "submit-after-commit": "sync",
    "run-after-submit": "sync",
    "run-after-handle": "job",
    "run-after-poll": "job",
    "unknown-after-commit": "lost",
    "deliver-after-measure": "sync",
    "deliver-after-store": "sync",
    "settle-before-commit": "sync",
    "settle-after-commit": "sync",
    **NEVER_WAS,
}
REFERENCE = "data:image/png;base64," + base64.b64encode(_media(GenerationType.IMAGE, 1)).decode()


@pytest.fixture(scope="module")
def site(deploy_for_all: Deploy) -> Deployment:
    return deploy_for_all(*MODELS)


@pytest.fixture(scope="module")
def walked(site: Deployment) -> Iterator[dict[str, str | None]]:
    """Kill point -> the generation that was under way, if one was. The clients use idempotency keys."""
    ids: dict[str, str | None] = {}
    for point, model in WALKED.items():
        dying = site.serve(KILLPOINT=point)
        with pytest.raises(httpx.HTTPError):
            _ask(site, dying, point, model)
        dying.kill()
        found = site.sql("select generation_id from idempotency_keys where key = %s", point)
        ids[point] = found[0]["generation_id"] if found else None
    worker = site.worker()
    yield ids
    worker.kill()


def _ask(site: Deployment, api: object, point: str, model: str) -> httpx.Response:
    body = {"model": model, "prompt": "a slope", "images": [{"url": REFERENCE}]}
    return site.request(api, "POST", "/v2/images/generations", body, **{"idempotency-key": point})  # type: ignore[arg-type]


@pytest.mark.parametrize("point", WALKED)
def test_nothing_stays_held(site: Deployment, walked: dict[str, str | None], point: str) -> None:
    generation_id = walked[point]
    if point in NEVER_WAS:
        assert generation_id is None
        return
    assert generation_id is not None
    site.wait_for_state(generation_id, "completed")
    site.check_one_end(generation_id)
    assert site.memory.taken(generation_id) == 1


def test_the_client_that_asks_again_gets_it(site: Deployment, walked: dict[str, str | None]) -> None:
    api = site.serve()
    for point, model in WALKED.items():
        answer = _ask(site, api, point, model)
        assert answer.status_code == 200, answer.text
        if point not in NEVER_WAS:
            assert answer.json()["id"] == walked[point]
            assert site.memory.taken(answer.json()["id"]) == 1
    site.check_nothing_held()


def test_a_client_without_a_key_that_asks_again_gets_what_its_dead_process_made(site: Deployment) -> None:
    """It was charged and never answered. Whoever goes on asking a process that lives has its answer already."""
    body = {"model": "sync", "prompt": "a slope that is climbed once"}
    dying, api = site.serve(KILLPOINT="settle-after-commit"), site.serve()
    with pytest.raises(httpx.HTTPError):
        site.request(dying, "POST", "/v2/images/generations", body)
    dying.kill()
    made = site.sql("select id from generations where request ->> 'prompt' = %s", body["prompt"])
    repeated = {"x-stainless-retry-count": "1"}
    again = site.request(api, "POST", "/v2/images/generations", body, **repeated)
    assert [{"id": again.json()["id"]}] == made
    site.check_one_end(again.json()["id"])

    other = body | {"prompt": "a slope that is climbed twice"}
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", headers=site.headers, timeout=60) as client:
        first = client.post("/v2/images/generations", json=other).json()["id"]
        assert client.post("/v2/images/generations", json=other, headers=repeated).json()["id"] != first
