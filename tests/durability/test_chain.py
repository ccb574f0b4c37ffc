"""Safelight in front of Safelight, as real processes: money, ids and failures on both, whoever is killed meanwhile."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from safelight.providers.noop import png
from tests.durability.conftest import Deploy
from tests.durability.deployment import Deployment, Model
from tests.support.server import eventually, free_port
from tests.support.tenants import make_tenant_at

PICTURE = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
JOB = {"behaviour": "job", "job_seconds": 1.5}

AT_THE_BACK = (
    Model("drawn", "image", ("builtin", {}), supports_seed=True),
    Model("image", "image", ("chaos", JOB)),
    Model("video", "video", ("chaos", JOB)),
    Model("refused", "image", ("noop", {"fails_with": "content_policy"})),
    Model("odd", "image", ("noop", {"fails_with": "bad_input"})),
    Model("broken", "image", ("noop", {"fails_with": "permanent"})),
    Model("poor", "image", ("noop", {})),
    Model("narrow", "video", ("chaos", JOB)),
)
IN_FRONT = tuple(
    Model(
        each.id,
        each.type,
        (each.id if each.id in ("poor", "narrow") else "back", {}),
        price="0.02",
        supports_seed=each.supports_seed,
    )
    for each in AT_THE_BACK
)


class Chain:
    """Both deployments, each with an API process and a worker. What is asked of it is known by its prompt."""

    def __init__(self, deploy: Deploy) -> None:
        self.front_port, self.back_port = free_port(), free_port()
        self.back = deploy(
            *AT_THE_BACK,
            env={
                "SAFELIGHT_REFERENCES_ALLOW": "127.0.0.1",
                "SAFELIGHT_PUBLIC_URL": f"http://127.0.0.1:{self.back_port}",
            },
        )
        keys = {
            "BACK_KEY": self.back.headers["Authorization"].removeprefix("Bearer "),
            "POOR_KEY": make_tenant_at(self.back.url, "poor", usd="0").key,
            "NARROW_KEY": make_tenant_at(self.back.url, "narrow", concurrency=1).key,
        }
        self.front = deploy(env={"SAFELIGHT_PUBLIC_URL": f"http://127.0.0.1:{self.front_port}", **keys})
        told = {
            "kind": "getimg",
            "base_url": f"http://127.0.0.1:{self.back_port}",
            "flavor": "safelight",
            "references": "link",
            "callbacks": True,
        }
        connections = {name: {**told, "key": f"env:{name.upper()}_KEY"} for name in ("back", "poor", "narrow")}
        self.front.edit_catalog(*IN_FRONT, connections=connections)
        self.back_api, self.back_worker = self.back.serve(self.back_port), self.back.worker()
        self.front_api, self.front_worker = self.front.serve(self.front_port), self.front.worker()

    def video(self, model: str = "video", **more: object) -> tuple[str, str]:
        """Ask for a video; its id and its prompt."""
        prompt = f"a slope {secrets.token_hex(4)}"
        return self.front.video(self.front_api, model, prompt=prompt, **more), prompt

    def at_the_back(self, prompt: str) -> list[dict[str, Any]]:
        return self.back.sql("select * from generations where request->>'prompt' = %s", prompt)

    def order_at_the_back(self, prompt: str) -> str:
        """The id of what is asked of the back, once that has it."""
        eventually(lambda: bool(self.at_the_back(prompt)), f"the back has it:\n{self.front.logs}")
        return str(self.at_the_back(prompt)[0]["id"])

    def check_made_once(self, generation_id: str, prompt: str, seconds: int = 1) -> str:
        """One of them in front, one at the back, one of its backend; each charged once, and what the back charged is
        what it cost in front. The back's id."""
        (order,) = self.at_the_back(prompt)
        self.front.check_one_end(generation_id)
        self.back.check_one_end(order["id"])
        if order["connection"] == "chaos":
            assert self.back.memory.taken(order["id"]) == 1
        row = self.front.row(generation_id)
        assert (row["charged_nanos"], row["cost_nanos"]) == (20_000_000 * seconds, 10_000_000 * seconds)
        assert order["charged_nanos"] == 10_000_000 * seconds
        self.check_books()
        return str(order["id"])

    def check_books(self) -> None:
        self.front.check_nothing_held()
        self.back.check_nothing_held()


@pytest.fixture(scope="module")
def chain(deploy_for_all: Deploy) -> Iterator[Chain]:
    yield Chain(deploy_for_all)


def reports(site: Deployment, generation_id: str) -> list[dict[str, Any]]:
    return list(site.row(generation_id)["backend_reports"])


def test_an_image_is_the_same_on_both(chain: Chain) -> None:
    front, prompt = chain.front, "a slope with a seed"
    made = front.image(chain.front_api, "drawn", prompt=prompt, seed=7)
    assert made.status_code == 200, f"{made.text}\n{front.logs}"
    assert made.json()["seed"] == 7
    order = chain.check_made_once(made.json()["id"], prompt)
    assert chain.back.row(order)["seed"] == 7
    assert reports(front, made.json()["id"])[-1]["words"] == f"generation {order}"


def test_a_video_brings_its_pictures_by_link_and_its_end_by_a_callback(chain: Chain) -> None:
    generation_id, prompt = chain.video(images=[{"url": PICTURE, "role": "reference_image"}])
    assert chain.front.ended(chain.front_api, generation_id)["status"] == "completed"
    order = chain.check_made_once(generation_id, prompt, seconds=2)
    assert chain.front.row(generation_id)["handle"] == {"id": order}
    eventually(
        lambda: f"path=/v2/hints/back/{generation_id} status=204" in chain.front.logs, "the back told of its end"
    )
    (kept,) = chain.at_the_back(prompt)[0]["request"]["references"]
    assert kept["role"] == "reference_image"
    assert f"path='/v2/downloads/{generation_id}/0/reference' status=200" in chain.front.logs


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("refused", 422, "content_policy_violation"),
        ("odd", 400, "invalid_parameter"),
        ("broken", 502, "generation_failed"),
        ("poor", 502, "generation_failed"),
    ],
)
def test_what_fails_at_the_back_is_told_in_front_and_nobody_pays(
    chain: Chain, model: str, status: int, code: str
) -> None:
    """That the operator's own account at the back is empty is no fault of the client's."""
    answer = chain.front.image(chain.front_api, model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    (row,) = chain.front.sql("select * from generations where model = %s", model)
    report = reports(chain.front, row["id"])[-1]
    assert report["code"] == ("quota_exceeded" if model == "poor" else code), "the operator is told what the back said"
    assert report["request_id"]
    charged = "select * from generations where model = %s and charged_nanos > 0"
    assert chain.front.sql(charged, model) == chain.back.sql(charged, model) == []
    chain.check_books()


def test_what_the_back_has_no_room_for_waits_in_front(chain: Chain) -> None:
    first, second = chain.video("narrow"), chain.video("narrow")
    for generation_id, prompt in (first, second):
        assert chain.front.ended(chain.front_api, generation_id)["status"] == "completed"
        (order,) = chain.at_the_back(prompt)
        assert chain.back.memory.taken(order["id"]) == 1
    told = [*reports(chain.front, first[0]), *reports(chain.front, second[0])]
    assert "rate_limit" in [report.get("code") for report in told]
    chain.check_books()


@pytest.mark.parametrize("point", ["run-after-intent", "run-after-submit", "run-after-handle"])
def test_a_worker_in_front_is_killed(chain: Chain, point: str) -> None:
    """Before the order went out, before its answer is on record, and after."""
    chain.front_worker.stop()
    doomed = chain.front.worker(KILLPOINT=point)
    generation_id, prompt = chain.video()
    doomed.wait()
    chain.front_worker = chain.front.worker()
    assert chain.front.ended(chain.front_api, generation_id)["status"] == "completed"
    chain.check_made_once(generation_id, prompt, seconds=2)


def test_the_api_in_front_is_killed_while_the_back_makes_an_image(chain: Chain) -> None:
    front, prompt = chain.front, "a slope in the dark"
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(front.image, chain.front_api, "image", prompt=prompt)
        chain.order_at_the_back(prompt)
        chain.front_api.kill()
        with pytest.raises(httpx.HTTPError):
            asked.result()
    chain.front_api = front.serve(chain.front_port)
    (row,) = front.sql("select id from generations where request->>'prompt' = %s", prompt)
    front.wait_for_state(row["id"], "completed")
    chain.check_made_once(row["id"], prompt)


def test_both_processes_at_the_back_are_killed_in_the_middle(chain: Chain) -> None:
    """With a video under way, and an image whose request in front waits, or is told that it is not known yet."""
    generation_id, prompt = chain.video()
    order = chain.order_at_the_back(prompt)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(chain.front.image, chain.front_api, "image", prompt="a slope in between")
        image_order = chain.order_at_the_back("a slope in between")
        for each in (order, image_order):
            eventually(lambda id_=each: chain.back.row(id_)["handle"] is not None, "its backend has it")
        for process in (chain.back_api, chain.back_worker):
            process.kill()
        chain.back_api, chain.back_worker = chain.back.serve(chain.back_port), chain.back.worker()
        assert asked.result().status_code in (200, 504)
    (row,) = chain.front.sql("select id from generations where request->>'prompt' = 'a slope in between'")
    chain.front.wait_for_state(row["id"], "completed")
    assert chain.front.ended(chain.front_api, generation_id)["status"] == "completed"
    assert chain.check_made_once(generation_id, prompt, seconds=2) == order
    assert chain.check_made_once(row["id"], "a slope in between") == image_order
